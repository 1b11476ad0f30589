"""Networks: attached to and detached from an instance, and the list of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.console.backend import Json
from opencen.console.cells import act, chip, href, line, paging, text
from opencen.console.dialogs import FormDialog, confirm
from opencen.console.frame import Visit
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of, set_query
from opencen.console.live import Question
from opencen.console.pages.instances import instance_path, title_of
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text, box, button, notify

NEW = "new"
_CARRIED_EVERY_S = 5.0


def tab_columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "name", "t": texts("networks.name"), "cls": "is-wide"},
        {"k": "region", "t": texts("region")},
        {"k": "blocks", "t": texts("networks.blocks")},
        {"k": "carried", "t": texts("networks.carried")},
        {"k": "attached", "t": texts("networks.attached")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def tab_rows(visit: Visit, answer: Json) -> Listed:
    """The networks of one instance."""
    made = [{"id": item["network_id"], "cells": _attached_cells(visit, item)} for item in answer["items"]]
    return Listed(made, paging(visit.texts, answer), answer)


def _attached_cells(visit: Visit, item: Json) -> Row:
    texts, name = visit.texts, item["network_name"] or item["network_id"]
    states = {
        True: [line(chip("ok", texts("networks.is_carried")))],
        False: [line(chip("bad", texts("networks.not_carried"))), line(text(item["reason"] or ""), cls="is-why")],
        None: [line(chip("off", texts("networks.unknown"))), line(text(texts("networks.unknown.why")), cls="is-why")],
    }
    detach = act("detach", texts("networks.detach"), texts("networks.detach.label", name=name), danger=True)
    return {
        "name": _name_cell(texts, item["network_name"], item["network_id"]),
        "region": region_cell(visit, item["region_id"]),
        "blocks": [line(text(block, "oc-mono")) for block in item["cidr_blocks"]],
        "carried": states[item["carried"]],
        "attached": [line(text(visit.time(item["attached_at"])))],
        "actions": [line(detach if visit.may_change else None)],
    }


def _name_cell(texts: Texts, name: str, identifier: str) -> list[Row]:
    return [
        line(text(name or texts("unnamed"), "oc-strong" if name else "oc-muted"), cls="is-name"),
        line(text(identifier, "oc-mono oc-muted")),
    ]


def region_cell(visit: Visit, region_id: str) -> list[Row]:
    """A region by its name and its id."""
    return [line(text(visit.region(region_id))), line(text(region_id, "oc-mono"), cls="is-sub")]


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance."""
    texts, cen_id = visit.texts, instance["id"]

    async def on_act(_: str, network_id: str) -> None:
        item = next((item for item in table.listed.answer["items"] if item["network_id"] == network_id), None)
        if item is not None:
            _detach(visit, instance, item)

    with box("div", "oc-bar"):
        Text("p", texts("networks.intro"), "oc-intro")
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("networks.attach"), lambda: attach(visit, instance), "is-primary")
    table = LiveTable(
        visit,
        key="attachments",
        columns=tab_columns(texts),
        caption=texts("tab.networks"),
        empty=texts("networks.none_attached"),
        question=lambda page: Question.of(
            f"/v1/instances/{cen_id}/attachments", every_s=_CARRIED_EVERY_S, page=page, page_size=PAGE_SIZE
        ),
        rows=lambda answer: tab_rows(visit, answer),
        on_act=on_act,
    )
    await table.start(page_of(visit))
    if visit.request.query_params.get("do") == "attach" and visit.may_change:
        set_query(visit, do=None)
        await attach(visit, instance)


async def attach(visit: Visit, instance: Json) -> None:
    """The dialog that attaches a network which is there, or a new one."""
    texts = visit.texts
    free = [item for item in await visit.rest.everything("/v1/networks") if item["cen_id"] is None]

    def on_choice() -> None:
        details.set_visibility(chosen.value == NEW)

    async def action() -> None:
        network_id = str(chosen.value)
        if network_id == NEW:
            body = {"region_id": region.value, "cidr_blocks": _blocks(blocks.text), "name": name.text}
            made = await visit.rest.send("POST", "/v1/networks", body)
            network_id = made["id"]
            free.append(made)
            chosen.set_options(_network_options(visit, free), network_id)
            details.set_visibility(False)
        await visit.rest.send("POST", f"/v1/instances/{instance['id']}/attachments", {"network_id": network_id})
        notify(texts("networks.attached_to", name=title_of(instance)))

    dialog = FormDialog(texts, texts("networks.attach"), texts("networks.attach.submit"), action)
    with dialog.form:
        first = free[0]["id"] if free else NEW
        options = _network_options(visit, free)
        chosen = Field(
            "network_id",
            texts("network"),
            kind="select",
            options=options,
            value=first,
            on_change=on_choice,
            autofocus=True,
        )
        with box("div", "oc-form") as details:
            region, blocks, name = _network_fields(visit)
    details.set_visibility(first == NEW)
    dialog.add(chosen, region, blocks, name)
    dialog.open()


