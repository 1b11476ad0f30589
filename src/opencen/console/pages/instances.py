"""The CEN instances: search, create, rename, delete; and the way in for a first-time visitor."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.console.backend import Json
from opencen.console.cells import act, chip, href, line, number, paging, text
from opencen.console.dialogs import FormDialog, Seen, confirm
from opencen.console.frame import PREFIX, Visit, search_field
from opencen.console.guide import Step, show_steps
from opencen.console.listing import PAGE_SIZE, LiveTable, page_of, set_query
from opencen.console.live import Question
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text, box, button, go, notify


def instance_path(cen_id: str, tab: str | None = None) -> str:
    """The page of an instance."""
    return f"{PREFIX}/instances/{cen_id}" + (f"?tab={tab}" if tab else "")


def title_of(instance: Json) -> str:
    """What to call an instance: its name, or its id when it has none."""
    return str(instance["name"] or instance["id"])


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "name", "t": texts("instances.name"), "cls": "is-wide"},
        {"k": "status", "t": texts("status")},
        {"k": "networks", "t": texts("instances.networks"), "cls": "is-number"},
        {"k": "packages", "t": texts("instances.packages"), "cls": "is-number"},
        {"k": "connections", "t": texts("instances.connections"), "cls": "is-number"},
        {"k": "created", "t": texts("created")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def rows(visit: Visit, answer: Json) -> Listed:
    """The table of a page of instances."""
    made = [{"id": instance["id"], "cells": _cells(visit, instance)} for instance in answer["items"]]
    return Listed(made, paging(visit.texts, answer), answer)


def _cells(visit: Visit, instance: Json) -> Row:
    texts, name = visit.texts, title_of(instance)
    actions: tuple[Row, ...] = ()
    if visit.may_change:
        actions = (
            act("rename", texts("rename"), texts("rename.label", name=name)),
            act("delete", texts("delete"), texts("delete.label", name=name), danger=True),
        )
    sub = [line(text(instance["description"]), cls="is-sub is-wrap")] if instance["description"] else []
    return {
        "name": [
            line(
                text(instance["name"] or texts("unnamed"), "oc-strong" if instance["name"] else "oc-muted"),
                cls="is-name",
            ),
            line(href(instance["id"], instance_path(instance["id"]), "oc-mono")),
            *sub,
        ],
        "status": [
            line(chip("ok" if instance["status"] == "Active" else "wait", texts(f"status.{instance['status']}")))
        ],
        "networks": [line(number(str(instance["network_count"])))],
        "packages": [line(number(str(len(instance["package_ids"]))))],
        "connections": [line(number(str(instance["connection_count"])))],
        "created": [line(text(visit.time(instance["created_at"])))],
        "actions": [line(*actions)],
    }


async def build(visit: Visit) -> None:
    """The page."""
    texts = visit.texts
    search = visit.request.query_params.get("search", "")

    async def on_search(value: str) -> None:
        nonlocal search
        search = value
        await table.start()
        set_query(visit, search=value or None, page=None)

    async def on_act(name: str, cen_id: str) -> None:
        instance = next((item for item in table.listed.answer["items"] if item["id"] == cen_id), None)
        if instance is not None:
            rename(visit, instance) if name == "rename" else delete(visit, instance)

    def on_answer(listed: Listed) -> None:
        empty = listed.answer["total"] == 0 and not search
        guide.set_visibility(empty)
        body.set_visibility(not empty)

    with box("div", "oc-title"):
        Text("h1", texts("nav.instances"))
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("instances.create"), lambda: create(visit), "is-primary")
    with box("section", aria_label=texts("guide.title")) as guide:
        Text("p", texts("instances.empty"), "oc-intro").style("margin-bottom: 16px")
        show_steps(texts, _first_steps(visit))
    with box("div") as body:
        with box("div", "oc-bar", role="search"):
            search_field(visit, texts("search"), search, on_search)
        table = LiveTable(
            visit,
            key="instances",
            columns=columns(texts),
            caption=texts("nav.instances"),
            empty=texts("instances.none_found"),
            question=lambda page: Question.of("/v1/instances", page=page, page_size=PAGE_SIZE, search=search or None),
            rows=lambda answer: rows(visit, answer),
            on_act=on_act,
            on_answer=on_answer,
        )
    await table.start(page_of(visit))


def _first_steps(visit: Visit) -> list[Step]:
    texts = visit.texts
    return [
        Step(texts("guide.instance"), texts("guide.instance.text"), texts("instances.create"), lambda: create(visit)),
        Step(texts("guide.networks"), texts("guide.networks.text")),
        Step(texts("guide.package"), texts("guide.package.text")),
        Step(texts("guide.connection"), texts("guide.connection.text")),
    ]


def create(visit: Visit) -> None:
    """The dialog that creates an instance and goes to it."""
    texts = visit.texts

    async def action() -> None:
        made = await visit.rest.send("POST", "/v1/instances", {"name": name.text, "description": description.text})
        go(instance_path(made["id"], "networks"))

    dialog = FormDialog(texts, texts("instances.create"), texts("create"), action)
    with dialog.form:
        name = Field("name", texts("name"), hint=texts("name.hint"), autofocus=True)
        description = Field("description", texts("description"))
    dialog.add(name, description)
    dialog.open()


def rename(visit: Visit, instance: Json) -> None:
    """The dialog that renames and describes an instance."""
    texts, seen = visit.texts, Seen(instance["version"])

    async def action() -> None:
        body = {"name": name.text, "description": description.text}
        path = f"/v1/instances/{instance['id']}"
        await seen.send(lambda version: visit.rest.send("PATCH", path, body, version=version))
        notify(texts("saved"))

    dialog = FormDialog(texts, texts("rename.label", name=title_of(instance)), texts("save"), action)
    with dialog.form:
        name = Field("name", texts("name"), value=instance["name"], autofocus=True)
        description = Field("description", texts("description"), value=instance["description"])
    dialog.add(name, description)
    dialog.open()


def delete(visit: Visit, instance: Json) -> None:
    """Ask, then delete an instance."""
    texts = visit.texts

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/instances/{instance['id']}")
        notify(texts("deleted", name=title_of(instance)))

    confirm(
        texts,
        texts("delete.label", name=title_of(instance)),
        texts("instances.delete.text", networks=instance["network_count"], packages=len(instance["package_ids"])),
        texts("delete"),
        action,
    )
