"""The scenario that OpenCEN exists for: real server, real gateways, real kernel, real traffic between four regions.

Rates are bit/s of IP packets that arrive at the receiving host over 10 s, after 2 s of warm-up.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import missing
from opencen.client import ApiError, Client
from opencen.gateway import shaping
from opencen.lab.lab import Lab, TrafficResult, running_lab
from opencen.lab.requirements import missing_here
from servers import ServerProcess, running_server
from underlay import arriving

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

WEST, EAST1, EAST2, SOUTH = "us-west-1", "cn-hangzhou", "cn-shanghai", "cn-shenzhen"
ADDRESS = {WEST: "10.1.0.10", EAST1: "10.2.0.10", EAST2: "10.3.0.10", SOUTH: "10.4.0.10"}
MBPS = 1_000_000
WITHIN = 0.01
TEST_RATE_BPS = 1_000
LAB_NAME = f"e2e{os.getpid()}"


class Scene:
    """The lab, and the API of the server that steers it."""

    def __init__(self, lab: Lab, server: ServerProcess, client: Client) -> None:
        self.lab = lab
        self.server = server
        self.client = client
        self.cen_id: str = client.get("/v1/instances", name="lab")["items"][0]["id"]

    def path(self, pair: tuple[str, str]) -> str:
        return f"/v1/instances/{self.cen_id}/region-connections/{pair[0]}/{pair[1]}"

    def set(self, pair: tuple[str, str], mbps: int) -> dict[str, Any]:
        return dict(self.client.request("PUT", self.path(pair), body={"bandwidth_mbps": mbps}))

    def active(self, pair: tuple[str, str], within_s: float = 20.0) -> dict[str, Any]:
        """The connection, once both kernels have it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            item: dict[str, Any] = self.client.get(self.path(pair))
            if item["status"] == "Active" and item["enforcement"] == "confirmed":
                return item
            time.sleep(0.005)
        raise AssertionError(f"not Active within {within_s} s: {item}")

    def only(self, wanted: dict[tuple[str, str], int]) -> None:
        """Exactly these connections, each in both kernels."""
        present = {}
        for item in self.client.get("/v1/region-connections", cen_id=self.cen_id)["items"]:
            pair = (item["region_a_id"], item["region_b_id"])
            present[pair] = present[pair[::-1]] = item["bandwidth_mbps"]
            if pair not in wanted and pair[::-1] not in wanted:
                self.client.delete(self.path(pair))
        for pair, mbps in sorted(wanted.items(), key=lambda item: item[1] - present.get(item[0], 0)):
            self.set(pair, mbps)
        for pair in wanted:
            self.active(pair)

    def plan(self, wanted: dict[tuple[str, str], int]) -> None:
        """Exactly these connections, in one step."""
        rows = [{"regions": list(pair), "bandwidth_mbps": mbps} for pair, mbps in wanted.items()]
        self.client.post(f"/v1/instances/{self.cen_id}/plans", {"document": {"connections": rows}})

    def ping(self, source: str, sink: str, count: int = 1, wait_s: int = 5) -> bool:
        host = f"host-{source}"
        argv = ["ping", "-c", str(count), "-W", str(wait_s), ADDRESS[sink]]
        return self.lab.exec(host, argv).returncode == 0

    def received_bps(self, region_id: str) -> float:
        """Over the next second."""
        before, began = self.received_bytes(region_id), time.monotonic()
        time.sleep(1)
        return (self.received_bytes(region_id) - before) * 8 / (time.monotonic() - began)

    def received_bytes(self, region_id: str) -> int:
        link = json.loads(self.lab.exec(f"host-{region_id}", ["ip", "-j", "-s", "link", "show", "eth0"]).stdout)[0]
        return int(link["stats64"]["rx"]["bytes"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    lacking = missing_here()
    if lacking:
        missing(f"this machine cannot run a lab: {'; '.join(item.what for item in lacking)}")
    directory = tmp_path_factory.mktemp("scenario")
    with running_server(directory / "data") as server:
        key = server.credential
        with (
            running_lab(
                f"unix:{server.socket}", key.identifier, key.secret, name=LAB_NAME, directory=directory / "lab"
            ) as lab,
            server.client() as client,
        ):
            yield Scene(lab, server, client)


def at_once(*calls: Callable[[], TrafficResult]) -> list[TrafficResult]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def assert_at_set_rate(*transfers: Callable[[], TrafficResult]) -> None:
    """Run at once, each is at its set rate within 1 %: never above it, and not below it in the best of three runs.

    What a busy machine makes too low says nothing of the limit.
    """
    slow = list(transfers)
    for _ in range(3):
        results = at_once(*slow)
        for result in results:
            assert ratio_of(result) <= 1 + WITHIN, result.as_json()
        slow = [run for run, result in zip(slow, results, strict=True) if ratio_of(result) < 1 - WITHIN]
        if not slow:
            return
    raise AssertionError([result.as_json() for result in results])


def ratio_of(result: TrafficResult) -> float:
    """Measured against set."""
    ratio = result.measured_bps / (result.set_bps or 1)
    print(f"{result.source.region_id} -> {result.sink.region_id} {result.transport}: {ratio:.4f} of {result.set_bps}")
    return ratio


def assert_rate_survives(breaking: Callable[[], TrafficResult]) -> None:
    """A transfer during which something is broken keeps its rate: never above it, and not below in the best of three.

    What stops the whole machine for a moment stops the transfer too, and says nothing of the gateways.
    """
    for _ in range(3):
        result = breaking()
        ratio = ratio_of(result)
        assert ratio <= 1 + WITHIN, result.as_json()
        if ratio >= 1 - WITHIN:
            return
    raise AssertionError(result.as_json())


def assert_at_most_test_rate(*results: TrafficResult) -> None:
    """Over any 60 s 60 kbit and two full packets pass; of the latter 10 s may see both."""
    for result in results:
        print(f"{result.source.region_id} -> {result.sink.region_id}: {result.measured_bps:.0f} bit/s")
        assert result.set_bps == TEST_RATE_BPS
        assert result.measurement.received_bytes <= TEST_RATE_BPS / 8 * result.measurement.seconds + 2 * 1_500


def test_before_anything_is_set_regions_reach_each_other_at_1_kbit_and_no_more(scene: Scene) -> None:
    scene.only({})
    for sink in (EAST1, EAST2, SOUTH):
        assert scene.ping(WEST, sink)
    assert scene.ping(EAST1, EAST2), "two regions of one area"
    assert_at_most_test_rate(
        *at_once(
            lambda: scene.lab.traffic(WEST, EAST1, transport="udp"),
            lambda: scene.lab.traffic(EAST1, SOUTH),
        )
    )


def test_set_is_enforced_in_each_direction_at_every_packet_size_while_others_stay(scene: Scene) -> None:
    scene.only({})
    item = scene.set((WEST, EAST1), 10)
    assert item["bandwidth_mbps"] == 10
    item = scene.active((WEST, EAST1))
    assert [side["in_kernel_bps"] for side in item["sides"]] == [10 * MBPS, 10 * MBPS]
    for length in (64, 200, 1472):
        assert_at_set_rate(
            lambda length=length: scene.lab.traffic(WEST, EAST1, transport="udp", length=length),
            lambda length=length: scene.lab.traffic(EAST1, WEST, transport="udp", length=length),
        )
    assert_at_set_rate(lambda: scene.lab.traffic(WEST, EAST1))
    assert_at_set_rate(lambda: scene.lab.traffic(EAST1, WEST))
    _, other = at_once(lambda: scene.lab.traffic(WEST, EAST1), lambda: scene.lab.traffic(EAST2, WEST))
    assert_at_most_test_rate(other)


def test_a_pair_saturated_at_1_kbit_passes_at_the_new_rate_within_a_second_of_the_answer(scene: Scene) -> None:
    argv = [sys.executable, "-m", "opencen.lab.flow", "send", "udp", ADDRESS[EAST1], "9", "1400", "0"]

    def second_second_bps() -> float:
        scene.only({})
        with flooding(scene, WEST, argv):
            time.sleep(3)
            scene.set((WEST, EAST1), 10)
            time.sleep(1)
            return scene.received_bps(EAST1)

    rates_bps = in_the_best_of_three(second_second_bps, at_least=0.9 * 10 * MBPS)
    print("in the second second after the answer:", rates_bps)


def in_the_best_of_three(measure_bps: Callable[[], float], at_least: float) -> list[float]:
    """What a busy machine makes too low is measured again, twice at most."""
    rates_bps: list[float] = []
    while not rates_bps or (rates_bps[-1] < at_least and len(rates_bps) < 3):
        rates_bps.append(measure_bps())
    assert rates_bps[-1] >= at_least, rates_bps
    return rates_bps


class flooding:  # noqa: N801 - reads as what it does
    """A process on a region's host for the length of a block."""

    def __init__(self, scene: Scene, region_id: str, argv: list[str]) -> None:
        self.command = scene.lab.command(f"host-{region_id}", ["timeout", "60", *argv])

    def __enter__(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        return self.process

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def test_three_connections_run_at_their_own_rates_at_once_and_one_more_megabit_is_refused(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 10, (WEST, EAST2): 6, (WEST, SOUTH): 4})
    assert_at_set_rate(
        lambda: scene.lab.traffic(EAST1, WEST),
        lambda: scene.lab.traffic(EAST2, WEST),
        lambda: scene.lab.traffic(SOUTH, WEST),
    )
    before = scene.client.get("/v1/region-connections", cen_id=scene.cen_id)["items"]
    with pytest.raises(ApiError) as refused:
        scene.set((WEST, SOUTH), 5)
    package = scene.client.get("/v1/bandwidth-packages", cen_id=scene.cen_id)["items"][0]
    assert package["id"] in refused.value.detail
    assert "20 Mbit/s bound, 20 allocated, 0 free, 5 asked in place of 4" in refused.value.detail
    after = scene.client.get("/v1/region-connections", cen_id=scene.cen_id)["items"]
    assert [(item["id"], item["version"]) for item in after] == [(item["id"], item["version"]) for item in before]


def test_a_plan_that_moves_shares_never_exceeds_the_package_on_the_underlay(scene: Scene) -> None:
    """Three gateways send to one as much as they may. The one that is to shrink does not hear of it for a second:
    the one that is to grow waits for it. Inner IP bytes, in any 100 ms: the package, and each pair's burst twice."""
    pairs = {(WEST, EAST1): 12, (WEST, EAST2): 5, (WEST, SOUTH): 3}
    scene.only(pairs)
    gateways = {gateway.region_id: gateway for gateway in scene.lab.state().gateways}
    slow = gateways[EAST1].process
    assert slow is not None
    argv = [sys.executable, "-m", "opencen.lab.flow", "send", "udp", ADDRESS[WEST], "9", "1400", "0"]
    window_s, burst_bits = 0.1, 2 * shaping.burst_bytes(12 * MBPS) * 8
    west = gateways[WEST]
    with contextlib.ExitStack() as flows:
        for region_id in (EAST1, EAST2, SOUTH):
            flows.enter_context(flooding(scene, region_id, argv))
        with arriving(west.namespace, west.endpoint) as capture:
            time.sleep(1)
            os.kill(slow.pid, signal.SIGSTOP)
            try:
                scene.plan({(WEST, EAST1): 3, (WEST, EAST2): 5, (WEST, SOUTH): 12})
                time.sleep(1.5)
                waiting = scene.client.get(scene.path((WEST, SOUTH)))
            finally:
                os.kill(slow.pid, signal.SIGCONT)
            scene.active((WEST, SOUTH))
            time.sleep(1)
            scene.plan(pairs)
            scene.active((WEST, EAST1))
            time.sleep(1)
    assert waiting["status"] == "Modifying"
    assert any("still holds 12 Mbit/s of cn-hangzhou - us-west-1" in reason for reason in waiting["reasons"])
    most_bits = capture.most_bits(window_s)
    print(f"at most {most_bits / window_s / MBPS:.2f} Mbit/s in any {window_s * 1000:.0f} ms")
    assert most_bits >= 0.9 * 20 * MBPS * window_s, "the package was filled, or nothing was tested"
    assert most_bits <= 20 * MBPS * window_s + 3 * burst_bits


def test_modify_while_a_transfer_runs(scene: Scene) -> None:
    """10 -> 5 -> 8: the rate follows within a second of the answer, and the connection does not break."""
    scene.only({(WEST, EAST1): 10})
    with ThreadPoolExecutor(1) as pool:
        transfer = pool.submit(scene.lab.traffic, WEST, EAST1, seconds=13)
        time.sleep(3)
        for mbps in (5, 8):
            scene.set((WEST, EAST1), mbps)
            time.sleep(1)
            rates_bps = in_the_best_of_three(lambda: scene.received_bps(EAST1), at_least=0.93 * mbps * MBPS)
            print(f"set to {mbps}: from the second second on {rates_bps}")
            assert max(rates_bps) <= 1.04 * mbps * MBPS
        assert transfer.result(), "the transfer ended early: its connection broke"


def test_a_flow_paced_below_the_new_limit_loses_and_reorders_nothing(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 10})
    probe = str(Path(__file__).parents[1] / "netns" / "udp_probe.py")
    with flooding(scene, EAST1, [sys.executable, probe, "receive", "8"]) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == b"ready\n"
        sender = flooding(scene, WEST, [sys.executable, probe, "send", ADDRESS[EAST1], "972", "400", "5"])
        with sender as sending:
            for mbps in (5, 8, 4, 10):
                time.sleep(0.8)
                scene.set((WEST, EAST1), mbps)
            sent = json.loads(sending.communicate(timeout=20)[0])["sent"]
        result = json.loads(receiver.communicate(timeout=20)[0])
    print("sent", sent, result)
    assert result == {"received": sent, "distinct": sent, "reordered": 0}


def test_delete_falls_back_and_another_pair_grows_when_the_shrink_is_acknowledged(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 20})
    argv = [sys.executable, "-m", "opencen.lab.flow", "send", "udp", ADDRESS[EAST1], "9", "1400", "0"]
    with flooding(scene, WEST, argv):
        time.sleep(1)
        scene.client.delete(scene.path((WEST, EAST1)))
        began = time.monotonic()
        assert scene.ping(WEST, EAST1, count=5, wait_s=1), "a ping passes again within 5 s, whatever was queued"
        assert time.monotonic() - began < 6
        scene.set((WEST, EAST2), 20)
        scene.active((WEST, EAST2))
        before, began = scene.received_bytes(EAST1), time.monotonic()
        time.sleep(5)
        passed = scene.received_bytes(EAST1) - before
    assert passed <= (time.monotonic() - began) * 1_000 / 8 + 2 * 1_514
    assert_at_set_rate(lambda: scene.lab.traffic(EAST2, WEST))


