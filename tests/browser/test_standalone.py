"""`opencen console`: the same pages from a process of their own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from browser.fake_gateways import FakeGateways
from browser.served import get, make_network, password_of, set_connection
from servers import ServerProcess

_START_S = 40.0


@pytest.fixture
def standalone(console: ServerProcess, tmp_path: Path) -> Iterator[str]:
    """Its address, in front of the common server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    argv = [sys.executable, "-m", "opencen", "console", "--listen", listen, "--server", console.url]
    with (tmp_path / "console.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://{listen}/console/login", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://{listen}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def test_it_shows_and_sets_what_the_server_has(
    standalone: str, browser: Browser, console: ServerProcess, gateways: FakeGateways
) -> None:
    made = make_network(console, "from elsewhere")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 4)
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    username, password = password_of(console)
    page.goto(f"{standalone}/console/instances/{made['cen_id']}?tab=connections")
    page.wait_for_function("window.did_handshake === true")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log on").click()
    row = page.locator("tbody tr")
    expect(row).to_contain_text("Active")
    page.wait_for_function("window.did_handshake === true")
    row.get_by_role("button", name="Modify").click()
    page.get_by_role("dialog").get_by_role("spinbutton", name="Bandwidth").fill("6")
    page.get_by_role("dialog").get_by_role("button", name="OK").click()
    expect(row).to_contain_text("6 Mbit/s")
    context.close()
    assert get(console, "/v1/region-connections", cen_id=made["cen_id"])["items"][0]["bandwidth_mbps"] == 6
