"""Numbered packets through two sites, one of them with two gateways, while things break: lost, reordered, the pause."""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.report import Result

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "netns"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sites import made_sites
from two_gateways import LIMIT_MBPS, Pair, power_off, said

DEATHS = 3
_PROMISED_S = 5.0


def run() -> Result:
    """Flows of 1,000 packets a second below the limit."""
    rows: list[tuple[str, ...]] = []
    promises: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="opencen-bench-") as folder, made_sites(Path(folder)) as sites:
        pair = Pair(sites)
        for name, seconds, event in (
            ("ten changes of the limit", 6, _changes),
            ("both agents killed and started", 6, _agents_killed),
            ("the control plane gone for 4 s", 8, _outage),
        ):
            lost, measured, sent = _during(pair, name, seconds, event)
            promises.append((lost, measured["reordered"]) == (0, 0))
            rows.append(_row(name, sent, lost, measured))
        gaps_s = []
        for _ in range(DEATHS):
            active = pair.active()
            lost, measured, sent = _during(pair, "active gateway dies", 9, lambda _, site=active: power_off(pair, site))
            gaps_s.append(measured["longest_gap_s"])
            promises += [0 < gaps_s[-1] < _PROMISED_S, measured["most_bps"] <= LIMIT_MBPS * 1_050_000]
            lost_back, back, sent_back = _during(pair, "it comes back", 5, lambda _, site=active: site.start())
            promises.append((lost_back, back["reordered"]) == (0, 0))
            pair.settled(pair.active())
        rows.append(_row("the active gateway dies (the last of three)", sent, lost, measured))
        rows.append(_row("it comes back, as the standby", sent_back, lost_back, back))
        lost, measured, sent = _during(pair, "an operator changes places", 4, _promote)
        rows.append(_row("an operator changes places", sent, lost, measured))
    return Result(
        name="gateway_faults",
        title="A flow of 1,000 packets a second while things break",
        promise=f"0 lost and reordered, except at failover, which takes less than {_PROMISED_S:g} s; the limit holds",
        columns=("while", "packets sent", "lost", "reordered", "longest pause"),
        rows=rows,
        met=all(promises),
        notes=(
            f"Failover, {DEATHS} times: {min(gaps_s):.2f} s at the least, {statistics.median(gaps_s):.2f} s in the "
            f"median, {max(gaps_s):.2f} s at the most between the last packet through one gateway and the first "
            "through the other.",
        ),
    )


def _during(pair: Pair, what: str, seconds: float, event: Callable[[Pair], object]) -> tuple[int, dict[str, Any], int]:
    flow = pair.flow(seconds)
    time.sleep(1)  # into the flow
    event(pair)
    lost, measured = said(what, flow)
    return lost, measured, lost + int(measured["distinct"])


def _row(name: str, sent: int, lost: int, measured: dict[str, Any]) -> tuple[str, ...]:
    return name, f"{sent}", f"{lost}", f"{measured['reordered']}", f"{measured['longest_gap_s']:.2f} s"


def _changes(pair: Pair) -> None:
    with pair.sites.admin() as client:
        for number in range(10):
            body = {"bandwidth_mbps": (15, LIMIT_MBPS)[number % 2]}
            client.request("PUT", pair.connection_path, body=body)
            pair.sites.wait_active(pair.cen_id)


def _agents_killed(pair: Pair) -> None:
    for site in (pair.active(), pair.hangzhou):
        assert site.process is not None
        site.process.send_signal(signal.SIGKILL)
        site.process.wait()
        site.start()


def _outage(pair: Pair) -> None:
    pair.sites.stop_server()
    time.sleep(4)  # the outage itself
    pair.sites.start_server()


def _promote(pair: Pair) -> None:
    with pair.sites.admin() as client:
        client.post(f"/v1/gateways/{pair.standby().gateway_id}/promote", {})
