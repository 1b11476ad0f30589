"""The console in front of real gateways: what is set there is what passes, and what passes is seen there."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.served import get
from browser.viewer import Open, Viewer
from conftest import missing
from opencen.lab.lab import Lab, running_lab
from opencen.lab.requirements import missing_here
from servers import ServerProcess, running_server

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240)]
WEST, EAST = "us-west-1", "cn-hangzhou"
SENDS_S = 8.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Lab]]:
    lacking = missing_here()
    if lacking:
        missing(f"this machine cannot run a lab: {'; '.join(item.what for item in lacking)}")
    directory: Path = tmp_path_factory.mktemp("lab")
    with running_server(directory / "data") as server:
        key = server.credential
        address, place = f"unix:{server.socket}", directory / "lab"
        with running_lab(address, key.identifier, key.secret, name=f"brw{os.getpid()}", directory=place) as running:
            yield server, running


def test_ten_is_set_becomes_active_and_is_measured_and_eleven_more_are_refused(
    lab: tuple[ServerProcess, Lab], open_as: Open
) -> None:
    server, running = lab
    cen_id = get(server, "/v1/instances", name="lab")["items"][0]["id"]
    for item in get(server, "/v1/region-connections", cen_id=cen_id)["items"]:
        path = f"/v1/instances/{cen_id}/region-connections/{item['region_a_id']}/{item['region_b_id']}"
        with server.client() as client:
            client.delete(path)
    viewer = open_as(server=server)
    viewer.log_on()
    viewer.instance(cen_id, "connections")
    _set(viewer, EAST, 10)
    identifier = f"{cen_id}:{EAST}:{WEST}"
    expect(viewer.cell(identifier, "status")).to_have_text("Active")
    expect(viewer.cell(identifier, "kernel")).to_contain_text(re.compile(r"→.*10.Mbit/s.*←.*10.Mbit/s", re.S))

    sending = threading.Thread(target=running.traffic, args=(WEST, EAST), kwargs={"seconds": SENDS_S})
    sending.start()
    try:
        measured = viewer.cell(identifier, "measured").locator(".oc-line").nth(1)
        expect(measured).to_contain_text(re.compile(r"(9\.[89]\d?|10).Mbit/s"), timeout=15_000)
        expect(measured.locator(".is-full")).to_be_visible()
    finally:
        sending.join()

    _set(viewer, "cn-shanghai", 11)
    expect(viewer.dialog().get_by_role("alert")).to_have_text(
        "20 Mbit/s bound, 10 allocated, 10 free, 11 asked; at most 10 would fit"
    )
    assert get(server, "/v1/region-connections", cen_id=cen_id)["total"] == 1


def _set(viewer: Viewer, region_id: str, bandwidth_mbps: int) -> None:
    viewer.button("Set Region Connection").click()
    viewer.dialog().get_by_label("First connected region").select_option(region_id)
    viewer.dialog().get_by_role("spinbutton", name="Bandwidth").fill(str(bandwidth_mbps))
    viewer.dialog().get_by_role("button", name="OK").click()
