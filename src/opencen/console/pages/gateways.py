"""Gateways: what each can do, how far it has followed, what it enforces, and what drifted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from opencen.console.backend import Json, Rest
from opencen.console.cells import chip, href, line, number, paging, text
from opencen.console.dialogs import confirm
from opencen.console.formats import NOTHING, rate
from opencen.console.frame import PREFIX, Visit
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of
from opencen.console.live import Question, View
from opencen.console.pages.connections import LIVE_EVERY_S, pair_text, status_lines
from opencen.console.pages.instances import instance_path
from opencen.console.pages.joining import add_gateway, build_tokens
from opencen.console.pages.networks import region_cell
from opencen.console.texts import Texts
from opencen.console.widgets import Listed, Row, Text, box, button, go, notify

_EVERY_S = 2.0
_CHIPS = {"live": "ok", "late": "wait", "silent": "bad", "absent": "off"}


@dataclass(frozen=True)
class GatewaysQuestion(Question):
    """All gateways, each with the number of connections that it enforces."""

    async def ask(self, rest: Rest) -> Json:
        answer = await super().ask(rest)
        counted = await asyncio.gather(
            *(rest.get("/v1/region-connections", region_id=item["region_id"], page_size=1) for item in answer["items"])
        )
        for item, found in zip(answer["items"], counted, strict=True):
            item["connection_count"] = found["total"]
        return answer


def gateway_path(gateway_id: str) -> str:
    """The page of a gateway."""
    return f"{PREFIX}/gateways/{gateway_id}"


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "gateway", "t": texts("gateway")},
        {"k": "region", "t": texts("region")},
        {"k": "state", "t": texts("gateways.state")},
        {"k": "capabilities", "t": texts("gateways.capabilities")},
        {"k": "revision", "t": texts("gateways.revision"), "cls": "is-number"},
        {"k": "enforces", "t": texts("gateways.enforces"), "cls": "is-number"},
        {"k": "drift", "t": texts("gateways.drift"), "cls": "is-number"},
    )


def rows(visit: Visit, answer: Json) -> Listed:
    """All gateways."""
    return Listed([{"id": item["id"], "cells": _cells(visit, item)} for item in answer["items"]], None, answer)


def _cells(visit: Visit, gateway: Json) -> Row:
    texts, capabilities = visit.texts, gateway["capabilities"]
    behind = gateway["applied_revision"] < gateway["wanted_revision"]
    return {
        "gateway": [
            line(
                text(gateway["name"] or texts("unnamed"), "oc-strong" if gateway["name"] else "oc-muted"), cls="is-name"
            ),
            line(href(gateway["id"], gateway_path(gateway["id"]), "oc-mono")),
        ],
        "region": region_cell(visit, gateway["region_id"]),
        "state": [
            line(state_chip(texts, gateway)),
            line(text(f"{role_text(texts, gateway)} · {seen_text(visit, gateway)}"), cls="is-sub"),
            *([line(text(gateway["trouble"]), cls="is-sub")] if gateway["trouble"] else []),
        ],
        "capabilities": [
            line(text(str(capabilities.get("kernel", NOTHING)), "oc-mono")),
            line(text(capability_text(texts, capabilities)), cls="is-sub"),
        ],
        "revision": [
            line(number(str(gateway["applied_revision"]))),
            line(text(texts("gateways.wanted", revision=gateway["wanted_revision"])), cls="is-sub")
            if behind
            else line(),
        ],
        "enforces": [line(number(str(gateway["connection_count"])))],
        "drift": [line(number(str(gateway["repairs"])))],
    }


def revision_text(texts: Texts, gateway: Json) -> str:
    """The revision that a gateway has applied, and the one that it should be at when it is behind."""
    applied, wanted = gateway["applied_revision"], gateway["wanted_revision"]
    return f"{applied} ({texts('gateways.wanted', revision=wanted)})" if applied < wanted else str(applied)


def capability_text(texts: Texts, capabilities: Json) -> str:
    """The leaf queue and the encryption that the gateway's host has."""
    if "leaf_queue" not in capabilities:
        return ""
    encryption = texts("gateways.encryption", name=capabilities.get("encryption", NOTHING))
    return f"{capabilities['leaf_queue']} · {encryption}"


