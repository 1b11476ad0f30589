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


def picture(visit: Visit, connections: Sequence[Json], present: Sequence[str]) -> Row:
    """What the map shows, as the component takes it."""
    texts = visit.texts
    ends = {item[end] for item in connections for end in ("region_a_id", "region_b_id")}
    area_of = {region_id: visit.regions[region_id]["area_id"] for region_id in {*present, *ends}}
    inner = {
        area_of[item["region_a_id"]]
        for item in connections
        if area_of[item["region_a_id"]] == area_of[item["region_b_id"]]
    }
    layout = lay_out(area_of, frozenset(inner))
    most_mbps = max((item["bandwidth_mbps"] for item in connections), default=1)
    lines = curves(layout.nodes, [(item["region_a_id"], item["region_b_id"]) for item in connections])
    tags = [(f"{item['bandwidth_mbps']} Mbit/s", _use_text(visit, item)) for item in connections]
    widths = [tag_width(tag, texts("map.use", percent=100)) for tag, _ in tags]
    places = place_tags(list(zip(lines, widths, strict=True)), list(layout.nodes.values()))
    edges = [
        {
            "id": item["id"],
            "d": line.path,
            "w": line_width(item["bandwidth_mbps"], most_mbps),
            "level": use_of(item)[1],
            "t": tag,
            "use": use,
            "tw": width,
            "x": round(place[0], 1),
            "y": round(place[1], 1),
            "label": texts(
                "map.edge",
                a=visit.region(item["region_a_id"]),
                b=visit.region(item["region_b_id"]),
                mbps=item["bandwidth_mbps"],
                use=use,
            ),
        }
        for item, line, (tag, use), width, place in zip(connections, lines, tags, widths, places, strict=True)
    ]
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
        "edges": edges,
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
