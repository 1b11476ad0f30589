"""Alarms: what is raised and what could be done, what is watched, who is told, and what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opencen.client import ApiError
from opencen.console.backend import Json
from opencen.console.cells import Lines, act, chip, line, paging, text
from opencen.console.dialogs import EDIT_CONFLICT, FormDialog
from opencen.console.frame import PREFIX, Visit
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of
from opencen.console.live import Question
from opencen.console.pages import alarm_dialogs as dialogs
from opencen.console.pages.connection_dialogs import connection_path
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text, box, button, link, notify

EVERY_S = 5.0
SILENCES = {"1h": 3600, "8h": 28_800, "1d": 86_400, "7d": 604_800}
Act = Callable[[str, Json], Awaitable[None]]


async def build(visit: Visit) -> None:
    """The page; its parts are tabs."""
    texts = visit.texts
    given = visit.request.query_params.get("tab", "")
    tab = given if given in TABS else "raised"
    with box("div", "oc-title"):
        Text("h1", texts("nav.alarms"))
        box("span", "oc-grow")
        if visit.may_change and tab in ADDED:
            key, dialog = ADDED[tab]
            button(texts(key), lambda: dialog(visit), "is-primary")
    Text("p", texts("alarms.intro"), "oc-intro").style("margin-bottom: 12px")
    with box("nav", "oc-tabs", aria_label=texts("alarms.tabs")):
        for name in TABS:
            anchor = link(texts(f"alarms.tab.{name}"), f"{PREFIX}/alarms?tab={name}")
            if name == tab:
                anchor._props["aria-current"] = "page"
    await TABS[tab](visit)


async def _table(
    visit: Visit,
    path: str,
    key: str,
    columns: Sequence[tuple[str, str]],
    empty: str,
    cells: Callable[[Json], Row],
    on_act: Act | None = None,
) -> None:
    def rows(answer: Json) -> Listed:
        made = [{"id": str(item["id"]), "cells": cells(item)} for item in answer["items"]]
        return Listed(made, paging(visit.texts, answer), answer)

    async def acted(name: str, identifier: str) -> None:
        item = next((item for item in table.listed.answer["items"] if str(item["id"]) == identifier), None)
        if item is not None and on_act is not None:
            await on_act(name, item)

    table = LiveTable(
        visit,
        key=key,
        columns=[{"k": name, "t": visit.texts(title)} for name, title in columns],
        caption=visit.texts("nav.alarms"),
        empty=visit.texts(empty),
        question=lambda page: Question.of(path, every_s=EVERY_S, page=page, page_size=PAGE_SIZE),
        rows=rows,
        on_act=acted,
    )
    await table.start(page_of(visit))


async def _raised(visit: Visit) -> None:
    columns = (
        ("state", "alarms.state"),
        ("about", "alarms.about"),
        ("found", "alarms.found"),
        ("since", "alarms.since"),
        ("do", "alarms.do"),
    )

    async def on_act(name: str, alarm: Json) -> None:
        if name == "silence":
            silence(visit, alarm)
        elif name.startswith("raise:"):
            await carry_out(visit, alarm, *map(int, name.split(":")[1:]))
        else:
            method, part = ("POST", "acknowledgement") if name == "ack" else ("DELETE", "silence")
            await visit.attempt(lambda: visit.rest.send(method, f"/v1/alarms/{alarm['id']}/{part}"))

    await _table(visit, "/v1/alarms", "alarms", columns, "alarms.none", lambda item: alarm_cells(visit, item), on_act)


def alarm_cells(visit: Visit, alarm: Json) -> Row:
    """One alarm; what could be done is a button when one request would do it."""
    texts, up = visit.texts, alarm["state"] == "raised"
    kind = "wait" if up and alarm["acknowledged_by"] else "bad" if up else "ok"
    state: Lines = [line(chip(kind, texts(f"alarms.is.{alarm['state']}")))]
    if alarm["acknowledged_by"]:
        state.append(line(text(texts("alarms.is.taken", name=alarm["acknowledged_by"])), cls="is-sub"))
    if alarm["silenced"]:
        until = texts("alarms.is.silenced", time=visit.time(alarm["silenced_until"]))
        state.append(line(text(until), cls="is-sub"))
    name = alarm["subject_label"]
    more = alarm["suggestion"]
    doing: Lines = []
    if up and alarm["advice"]:
        doing.append(line(text(_advice(texts, alarm)), cls="is-why is-wrap"))
    if up and visit.may_change:
        parts = []
        if more:
            wanted = texts("alarms.raise_to", mbps=more["bandwidth_mbps"])
            seen = f"raise:{more['present_mbps']}:{more['version']}:{more['bandwidth_mbps']}"
            parts.append(act(seen, wanted, texts("alarms.label", what=wanted, name=name)))
        if not alarm["acknowledged_by"]:
            parts.append(act("ack", texts("alarms.ack"), texts("alarms.label", what=texts("alarms.ack"), name=name)))
        quiet = ("unsilence", texts("alarms.unsilence")) if alarm["silenced"] else ("silence", texts("alarms.silence"))
        parts.append(act(*quiet, texts("alarms.label", what=quiet[1], name=name)))
        doing.append(line(*parts))
    return {
        "state": state,
        "about": [
            line(text(name), cls="is-name"),
            line(text(alarm["rule_name"] or texts(f"alarms.kind.{alarm['kind']}")), cls="is-sub"),
        ],
        "found": [line(text(_finding(texts, alarm)), cls="is-wrap")],
        "since": [line(text(visit.time(alarm["changed_at"])))],
        "do": doing,
    }


def _finding(texts: Texts, alarm: Json) -> str:
    return texts(f"alarms.finding.{alarm['kind']}", value=f"{alarm['value']:.0f}", raise_at=f"{alarm['raise_at']:g}")


def _advice(texts: Texts, alarm: Json) -> str:
    more = alarm["suggestion"]
    if more is None:
        return str(alarm["advice"][:1].upper() + alarm["advice"][1:])
    return texts("alarms.free", free=more["free_mbps"], package=more["package_mbps"], mbps=more["bandwidth_mbps"])


async def carry_out(visit: Visit, alarm: Json, seen_mbps: int, version: int, wanted_mbps: int) -> None:
    """Raise a connection as the viewer saw it suggested; when somebody has changed it since, only say both values."""
    texts = visit.texts
    region_a, region_b = alarm["region_ids"]

    async def send() -> None:
        try:
            path = connection_path(alarm["cen_id"], region_a, region_b)
            await visit.rest.send("PUT", path, {"bandwidth_mbps": wanted_mbps}, version=version)
        except ApiError as refusal:
            if refusal.status != EDIT_CONFLICT:
                raise
            current = refusal.problem["current"]["bandwidth_mbps"]
            shown = texts("alarms.nothing_set") if current is None else f"{current} Mbit/s"
            notify(texts("alarms.stale", seen=seen_mbps, current=shown), bad=True)
            return
        pair = f"{visit.region(region_a)} – {visit.region(region_b)}"
        notify(texts("alarms.raised_to", pair=pair, mbps=wanted_mbps))

    await visit.attempt(send)


def silence(visit: Visit, alarm: Json) -> None:
    """Ask for how long."""
    texts = visit.texts

    async def action() -> None:
        until = datetime.now(UTC) + timedelta(seconds=SILENCES[str(chosen.value)])
        await visit.rest.send("PUT", f"/v1/alarms/{alarm['id']}/silence", {"until": until.isoformat()})

    dialog = FormDialog(texts, texts("alarms.silence"), texts("alarms.silence"), action)
    with dialog.form:
        Text("p", alarm["subject_label"], "oc-strong oc-wrap")
        options = [(key, texts(f"alarms.silence.{key}")) for key in SILENCES]
        chosen = Field("until", texts("alarms.silence.for"), kind="select", options=options, value="1h", autofocus=True)
    dialog.add(chosen)
    dialog.open()


async def _rules(visit: Visit) -> None:
    channels = await visit.rest.everything("/v1/alarm-channels")
    names = {item["id"]: item["name"] or item["id"] for item in channels}
    columns = (
        ("rule", "alarms.rule"),
        ("watches", "alarms.watches"),
        ("raise", "alarms.raise"),
        ("clear", "alarms.clear"),
        ("told", "alarms.told"),
        ("act", "actions"),
    )

    async def on_act(_: str, rule: Json) -> None:
        dialogs.delete_rule(visit, rule)

    def cells(rule: Json) -> Row:
        return _rule_cells(visit, rule, names)

    await _table(visit, "/v1/alarm-rules", "alarm rules", columns, "alarms.rules.none", cells, on_act)


def _rule_cells(visit: Visit, rule: Json, channel_names: Mapping[str, str]) -> Row:
    texts = visit.texts
    kind = texts(f"alarms.kind.{rule['kind']}")
    name = rule["name"] or kind
    told = ", ".join(channel_names.get(each, each) for each in rule["channel_ids"])
    return {
        "rule": [line(text(name), cls="is-name"), line(text(kind), cls="is-sub")],
        "watches": [line(text(dialogs.scope_text(visit, rule)), cls="is-name")],
        "raise": [line(text(_threshold(texts, "alarms.from", rule, "raise")))],
        "clear": [line(text(_threshold(texts, "alarms.below", rule, "clear")))],
        "told": [line(text(told or texts("alarms.nobody")), cls="is-name")],
        "act": [_delete(visit, name)],
    }


def _threshold(texts: Texts, key: str, rule: Json, which: str) -> str:
    unit = texts(f"alarms.unit.{rule['unit']}")
    return texts(key, value=f"{rule[f'{which}_at']:g}", unit=unit, span=f"{rule[f'{which}_for_s']} s")


def _delete(visit: Visit, name: str) -> Row:
    texts = visit.texts
    if not visit.may_change:
        return line()
    return line(act("delete", texts("delete"), texts("delete.label", name=name), danger=True))


async def _channels(visit: Visit) -> None:
    texts = visit.texts
    columns = (
        ("channel", "alarms.channel"),
        ("kind", "alarms.channel.kind"),
        ("to", "alarms.channel.to"),
        ("act", "actions"),
    )

    def cells(item: Json) -> Row:
        name = item["name"] or item["id"]
        test = texts("alarms.channel.test")
        actions = _delete(visit, name)
        if visit.may_change:
            actions["line"].insert(0, act("test", test, texts("alarms.label", what=test, name=name)))
        return {
            "channel": [line(text(name), cls="is-name"), line(text(item["id"], "oc-mono"), cls="is-sub")],
            "kind": [line(text(texts(f"alarms.channel.{item['kind']}")))],
            "to": [line(text(item["url"] or ", ".join(item["recipients"])), cls="is-wrap")],
            "act": [actions],
        }

    async def on_act(name: str, channel: Json) -> None:
        if name == "delete":
            dialogs.delete_channel(visit, channel)
        elif await visit.attempt(lambda: visit.rest.send("POST", f"/v1/alarm-channels/{channel['id']}/test")):
            notify(texts("alarms.channel.tested"))

    await _table(visit, "/v1/alarm-channels", "alarm channels", columns, "alarms.channels.none", cells, on_act)


async def _messages(visit: Visit) -> None:
    texts = visit.texts
    columns = (
        ("at", "alarms.message.at"),
        ("event", "alarms.message.event"),
        ("fate", "alarms.message.fate"),
        ("text", "alarms.message.text"),
    )

    def cells(item: Json) -> Row:
        return {
            "at": [line(text(visit.time(item["created_at"])))],
            "event": [line(text(texts(f"alarms.event.{item['event']}")))],
            "fate": _fate(visit, item),
            "text": [line(text(item["text"]), cls="is-wrap")],
        }

    await _table(visit, "/v1/alarm-messages", "alarm messages", columns, "alarms.messages.none", cells)


def _fate(visit: Visit, message: Json) -> Lines:
    texts = visit.texts
    why = line(text(message["error"] or ""), cls="is-why")
    if message["delivered_at"]:
        return [line(chip("ok", texts("alarms.fate.arrived")))]
    if not message["next_attempt_at"]:
        return [line(chip("bad", texts("alarms.fate.lost"))), why]
    if not message["error"]:
        return [line(chip("wait", texts("alarms.fate.waiting")))]
    return [line(chip("wait", texts("alarms.fate.again", time=visit.time(message["next_attempt_at"])))), why]


TABS: Mapping[str, Callable[[Visit], Awaitable[None]]] = {
    "raised": _raised,
    "rules": _rules,
    "channels": _channels,
    "messages": _messages,
}
ADDED: Mapping[str, tuple[str, Callable[[Visit], Awaitable[Any]]]] = {
    "rules": ("alarms.rule.add", dialogs.add_rule),
    "channels": ("alarms.channel.add", dialogs.add_channel),
}