def _network_options(visit: Visit, free: Sequence[Json]) -> list[tuple[str, str]]:
    listed = [
        (
            item["id"],
            f"{item['name'] or item['id']} · {visit.region(item['region_id'])} · {', '.join(item['cidr_blocks'])}",
        )
        for item in free
    ]
    return [*listed, (NEW, visit.texts("networks.new"))]


def region_options(visit: Visit) -> list[tuple[str, str]]:
    """All regions, grouped by area."""
    by_area = sorted(
        visit.regions.values(), key=lambda region: (list(visit.areas).index(region["area_id"]), region["id"])
    )
    return [(region["id"], f"{visit.area(region['area_id'])} · {visit.region(region['id'])}") for region in by_area]


def _network_fields(visit: Visit) -> tuple[Field, Field, Field]:
    texts, regions = visit.texts, region_options(visit)
    region = Field("region_id", texts("region"), kind="select", options=regions, value=regions[0][0])
    blocks = Field(
        "cidr_blocks", texts("networks.blocks"), hint=texts("networks.blocks.hint"), placeholder="10.1.0.0/16"
    )
    name = Field("name", texts("name"), hint=texts("networks.name.hint"))
    return region, blocks, name


def _blocks(value: str) -> list[str]:
    return value.replace(",", " ").split()


def _detach(visit: Visit, instance: Json, item: Json) -> None:
    texts = visit.texts
    name = item["network_name"] or item["network_id"]

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/instances/{instance['id']}/attachments/{item['network_id']}")
        notify(texts("networks.detached", name=name))

    sentence = texts("networks.detach.text", region=visit.region(item["region_id"]))
    confirm(texts, texts("networks.detach.label", name=name), sentence, texts("networks.detach"), action)


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "name", "t": texts("networks.name"), "cls": "is-wide"},
        {"k": "region", "t": texts("region")},
        {"k": "blocks", "t": texts("networks.blocks")},
        {"k": "instance", "t": texts("networks.attached_instance")},
        {"k": "created", "t": texts("created")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def rows(visit: Visit, answer: Json) -> Listed:
    """All networks of the account."""
    made = [{"id": item["id"], "cells": _network_cells(visit, item)} for item in answer["items"]]
    return Listed(made, paging(visit.texts, answer), answer)


def _network_cells(visit: Visit, item: Json) -> Row:
    texts, cen_id = visit.texts, item["cen_id"]
    remove = act("delete", texts("delete"), texts("delete.label", name=item["name"] or item["id"]), danger=True)
    attached = href(cen_id, instance_path(cen_id, "networks"), "oc-mono") if cen_id else None
    return {
        "name": _name_cell(texts, item["name"], item["id"]),
        "region": region_cell(visit, item["region_id"]),
        "blocks": [line(text(block, "oc-mono")) for block in item["cidr_blocks"]],
        "instance": [line(attached or text(texts("networks.not_attached"), "oc-muted"))],
        "created": [line(text(visit.time(item["created_at"])))],
        "actions": [line(remove if visit.may_change and not cen_id else None)],
    }


async def build(visit: Visit) -> None:
    """The page of all networks."""
    texts = visit.texts

    async def on_act(_: str, network_id: str) -> None:
        async def action() -> None:
            await visit.rest.send("DELETE", f"/v1/networks/{network_id}")
            notify(texts("deleted", name=network_id))

        title = texts("delete.label", name=network_id)
        confirm(texts, title, texts("networks.delete.text"), texts("delete"), action)

    with box("div", "oc-title"):
        Text("h1", texts("nav.networks"))
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("networks.create"), lambda: create(visit), "is-primary")
    Text("p", texts("networks.page_intro"), "oc-intro").style("margin-bottom: 16px")
    table = LiveTable(
        visit,
        key="networks",
        columns=columns(texts),
        caption=texts("nav.networks"),
        empty=texts("networks.none"),
        question=lambda page: Question.of("/v1/networks", page=page, page_size=PAGE_SIZE),
        rows=lambda answer: rows(visit, answer),
        on_act=on_act,
    )
    await table.start(page_of(visit))


def create(visit: Visit) -> None:
    """The dialog that declares a network."""
    texts = visit.texts

    async def action() -> None:
        body = {"region_id": region.value, "cidr_blocks": _blocks(blocks.text), "name": name.text}
        await visit.rest.send("POST", "/v1/networks", body)
        notify(texts("saved"))

    dialog = FormDialog(texts, texts("networks.create"), texts("create"), action)
    with dialog.form:
        region, blocks, name = _network_fields(visit)
    dialog.add(region, blocks, name)
    dialog.open()
