"""Everybody can use it: axe-core finds nothing serious, and the keyboard alone is enough."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser.fake_gateways import FakeGateways
from browser.served import get, make_network, set_connection
from browser.viewer import Open, Viewer
from servers import ServerProcess

TABS = ("networks", "packages", "connections", "map", "audit")
PAGES = ("networks", "packages", "gateways", "audit", "sessions")
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def network(console: ServerProcess, gateways: FakeGateways) -> Any:
    made = make_network(console, "for everybody")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    return made


def serious_violations(viewer: Viewer) -> list[str]:
    """What axe-core calls serious or critical, with where."""
    found = Axe().run(viewer.page).response["violations"]
    return [
        f"{item['id']}: {item['help']} at {[node['target'] for node in item['nodes']][:4]}"
        for item in found
        if item["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(open_as: Open, network: Any, theme: str) -> None:
    viewer = open_as(color_scheme=theme)
    page = viewer.page
    found: dict[str, list[str]] = {}
    for path in (
        "instances",
        *(f"instances/{network['cen_id']}?tab={tab}" for tab in TABS),
        *PAGES,
        f"instances/{network['cen_id']}?tab=connections&do=set",
        f"instances/{network['cen_id']}?tab=packages&do=buy",
        f"instances/{network['cen_id']}?tab=networks&do=attach",
        "no-such-page",
        "login",
    ):
        if path == "no-such-page":
            page.goto(f"{viewer.server.url}/console/{path}")
        else:
            viewer.go(f"/{path}")
        if "do=" in path:
            expect(viewer.dialog().get_by_role("heading")).to_be_visible()
            page.wait_for_timeout(400)  # the dialog fades in: half-transparent text has no contrast to measure
        found[path] = serious_violations(viewer)
    assert {path: violations for path, violations in found.items() if violations} == {}


def test_a_connection_is_set_and_deleted_with_the_keyboard_alone(
    viewer: Viewer, console: ServerProcess, network: Any
) -> None:
    page = viewer.instance(network["cen_id"], "connections")
    _tab_to(viewer, "Set Region Connection")
    page.keyboard.press("Enter")
    expect(viewer.dialog().get_by_label("Bandwidth Package")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(viewer.dialog().get_by_label("First connected region")).to_have_value("cn-shanghai")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(viewer.dialog().get_by_role("slider")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(viewer.dialog().get_by_role("spinbutton", name="Bandwidth")).to_have_value("9")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    identifier = f"{network['cen_id']}:cn-shanghai:us-west-1"
    expect(viewer.cell(identifier, "bandwidth")).to_contain_text("9 Mbit/s")
    _tab_to(viewer, "Delete China East 2 (Shanghai) – US West 1 (Silicon Valley)")
    page.keyboard.press("Enter")
    expect(viewer.dialog()).to_be_visible()
    _tab_to(viewer, "Delete", within_dialog=True)
    page.keyboard.press("Enter")
    expect(viewer.row(identifier)).to_have_count(0)
    assert get(console, "/v1/region-connections", cen_id=network["cen_id"])["total"] == 1


def test_escape_closes_a_dialog_and_gives_the_focus_back(viewer: Viewer, network: Any) -> None:
    page = viewer.instance(network["cen_id"], "connections")
    _tab_to(viewer, "Set Region Connection")
    page.keyboard.press("Enter")
    expect(viewer.dialog()).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer.dialog()).to_be_hidden()
    expect(viewer.button("Set Region Connection")).to_be_focused()


def _tab_to(viewer: Viewer, name: str, *, within_dialog: bool = False) -> None:
    """Press Tab until the button of this name has the focus."""
    scope = viewer.dialog() if within_dialog else viewer.page
    wanted = scope.get_by_role("button", name=name, exact=True)
    expect(wanted).to_be_visible()
    for _ in range(40):
        if wanted.evaluate("(it) => it === document.activeElement"):
            return
        viewer.page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")