def test_traffic_goes_on_without_the_control_plane_and_nothing_is_lost_when_it_is_back(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 10, (WEST, EAST2): 6})
    before = scene.client.get("/v1/region-connections", cen_id=scene.cen_id)["items"]

    def transfer_while_the_server_is_killed() -> TrafficResult:
        with ThreadPoolExecutor(1) as pool:
            transfer = pool.submit(scene.lab.traffic, WEST, EAST1)
            time.sleep(1)
            scene.server.stop(signal.SIGKILL)
            try:
                return transfer.result()
            finally:
                scene.server.start()

    assert_rate_survives(transfer_while_the_server_is_killed)
    after = scene.client.get("/v1/region-connections", cen_id=scene.cen_id)["items"]
    assert [(item["id"], item["bandwidth_mbps"]) for item in after] == [
        (item["id"], item["bandwidth_mbps"]) for item in before
    ]
    for pair in ((WEST, EAST1), (WEST, EAST2)):
        scene.active(pair, within_s=20)


def kernel_identity(scene: Scene, region_id: str) -> dict[str, Any]:
    """What must survive the agent: interface indexes, HTB classes, and counters that only grow."""
    gateway = next(item for item in scene.lab.state().gateways if item.region_id == region_id)
    namespace = f"{gateway.gateway_id}-{scene.cen_id}"
    links = json.loads(subprocess.check_output(["ip", "-n", namespace, "-j", "link"]))
    indexes = {link["ifname"]: link["ifindex"] for link in links}
    classes = {}
    for name in indexes:
        shown = subprocess.check_output(["tc", "-n", namespace, "-s", "class", "show", "dev", name], text=True)
        for handle, count in re.findall(r"class htb (\S+) .*?Sent (\d+) bytes", shown, re.DOTALL):
            classes[(name, handle)] = int(count)
    assert len(classes) > len(ADDRESS), "every tunnel has its classes"
    return {"indexes": indexes, "classes": classes}


