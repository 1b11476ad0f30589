"""Demand that moves between three pairs of a 20 Mbit/s package: what limits that follow it carry, against an oracle
that knows the demand, with a fixed equal division beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Carried:
    """IP bytes that arrived in each phase, and the most in any 100 ms over all pairs."""

    phase_bytes: tuple[int, ...]


def _sender(site: Site, spoke: str, rate_mbps: float) -> subprocess.Popen[bytes]:
    """Datagrams to a closed port of the spoke's host: the receiver's interface counts them, nobody answers much."""
    host = next(item for item in site.lab.state().hosts if item.region_id == HUB)
    target = next(item for item in site.lab.state().hosts if item.region_id == spoke)
    program = (
        "import socket,time\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.setblocking(False)\n"
        f"gap={_DATAGRAM_BYTES + 28}*8/{rate_mbps * _MBPS}; due=time.monotonic()\n"
        f"end=due+{PHASE_S * 2}\n"
        "while time.monotonic()<end:\n"
        "    now=time.monotonic()\n"
        "    if now<due: time.sleep(due-now)\n"
        "    due+=gap\n"
        "    try:\n"
        f"        s.sendto(bytes({_DATAGRAM_BYTES}),('{target.ip}',9))\n"
        "    except OSError: pass\n"
    )
    argv = ["ip", "netns", "exec", host.namespace, "python3", "-c", program]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@contextlib.contextmanager
def _sending(site: Site, active: Sequence[int]) -> Iterator[None]:
    """Each active pair is offered half as much again as the whole package."""
    running = [_sender(site, SPOKES[index], PACKAGE_MBPS * 1.5) for index in active]
    try:
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
    carried = []
    for active in PHASES:
        with _sending(site, active):
            before, began = _received_bytes(site), time.monotonic()
            time.sleep(PHASE_S)
            carried.append(int((_received_bytes(site) - before) * PHASE_S / (time.monotonic() - began)))
    return tuple(carried)


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
