"""What hosts receive is what was set: layer-3 bits, at every packet size, in each direction."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from support import TwoRegions, inside, received_bps, require_namespaces, start_inside

pytestmark = pytest.mark.netns

SET_BPS = 10_000_000
WARM_UP_S = 2
MEASURED_S = 10
WINDOWS = 3
LOSS_BASED = "reno"  # BBR, the default of some kernels, paces itself below the limit
EAST, WEST = "east", "west"
# what is measured at once: UDP payload (0: TCP) and direction; two TCP flows against each other share one FIFO with
# each other's acknowledgements, so each direction of TCP has an instance of its own
AT_ONCE = {
    "large": {"cen-tcp-east": (0, EAST), "cen-tcp-west": (0, WEST), "cen-u1472": (1_472, None)},
    "small": {"cen-u200": (200, None), "cen-u64": (64, None)},
}


@pytest.fixture(scope="module")
def regions() -> Iterator[TwoRegions]:
    require_namespaces()
    with TwoRegions([cen_id for flows in AT_ONCE.values() for cen_id in flows]) as made:
        for cen_id in made.instances:
            made.set_rate(cen_id, SET_BPS)
        yield made


def _ends(regions: TwoRegions, cen_id: str, direction: str) -> tuple[str, str, str]:
    """Sender, receiver and the receiver's address."""
    west, east = regions.host(regions.west, cen_id), regions.host(regions.east, cen_id)
    return (west, east, "10.2.0.10") if direction == EAST else (east, west, "10.1.0.10")


def _await_listener(host: str) -> None:
    deadline = time.monotonic() + 5
    while ":5201" not in inside(host, "ss", "-ltn"):
        assert time.monotonic() < deadline, "iperf3 does not listen"
        time.sleep(0.05)


@contextmanager
def _offered(regions: TwoRegions, flows: Sequence[tuple[str, int, str]]) -> Iterator[None]:
    """More traffic than fits, by flow: instance, payload bytes and direction."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for cen_id, _, direction in flows:
            _, receiver, _ = _ends(regions, cen_id, direction)
            processes.append(start_inside(receiver, "iperf3", "-s", "-1"))
        for cen_id, payload_bytes, direction in flows:
            sender, receiver, address = _ends(regions, cen_id, direction)
            _await_listener(receiver)
            offered_bps = int(SET_BPS * 1.1 * payload_bytes / (payload_bytes + 28))
            shape = ["-u", "-l", str(payload_bytes), "-b", str(offered_bps)] if payload_bytes else ["-C", LOSS_BASED]
            seconds = str(WARM_UP_S + WINDOWS * (MEASURED_S + 1))
            processes.append(start_inside(sender, "iperf3", "-c", address, "-t", seconds, *shape))
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("name", AT_ONCE)
def test_the_set_rate_is_received_within_one_percent_in_each_direction(regions: TwoRegions, name: str) -> None:
    flows = [
        (cen_id, payload_bytes, way)
        for cen_id, (payload_bytes, direction) in AT_ONCE[name].items()
        for way in ((direction,) if direction else (EAST, WEST))
    ]
    receivers = [_ends(regions, cen_id, direction)[1] for cen_id, _, direction in flows]
    seen = []
    with _offered(regions, flows):
        time.sleep(WARM_UP_S)
        # another process on this machine can only take time away: never may a window show too much, one must fit
        for _ in range(WINDOWS):
            seen.append({host: bps / SET_BPS for host, bps in received_bps(receivers, MEASURED_S).items()})
            assert max(seen[-1].values()) <= 1.01, seen
            best = {host: max(ratios[host] for ratios in seen) for host in receivers}
            if min(best.values()) >= 0.99:
                break
    print(name, [{host[-12:]: round(ratio, 4) for host, ratio in ratios.items()} for ratios in seen])
    assert min(best.values()) >= 0.99, seen
