"""One CEN instance: its facts, the first steps while there is no connection, and its tabs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from opencen.console.backend import Json
from opencen.console.frame import PREFIX, Visit
from opencen.console.guide import Step, show_steps
from opencen.console.live import Question, View
from opencen.console.pages import audit, connections, instances, map_tab, networks, packages, plan_tab
from opencen.console.pages.instances import instance_path, title_of
from opencen.console.widgets import Text, box, button, link

Tab = Callable[[Visit, Json], Awaitable[None]]
TABS: Mapping[str, Tab] = {
    "networks": networks.build_tab,
    "packages": packages.build_tab,
    "connections": connections.build_tab,
    "map": map_tab.build_tab,
    "plan": plan_tab.build_tab,
    "audit": audit.build_tab,
}
DEFAULT_TAB = "connections"


def chosen_tab(given: str | None, instance: Json) -> str:
    """The tab of the URL; without one, where there is something to do."""
    if given in TABS:
        return str(given)
    return DEFAULT_TAB if instance["connection_count"] or instance["network_count"] else "networks"


def _counts(instance: Json) -> dict[str, int]:
    return {
        "networks": instance["network_count"],
        "packages": len(instance["package_ids"]),
        "connections": instance["connection_count"],
    }


async def build(visit: Visit, cen_id: str) -> None:
    """The page."""
    texts = visit.texts
    title: Text
    counters: dict[str, Text] = {}

    async def redraw_guide() -> None:
        attached = await visit.rest.get(f"/v1/instances/{cen_id}/attachments", page_size=200)
        region_count = len({item["region_id"] for item in attached["items"]})
        guide.clear()
        if not latest["connection_count"] and visit.may_change:
            with guide:
                show_steps(texts, first_steps(visit, latest, region_count))

    def told(now: Json, _: Any) -> None:
        title.set_text(title_of(now))
        for name, count in _counts(now).items():
            counters[name].set_text(str(count))
        moved = _counts(now) != _counts(latest)
        latest.update(now)
        if moved:
            with guide:
                ui.timer(0, redraw_guide, once=True)

    view: View[Json] = View(visit.view_key("instance"), lambda answer: answer, lambda _, now: now)
    instance, _ = await visit.follow(Question.of(f"/v1/instances/{cen_id}"), view, told)
    latest: Json = dict(instance)
    tab = chosen_tab(visit.request.query_params.get("tab"), instance)
    visit.client.title = f"{title_of(instance)} · {texts(f'tab.{tab}')} · OpenCEN"

    with box("nav", "oc-crumbs", aria_label=texts("crumbs")):
        link(texts("nav.instances"), f"{PREFIX}/instances")
        Text("span", " / ")
        Text("span", cen_id, "oc-mono")
    with box("div", "oc-title"):
        title = Text("h1", title_of(instance))
        box("span", "oc-grow")
        if visit.may_change:
            button(texts("rename"), lambda: instances.rename(visit, latest))
    with box("div", "oc-facts"):
        if instance["description"]:
            Text("span", instance["description"], "oc-wrap")
        Text("span", texts("instance.created", time=visit.time(instance["created_at"])))
    guide = box("section", aria_label=texts("guide.title"))
    await redraw_guide()
    with box("nav", "oc-tabs", aria_label=texts("tabs.label")):
        for name in TABS:
            with link("", instance_path(cen_id, name)) as anchor:
                Text("b", texts(f"tab.{name}"))
                if name in _counts(instance):
                    counters[name] = Text("span", str(_counts(instance)[name]))
            if name == tab:
                anchor._props["aria-current"] = "page"
    await TABS[tab](visit, instance)


def first_steps(visit: Visit, instance: Json, region_count: int) -> list[Step]:
    """What is left to do until the first region connection."""
    texts, cen_id = visit.texts, instance["id"]
    return [
        Step(texts("guide.instance"), texts("guide.instance.text"), done=True),
        Step(
            texts("guide.networks"),
            texts("guide.networks.text"),
            texts("networks.attach"),
            f"{instance_path(cen_id, 'networks')}&do=attach",
            done=region_count > 1,
        ),
        Step(
            texts("guide.package"),
            texts("guide.package.text"),
            texts("packages.buy"),
            f"{instance_path(cen_id, 'packages')}&do=buy",
            done=bool(instance["package_ids"]),
        ),
        Step(
            texts("guide.connection"),
            texts("guide.connection.text"),
            texts("connections.set"),
            f"{instance_path(cen_id, 'connections')}&do=set",
        ),
    ]