def state_chip(texts: Texts, gateway: Json) -> Row:
    """Live, late, silent, or never heard from."""
    return chip(_CHIPS[gateway["liveness"]], texts(f"gateways.{gateway['liveness']}"))


def role_text(texts: Texts, gateway: Json) -> str:
    """Whether it carries its region's traffic, or stands by."""
    return texts(f"gateways.{gateway['role']}")


def seen_text(visit: Visit, gateway: Json) -> str:
    """When a gateway was last heard from. While it is live the minute would only flicker."""
    if gateway["liveness"] == "live":
        return visit.texts("gateways.now")
    return visit.time(gateway["last_seen_at"])


async def build(visit: Visit) -> None:
    """The page of all gateways."""
    texts = visit.texts
    with box("div", "oc-title"):
        Text("h1", texts("nav.gateways"))
        box("span", "oc-grow")
        if visit.administers:
            button(texts("joining.add"), lambda: add_gateway(visit), "is-primary")
    Text("p", texts("gateways.intro"), "oc-intro").style("margin-bottom: 16px")
    question = Question.of("/v1/gateways", every_s=_EVERY_S)
    table = LiveTable(
        visit,
        key="gateways",
        columns=columns(texts),
        caption=texts("nav.gateways"),
        empty=texts("gateways.none"),
        question=lambda _: GatewaysQuestion(question.path, question.params, question.every_s),
        rows=lambda answer: rows(visit, answer),
    )
    await table.start()
    if visit.administers:
        await build_tokens(visit)


def enforced_columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "pair", "t": texts("connections.pair")},
        {"k": "bandwidth", "t": texts("bandwidth"), "cls": "is-number"},
        {"k": "kernel", "t": texts("connections.kernel"), "cls": "is-number"},
        {"k": "held", "t": texts("gateways.held"), "cls": "is-number"},
        {"k": "measured", "t": texts("connections.measured"), "cls": "is-number"},
        {"k": "backlog", "t": texts("gateways.backlog"), "cls": "is-number"},
        {"k": "dropped", "t": texts("gateways.dropped"), "cls": "is-number"},
        {"k": "status", "t": texts("status")},
    )


def enforced_rows(visit: Visit, answer: Json, gateway_id: str) -> Listed:
    """What a gateway does for each connection: its own side of it. A standby does nothing."""
    made = []
    for connection in answer["items"]:
        side = next((side for side in connection["sides"] if side["gateway_id"] == gateway_id), None)
        if side is None:
            continue
        made.append({"id": connection["id"], "cells": _enforced_cells(visit, connection, side)})
    return Listed(made, paging(visit.texts, answer), answer)


def _enforced_cells(visit: Visit, connection: Json, side: Json) -> Row:
    def figure(value: int | None, unit: str = "") -> list[Row]:
        return [line(number(NOTHING if value is None else f"{value:,}", unit if value is not None else ""))]

    target = instance_path(connection["cen_id"], "connections")
    return {
        "pair": [
            line(text(pair_text(visit, connection))),
            line(href(connection["cen_id"], target, "oc-mono"), cls="is-sub"),
        ],
        "bandwidth": [line(number(str(connection["bandwidth_mbps"]), "Mbit/s"))],
        "kernel": [line(number(*rate(side["in_kernel_bps"])))],
        "held": [line(number(*rate(side["held_bps"])))],
        "measured": [line(number(*rate(side["measured_bps"])))],
        "backlog": figure(side["backlog_bytes"], "B"),
        "dropped": figure(side["dropped_packets"]),
        "status": status_lines(visit.texts, connection),
    }