def test_an_agent_killed_and_started_again_finds_its_kernel_and_changes_nothing(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 10})
    before = kernel_identity(scene, WEST)

    def transfer_while_the_agent_is_killed() -> TrafficResult:
        pid = scene.lab.gateway_pids()[WEST]
        with ThreadPoolExecutor(1) as pool:
            transfer = pool.submit(scene.lab.traffic, WEST, EAST1)
            time.sleep(3)
            scene.lab.kill_gateway(WEST)
            deadline = time.monotonic() + 30
            while scene.lab.gateway_pids().get(WEST, pid) == pid and time.monotonic() < deadline:
                time.sleep(0.05)
            assert scene.lab.gateway_pids()[WEST] != pid, "the keeper starts it again"
            return transfer.result()

    assert_rate_survives(transfer_while_the_agent_is_killed)
    scene.active((WEST, EAST1), within_s=20)
    after = kernel_identity(scene, WEST)
    assert after["indexes"] == before["indexes"]
    assert after["classes"].keys() == before["classes"].keys()
    assert all(after["classes"][key] >= count for key, count in before["classes"].items())
    scene.set((WEST, EAST1), 7)
    scene.active((WEST, EAST1))


def test_a_network_made_over_the_api_is_carried_by_a_host(scene: Scene) -> None:
    """A VPC made with any tool in a region of the lab gets a host there."""
    cen_id = scene.client.post("/v1/instances", {"name": "second"})["id"]
    made = {}
    for region_id, block in ((WEST, "172.16.0.0/16"), (EAST1, "172.17.0.0/16")):
        body = {"name": f"other-{region_id}", "region_id": region_id, "cidr_blocks": [block]}
        made[region_id] = scene.client.post("/v1/networks", body)["id"]
        scene.client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": made[region_id]})
    try:
        deadline = time.monotonic() + 20
        carried: list[bool | None] = []
        while time.monotonic() < deadline and carried != [True, True]:
            items = scene.client.get(f"/v1/instances/{cen_id}/attachments")["items"]
            carried = [item["carried"] for item in items]
            time.sleep(0.1)
        assert carried == [True, True], items
        hosts = {host.network_id: host for host in scene.lab.state().hosts}
        source, sink = hosts[made[WEST]], hosts[made[EAST1]]
        ping = scene.lab.exec(source.name, ["ping", "-c", "1", "-W", "5", str(sink.address.ip)])
        assert ping.returncode == 0, ping.stdout
    finally:
        for network_id in made.values():
            scene.client.delete(f"/v1/instances/{cen_id}/attachments/{network_id}")
            scene.client.delete(f"/v1/networks/{network_id}")
        scene.client.delete(f"/v1/instances/{cen_id}")
