"""Region connections: what is set, what is in the kernels, what passes now; set, modify and delete."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.console.backend import Json
from opencen.console.cells import (
    MBPS,
    act,
    chip,
    href,
    kernel_line,
    line,
    measured_line,
    number,
    paging,
    text,
)
from opencen.console.formats import rate
from opencen.console.frame import Visit
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of, set_query
from opencen.console.live import Question
from opencen.console.pages import connection_dialogs as dialogs
from opencen.console.pages.usage import connection_page
from opencen.console.reasons import translate
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text, box, button

LIVE_EVERY_S = 1.0
_CHIPS = {"confirmed": "ok", "pending": "wait", "unconfirmed": "wait", "none": "off"}


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "pair", "t": texts("connections.pair")},
        {"k": "package", "t": texts("package")},
        {"k": "bandwidth", "t": texts("bandwidth")},
        {"k": "status", "t": texts("status")},
        {"k": "kernel", "t": texts("connections.kernel")},
        {"k": "measured", "t": texts("connections.measured")},
    )


def pair_text(visit: Visit, connection: Json) -> str:
    """A pair of regions by their names."""
    return f"{visit.region(connection['region_a_id'])} – {visit.region(connection['region_b_id'])}"


def rows(visit: Visit, answer: Json, package_names: dict[str, str]) -> Listed:
    """A page of connections."""
    made = [
        {"id": connection["id"], "cells": _cells(visit, connection, package_names)} for connection in answer["items"]
    ]
    return Listed(made, paging(visit.texts, answer), answer)


def _cells(visit: Visit, connection: Json, package_names: dict[str, str]) -> Row:
    texts, pair = visit.texts, pair_text(visit, connection)
    limit_bps = connection["bandwidth_mbps"] * MBPS
    forth, back = connection["sides"]
    actions: tuple[Row, ...] = ()
    if visit.may_change:
        actions = (
            act("modify", texts("modify"), texts("modify.label", name=pair)),
            act("delete", texts("delete"), texts("delete.label", name=pair), danger=True),
        )
    directions = (
        (forth, "→", texts("direction", a=visit.region(forth["region_id"]), b=visit.region(back["region_id"]))),
        (back, "←", texts("direction", a=visit.region(back["region_id"]), b=visit.region(forth["region_id"]))),
    )
    package_id = connection["package_id"]
    return {
        "pair": [
            line(href(pair, connection_page(connection))),
            line(text(f"{connection['region_a_id']} – {connection['region_b_id']}", "oc-mono"), cls="is-sub"),
        ],
        "package": [
            line(
                text(package_names.get(package_id) or package_id, None if package_names.get(package_id) else "oc-mono")
            ),
            line(text(package_id if package_names.get(package_id) else "", "oc-mono"), cls="is-sub"),
        ],
        "bandwidth": [
            line(number(str(connection["bandwidth_mbps"]), "Mbit/s"), *actions),
            *_automatic_lines(texts, connection),
        ],
        "status": status_lines(texts, connection),
        "kernel": [kernel_line(side, arrow, title) for side, arrow, title in directions],
        "measured": [measured_line(side, limit_bps, arrow, title) for side, arrow, title in directions],
    }


def _automatic_lines(texts: Texts, connection: Json) -> list[Row]:
    """Of a connection that follows the traffic: up to where, and what its limit is now."""
    if connection["automatic"] is None:
        return []
    value, unit = rate(connection["limit_bps"])
    bounds = texts("connections.automatic", most=connection["automatic"]["max_mbps"], now=f"{value} {unit}")
    return [line(text(bounds), cls="is-sub")]


def status_lines(texts: Texts, connection: Json) -> list[Row]:
    """The status as a chip, and the reasons for it."""
    enforcement = connection["enforcement"]
    label = texts(f"status.{connection['status']}")
    if enforcement in ("unconfirmed", "none"):
        label = texts(f"status.{connection['status']}.{enforcement}")
    reasons = [line(text(translate(texts, reason)), cls="is-why") for reason in connection["reasons"]]
    return [line(chip(_CHIPS[enforcement], label)), *reasons]


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance."""
    texts, cen_id = visit.texts, instance["id"]
    region = visit.request.query_params.get("region", "")
    package_names = await _package_names(visit, cen_id)

    async def on_region() -> None:
        nonlocal region
        region = str(chosen.value)
        await table.start()
        set_query(visit, region=region or None, page=None)

    async def on_act(name: str, connection_id: str) -> None:
        connection = next((item for item in table.listed.answer["items"] if item["id"] == connection_id), None)
        if connection is None:
            return
        if name == "modify":
            await dialogs.modify(visit, connection)
        else:
            dialogs.delete(visit, connection)

    with box("div", "oc-bar"):
        attached = await visit.rest.everything(f"/v1/instances/{cen_id}/attachments")
        present = sorted({item["region_id"] for item in attached} | ({region} if region else set()))
        options = [("", texts("connections.all_regions")), *((item, visit.region(item)) for item in present)]
        chosen = Field("region", texts("region"), kind="select", options=options, value=region, on_change=on_region)
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("connections.set"), lambda: dialogs.set_connection(visit, cen_id), "is-primary")

    def render(answer: Json) -> Listed:
        return rows(visit, answer, package_names)

    table = LiveTable(
        visit,
        key=("connections", tuple(package_names.items())),
        columns=columns(texts),
        caption=texts("tab.connections"),
        empty=texts("connections.none"),
        question=lambda page: Question.of(
            "/v1/region-connections",
            every_s=LIVE_EVERY_S,
            cen_id=cen_id,
            region_id=region or None,
            page=page,
            page_size=PAGE_SIZE,
            watch="true",
        ),
        rows=render,
        on_act=on_act,
    )
    await table.start(page_of(visit))
    Text("p", texts("connections.note"), "oc-hint").style("margin-top: 8px")
    if visit.request.query_params.get("do") == "set" and visit.may_change:
        set_query(visit, do=None)
        await dialogs.set_connection(visit, cen_id)


async def _package_names(visit: Visit, cen_id: str) -> dict[str, str]:
    bound = await visit.rest.everything("/v1/bandwidth-packages", cen_id=cen_id)
    return {package["id"]: package["name"] for package in bound}
