"""Plans: edit the map, see what would change, apply it in one step; and the plans that were applied."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from opencen.client import ApiError
from opencen.console.backend import Json
from opencen.console.cells import act, line, number, paging, text
from opencen.console.dialogs import EDIT_CONFLICT, FormDialog
from opencen.console.frame import Visit
from opencen.console.listing import PAGE_SIZE, LiveTable
from opencen.console.live import Question
from opencen.console.pages.connection_dialogs import whole_mbps
from opencen.console.pages.map_tab import Edge, draw, map_difference
from opencen.console.texts import Texts, explain
from opencen.console.widgets import Field, Listed, Map, Row, Table, Text, box, button, notify

Pair = tuple[str, str]
_EFFECTS = ("same", "grows", "shrinks", "goes")
_CONFIRM_WITHIN_MINUTES = (5, 30)
_HISTORY_EVERY_S = 5.0


def effect_of(now_mbps: int, then_mbps: int) -> str:
    """What a plan does to a connection; 0 stands for none."""
    if now_mbps == then_mbps:
        return "same"
    if not then_mbps:
        return "goes"
    if not now_mbps:
        return "appears"
    return "grows" if then_mbps > now_mbps else "shrinks"


def planned_edges(visit: Visit, now: dict[Pair, int], then: dict[Pair, int]) -> list[Edge]:
    """What is set and what is planned, on one map."""
    texts, edges = visit.texts, []
    for pair in sorted({*now, *then}):
        before, after = now.get(pair, 0), then.get(pair, 0)
        effect = effect_of(before, after)
        same = effect == "same"
        values = {"a": visit.region(pair[0]), "b": visit.region(pair[1]), "now": before, "then": after}
        edges.append(
            Edge(
                ":".join(pair),
                pair,
                after or before,
                "idle" if same else effect,
                f"{after} Mbit/s" if same else f"{before} → {after}",
                texts(f"plan.{effect}"),
                texts("plan.edge.same" if same else "plan.edge", **values),
            )
        )
    return edges


def change_columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "subject", "t": texts("plan.subject")},
        {"k": "ends", "t": texts("plan.ends"), "cls": "is-wide"},
        {"k": "before", "t": texts("plan.before")},
        {"k": "after", "t": texts("plan.after")},
        {"k": "effect", "t": texts("plan.effect")},
    )


def change_rows(visit: Visit, changes: Sequence[Json]) -> tuple[Row, ...]:
    """The changes of a preview, in the order in which they would be carried out."""
    texts = visit.texts
    rows = []
    for index, change in enumerate(changes):
        name_of = visit.area if change["subject"] == "package" else visit.region
        rows.append(
            {
                "id": str(index),
                "cells": {
                    "subject": [line(text(texts(f"plan.{change['subject']}")))],
                    "ends": [line(text(" – ".join(map(name_of, change["ends"]))))],
                    "before": [line(number(str(change["before_mbps"]), "Mbit/s") if change["before_mbps"] else None)],
                    "after": [line(number(str(change["after_mbps"]), "Mbit/s") if change["after_mbps"] else None)],
                    "effect": [line(text(texts(f"plan.{change['effect']}")))],
                },
            }
        )
    return tuple(rows)


def budget_text(visit: Visit, budget: Json) -> str:
    """What a package has after the plan."""
    left = budget["left_mbps"]
    return visit.texts(
        "plan.budget" if left >= 0 else "plan.budget.over",
        areas=" – ".join(map(visit.area, budget["areas"])),
        allocated=budget["allocated_after_mbps"],
        total=budget["after_mbps"],
        left=left,
        over=-left,
    )


class _Desk:
    """The plan that is being made: what is set now, and what is wanted in its place."""

    def __init__(self, visit: Visit, cen_id: str, present: Sequence[str]) -> None:
        self._visit = visit
        self._path = f"/v1/instances/{cen_id}"
        self._present = present
        self._now: dict[Pair, int] = {}
        self._then: dict[Pair, int] = {}
        self._base = ""

    async def load(self) -> None:
        """What is set now is where a plan begins."""
        document = await self._visit.rest.get(f"{self._path}/plan-document")
        self._now = _amounts(document)
        self._then = dict(self._now)

    def draw(self) -> None:
        """The map, what changes, and how to apply it."""
        texts = self._visit.texts
        with box("div", "oc-bar"):
            Text("p", texts("plan.intro"), "oc-intro")
            box("span", "oc-grow")
            if self._visit.may_change:
                button(texts("plan.reset"), self._start_over)
                button(texts("plan.add"), self._add)
        with box("div", "oc-panel"):
            self._picture = self._drawn()
            self._map = Map(self._picture, label=texts("plan.map"), on_edge=self._edit)
            with box("div", "oc-key"):
                for effect in _EFFECTS:
                    with box("span"):
                        box("span", f"oc-swatch is-{'idle' if effect == 'same' else effect}", aria_hidden="true")
                        Text("span", texts(f"plan.key.{effect}"))
        Text("h2", texts("plan.changes")).style("margin: 20px 0 8px")
        self._stale = Text("p", texts("plan.stale"), "oc-note is-wait")
        self._stale.set_visibility(False)
        self._table = Table(change_columns(texts), [], caption=texts("plan.changes"), empty=texts("plan.none"))
        self._said = box("div", "oc-form").style("margin-top: 8px")
        if self._visit.may_change:
            self._draw_apply()

    def _draw_apply(self) -> None:
        texts = self._visit.texts
        choices = [("", texts("plan.keep"))]
        choices += [(str(m * 60), texts("plan.within", minutes=m)) for m in _CONFIRM_WITHIN_MINUTES]
        with box("div", "oc-bar").style("margin-top: 12px"):
            self._within = Field(
                "confirm_within_s", texts("plan.confirm_within"), kind="select", options=choices, value=""
            )
            self._note = Field("note", texts("plan.note"))
            box("span", "oc-grow")
            button(texts("plan.apply"), self._apply, "is-primary")

    def _drawn(self) -> Row:
        edges = planned_edges(self._visit, self._now, self._then)
        widest = max((self._visit.texts(f"plan.{effect}") for effect in (*_EFFECTS, "appears")), key=len)
        return draw(self._visit, edges, self._present, widest)

    def _document(self) -> Json:
        pairs = sorted(pair for pair, mbps in self._then.items() if mbps)
        return {"connections": [{"regions": list(pair), "bandwidth_mbps": self._then[pair]} for pair in pairs]}

    async def show(self) -> None:
        """Draw the plan, and ask the server what it would do."""
        before, self._picture = self._picture, self._drawn()
        self._map.follow(self._picture, map_difference(before, self._picture) or None)
        if self._then == self._now:
            self._tell({"base": "", "changes": [], "packages": [], "refusals": []})
            return
        await self._visit.attempt(self._ask)

    async def _ask(self) -> None:
        self._tell(await self._visit.rest.send("POST", f"{self._path}/plan-preview", self._document()))

    def _tell(self, preview: Json) -> None:
        self._base = preview["base"]
        self._table.show(change_rows(self._visit, preview["changes"]))
        self._said.clear()
        with self._said:
            for budget in preview["packages"]:
                Text("p", budget_text(self._visit, budget), "oc-hint")
            for refusal in preview["refusals"]:
                problem = {**refusal, "detail": refusal["message"]}
                Text("p", explain(self._visit.texts, ApiError(409, problem)), "oc-note is-bad")

    async def _start_over(self) -> None:
        await self._visit.attempt(self.load)
        self._stale.set_visibility(False)
        await self.show()

    async def take(self, document: Json) -> None:
        """Plan what a document says."""
        await self.load()
        self._then = _amounts(document)
        await self.show()

    async def _edit(self, edge_id: str) -> None:
        if not self._visit.may_change:
            return
        first, second = edge_id.split(":")
        pair = (first, second)
        texts = self._visit.texts

        async def action() -> bool | None:
            return await self._plan(dialog, pair, amount)

        dialog = FormDialog(texts, texts("plan.bandwidth"), texts("ok"), action)
        with dialog.form:
            Text("p", f"{self._visit.region(first)} – {self._visit.region(second)}", "oc-strong oc-wrap")
            amount = self._amount(self._then.get(pair, 0))
        dialog.add(amount)
        dialog.open()

    def _add(self) -> None:
        texts = self._visit.texts
        if len(self._present) < 2:
            notify(texts("plan.add.none"), bad=True)
            return
        options = [(region_id, self._visit.region(region_id)) for region_id in self._present]

        async def action() -> bool | None:
            first, second = sorted((str(region_a.value), str(region_b.value)))
            return await self._plan(dialog, (first, second), amount)

        dialog = FormDialog(texts, texts("plan.add"), texts("ok"), action)
        with dialog.form:
            with box("div", "oc-two"):
                region_a = Field(
                    "region_a", texts("connections.region_a"), kind="select", options=options, value=options[0][0]
                )
                region_b = Field(
                    "region_b", texts("connections.region_b"), kind="select", options=options, value=options[1][0]
                )
            amount = self._amount(1)
        dialog.add(region_a, region_b, amount)
        dialog.open()

    def _amount(self, value: int) -> Field:
        texts = self._visit.texts
        return Field(
            "bandwidth_mbps",
            texts("plan.bandwidth"),
            kind="number",
            value=str(value),
            min=0,
            hint=texts("plan.bandwidth.hint"),
            autofocus=True,
        )

    async def _plan(self, dialog: FormDialog, pair: Pair, amount: Field) -> bool | None:
        mbps = whole_mbps(amount.text)
        if mbps is None or pair[0] == pair[1]:
            texts = self._visit.texts
            dialog.say(texts("plan.whole" if mbps is None else "connections.none_joined"), "bandwidth_mbps")
            return False
        self._then[pair] = mbps
        await self.show()
        return None

    async def _apply(self) -> None:
        if self._then != self._now:
            await self._visit.attempt(self._send)

    async def _send(self) -> None:
        within_s = int(str(self._within.value)) if self._within.value else None
        body = {"document": self._document(), "confirm_within_s": within_s, "note": self._note.text}
        try:
            version = await self._visit.rest.send("POST", f"{self._path}/plans", body, version=self._base)
        except ApiError as refusal:
            if refusal.status != EDIT_CONFLICT:
                raise
            then = self._then
            await self.load()
            self._then = then
            self._stale.set_visibility(True)
            await self.show()
            return
        notify(self._visit.texts("plan.applied", number=version["number"]))
        await self._start_over()


def _amounts(document: Json) -> dict[Pair, int]:
    return {(item["regions"][0], item["regions"][1]): item["bandwidth_mbps"] for item in document["connections"] or ()}


def history_columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "number", "t": texts("plan.number")},
        {"k": "at", "t": texts("audit.at")},
        {"k": "by", "t": texts("plan.by")},
        {"k": "state", "t": texts("plan.state"), "cls": "is-wide"},
        {"k": "note", "t": texts("plan.note")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def history_rows(visit: Visit, answer: Json) -> Listed:
    """A page of applied plans."""
    made = [{"id": str(item["number"]), "cells": _history_cells(visit, item)} for item in answer["items"]]
    return Listed(made, paging(visit.texts, answer), answer)


def _history_cells(visit: Visit, item: Json) -> Row:
    texts, name = visit.texts, str(item["number"])
    state = texts("plan.state.rolled_back" if item["state"] == "rolled back" else "plan.state.applied")
    actions = []
    if item["confirm_by"]:
        state = texts("plan.state.awaiting", time=visit.time(item["confirm_by"]))
        actions.append(act("confirm", texts("plan.confirm"), texts("plan.confirm.label", number=name)))
        roll_back = act("roll_back", texts("plan.roll_back"), texts("plan.roll_back.label", number=name), danger=True)
        actions.append(roll_back)
    actions.append(act("restore", texts("plan.restore"), texts("plan.restore.label", number=name)))
    return {
        "number": [line(text(name))],
        "at": [line(text(visit.time(item["applied_at"])))],
        "by": [line(text(item["username"]))],
        "state": [line(text(state)), line(text(item["outcome"]), cls="is-sub is-wrap")],
        "note": [line(text(item["note"]), cls="is-wrap")],
        "actions": [line(*actions)] if visit.may_change else [],
    }


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance."""
    texts, path = visit.texts, f"/v1/instances/{instance['id']}/plans"
    attached = await visit.rest.everything(f"/v1/instances/{instance['id']}/attachments")
    desk = _Desk(visit, instance["id"], sorted({item["region_id"] for item in attached}))
    await desk.load()
    desk.draw()

    async def on_act(name: str, number: str) -> None:
        async def do() -> None:
            if name == "restore":
                await desk.take((await visit.rest.get(f"{path}/{number}"))["after"])
                ui.run_javascript("window.scrollTo(0, 0)")
                return
            what = "confirmation" if name == "confirm" else "rollback"
            await visit.rest.send("POST", f"{path}/{number}/{what}", {})
            notify(texts("plan.confirmed" if name == "confirm" else "plan.rolled_back", number=number))
            await desk.load()
            await desk.show()

        await visit.attempt(do)

    Text("h2", texts("plan.history")).style("margin: 28px 0 8px")
    table = LiveTable(
        visit,
        key="plans",
        columns=history_columns(texts),
        caption=texts("plan.history"),
        empty=texts("plan.history.none"),
        question=lambda page: Question.of(path, every_s=_HISTORY_EVERY_S, page=page, page_size=PAGE_SIZE),
        rows=lambda answer: history_rows(visit, answer),
        on_act=on_act,
    )
    await table.start()
