"""Alarms in a real browser: a rule and a channel are added, an alarm is raised, and its suggestion is one click."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from browser.fake_gateways import FakeGateways
from browser.served import get, make_network, send, set_connection
from browser.test_accessibility import serious_violations
from browser.viewer import Open, Viewer
from servers import ServerProcess


@pytest.fixture(scope="module")
def site(console: ServerProcess, gateways: FakeGateways) -> Any:
    """Traffic is at half of every limit."""
    made = make_network(console, "alarmed")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    return made


def test_from_nothing_to_a_suggestion_carried_out(viewer: Viewer, site: Any, console: ServerProcess) -> None:
    page = viewer.go("/alarms?tab=channels")
    expect(page.get_by_text("Nobody is told yet")).to_be_visible()
    viewer.button("Add channel").click()
    viewer.dialog().get_by_label("URL of the webhook").fill("http://127.0.0.1:9/")
    viewer.dialog().get_by_role("button", name="Create").click()
    expect(viewer.dialog().get_by_role("alert").first).to_contain_text("webhook_networks")
    viewer.dialog().get_by_label("URL of the webhook").fill("https://hooks.example.net/x")
    viewer.dialog().get_by_label("Name").fill("noc <b>")
    viewer.dialog().get_by_role("button", name="Create").click()
    expect(page.get_by_text("It is shown this once")).to_be_visible()
    viewer.dialog().get_by_role("button", name="OK").last.click()
    expect(page.locator("tbody tr")).to_contain_text("noc <b>")

    viewer.go("/alarms?tab=rules")
    viewer.button("Add rule").click()
    viewer.dialog().get_by_label("Where").select_option(label=f"alarmed: {_pair()}")
    viewer.dialog().get_by_label("Raise at least at").fill("40")
    viewer.dialog().get_by_label("for so many seconds").first.fill("x")
    viewer.dialog().get_by_role("button", name="Create").click()
    expect(viewer.dialog().get_by_role("alert").first).to_contain_text("Enter a number")
    viewer.dialog().get_by_label("for so many seconds").first.fill("0")
    viewer.dialog().get_by_role("button", name="Create").click()
    expect(page.locator("tbody tr")).to_contain_text("from 40 % for 0 s")

    viewer.go("/alarms")
    row = page.locator("tbody tr")
    expect(row).to_contain_text("Raised", timeout=30_000)
    expect(row).to_contain_text("10 of 20 Mbit/s are free in the package: raise to 15?")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("admin sees to it")
    row.get_by_role("button", name="Silence").click()
    viewer.dialog().get_by_label("For how long").select_option("8h")
    viewer.dialog().get_by_role("button", name="Silence").click()
    expect(row).to_contain_text("Silenced until")
    row.get_by_role("button", name="Raise to 15 Mbit/s").click()
    expect(page.get_by_text("15 Mbit/s", exact=False).last).to_be_visible()
    expect(row).to_contain_text("5 of 20 Mbit/s are free in the package: raise to 20?")
    (connection,) = get(console, "/v1/region-connections", cen_id=site["cen_id"])["items"]
    assert connection["bandwidth_mbps"] == 15
    viewer.go("/alarms?tab=messages")
    expect(page.locator("tbody tr").first).to_contain_text("Alarm raised: cn-hangzhou - us-west-1 of alarmed")


def test_a_suggestion_that_somebody_overtook_changes_nothing_and_says_both_values(
    viewer: Viewer, site: Any, console: ServerProcess
) -> None:
    """A click that comes from a page which has not heard of the change yet."""
    path = f"/v1/instances/{site['cen_id']}/region-connections/cn-hangzhou/us-west-1"
    seen = send(console, "PUT", path, {"bandwidth_mbps": 10})
    page = viewer.go("/alarms")
    alarm_id = get(console, "/v1/alarms", subject=f"{site['cen_id']}:cn-hangzhou:us-west-1")["items"][0]["id"]
    expect(viewer.row(alarm_id).get_by_role("button", name="Raise to 15 Mbit/s")).to_be_visible()
    send(console, "PUT", path, {"bandwidth_mbps": 12})
    stale = {"act": f"raise:10:{seen['version']}:15", "id": alarm_id}
    emit = "(stale) => getElement(Number(document.querySelector('.oc-table-box').id.slice(1))).$emit('act', stale)"
    page.evaluate(emit, stale)
    said = "it was 10 Mbit/s when this was suggested, it is 12 Mbit/s now. Nothing was changed."
    expect(page.get_by_text(said)).to_be_visible()
    assert get(console, path)["bandwidth_mbps"] == 12


def _pair() -> str:
    return "China East 1 (Hangzhou) – US West 1 (Silicon Valley)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_as: Open, site: Any, theme: str) -> None:
    viewer = open_as(color_scheme=theme)
    for tab in ("raised", "rules", "channels", "messages"):
        viewer.go(f"/alarms?tab={tab}")
        assert serious_violations(viewer) == []
