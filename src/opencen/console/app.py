"""Mounting the console: its pages, its few plain HTTP routes, and the headers that keep it to its own address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencen.console import frame
from opencen.console.backend import Backend
from opencen.console.frame import PREFIX, RESPONSE_TIMEOUT_S, Console, show
from opencen.console.pages import audit, gateways, instance, instances, login, networks, packages, sessions

Builder = TypeVar("Builder", bound=Callable[..., Any])
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


class _Headers:
    """Nothing of the console is framed by others, and it loads nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def mount(app: Starlette, backend: Backend) -> None:
    """Serve the console at /console of `app`, which must not have a route there yet. Once per process."""
    nicegui_app.state.console = Console(backend)
    nicegui_app.add_static_files("/static", str(frame.STATIC))
    nicegui_app.add_middleware(_Headers)
    ui.run_with(
        cast(FastAPI, app),
        title="OpenCEN",
        favicon=frame.STATIC / "favicon.svg",
        mount_path=PREFIX,
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )


def _page(path: str) -> Callable[[Builder], Builder]:
    return cast(Callable[[Builder], Builder], ui.page(path, response_timeout=RESPONSE_TIMEOUT_S))


@_page("/")
async def _root() -> Response:
    return RedirectResponse(f"{PREFIX}/instances", 303)


@nicegui_app.exception_handler(404)
async def _unknown(request: Request, _: Exception) -> Response:
    return frame.unknown_page(request)


@_page("/login")
async def _login(request: Request) -> None:
    login.build(request)


nicegui_app.get("/enter", include_in_schema=False)(login.enter)
nicegui_app.get("/leave", include_in_schema=False)(login.leave)


@_page("/instances")
async def _instances(request: Request) -> Response | None:
    return await show(request, "instances", instances.build)


@_page("/instances/{cen_id}")
async def _instance(request: Request, cen_id: str) -> Response | None:
    return await show(request, "instances", lambda visit: instance.build(visit, cen_id))


@_page("/networks")
async def _networks(request: Request) -> Response | None:
    return await show(request, "networks", networks.build)


@_page("/packages")
async def _packages(request: Request) -> Response | None:
    return await show(request, "packages", packages.build)


@_page("/gateways")
async def _gateways(request: Request) -> Response | None:
    return await show(request, "gateways", gateways.build)


@_page("/gateways/{gateway_id}")
async def _gateway(request: Request, gateway_id: str) -> Response | None:
    return await show(request, "gateways", lambda visit: gateways.build_one(visit, gateway_id))


@_page("/audit")
async def _audit(request: Request) -> Response | None:
    return await show(request, "audit", audit.build)


@_page("/sessions")
async def _sessions(request: Request) -> Response | None:
    return await show(request, "sessions", sessions.build)
