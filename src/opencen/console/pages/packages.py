"""Bandwidth packages: buy, bind, unbind, resize, delete; and who holds how much of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from opencen.console.backend import MAX_PAGE_SIZE, Json, Rest
from opencen.console.cells import act, href, line, number, paging, shares, text
from opencen.console.dialogs import FormDialog, Seen, confirm
from opencen.console.frame import PREFIX, Visit
from opencen.console.listing import LiveTable, page_of, set_query
from opencen.console.live import Question
from opencen.console.pages.instances import instance_path, title_of
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text, box, button, notify

PAGE_SIZE = 20
MAX_PACKAGE_MBPS = 1_000_000


@dataclass(frozen=True)
class PackagesQuestion(Question):
    """A page of packages, each with the connections that draw on it."""

    async def ask(self, rest: Rest) -> Json:
        answer = await super().ask(rest)
        drawn = [package for package in answer["items"] if package["allocated_mbps"]]
        held = await asyncio.gather(
            *(
                rest.get("/v1/region-connections", package_id=package["id"], page_size=MAX_PAGE_SIZE)
                for package in drawn
            )
        )
        connections = {package["id"]: found["items"] for package, found in zip(drawn, held, strict=True)}
        answer["held"] = {
            package_id: [[item["region_a_id"], item["region_b_id"], item["bandwidth_mbps"]] for item in items]
            for package_id, items in connections.items()
        }
        return answer


def package_page(package_id: str) -> str:
    """The page of a package's usage."""
    return f"{PREFIX}/packages/{package_id}"


def name_of(package: Json) -> str:
    """What to call a package."""
    return str(package["name"] or package["id"])


