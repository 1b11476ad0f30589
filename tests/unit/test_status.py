"""What a region connection says of itself, by what its gateways said and how lately."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opencen.domain.status import ConnectionStatus, Enforcement, Liveness, Side, connection_verdict, liveness

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SET_BPS = 10_000_000
DONE = Side("cn-hangzhou", True, "gw-a", Liveness.LIVE, SET_BPS, acknowledged=True)
PEER = replace(DONE, region_id="us-west-1", gateway_id="gw-b")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, Liveness.LIVE), (10, Liveness.LIVE), (11, Liveness.LATE), (30, Liveness.LATE), (31, Liveness.SILENT)],
)
def test_live_is_heard_from_within_ten_seconds_and_silent_is_more_than_thirty(seconds: int, expected: Liveness) -> None:
    assert liveness(NOW - timedelta(seconds=seconds), NOW) is expected


def test_a_gateway_that_was_never_heard_from_is_silent() -> None:
    assert liveness(None, NOW) is Liveness.SILENT


@pytest.mark.parametrize(
    ("side", "status", "enforcement", "said"),
    [
        (PEER, ConnectionStatus.ACTIVE, Enforcement.CONFIRMED, ""),
        (replace(PEER, acknowledged=False), ConnectionStatus.MODIFYING, Enforcement.PENDING, "gw-b of us-west-1"),
        (replace(PEER, in_kernel_bps=5_000_000), ConnectionStatus.MODIFYING, Enforcement.PENDING, "not acknowledged"),
        (replace(PEER, in_kernel_bps=None), ConnectionStatus.MODIFYING, Enforcement.PENDING, "not acknowledged"),
        (replace(PEER, error="no htb"), ConnectionStatus.MODIFYING, Enforcement.PENDING, "no htb"),
        (
            replace(PEER, liveness=Liveness.LATE, in_kernel_bps=1),
            ConnectionStatus.MODIFYING,
            Enforcement.PENDING,
            "not acknowledged",
        ),
        (
            replace(PEER, liveness=Liveness.SILENT, in_kernel_bps=1),
            ConnectionStatus.ACTIVE,
            Enforcement.UNCONFIRMED,
            "enforcement unconfirmed: gateway gw-b",
        ),
        (
            replace(PEER, liveness=Liveness.ABSENT, gateway_id=None),
            ConnectionStatus.ACTIVE,
            Enforcement.NONE,
            "us-west-1 has no gateway",
        ),
        (replace(PEER, has_network=False), ConnectionStatus.ACTIVE, Enforcement.NONE, "no network attached"),
    ],
)
def test_the_other_side_decides(side: Side, status: ConnectionStatus, enforcement: Enforcement, said: str) -> None:
    verdict = connection_verdict(SET_BPS, SET_BPS, (DONE, side))
    assert (verdict.status, verdict.enforcement) == (status, enforcement)
    assert said in "; ".join(verdict.reasons)


def test_a_growth_that_is_not_granted_yet_says_who_still_holds_what() -> None:
    holder = "gateway gw-c of cn-shanghai still holds 6 Mbit/s of cn-shanghai - us-west-1"
    verdict = connection_verdict(SET_BPS, 0, (DONE, PEER), [holder])
    assert verdict.status is ConnectionStatus.MODIFYING
    assert verdict.reasons[0] == holder
