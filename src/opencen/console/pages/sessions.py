"""The viewer's own sessions: where one is logged on, and ending one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opencen.console.backend import Json
from opencen.console.cells import act, chip, line, text
from opencen.console.formats import NOTHING
from opencen.console.frame import Visit
from opencen.console.pages import second_factor
from opencen.console.texts import Texts
from opencen.console.widgets import Row, Table, Text

_BROWSERS = (
    ("Firefox", re.compile(r"Firefox/(\d+)")),
    ("Edge", re.compile(r"Edg/(\d+)")),
    ("Chrome", re.compile(r"Chrome/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+).*Safari/")),
)
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iOS",
    "Mac OS X": "macOS",
    "Windows": "Windows",
    "Linux": "Linux",
}


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "source", "t": texts("sessions.source")},
        {"k": "agent", "t": texts("sessions.agent"), "cls": "is-wide"},
        {"k": "since", "t": texts("sessions.since")},
        {"k": "until", "t": texts("sessions.until")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def browser_text(texts: Texts, user_agent: str) -> str:
    """A browser by its name and system where it can be told, or else what it says of itself."""
    browser = next((f"{name} {found[1]}" for name, pattern in _BROWSERS if (found := pattern.search(user_agent))), None)
    system = next((name for name in _SYSTEMS if name in user_agent), None)
    if browser is None or system is None:
        return user_agent or NOTHING
    return texts("sessions.browser", browser=browser, system=_SYSTEMS[system])


def rows(visit: Visit, answer: Json) -> list[Row]:
    """A row per session."""
    return [{"id": session["id"], "cells": _cells(visit, session)} for session in answer["items"]]


def _cells(visit: Visit, session: Json) -> Row:
    texts, source = visit.texts, session["source_address"] or NOTHING
    end = act("end", texts("sessions.end"), texts("sessions.end.label", source=source), danger=True)
    return {
        "source": [line(text(source, "oc-mono"))],
        "agent": [line(text(browser_text(texts, session["user_agent"]), title=session["user_agent"]), cls="is-wrap")],
        "since": [line(text(visit.time(session["created_at"])))],
        "until": [line(text(visit.time(session["expires_at"])))],
        "actions": [line(chip("ok", texts("sessions.this")) if session["current"] else end)],
    }


async def build(visit: Visit) -> None:
    """The page."""
    texts = visit.texts

    async def on_act(_: str, session_id: str) -> None:
        async def action() -> None:
            await visit.rest.send("DELETE", f"/v1/sessions/{session_id}")
            table.show(tuple(rows(visit, await visit.rest.get("/v1/sessions"))))

        await visit.attempt(action)

    Text("h1", texts("sessions.title", name=visit.me["username"]))
    Text("p", texts("sessions.intro"), "oc-intro").style("margin-bottom: 16px")
    answer = await visit.rest.get("/v1/sessions")
    table = Table(
        columns(texts), rows(visit, answer), caption=texts("nav.sessions"), empty=texts("sessions.none"), on_act=on_act
    )
    await second_factor.build_section(visit)