def _facts(visit: Visit, gateway: Json) -> dict[str, str]:
    texts = visit.texts
    capabilities = gateway["capabilities"]
    return {
        "gateways.state": f"{texts('gateways.' + gateway['liveness'])} · {seen_text(visit, gateway)}"
        + (f" · {gateway['trouble']}" if gateway["trouble"] else ""),
        "gateways.role": role_text(texts, gateway),
        "gateways.revision": revision_text(texts, gateway),
        "gateways.drift": str(gateway["repairs"]),
        "gateways.endpoint": gateway["endpoint"] or NOTHING,
        "gateways.version": gateway["agent_version"] or NOTHING,
        "gateways.capabilities": f"{capabilities.get('kernel', NOTHING)} · {capability_text(texts, capabilities)}",
        "gateways.credential": credential_text(visit, gateway),
        "gateways.networks": ", ".join(f"{name} ({link})" for name, link in gateway["declared_networks"]) or NOTHING,
    }


def credential_text(visit: Visit, gateway: Json) -> str:
    """Since when the gateway's credential is in use, or that it was asked to make a new one."""
    if gateway["rotation_wanted"]:
        return visit.texts("gateways.credential.asked")
    return visit.time(gateway["credential_since"])


async def build_one(visit: Visit, gateway_id: str) -> None:
    """The page of one gateway."""
    texts = visit.texts
    values: dict[str, Text] = {}

    def told(now: dict[str, str], _: Any) -> None:
        for key, value in now.items():
            values[key].set_text(value)

    view: View[dict[str, str]] = View(
        visit.view_key("gateway"), partial(_facts, visit), lambda before, now: None if before == now else now
    )
    gateway = await visit.rest.get(f"/v1/gateways/{gateway_id}")
    shown, _ = await visit.follow(Question.of(f"/v1/gateways/{gateway_id}", every_s=_EVERY_S), view, told)
    title = gateway["name"] or gateway_id
    visit.client.title = f"{title} · OpenCEN"
    with box("div", "oc-title"):
        Text("h1", title)
        box("span", "oc-grow")
        if visit.administers:
            _actions(visit, gateway)
    with box("div", "oc-facts"):
        for key, value in {"region": visit.region(gateway["region_id"]), "gateway": gateway_id}.items():
            with box("span"):
                Text("span", f"{texts(key)} ")
                Text("b", value)
        for key, value in shown.items():
            with box("span"):
                Text("span", f"{texts(key)} ")
                values[key] = Text("b", value)
    Text("h2", texts("gateways.enforces_now")).style("margin: 8px 0")
    region_id = gateway["region_id"]
    table = LiveTable(
        visit,
        key=("enforced", region_id),
        columns=enforced_columns(texts),
        caption=texts("gateways.enforces_now"),
        empty=texts("gateways.enforces_nothing"),
        question=lambda page: Question.of(
            "/v1/region-connections",
            every_s=LIVE_EVERY_S,
            region_id=region_id,
            page=page,
            page_size=PAGE_SIZE,
            watch="true",
        ),
        rows=lambda answer: enforced_rows(visit, answer, gateway_id),
    )
    await table.start(page_of(visit))


def _actions(visit: Visit, gateway: Json) -> None:
    texts, path = visit.texts, f"/v1/gateways/{gateway['id']}"
    name = gateway["name"] or gateway["id"]

    async def rotate() -> None:
        await visit.rest.send("POST", f"{path}/rotate-credential")
        notify(texts("gateways.rotate.asked"))

    async def promote() -> None:
        await visit.rest.send("POST", f"{path}/promote", {"prefer": False})
        notify(texts("saved"))

    async def release() -> None:
        await visit.rest.send("POST", f"{path}/release")
        notify(texts("saved"))

    async def remove() -> None:
        await visit.rest.send("DELETE", path)
        go(f"{PREFIX}/gateways")

    actions = [("rotate", rotate), ("release", release), ("remove", remove)]
    if gateway["role"] == "standby":
        actions.insert(0, ("promote", promote))
    for key, action in actions:

        def ask(key: str = key, action: Any = action) -> None:
            confirm(
                texts,
                f"{texts(f'gateways.{key}')}: {name}",
                texts(f"gateways.{key}.text"),
                texts(f"gateways.{key}"),
                action,
            )

        button(texts(f"gateways.{key}"), ask)
