"""The map: regions grouped by area, connections as wide as what is set and coloured by what passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opencen.console.backend import Json, Rest
from opencen.console.cells import MBPS, use_level
from opencen.console.frame import Visit
from opencen.console.live import Question, View
from opencen.console.map_layout import curves, lay_out, line_width, place_tags, tag_width
from opencen.console.pages import connection_dialogs as dialogs
from opencen.console.widgets import Map, Row, Text, box, button, script_json

_EVERY_S, _EVERY_OF_MANY_S, _MANY = 1.0, 5.0, 100
LEVELS = ("idle", "low", "high", "full")


@dataclass(frozen=True)
class AllConnections(Question):
    """All connections of an instance, whatever their number of pages."""

    async def ask(self, rest: Rest) -> Json:
        return {"items": await rest.everything(self.path, **dict(self.params))}


def use_of(connection: Json) -> tuple[float | None, str]:
    """The use of the busier direction, 0 to 1, None when nothing is known; and its level."""
    measured = [side["measured_bps"] for side in connection["sides"] if side["measured_bps"] is not None]
    fraction, level = use_level(max(measured, default=0.0), connection["bandwidth_mbps"] * MBPS)
    return (fraction if measured else None), level


@dataclass(frozen=True)
class Edge:
    """A connection as it is drawn: its line, what its tag says in two lines, and the sentence for a screen reader."""

    id: str
    ends: tuple[str, str]
    mbps: int
    level: str
    tag: str
    note: str
    label: str


def picture(visit: Visit, connections: Sequence[Json], present: Sequence[str]) -> Row:
    """What the map shows of connections that are set."""
    widest_note = visit.texts("map.use", percent=100)
    return draw(visit, [_edge(visit, item) for item in connections], present, widest_note)


def _edge(visit: Visit, connection: Json) -> Edge:
    ends = (connection["region_a_id"], connection["region_b_id"])
    mbps, use = connection["bandwidth_mbps"], _use_text(visit, connection)
    label = visit.texts("map.edge", a=visit.region(ends[0]), b=visit.region(ends[1]), mbps=mbps, use=use)
    return Edge(connection["id"], ends, mbps, use_of(connection)[1], f"{mbps} Mbit/s", use, label)


def draw(visit: Visit, edges: Sequence[Edge], present: Sequence[str], widest_note: str) -> Row:
    """The picture of these connections and of all `present` regions, as the component takes it."""
    ends = {region_id for edge in edges for region_id in edge.ends}
    area_of = {region_id: visit.regions[region_id]["area_id"] for region_id in {*present, *ends}}
    inner = {area_of[edge.ends[0]] for edge in edges if area_of[edge.ends[0]] == area_of[edge.ends[1]]}
    layout = lay_out(area_of, frozenset(inner))
    most_mbps = max((edge.mbps for edge in edges), default=1)
    lines = curves(layout.nodes, [edge.ends for edge in edges])
    widths = [tag_width(edge.tag, widest_note) for edge in edges]
    places = place_tags(list(zip(lines, widths, strict=True)), list(layout.nodes.values()))
    return {
        "width": layout.width,
        "height": layout.height,
        "areas": [
            {"id": key, "x": b.x, "y": b.y, "w": b.w, "h": b.h, "t": visit.area(key)} for key, b in layout.areas.items()
        ],
        "nodes": [
            {"id": key, "x": b.x, "y": b.y, "w": b.w, "h": b.h, "t": visit.region(key), "sub": key}
            for key, b in layout.nodes.items()
        ],
        "edges": [
            {
                "id": edge.id,
                "d": line.path,
                "w": line_width(edge.mbps, most_mbps),
                "level": edge.level,
                "t": edge.tag,
                "use": edge.note,
                "tw": width,
                "x": round(place[0], 1),
                "y": round(place[1], 1),
                "label": edge.label,
            }
            for edge, line, width, place in zip(edges, lines, widths, places, strict=True)
        ],
    }


def _use_text(visit: Visit, connection: Json) -> str:
    fraction, _ = use_of(connection)
    return visit.texts("map.unknown") if fraction is None else visit.texts("map.use", percent=round(100 * fraction))


def map_difference(before: Row, now: Row) -> str | None:
    """The edges, when only they changed; an empty text for another picture; None when nothing changed."""
    if before == now:
        return None
    same = all(before[key] == now[key] for key in ("width", "height", "areas", "nodes"))
    return script_json(now["edges"]) if same else ""


async def build_tab(visit: Visit, instance: Json) -> None:
    """The tab of an instance."""
    texts, cen_id = visit.texts, instance["id"]
    attached = await visit.rest.everything(f"/v1/instances/{cen_id}/attachments")
    present = sorted({item["region_id"] for item in attached})
    every_s = _EVERY_S if instance["connection_count"] <= _MANY else _EVERY_OF_MANY_S

    async def on_edge(connection_id: str) -> None:
        _, region_a_id, region_b_id = connection_id.split(":")

        async def look() -> None:
            found = await visit.rest.get(dialogs.connection_path(cen_id, region_a_id, region_b_id))
            await dialogs.modify(visit, found)

        if visit.may_change:
            await visit.attempt(look)

    def told(now: Row, news: Any) -> None:
        drawing.follow(now, news or None)

    view: View[Row] = View(
        visit.view_key("map", tuple(present)),
        lambda answer: picture(visit, answer["items"], present),
        map_difference,
    )
    question = Question.of("/v1/region-connections", every_s=every_s, cen_id=cen_id, watch="true")
    asked = AllConnections(question.path, question.params, question.every_s)
    shown, _ = await visit.follow(asked, view, told)
    with box("div", "oc-bar"):
        Text("p", texts("map.intro"), "oc-intro")
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("connections.set"), lambda: dialogs.set_connection(visit, cen_id), "is-primary")
    with box("div", "oc-panel"):
        if not shown["nodes"]:
            Text("p", texts("map.empty"), "oc-empty-note")
        drawing = Map(shown, label=texts("map.label"), on_edge=on_edge)
        with box("div", "oc-key"):
            for level in LEVELS:
                with box("span"):
                    box("span", f"oc-swatch is-{level}", aria_hidden="true")
                    Text("span", texts(f"map.{level}"))
