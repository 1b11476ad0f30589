"""Mounting the console: its pages, its few plain HTTP routes, and the headers that keep it to its own address."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencen.console import frame
from opencen.console.backend import Backend
from opencen.console.frame import PREFIX, RESPONSE_TIMEOUT_S, Console, show
from opencen.console.pages import (
    alarms,
    audit,
    gateways,
    instance,
    instances,
    login,
    networks,
    packages,
    people,
    sessions,
    usage,
)

Builder = TypeVar("Builder", bound=Callable[..., Any])
_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""NiceGUI evaluates what the server sends over its own connection, and Vue sets styles: no more can be taken."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class _Guard:
    """Nobody else's page frames the console, sends to it or opens its connection, and no script runs but its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif _is_foreign(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse("another site's page may not do this\n", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, _Page(send) if scope["type"] == "http" else send)


def _is_foreign(scope: Scope) -> bool:
    """Whether a browser says that another site's page asks for more than to look."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or (
        scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and "/socket.io" not in scope["path"]
    ):
        return False
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()


class _Page:
    """`send` with the console's headers; the scripts of a page carry the nonce without which none runs."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._nonce = secrets.token_urlsafe(16)
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers["content-security-policy"] = _POLICY.format(nonce=self._nonce)
            if headers.get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = b"".join(self._body).replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
            MutableHeaders(scope=self._start)["content-length"] = str(len(body))
            await self._send(self._start)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def mount(app: Starlette, backend: Backend) -> None:
    """Serve the console at /console of `app`, which must not have a route there yet. Once per process."""
    nicegui_app.state.console = Console(backend)
    nicegui_app.add_static_files("/static", str(frame.STATIC))
    nicegui_app.add_middleware(_Guard)
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


@_page("/instances/{cen_id}/connections/{region_id}/{other_region_id}")
async def _connection(request: Request, cen_id: str, region_id: str, other_region_id: str) -> Response | None:
    return await show(
        request, "instances", lambda visit: usage.build_connection(visit, cen_id, region_id, other_region_id)
    )


@_page("/networks")
async def _networks(request: Request) -> Response | None:
    return await show(request, "networks", networks.build)


@_page("/packages")
async def _packages(request: Request) -> Response | None:
    return await show(request, "packages", packages.build)


@_page("/packages/{package_id}")
async def _package(request: Request, package_id: str) -> Response | None:
    return await show(request, "packages", lambda visit: usage.build_package(visit, package_id))


@_page("/gateways")
async def _gateways(request: Request) -> Response | None:
    return await show(request, "gateways", gateways.build)


@_page("/gateways/{gateway_id}")
async def _gateway(request: Request, gateway_id: str) -> Response | None:
    return await show(request, "gateways", lambda visit: gateways.build_one(visit, gateway_id))


@_page("/alarms")
async def _alarms(request: Request) -> Response | None:
    return await show(request, "alarms", alarms.build)


@_page("/people")
async def _people(request: Request) -> Response | None:
    return await show(request, "people", people.build)


@_page("/audit")
async def _audit(request: Request) -> Response | None:
    return await show(request, "audit", audit.build)


@_page("/sessions")
async def _sessions(request: Request) -> Response | None:
    return await show(request, "sessions", sessions.build)
