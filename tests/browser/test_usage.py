"""Usage in a real browser: against the limit, gaps as gaps, live at the right edge, and a table beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.fake_gateways import FakeGateways
from browser.metered import metered, set_long_ago
from browser.served import make_network, set_connection
from browser.test_accessibility import serious_violations
from browser.viewer import Open, Viewer
from servers import ServerProcess

MBPS = 1_000_000
UPDATE_MS = 250
"""For 15 minutes of seconds, both directions with drops; drawn in software, beside whatever else runs."""


@pytest.fixture(scope="module")
def site(console: ServerProcess, gateways: FakeGateways) -> Any:
    """Three hours: 8 Mbit/s there with 3 drops a second, 2 back, nothing metered from 40 to 20 minutes ago."""
    made = make_network(console, "metered")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    set_connection(console, made["cen_id"], "us-west-1", "cn-shanghai", 6)
    set_long_ago(console.data, 10_800)
    now = int(time.time())

    def steady(mbps: float, drops: int) -> Callable[[int, str], tuple[float, int] | None]:
        return lambda at, _: None if now - 2400 < at <= now - 1200 else (mbps * MBPS, drops)

    for region, peers, mbps, drops in (
        ("us-west-1", ["cn-hangzhou", "cn-shanghai"], 8, 3),
        ("cn-hangzhou", ["us-west-1"], 2, 0),
    ):
        credential = gateways.by_region[region].credential
        metered(console.url, credential, made["cen_id"], peers, steady(mbps, drops), seconds=10_800)
    return made


def path_of(site: Any, span: str) -> str:
    return f"/instances/{site['cen_id']}/connections/cn-hangzhou/us-west-1?range={span}"


COMPONENT = "getElement(Number(document.querySelector('[data-chart]').closest('[id^=c]').id.slice(1)))"


def shown(page: Page) -> dict[str, list[list[float | None]]]:
    """What ECharts draws, by the id of the line: [time, value] of each point."""
    page.wait_for_function(f"{COMPONENT}?.chart")
    script = f"Object.fromEntries({COMPONENT}.chart.getOption().series.map((one) => [one.id, one.data]))"
    return dict(page.evaluate(script))


def test_both_directions_are_drawn_against_the_limit_with_drops_and_gaps(viewer: Viewer, site: Any) -> None:
    page = viewer.go(path_of(site, "6h"))
    chart = page.get_by_role("img", name="Usage: China East 1 (Hangzhou) – US West 1 (Silicon Valley)")
    expect(chart).to_have_attribute("aria-label", re.compile(r"at most 8 Mbit/s, limit 10 Mbit/s"))
    lines = shown(page)
    assert {round(value) for _, value in lines["back"] if value is not None} == {8 * MBPS}
    assert {round(value) for _, value in lines["forth"] if value is not None} == {2 * MBPS}
    assert lines["limit"][-1][1] == 10 * MBPS
    step_s = (lines["back"][1][0] - lines["back"][0][0]) / 1000
    assert max(value for _, value in lines["back_drops"] if value is not None) == 3 * step_s
    now = time.time()
    inside = [value for at, value in lines["back"] if now - 2300 < at / 1000 < now - 1300]
    assert inside
    assert set(inside) == {None}, "what nobody metered is a gap, not a zero"
    options = page.evaluate(
        f"""(() => {{ const c = {COMPONENT}.chart.getOption();
        return [c.yAxis.map((a) => a.name), c.series.find((s) => s.id === 'back').connectNulls]; }})()"""
    )
    assert options == [["Rate (IP packets)", "Dropped packets"], False]


def test_it_is_live_at_the_right_edge_and_an_update_is_drawn_at_once(
    viewer: Viewer, site: Any, console: ServerProcess, gateways: FakeGateways
) -> None:
    page = viewer.go(path_of(site, "15m"))
    first = shown(page)["back"]
    assert len(first) >= 900
    credential = gateways.by_region["us-west-1"].credential
    peers = ["cn-hangzhou", "cn-shanghai"]
    metered(console.url, credential, site["cen_id"], peers, lambda *_: (9 * MBPS, 0), seconds=10, fine_s=10)
    page.wait_for_function(f"{COMPONENT}.shown.columns.back.slice(-60).some((value) => value === 9000000)")
    later = shown(page)["back"]
    assert later[0][0] > first[0][0], "the oldest points leave"
    page.wait_for_function("window.opencenChartMs !== undefined")
    took_ms = min(_update_ms(page) for _ in range(3))
    print(f"an update of {len(later)} points, seven lines: {took_ms:.0f} ms")
    assert took_ms < UPDATE_MS


def _update_ms(page: Page) -> float:
    page.evaluate("window.opencenChartMs = undefined")
    page.wait_for_function("window.opencenChartMs !== undefined")
    return float(page.evaluate("window.opencenChartMs"))


def test_the_span_is_chosen_from_15_minutes_to_2_years(viewer: Viewer, site: Any) -> None:
    page = viewer.go(path_of(site, "1h"))
    spans = page.get_by_role("navigation", name="Span of time").get_by_role("link")
    assert spans.all_inner_texts() == [
        *("15 minutes", "1 hour", "6 hours", "1 day"),
        *("7 days", "30 days", "1 year", "2 years"),
    ]
    page.get_by_role("link", name="2 years").click()
    page.wait_for_url("**range=2y")
    viewer.ready()
    drawn = shown(page)["back"]
    assert drawn[-1][0] - drawn[0][0] > 1000 * 86_400 * 600


def test_the_table_says_what_the_picture_shows(viewer: Viewer, site: Any) -> None:
    page = viewer.go(path_of(site, "6h"))
    page.get_by_text("As a table").click()
    rows = page.locator(".oc-chart-table tbody tr")
    expect(rows.first).to_be_visible()
    assert 30 <= rows.count() <= 48
    texts = rows.all_inner_texts()
    assert any("8 Mbit/s" in text and "2 Mbit/s" in text for text in texts)
    assert any(text.count("–") >= 4 for text in texts), "the gap"


def test_a_package_is_stacked_by_connection_a_picture_for_each_direction(viewer: Viewer, site: Any) -> None:
    page = viewer.go(f"/packages/{site['package_id']}?range=6h")
    expect(page.get_by_role("img")).to_have_count(2)
    pictures = page.get_by_role("img")
    labels = sorted(str(pictures.nth(number).get_attribute("aria-label")) for number in range(2))
    assert [label.split(". ")[0] for label in labels] == [
        "Usage: Mainland China to North America",
        "Usage: North America to Mainland China",
    ]
    assert all("package 20 Mbit/s" in label for label in labels)
    script = """[...document.querySelectorAll('[data-chart]')].map((one) =>
        getElement(Number(one.closest('[id^=c]').id.slice(1))).shown.columns)"""
    page.wait_for_function(f"{script}.length == 2")
    back, forth = page.evaluate(script)
    if 8 * MBPS not in forth["c0"]:
        back, forth = forth, back
    early = len(forth["limit"]) * 2 // 3
    assert {(forth["c0"][early], forth["c1"][early]), (back["c0"][early], back["c1"][early])} == {
        (8 * MBPS, 8 * MBPS),
        (2 * MBPS, None),
    }
    assert set(forth["limit"]) == {20 * MBPS}


def test_where_nothing_was_metered_it_says_so(viewer: Viewer, console: ServerProcess, gateways: FakeGateways) -> None:
    made = make_network(console, "quiet")
    set_connection(console, made["cen_id"], "us-west-1", "cn-shenzhen", 2)
    page = viewer.go(f"/instances/{made['cen_id']}?tab=connections")
    page.get_by_role("link", name="China South 1").click()
    page.wait_for_url("**/connections/cn-shenzhen/us-west-1")
    expect(page.get_by_text("Nothing was metered in this span.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_as: Open, site: Any, theme: str) -> None:
    viewer = open_as(color_scheme=theme)
    for path in (path_of(site, "6h"), f"/packages/{site['package_id']}?range=1h"):
        page = viewer.go(path)
        page.get_by_text("As a table").first.click()
        assert serious_violations(viewer) == []
