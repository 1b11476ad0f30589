"""Hosts, wires and measured transfers, on the real kernel: what a lab is made of."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab_support import need_lab, routed_pair
from opencen.lab.commands import run, within
from opencen.lab.namespaces import existing_namespaces, make_namespace, namespace_pids, remove_namespace
from opencen.lab.traffic import Endpoint, Measurement, measure

pytestmark = pytest.mark.netns
RATE_MBPS = 10


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Endpoint, Endpoint]]:
    need_lab()
    with routed_pair(f"olp{os.getpid()}", RATE_MBPS) as ends:
        yield ends


def share_of_limit(measurement: Measurement) -> float:
    return measurement.measured_bps / (RATE_MBPS * 1_000_000)


def test_hosts_reach_each_other_through_their_router(pair: tuple[Endpoint, Endpoint]) -> None:
    answer = run(within(pair[0].namespace, ["ping", "-c", "2", "-i", "0.1", "-W", "1", str(pair[1].ip)]))
    assert "2 received" in answer


@pytest.mark.parametrize(("transport", "length"), [("tcp", None), ("udp", 1472), ("udp", 64)])
def test_an_iperf3_transfer_measures_a_limit_within_one_percent(
    pair: tuple[Endpoint, Endpoint], transport: str, length: int | None
) -> None:
    measured = measure(*pair, seconds=3, transport="tcp" if transport == "tcp" else "udp", length=length)
    assert measured.sender == "iperf3"
    assert share_of_limit(measured) == pytest.approx(1.0, abs=0.01)


def test_a_pair_at_the_test_rate_is_measured_by_a_sender_without_control_connection(
    pair: tuple[Endpoint, Endpoint],
) -> None:
    measured = measure(*pair, seconds=2, transport="tcp", set_bps=1000)
    assert measured.sender == "opencen"
    assert share_of_limit(measured) == pytest.approx(1.0, abs=0.02)


def test_transfers_to_one_host_are_told_apart_by_their_sender(pair: tuple[Endpoint, Endpoint]) -> None:
    """The router itself sends to the same host during the transfer; only the other host's packets count."""
    router = pair[0].namespace.removesuffix("-a") + "-router"
    noise = ["ping", "-q", "-s", "1400", "-i", "0.002", "-w", "20", str(pair[1].ip)]
    with subprocess.Popen(within(router, noise), stdout=subprocess.DEVNULL) as ping:
        try:
            measured = measure(*pair, seconds=2, transport="udp", length=64, set_bps=1000)
        finally:
            ping.terminate()
    assert 92 * measured.received_packets == measured.received_bytes


def test_transfers_in_both_directions_run_at_once(pair: tuple[Endpoint, Endpoint]) -> None:
    with ThreadPoolExecutor() as pool:
        there = pool.submit(measure, pair[0], pair[1], seconds=2)
        back = pool.submit(measure, pair[1], pair[0], seconds=2, transport="udp", set_bps=1000)
        assert share_of_limit(there.result()) <= 1.02
        assert back.result().received_packets > 0


def test_a_transfer_leaves_no_process_and_no_counter_behind(pair: tuple[Endpoint, Endpoint]) -> None:
    measure(*pair, seconds=1)
    assert [namespace_pids(end.namespace) for end in pair] == [[], []]
    assert [run(within(end.namespace, ["nft", "list", "tables"])) for end in pair] == ["", ""]


def test_packets_reach_a_host_unmerged_so_that_each_counts(pair: tuple[Endpoint, Endpoint]) -> None:
    measured = measure(*pair, seconds=1)
    assert measured.received_bytes / measured.received_packets <= 1500


def test_removing_a_namespace_ends_what_runs_in_it_and_nothing_else() -> None:
    need_lab()
    namespace = f"olp{os.getpid()}-gone"
    make_namespace(namespace)
    inside = subprocess.Popen(within(namespace, ["sleep", "60"]))
    outside = subprocess.Popen(["sleep", "60"])
    try:
        while inside.pid not in namespace_pids(namespace):
            assert inside.poll() is None
        remove_namespace(namespace)
        assert inside.wait(5) != 0
        assert outside.poll() is None
        assert namespace not in existing_namespaces()
        assert not Path("/run/netns", namespace).exists()
        remove_namespace(namespace)
    finally:
        for process in (inside, outside):
            process.kill()
            process.wait()
