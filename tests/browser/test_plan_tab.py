"""The plan: edit the map, see what would change, apply it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from browser.served import get, make_network, set_connection
from browser.viewer import Viewer, plan_edge
from servers import ServerProcess


def bandwidths(console: ServerProcess, cen_id: str) -> dict[str, int]:
    items = get(console, "/v1/region-connections", cen_id=cen_id)["items"]
    return {item["region_a_id"]: item["bandwidth_mbps"] for item in items}


def test_the_map_is_edited_and_applied_in_one_step(viewer: Viewer, console: ServerProcess) -> None:
    cen_id = make_network(console, "planned")["cen_id"]
    set_connection(console, cen_id, "us-west-1", "cn-hangzhou", 15)
    set_connection(console, cen_id, "us-west-1", "cn-shanghai", 5)
    page = viewer.instance(cen_id, "plan")
    plan_edge(viewer, "cn-shanghai:us-west-1", "16")
    expect(page.get_by_text("31 asked")).to_be_visible()
    expect(page.get_by_text("11 too little")).to_be_visible()
    plan_edge(viewer, "cn-hangzhou:us-west-1", "4")
    expect(page.get_by_text("20 of 20 Mbit/s allocated, 0 left")).to_be_visible()
    expect(page.locator("[data-edge='cn-hangzhou:us-west-1']")).to_contain_text("15 → 4")
    assert bandwidths(console, cen_id) == {"cn-hangzhou": 15, "cn-shanghai": 5}, "a plan changes nothing"
    page.get_by_label("Note").fill("Shanghai needs more")
    viewer.button("Apply plan").click()
    expect(viewer.cell("1", "note")).to_have_text("Shanghai needs more")
    assert bandwidths(console, cen_id) == {"cn-hangzhou": 4, "cn-shanghai": 16}
    viewer.check_clean()


def test_a_plan_that_awaits_confirmation_is_rolled_back(viewer: Viewer, console: ServerProcess) -> None:
    cen_id = make_network(console, "undone")["cen_id"]
    set_connection(console, cen_id, "us-west-1", "cn-hangzhou", 15)
    page = viewer.instance(cen_id, "plan")
    plan_edge(viewer, "cn-hangzhou:us-west-1", "0")
    page.get_by_label("Afterwards").select_option("300")
    viewer.button("Apply plan").click()
    expect(viewer.cell("1", "state")).to_contain_text("awaits confirmation until")
    assert bandwidths(console, cen_id) == {}
    viewer.button("Roll back plan 1").click()
    expect(viewer.cell("1", "state")).to_contain_text("rolled back by admin")
    assert bandwidths(console, cen_id) == {"cn-hangzhou": 15}


def test_somebody_else_was_faster(viewer: Viewer, console: ServerProcess) -> None:
    """The plan is shown again, against what is there now; applying again carries it out."""
    cen_id = make_network(console, "faster")["cen_id"]
    set_connection(console, cen_id, "us-west-1", "cn-hangzhou", 15)
    page = viewer.instance(cen_id, "plan")
    plan_edge(viewer, "cn-hangzhou:us-west-1", "10")
    expect(page.get_by_text("10 of 20 Mbit/s allocated")).to_be_visible()
    set_connection(console, cen_id, "us-west-1", "cn-hangzhou", 12)
    viewer.button("Apply plan").click()
    expect(page.get_by_text("Somebody changed this instance meanwhile")).to_be_visible()
    expect(page.locator("[data-edge='cn-hangzhou:us-west-1']")).to_contain_text("12 → 10")
    assert bandwidths(console, cen_id) == {"cn-hangzhou": 12}
    viewer.button("Apply plan").click()
    expect(viewer.row("1")).to_be_visible()
    assert bandwidths(console, cen_id) == {"cn-hangzhou": 10}


def test_an_earlier_state_is_planned_again(viewer: Viewer, console: ServerProcess) -> None:
    cen_id = make_network(console, "again")["cen_id"]
    page = viewer.instance(cen_id, "plan")
    viewer.button("Add connection").click()
    dialog = viewer.dialog()
    dialog.get_by_label("First connected region").select_option("us-west-1")
    dialog.get_by_label("Second connected region").select_option("cn-shenzhen")
    dialog.get_by_role("spinbutton", name="Planned bandwidth").fill("7")
    dialog.get_by_role("button", name="OK").click()
    viewer.button("Apply plan").click()
    expect(viewer.row("1")).to_be_visible()
    plan_edge(viewer, "cn-shenzhen:us-west-1", "3")
    viewer.button("Apply plan").click()
    expect(viewer.row("2")).to_be_visible()
    viewer.button("Plan to go back to the state after plan 1", exact=True).click()
    expect(page.locator("[data-edge='cn-shenzhen:us-west-1']")).to_contain_text(re.compile("3 → 7"))
    viewer.button("Apply plan").click()
    expect(viewer.row("3")).to_be_visible()
    assert bandwidths(console, cen_id) == {"cn-shenzhen": 7}
