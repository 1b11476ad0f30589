"""Logging on, and the HTTP ends of it: a session is kept in a cookie that no script can read."""

from __future__ import annotations

import secrets
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from nicegui import ui

from opencen.client import ApiError, ServerUnreachableError
from opencen.console.frame import (
    PREFIX,
    SESSION_COOKIE,
    chosen_texts,
    console_of,
    dress,
    preferences,
    viewer_address,
)
from opencen.console.texts import explain
from opencen.console.widgets import Field, Text, box, button, script_json

DOOR_COOKIE = "opencen_door"
HOME = f"{PREFIX}/instances"


def safe_next(target: str | None) -> str:
    """Where to go after logging on: one of our own pages, whatever the URL says."""
    if target and target.startswith(f"{PREFIX}/") and "\\" not in target and "//" not in target:
        return target
    return HOME


def build(request: Request) -> None:
    """The form."""
    texts, client, console = chosen_texts(request), ui.context.client, console_of(request)
    dress(request, client, texts, texts("login.title"), reload_for_zone=False)
    address = viewer_address(request)
    agent = request.headers.get("user-agent", "")

    async def submit() -> None:
        note.set_visibility(False)
        for field, missing in ((username, "login.username_missing"), (password, "login.password_missing")):
            field.fail(None if str(field.value) else texts(missing))
        if not (username.text and str(password.value)):
            return
        send._props["disabled"] = True
        try:
            session = await console.backend.log_on(
                username.text, str(password.value), code.text or None, address, agent
            )
        except ApiError as refusal:
            at_fault = code if refusal.problem.get("field") == "totp_code" else password
            code.set_visibility(at_fault is code)
            code.fail(None)
            if refusal.code != "TotpRequired":
                at_fault.fail(explain(texts, refusal))
            return
        except ServerUnreachableError:
            note.set_text(texts("error.unreachable"))
            note.set_visibility(True)
            return
        finally:
            send._props.pop("disabled", None)
        door = secrets.token_urlsafe(16)
        ticket = console.tickets.issue(f"{door}|{session}")
        target = quote(safe_next(request.query_params.get("next")))
        cookie = f"{DOOR_COOKIE}={door};path={PREFIX};max-age=30;samesite=strict"
        client.run_javascript(
            f"document.cookie = {script_json(cookie)}; "
            f"location.replace({script_json(f'{PREFIX}/enter?ticket={ticket}&next={target}')})"
        )

    with box("div", "oc-login"):
        with box("form", "oc-panel", novalidate=True) as form:
            form.on("submit.prevent", submit, args=[])
            Text("h1", "OpenCEN")
            Text("p", texts("login.intro"), "oc-muted")
            if "ended" in request.query_params:
                Text("p", texts("login.ended"), "oc-note").style("margin-top: 12px")
            with box("div", "oc-form").style("margin-top: 16px"):
                username = Field("username", texts("login.username"), autocomplete="username", autofocus=True)
                password = Field("password", texts("login.password"), kind="password", autocomplete="current-password")
                code = Field(
                    "totp_code", texts("login.code"), autocomplete="one-time-code", hint=texts("login.code.hint")
                )
                code.set_visibility(False)
                note = Text("p", "", "oc-note is-bad")
                note.set_visibility(False)
            send = button(texts("login.submit"), None, "is-primary")
            Text("p", texts("login.hint"), "oc-hint").style("margin-top: 14px")
        with box("div", "oc-tools"):
            preferences(request, texts)


def enter(request: Request, ticket: str = "", next: str = "") -> Response:  # noqa: A002
    """Take the session that the log-on page was given, once, in the browser that was given it."""
    value = console_of(request).tickets.redeem(ticket) or ""
    door, _, session = value.partition("|")
    if not session or not secrets.compare_digest(door.encode(), request.cookies.get(DOOR_COOKIE, "").encode()):
        return RedirectResponse(f"{PREFIX}/login", 303)
    response = RedirectResponse(safe_next(next), 303)
    response.set_cookie(
        SESSION_COOKIE, session, path=PREFIX, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    response.delete_cookie(DOOR_COOKIE, path=PREFIX)
    return response


async def leave(request: Request) -> Response:
    """Forget a session that has ended; one that has not is kept, so that a foreign link cannot log anybody off."""
    session = request.cookies.get(SESSION_COOKIE)
    if session:
        try:
            await console_of(request).backend.rest(session, viewer_address(request)).get("/v1/me")
        except ApiError:
            pass
        except ServerUnreachableError:
            return RedirectResponse(HOME, 303)
        else:
            return RedirectResponse(HOME, 303)
    response = RedirectResponse(f"{PREFIX}/login", 303)
    response.delete_cookie(SESSION_COOKIE, path=PREFIX)
    return response
