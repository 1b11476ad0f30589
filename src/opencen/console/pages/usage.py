"""What connections and packages carried: charts from the last 15 minutes to 2 years, live at the right edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opencen.console import usage_charts as charts
from opencen.console.backend import Json
from opencen.console.frame import PREFIX, Visit
from opencen.console.live import Question, View
from opencen.console.pages import connection_dialogs as dialogs
from opencen.console.pages.instances import instance_path, title_of
from opencen.console.pages.packages import areas_text, name_of, package_page
from opencen.console.points import Points, difference
from opencen.console.usage_charts import MOST_POINTS, RANGES, Range
from opencen.console.widgets import Chart, Text, box, button, link


def connection_page(connection: Json) -> str:
    """The page of a region connection's usage."""
    pair = f"{connection['region_a_id']}/{connection['region_b_id']}"
    return f"{PREFIX}/instances/{connection['cen_id']}/connections/{pair}"


def _ranges(visit: Visit, path: str, chosen: Range) -> None:
    with box("nav", "oc-ranges", aria_label=visit.texts("usage.ranges")):
        for one in RANGES:
            anchor = link(visit.texts(f"usage.range.{one.key}"), f"{path}?range={one.key}")
            if one is chosen:
                anchor._props["aria-current"] = "true"


def _question(path: str, chosen: Range, **more: Any) -> Question:
    return Question.of(
        path, every_s=chosen.every_s, last_s=chosen.last_s, step_s=chosen.step_s, most_points=MOST_POINTS, **more
    )


async def _chart(
    visit: Visit,
    question: Question,
    key: str,
    label: str,
    series: Callable[[Points], list[dict[str, str]]],
    render: Callable[[Json], Points],
) -> None:
    made: Chart | None = None

    def told(now: Points, news: Any) -> None:
        if made is not None:
            made.follow(now, news)

    view: View[Points] = View(visit.view_key("usage", key), render, difference)
    shown, _ = await visit.follow(question, view, told)
    texts = visit.texts
    words = {name: texts(f"usage.{name}") for name in ("empty", "table", "time", "rate", "drops")}
    made = Chart(shown, label=label, words=words, series=series(shown))


async def build_connection(visit: Visit, cen_id: str, region_id: str, other_region_id: str) -> None:
    """The page of one region connection."""
    texts, path = visit.texts, dialogs.connection_path(cen_id, region_id, other_region_id)
    instance = await visit.rest.get(f"/v1/instances/{cen_id}")
    connection = await visit.rest.get(path)
    a, b = connection["region_a_id"], connection["region_b_id"]
    title = f"{visit.region(a)} – {visit.region(b)}"
    visit.client.title = f"{title} · OpenCEN"
    chosen = charts.chosen_range(visit.request.query_params.get("range"))
    with box("nav", "oc-crumbs", aria_label=texts("crumbs")):
        link(texts("nav.instances"), f"{PREFIX}/instances")
        Text("span", " / ")
        link(title_of(instance), instance_path(cen_id, "connections"))
    with box("div", "oc-title"):
        Text("h1", title)
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("modify"), lambda: _modify(visit, path), aria_label=texts("modify.label", name=title))
    with box("div", "oc-facts"):
        Text("span", texts("usage.set", mbps=connection["bandwidth_mbps"]))
        link(texts("usage.of_package"), package_page(connection["package_id"]))
    _ranges(visit, connection_page(connection), chosen)
    with box("section", "oc-panel", aria_label=texts("usage.title")):
        await _chart(
            visit,
            _question(f"{path}/usage", chosen, watch="true" if chosen.step_s == 1 else None),
            "connection",
            texts("usage.chart_of", name=title),
            lambda points: charts.connection_series(visit, a, b, points.step_ms // 1000),
            lambda answer: charts.connection_points(visit, answer),
        )
    Text("p", texts("usage.hint"), "oc-hint").style("margin-top: 8px")


async def _modify(visit: Visit, path: str) -> None:
    async def look() -> None:
        await dialogs.modify(visit, await visit.rest.get(path))

    await visit.attempt(look)


async def build_package(visit: Visit, package_id: str) -> None:
    """The page of one package: its connections stacked, a chart for each direction."""
    texts = visit.texts
    package = await visit.rest.get(f"/v1/bandwidth-packages/{package_id}")
    visit.client.title = f"{name_of(package)} · OpenCEN"
    chosen = charts.chosen_range(visit.request.query_params.get("range"))
    with box("nav", "oc-crumbs", aria_label=texts("crumbs")):
        link(texts("nav.packages"), f"{PREFIX}/packages")
        Text("span", " / ")
        Text("span", package_id, "oc-mono")
    with box("div", "oc-title"):
        Text("h1", name_of(package))
    with box("div", "oc-facts"):
        Text("span", areas_text(visit, package))
        use = texts(
            "package.use",
            total=package["bandwidth_mbps"],
            allocated=package["allocated_mbps"],
            free=package["free_mbps"],
        )
        Text("span", use)
    _ranges(visit, package_page(package_id), chosen)
    question = _question(f"/v1/bandwidth-packages/{package_id}/usage", chosen)
    first = await visit.rest.get(question.path, **dict(question.params))
    names = charts.package_names(visit, first)
    areas = (visit.area(package["area_a_id"]), visit.area(package["area_b_id"]))
    for forth in (True, False):
        start, end = areas if forth else areas[::-1]
        name = texts("direction", a=start, b=end)
        with box("section", "oc-panel oc-chart-panel", aria_label=name):
            Text("h2", name)

            def render(answer: Json, forth: bool = forth) -> Points:
                return charts.package_points(visit, package, answer, forth=forth)

            await _chart(
                visit,
                question,
                f"package {forth}",
                texts("usage.chart_of", name=name),
                lambda _: charts.package_series(visit, names),
                render,
            )
    Text("p", texts("usage.hint"), "oc-hint").style("margin-top: 8px")