def columns(texts: Texts, *, of_instance: bool) -> Sequence[Row]:
    bound = () if of_instance else ({"k": "bound", "t": texts("packages.bound")},)
    return (
        {"k": "name", "t": texts("packages.name")},
        {"k": "areas", "t": texts("packages.areas")},
        *bound,
        {"k": "bandwidth", "t": texts("bandwidth"), "cls": "is-number"},
        {"k": "free", "t": texts("packages.free"), "cls": "is-number"},
        {"k": "held", "t": texts("packages.held"), "cls": "is-wide"},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def areas_text(visit: Visit, package: Json) -> str:
    return f"{visit.area(package['area_a_id'])} – {visit.area(package['area_b_id'])}"


def rows(visit: Visit, answer: Json) -> Listed:
    """A page of packages."""
    made = [
        {"id": package["id"], "cells": _cells(visit, package, answer["held"].get(package["id"], []))}
        for package in answer["items"]
    ]
    return Listed(made, paging(visit.texts, answer), answer)


def _cells(visit: Visit, package: Json, held: Sequence[Sequence[str | int]]) -> Row:
    texts, name, cen_id = visit.texts, name_of(package), package["cen_id"]
    named = [(f"{a} – {b}", int(mbps)) for a, b, mbps in held]
    actions: tuple[Row, ...] = ()
    if visit.may_change:
        actions = (
            act("modify", texts("packages.modify"), texts("packages.modify.label", name=name)),
            act("unbind", texts("packages.unbind"), texts("packages.unbind.label", name=name))
            if cen_id
            else act("bind", texts("packages.bind"), texts("packages.bind.label", name=name)),
            act("delete", texts("delete"), texts("delete.label", name=name), danger=True),
        )
    bound = (
        href(cen_id, instance_path(cen_id, "packages"), "oc-mono")
        if cen_id
        else text(texts("packages.not_bound"), "oc-muted")
    )
    return {
        "name": [
            line(
                text(package["name"] or texts("unnamed"), "oc-strong" if package["name"] else "oc-muted"), cls="is-name"
            ),
            line(href(package["id"], package_page(package["id"]), "oc-mono")),
        ],
        "areas": [line(text(areas_text(visit, package)))],
        "bound": [line(bound)],
        "bandwidth": [line(number(str(package["bandwidth_mbps"]), "Mbit/s"))],
        "free": [line(number(str(package["free_mbps"]), "Mbit/s"))],
        "held": [shares(texts, package, named)],
        "actions": [line(*actions)],
    }


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance: the packages bound to it."""
    texts = visit.texts
    with box("div", "oc-bar"):
        Text("p", texts("packages.intro"), "oc-intro")
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("packages.bind_one"), lambda: bind_one(visit, instance))
            button(texts("packages.buy"), lambda: buy(visit, instance), "is-primary")
    await _table(visit, instance)
    if visit.request.query_params.get("do") == "buy" and visit.may_change:
        set_query(visit, do=None)
        await buy(visit, instance)


async def build(visit: Visit) -> None:
    """The page of all packages."""
    texts = visit.texts
    with box("div", "oc-title"):
        Text("h1", texts("nav.packages"))
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("packages.buy"), lambda: buy(visit, None), "is-primary")
    Text("p", texts("packages.page_intro"), "oc-intro").style("margin-bottom: 16px")
    await _table(visit, None)


async def _table(visit: Visit, instance: Json | None) -> None:
    texts = visit.texts
    cen_id = instance["id"] if instance else None

    async def on_act(name: str, package_id: str) -> None:
        package = next((item for item in table.listed.answer["items"] if item["id"] == package_id), None)
        if package is None:
            return
        if name == "bind":
            await bind_to(visit, package)
        else:
            {"modify": modify, "unbind": unbind, "delete": delete}[name](visit, package)

    def question(page: int) -> Question:
        made = Question.of("/v1/bandwidth-packages", page=page, page_size=PAGE_SIZE, cen_id=cen_id)
        return PackagesQuestion(made.path, made.params, made.every_s)

    table = LiveTable(
        visit,
        key="packages-of-instance" if instance else "packages",
        columns=columns(texts, of_instance=instance is not None),
        caption=texts("nav.packages"),
        empty=texts("packages.none_bound" if instance else "packages.none"),
        question=question,
        rows=lambda answer: rows(visit, answer),
        on_act=on_act,
    )
    await table.start(page_of(visit))


async def buy(visit: Visit, instance: Json | None) -> None:
    """The dialog that buys a package and, on an instance's page, binds it there."""
    texts = visit.texts
    areas = [(area_id, visit.area(area_id)) for area_id in visit.areas]
    first, second = await _areas_to_offer(visit, instance)
    bought: Json = {}

    async def action() -> bool | None:
        if not bandwidth.text.isdigit():
            dialog.say(texts("bandwidth.whole"), "bandwidth_mbps")
            return False
        if not bought:
            body = {
                "area_a_id": area_a.value,
                "area_b_id": area_b.value,
                "bandwidth_mbps": int(bandwidth.text),
                "name": name.text,
            }
            bought.update(await visit.rest.send("POST", "/v1/bandwidth-packages", body))
        if instance is not None:
            await _bind(visit, bought["id"], instance["id"])
        notify(texts("packages.bought", name=name_of(bought)))
        return None

    title = texts("packages.buy") if instance is None else texts("packages.buy_for", name=title_of(instance))
    dialog = FormDialog(texts, title, texts("packages.buy.submit" if instance is None else "packages.buy_bind"), action)
    with dialog.form:
        with box("div", "oc-two"):
            area_a = Field("area_a_id", texts("packages.area_a"), kind="select", options=areas, value=first)
            area_b = Field("area_b_id", texts("packages.area_b"), kind="select", options=areas, value=second)
        bandwidth = Field(
            "bandwidth_mbps", texts("bandwidth"), kind="number", value="", unit="Mbit/s", min=1, max=MAX_PACKAGE_MBPS
        )
        name = Field("name", texts("name"), hint=texts("packages.name.hint"))
    dialog.add(area_a, area_b, bandwidth, name)
    dialog.alias("package_id", area_b)
    dialog.open()


async def _areas_to_offer(visit: Visit, instance: Json | None) -> tuple[str, str]:
    """The pair of areas that the networks of the instance, or all of them, need most likely."""
    path = f"/v1/instances/{instance['id']}/attachments" if instance else "/v1/networks"
    networks = await visit.rest.everything(path)
    present = list(dict.fromkeys(visit.regions[item["region_id"]]["area_id"] for item in networks))
    if len(present) > 1:
        return present[0], present[1]
    if present:
        return present[0], present[0]
    first, second, *_ = visit.areas
    return first, second


async def _bind(visit: Visit, package_id: str, cen_id: str) -> None:
    await visit.rest.send("PUT", f"/v1/bandwidth-packages/{package_id}/binding", {"cen_id": cen_id})


async def bind_one(visit: Visit, instance: Json) -> None:
    """The dialog that binds a package, bought before, to this instance."""
    texts = visit.texts
    unbound = await visit.rest.everything("/v1/bandwidth-packages", bound="false")
    if not unbound:
        notify(texts("packages.none_to_bind"), bad=True)
        return

    async def action() -> None:
        await _bind(visit, str(chosen.value), instance["id"])
        notify(texts("saved"))

    dialog = FormDialog(texts, texts("packages.bind_to", name=title_of(instance)), texts("packages.bind"), action)
    options = [
        (item["id"], f"{name_of(item)} · {areas_text(visit, item)} · {item['bandwidth_mbps']} Mbit/s")
        for item in unbound
    ]
    with dialog.form:
        chosen = Field(
            "package_id", texts("package"), kind="select", options=options, value=options[0][0], autofocus=True
        )
    dialog.add(chosen)
    dialog.open()


async def bind_to(visit: Visit, package: Json) -> None:
    """The dialog that binds this package to an instance."""
    texts = visit.texts
    instances = await visit.rest.everything("/v1/instances")
    if not instances:
        notify(texts("packages.no_instance"), bad=True)
        return

    async def action() -> None:
        await _bind(visit, package["id"], str(chosen.value))
        notify(texts("saved"))

    dialog = FormDialog(texts, texts("packages.bind.label", name=name_of(package)), texts("packages.bind"), action)
    options = [(item["id"], f"{title_of(item)} · {item['id']}") for item in instances]
    with dialog.form:
        chosen = Field("cen_id", texts("instance"), kind="select", options=options, value=options[0][0], autofocus=True)
    dialog.add(chosen)
    dialog.alias("package_id", chosen)
    dialog.open()


def modify(visit: Visit, package: Json) -> None:
    """The dialog that resizes and renames a package."""
    texts, seen = visit.texts, Seen(package["version"])

    async def action() -> bool | None:
        if not bandwidth.text.isdigit():
            dialog.say(texts("bandwidth.whole"), "bandwidth_mbps")
            return False
        body = {"bandwidth_mbps": int(bandwidth.text), "name": name.text}
        path = f"/v1/bandwidth-packages/{package['id']}"
        await seen.send(lambda version: visit.rest.send("PATCH", path, body, version=version))
        notify(texts("saved"))
        return None

    dialog = FormDialog(texts, texts("packages.modify.label", name=name_of(package)), texts("save"), action)
    least = texts("packages.least", allocated=package["allocated_mbps"])
    with dialog.form:
        bandwidth = Field(
            "bandwidth_mbps",
            texts("bandwidth"),
            kind="number",
            value=package["bandwidth_mbps"],
            unit="Mbit/s",
            min=max(package["allocated_mbps"], 1),
            max=MAX_PACKAGE_MBPS,
            hint=least,
            autofocus=True,
        )
        name = Field("name", texts("name"), value=package["name"])
    dialog.add(bandwidth, name)
    dialog.open()


def unbind(visit: Visit, package: Json) -> None:
    """Ask, then unbind a package."""
    texts = visit.texts

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/bandwidth-packages/{package['id']}/binding")
        notify(texts("saved"))

    title = texts("packages.unbind.label", name=name_of(package))
    confirm(texts, title, texts("packages.unbind.text"), texts("packages.unbind"), action)


def delete(visit: Visit, package: Json) -> None:
    """Ask, then delete a package."""
    texts = visit.texts

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/bandwidth-packages/{package['id']}")
        notify(texts("deleted", name=name_of(package)))

    title = texts("delete.label", name=name_of(package))
    confirm(texts, title, texts("packages.delete.text"), texts("delete"), action)
