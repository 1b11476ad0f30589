"""What is drawn is what the kernels counted, to the byte, through whatever befalls the agents and the control plane."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conftest import missing
from opencen.client import Client
from opencen.gateway.kernel.counters import CounterReader
from opencen.gateway.plan import namespace_name, namespace_prefix, tunnel_name
from opencen.lab.lab import Lab, running_lab
from opencen.lab.requirements import missing_here
from servers import ServerProcess, running_server

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240)]

WEST, EAST = "us-west-1", "cn-hangzhou"
EAST_ADDRESS = "10.2.0.10"
PAYLOAD_BYTES, HEADERS_BYTES = 972, 28
SET_MBPS = 10
PHASES_MBPS = (2, 14, 0.5, 6)
"""Offered one after another: below the limit, above it, and below it again."""
PHASE_S = float(os.environ.get("OPENCEN_USAGE_SOAK_S", "16")) / len(PHASES_MBPS)
CONTROL_BYTES = 60_000
"""What iperf3's own connection and pings carry beside the flow, at the most."""


class Scene:
    def __init__(self, lab: Lab, server: ServerProcess, client: Client) -> None:
        self.lab = lab
        self.server = server
        self.client = client
        self.cen_id: str = client.get("/v1/instances", name="lab")["items"][0]["id"]
        self.gateways = {item["region_id"]: item["id"] for item in client.get("/v1/gateways")["items"]}
        self.path = f"/v1/instances/{self.cen_id}/region-connections/{WEST}/{EAST}"

    def counted(self, region_id: str, peer_region_id: str) -> tuple[int, int, int]:
        """Bytes, packets and drops of a link, as its kernel has them."""
        gateway_id = self.gateways[region_id]
        reader = CounterReader(namespace_prefix(gateway_id))
        try:
            readings = reader.read(reader.there()).readings
        finally:
            reader.close()
        return readings[namespace_name(gateway_id, self.cen_id), tunnel_name(peer_region_id)][1:4]

    def drawn(self, region_id: str, **query: Any) -> tuple[int, int, int]:
        """The same, as the chart of the last 15 minutes has them."""
        chart = self.client.get(f"{self.path}/usage", **({"last_s": 900} | query))
        direction = next(item for item in chart["directions"] if item["from_region_id"] == region_id)
        sent, packets, drops = (sum(direction[n]) for n in ("sent_bytes", "sent_packets", "dropped_packets"))
        return sent, packets, drops


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    lacking = missing_here()
    if lacking:
        missing(f"this machine cannot run a lab: {'; '.join(item.what for item in lacking)}")
    directory = tmp_path_factory.mktemp("usage")
    with running_server(directory / "data") as server:
        key, name = server.credential, f"use{os.getpid()}"
        socket = f"unix:{server.socket}"
        with (
            running_lab(socket, key.identifier, key.secret, name=name, directory=directory / "lab") as lab,
            server.client() as client,
        ):
            yield Scene(lab, server, client)


def until(condition: Callable[[], bool], explain: Callable[[], object], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.2)


def test_bytes_drawn_are_the_kernels_through_a_killed_agent_and_an_outage_of_the_control_plane(scene: Scene) -> None:
    scene.client.request("PUT", scene.path, body={"bandwidth_mbps": SET_MBPS})
    until(lambda: scene.client.get(scene.path)["status"] == "Active", lambda: scene.client.get(scene.path))
    began = scene.counted(WEST, EAST)

    listener = subprocess.Popen(scene.lab.command(f"host-{EAST}", ["iperf3", "-s"]), stdout=subprocess.DEVNULL)
    try:
        until(
            lambda: ":5201" in scene.lab.exec(f"host-{EAST}", ["ss", "-ltn"]).stdout, lambda: "iperf3 does not listen"
        )
        received_packets = 0
        for number, mbps in enumerate(PHASES_MBPS):
            flow = subprocess.Popen(scene.lab.command(f"host-{WEST}", _flow(mbps)), stdout=subprocess.PIPE, text=True)
            time.sleep(PHASE_S / 2)
            if number == 0:
                scene.lab.kill_gateway(WEST)
            if number == 1:
                scene.server.stop()
            if number == 2:
                scene.server.start()
            said, _ = flow.communicate(timeout=60)
            received_packets += _received(json.loads(said))
    finally:
        listener.kill()
        listener.wait()

    until(lambda: scene.drawn(WEST) == scene.counted(WEST, EAST), lambda: scene.drawn(WEST))
    until(lambda: scene.drawn(EAST)[0] > 0, lambda: scene.drawn(EAST))
    sent_bytes, _, dropped_packets = (now - then for now, then in zip(scene.counted(WEST, EAST), began, strict=True))
    flow_bytes = received_packets * (PAYLOAD_BYTES + HEADERS_BYTES)
    assert flow_bytes <= sent_bytes <= flow_bytes + CONTROL_BYTES
    assert dropped_packets > 0, "14 Mbit/s were offered to 10"
    for step_s in (10, 60):
        assert scene.drawn(WEST, step_s=step_s) == scene.drawn(WEST, step_s=1)


def test_no_second_shows_more_than_the_limit_or_nothing_at_all(scene: Scene) -> None:
    """No spike where the agent was killed or the control plane was away, and no hole."""
    chart = scene.client.get(f"{scene.path}/usage", last_s=900, step_s=1)
    west = next(item for item in chart["directions"] if item["from_region_id"] == WEST)
    known = [index for index, mean in enumerate(west["mean_bps"]) if mean is not None]
    assert known == list(range(known[0], known[-1] + 1))
    assert max(west["mean_bps"][index] for index in known) <= SET_MBPS * 1_000_000 * 1.02


def _flow(mbps: float) -> list[str]:
    shape = ["-u", "-l", str(PAYLOAD_BYTES), "-b", f"{mbps}M", "-t", str(PHASE_S)]
    return ["iperf3", "-J", "-c", EAST_ADDRESS, *shape]


def _received(said: dict[str, Any]) -> int:
    flow = said["end"]["sum"]
    return int(flow["packets"] - flow["lost_packets"])
