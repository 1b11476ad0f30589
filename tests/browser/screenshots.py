"""`python -m tests.browser.screenshots`: pictures of every page in both themes, into docs/screenshots.

A server, gateways without a kernel and figures that look like traffic; about a minute.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Browser, expect, sync_playwright

from browser.fake_gateways import FakeGateways
from browser.metered import day, metered, set_long_ago
from browser.served import REGIONS, get, make_network, send, set_connection
from browser.viewer import CHROMIUM_ARGUMENTS, Viewer, plan_edge
from servers import ServerProcess, running_server

TARGET = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 720}
THEMES = ("light", "dark")
_FADE_MS = 500
_LOADS = {"cn-hangzhou": 0.62, "cn-shanghai": 0.93, "cn-shenzhen": 0.995}


def load(region_id: str, peer_id: str, rate_bps: int) -> float:
    """Traffic at a different part of each limit, less of it on the way back."""
    part = _LOADS.get(region_id) or _LOADS.get(peer_id, 0.3) * 0.4
    return rate_bps * part


def fill(server: ServerProcess) -> str:
    """An instance as one would have it; its id."""
    for name in ("staging", "video"):
        send(server, "POST", "/v1/instances", {"name": name})
    made = make_network(server, "backbone", package_mbps=200)
    for region_id, bandwidth_mbps in (("cn-hangzhou", 100), ("cn-shanghai", 60), ("cn-shenzhen", 20)):
        set_connection(server, made["cen_id"], "us-west-1", region_id, bandwidth_mbps)
    body = {"area_a_id": "China", "area_b_id": "Europe", "bandwidth_mbps": 50, "name": "China–Europe"}
    send(server, "POST", "/v1/bandwidth-packages", body)
    cen_id: str = made["cen_id"]
    return cen_id


def meter(server: ServerProcess, gateways: FakeGateways, cen_id: str) -> None:
    """Six hours of people at work, with twenty minutes in which nobody metered."""
    limits = {"cn-hangzhou": 100, "cn-shanghai": 60, "cn-shenzhen": 20}
    set_long_ago(server.data, 86_400)
    now = time.time()

    def but_for_a_gap(rate: Callable[[int], tuple[float, int]]) -> Callable[[int, str], tuple[float, int] | None]:
        return lambda at, _: None if now - 8000 < at < now - 6800 else rate(at)

    there = {peer: day(limit, part=0.55, phase=number) for number, (peer, limit) in enumerate(limits.items())}
    sender = gateways.by_region["us-west-1"].credential
    rates = {peer: but_for_a_gap(rate) for peer, rate in there.items()}
    metered(server.url, sender, cen_id, list(limits), lambda at, peer: rates[peer](at, peer), seconds=21_600)
    for number, (peer, limit) in enumerate(limits.items()):
        back = but_for_a_gap(day(limit, part=0.25, phase=number + 1))
        metered(server.url, gateways.by_region[peer].credential, cen_id, ["us-west-1"], back, seconds=21_600)


def watch(server: ServerProcess) -> None:
    """A channel, rules, and what they raise."""
    body = {"kind": "webhook", "url": "https://hooks.example.net/noc", "name": "noc"}
    channel_ids = [send(server, "POST", "/v1/alarm-channels", body)["channel"]["id"]]
    busy = {"kind": "connection_use", "name": "nearly full", "raise_at": 90, "raise_for_s": 5}
    for rule in (busy, {"kind": "gateway_gone"}, {"kind": "package_use", "name": "buy more", "raise_at": 70}):
        send(server, "POST", "/v1/alarm-rules", {**rule, "channel_ids": channel_ids})
    deadline = time.monotonic() + 60
    while get(server, "/v1/alarms")["total"] < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    taken = get(server, "/v1/alarms")["items"][-1]["id"]
    send(server, "POST", f"/v1/alarms/{taken}/acknowledgement")


def first_steps(viewer: Viewer) -> None:
    viewer.go("/instances")


def page(path: str, wait_for: str = "tbody tr") -> Callable[[Viewer], None]:
    """Shows a page once it has its content."""

    def show(viewer: Viewer) -> None:
        viewer.go(path)
        viewer.page.locator(wait_for).first.wait_for()

    return show


def dialog(path: str, button: str, *, type_mbps: str | None = None) -> Callable[[Viewer], None]:
    """Shows a page with one of its dialogs, and what it says to a bandwidth that does not fit."""

    def show(viewer: Viewer) -> None:
        page(path)(viewer)
        viewer.button(button).first.click()
        expect(viewer.dialog().get_by_role("heading")).to_be_visible()
        if type_mbps is not None:
            viewer.dialog().get_by_role("spinbutton", name="Bandwidth").fill(type_mbps)
            viewer.dialog().get_by_role("button", name="OK").click()
            expect(viewer.dialog().get_by_role("alert").first).to_be_visible()

    return show


def plan(cen_id: str) -> Callable[[Viewer], None]:
    """Shows a plan that is being made on the map."""

    def show(viewer: Viewer) -> None:
        page(f"/instances/{cen_id}?tab=plan", ".oc-map-edge")(viewer)
        for region_id, mbps in (("cn-hangzhou", "80"), ("cn-shanghai", "90"), ("cn-shenzhen", "0")):
            plan_edge(viewer, f"{region_id}:us-west-1", mbps)
        viewer.page.locator("tbody tr").nth(2).wait_for()

    return show


def scenes(server: ServerProcess, cen_id: str) -> dict[str, Callable[[Viewer], None]]:
    """What is taken, by the name of its file."""
    gateway_id = get(server, "/v1/gateways")["items"][0]["id"]
    package_id = get(server, "/v1/bandwidth-packages", cen_id=cen_id)["items"][0]["id"]
    connections = f"/instances/{cen_id}?tab=connections"
    between = f"/instances/{cen_id}/connections"
    return {
        "instances": page("/instances"),
        "instance-networks": page(f"/instances/{cen_id}?tab=networks"),
        "instance-packages": page(f"/instances/{cen_id}?tab=packages"),
        "instance-connections": page(connections, ".oc-use [class=is-full]"),
        "instance-map": page(f"/instances/{cen_id}?tab=map", ".oc-map-edge.is-full"),
        "instance-plan": plan(cen_id),
        "instance-audit": page(f"/instances/{cen_id}?tab=audit"),
        "set-region-connection": dialog(connections, "Set Region Connection"),
        "refusal": dialog(connections, "Modify", type_mbps="130"),
        "delete": dialog(connections, "Delete"),
        "usage-connection": page(
            f"/instances/{cen_id}/connections/cn-hangzhou/us-west-1?range=6h", "[data-chart] canvas"
        ),
        "usage-live": page(f"{between}/cn-shenzhen/us-west-1?range=15m", "[data-chart] canvas"),
        "usage-package": page(f"/packages/{package_id}?range=6h", "[data-chart] canvas"),
        "alarms": page("/alarms"),
        "alarms-rules": page("/alarms?tab=rules"),
        "alarms-channels": page("/alarms?tab=channels"),
        "alarms-messages": page("/alarms?tab=messages"),
        "add-alarm-rule": dialog("/alarms?tab=rules", "Add rule"),
        "packages": page("/packages"),
        "buy-package": dialog("/packages", "Buy bandwidth package"),
        "networks": page("/networks"),
        "gateways": page("/gateways"),
        "gateway": page(f"/gateways/{gateway_id}"),
        "audit": page("/audit"),
        "sessions": page("/sessions"),
    }


def take(browser: Browser, server: ServerProcess, theme: str, shots: dict[str, Callable[[Viewer], None]]) -> None:
    """All scenes in one theme."""
    context = browser.new_context(viewport=SIZE, color_scheme=theme, locale="en-GB", timezone_id="Europe/Berlin")
    viewer = Viewer(context.new_page(), server)
    viewer.go("/login")
    _shoot(viewer, "login", theme)
    viewer.log_on()
    for name, show in shots.items():
        show(viewer)
        _shoot(viewer, name, theme)
    context.close()


def _shoot(viewer: Viewer, name: str, theme: str) -> None:
    viewer.page.wait_for_timeout(_FADE_MS)
    viewer.page.screenshot(path=str(TARGET / f"{name}-{theme}.png"), animations="disabled")


def main() -> None:
    """Take all pictures."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_server(Path(directory) / "data") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        for theme in THEMES:
            take(browser, server, theme, {"first-steps": first_steps})
        cen_id = fill(server)
        with FakeGateways(server.url, server.credential, REGIONS, load=load) as gateways:
            meter(server, gateways, cen_id)
            watch(server)
            for theme in THEMES:
                take(browser, server, theme, scenes(server, cen_id))
        browser.close()


if __name__ == "__main__":
    main()
