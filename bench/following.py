"""Demand that moves between three pairs of a 20 Mbit/s package: what limits that follow it carry, against an oracle
that knows the demand, with a fixed equal division beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bench.report import Result
from bench.site import Site, running_site

PACKAGE_MBPS = 20
MINIMUM_MBPS = 1
PHASE_S = 20.0
HUB, SPOKES = "us-west-1", ("cn-hangzhou", "cn-shanghai", "cn-shenzhen")
PHASES: Sequence[tuple[int, ...]] = ((0,), (1,), (2,), (0, 1), (1, 2))
"""Who sends as much as it can, phase by phase; the others are idle."""
ORACLE_PROMISE = 0.95
_MBPS = 1_000_000
_DATAGRAM_BYTES = 1_400


_LEAD_S = 2.0
_SENDER = """
import socket, sys, time
target, gap_s, size, windows = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setblocking(False)
for window in windows:
    due, end = map(float, window.split(":"))
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        due += gap_s
        try:
            sender.sendto(bytes(size), (target, 9))
        except OSError:
            pass
"""


@contextlib.contextmanager
def _senders(site: Site, began_s: float) -> Iterator[None]:
    """A sender for each spoke, which sends half as much again as the whole package in its phases.

    The phases begin at `began_s` (monotonic seconds, which all processes share). The receiver's port is closed.
    """
    hosts = {host.region_id: host for host in site.lab.state().hosts}
    gap_s = (_DATAGRAM_BYTES + 28) * 8 / (PACKAGE_MBPS * 1.5 * _MBPS)
    running = []
    try:
        for index, spoke in enumerate(SPOKES):
            windows = [
                f"{began_s + number * PHASE_S}:{began_s + (number + 1) * PHASE_S}"
                for number, active in enumerate(PHASES)
                if index in active
            ]
            argv = ["ip", "netns", "exec", hosts[HUB].namespace, sys.executable, "-c", _SENDER]
            argv += [str(hosts[spoke].address.ip), str(gap_s), str(_DATAGRAM_BYTES), *windows]
            running.append(subprocess.Popen(argv, start_new_session=True))
        yield
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _received_bytes(site: Site) -> int:
    """IP bytes that have arrived at the spokes' hosts."""
    total = 0
    for spoke in SPOKES:
        link = json.loads(site.lab.exec(f"host-{spoke}", ["ip", "-j", "-s", "link", "show", "eth0"]).stdout)[0]
        counted = link["stats64"]["rx"]
        total += counted["bytes"] - 14 * counted["packets"]
    return int(total)


def _run_phases(site: Site) -> tuple[int, ...]:
    """IP bytes that arrived in each phase."""
    began_s = time.monotonic() + _LEAD_S
    counted = []
    with _senders(site, began_s):
        for number in range(len(PHASES) + 1):
            time.sleep(max(0.0, began_s + number * PHASE_S - time.monotonic()))
            counted.append(_received_bytes(site))
    return tuple(after - before for before, after in pairwise(counted))


def _oracle_bytes(active: Sequence[int]) -> float:
    """Who knows the demand gives idle pairs their minimum, and those that send the rest."""
    return (PACKAGE_MBPS - MINIMUM_MBPS * (len(SPOKES) - len(active))) * _MBPS * PHASE_S / 8


def run() -> Result:
    """The table of phases."""
    with running_site(package_mbps=PACKAGE_MBPS) as site:
        for spoke in SPOKES:
            body = {"bandwidth_mbps": MINIMUM_MBPS, "automatic": {"max_mbps": PACKAGE_MBPS}}
            site.client.request("PUT", site.path(HUB, spoke), body=body)
        time.sleep(2)
        following = _run_phases(site)
        for spoke in SPOKES:
            site.set(HUB, spoke, PACKAGE_MBPS // len(SPOKES))
        fixed = _run_phases(site)
    oracle = [_oracle_bytes(active) for active in PHASES]
    rows = [
        (
            " + ".join(SPOKES[index] for index in active),
            f"{ours * 8 / PHASE_S / _MBPS:.2f}",
            f"{theirs * 8 / PHASE_S / _MBPS:.2f}",
            f"{best * 8 / PHASE_S / _MBPS:.2f}",
            f"{ours / best:.3f}",
            f"{theirs / best:.3f}",
        )
        for active, ours, theirs, best in zip(PHASES, following, fixed, oracle, strict=True)
    ]
    whole, whole_fixed = sum(following) / sum(oracle), sum(fixed) / sum(oracle)
    rows.append(("all", "", "", "", f"{whole:.3f}", f"{whole_fixed:.3f}"))
    return Result(
        name="following",
        title=f"Limits that follow a demand that moves every {PHASE_S:.0f} s, {PACKAGE_MBPS} Mbit/s package",
        promise=f"at least {ORACLE_PROMISE:.0%} of what an oracle would carry",
        columns=("sending", "carried Mbit/s", "fixed thirds", "oracle", "of the oracle", "fixed, of the oracle"),
        rows=rows,
        met=ORACLE_PROMISE <= whole <= 1.01,
        notes=("Carried: IP bytes at the receiving hosts over each whole phase, the moments of change included.",),
    )
