"""The audit log: who did or was refused what, and what it was before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencen.console.backend import Json
from opencen.console.cells import chip, line, paging, text
from opencen.console.formats import NOTHING
from opencen.console.frame import Visit
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of
from opencen.console.live import Question
from opencen.console.texts import Texts
from opencen.console.widgets import Listed, Row, Text

_EVERY_S = 5.0
_HIDDEN = frozenset(
    {
        "id",
        "account_id",
        "version",
        "created_at",
        "updated_at",
        "attached_at",
        "package_ids",
        "cen_id",
        "region_a_id",
        "region_b_id",
    }
)
_MOST = 6
_MOST_CHARACTERS = 80


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "at", "t": texts("audit.at")},
        {"k": "who", "t": texts("audit.who")},
        {"k": "action", "t": texts("audit.action")},
        {"k": "outcome", "t": texts("audit.outcome")},
        {"k": "what", "t": texts("audit.what"), "cls": "is-wide"},
    )


def change_texts(before: Json | None, after: Json | None) -> list[str]:
    """What an event changed: `name: old → new`, only what differs."""
    old, new = before or {}, after or {}
    keys = [key for key in dict.fromkeys([*old, *new]) if key not in _HIDDEN and old.get(key) != new.get(key)]
    made = []
    for key in keys[:_MOST]:
        if before and after:
            made.append(f"{key}: {_short(old.get(key))} → {_short(new.get(key))}")
        elif _short((after or before or {}).get(key)):
            made.append(f"{key}: {_short((after or before or {}).get(key))}")
    return made


def _short(value: Any) -> str:
    if value is None or value == "":
        return NOTHING if value is None else ""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return shown if len(shown) <= _MOST_CHARACTERS else shown[:_MOST_CHARACTERS] + "…"


def rows(visit: Visit, answer: Json) -> Listed:
    """A page of events."""
    return Listed(
        [{"id": str(item["id"]), "cells": _cells(visit, item)} for item in answer["items"]],
        paging(visit.texts, answer),
        answer,
    )


def _cells(visit: Visit, event: Json) -> Row:
    texts = visit.texts
    refused = event["outcome"] == "refused"
    if refused:
        what = [str((event["after"] or {}).get("message", ""))]
    else:
        what = change_texts(event["before"], event["after"])
    via = event["access_key_id"] or event["source_address"] or ""
    return {
        "at": [line(text(visit.time(event["at"])))],
        "who": [line(text(event["actor"])), line(text(via, "oc-mono"), cls="is-sub")],
        "action": [line(text(event["action"])), line(text(event["resource"], "oc-mono"), cls="is-sub is-wrap")],
        "outcome": [line(chip("bad" if refused else "ok", texts(f"audit.{event['outcome']}")))],
        "what": [line(text(" · ".join(what)), cls="is-wrap")],
    }


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance: its own events and those of its connections."""
    await _table(visit, instance["id"])


async def build(visit: Visit) -> None:
    """The page of all events of the account."""
    Text("h1", visit.texts("nav.audit"))
    Text("p", visit.texts("audit.intro"), "oc-intro").style("margin-bottom: 16px")
    await _table(visit, None)


async def _table(visit: Visit, resource: str | None) -> None:
    table = LiveTable(
        visit,
        key="audit",
        columns=columns(visit.texts),
        caption=visit.texts("nav.audit"),
        empty=visit.texts("audit.none"),
        question=lambda page: Question.of(
            "/v1/audit", every_s=_EVERY_S, resource=resource, page=page, page_size=PAGE_SIZE
        ),
        rows=lambda answer: rows(visit, answer),
    )
    await table.start(page_of(visit))
