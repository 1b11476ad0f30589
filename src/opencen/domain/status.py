"""Status tells the truth (design, rule 6): what a region connection may call itself, from what gateways said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from opencen.domain.wanted import TEST_RATE_BPS

LIVE_WITHIN = timedelta(seconds=10)
WAITED_FOR_WITHIN = timedelta(seconds=30)


class Liveness(StrEnum):
    """How lately a region's gateway was heard from."""

    ABSENT = "absent"
    LIVE = "live"
    LATE = "late"
    SILENT = "silent"


class ConnectionStatus(StrEnum):
    MODIFYING = "Modifying"
    ACTIVE = "Active"


class Enforcement(StrEnum):
    """Whether kernels hold the limit: CONFIRMED by every gateway, UNCONFIRMED because one is silent, PENDING while a
    live one has not acknowledged, NONE where nothing can enforce it."""

    CONFIRMED = "confirmed"
    PENDING = "pending"
    UNCONFIRMED = "unconfirmed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a connection: the region's active gateway and what its kernel has (`in_kernel_bps` None: no tunnel).

    A standby gateway passes nothing, so nobody waits for it.
    """

    region_id: str
    has_network: bool
    gateway_id: str | None = None
    liveness: Liveness = Liveness.ABSENT
    in_kernel_bps: int | None = None
    acknowledged: bool = False
    """The gateway has reported on the latest change of this link."""
    error: str | None = None
    former: str | None = None
    """Why the gateway, which has just become the active one, waits for its rate."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: ConnectionStatus
    enforcement: Enforcement
    reasons: tuple[str, ...] = ()


def liveness(last_seen_at: datetime | None, now: datetime) -> Liveness:
    """LIVE within 10 s, LATE within 30 s, then SILENT."""
    if last_seen_at is None:
        return Liveness.SILENT
    age = now - last_seen_at
    if age <= LIVE_WITHIN:
        return Liveness.LIVE
    return Liveness.LATE if age <= WAITED_FOR_WITHIN else Liveness.SILENT


def connection_verdict(
    wanted_bps: int, granted_bps: int, sides: Sequence[Side], holders: Sequence[str] = ()
) -> Verdict:
    """What to say of a connection set to `wanted_bps`, of which gateways have been told `granted_bps`.

    `holders` says, a sentence each, which gateways still hold what it waits for.
    """
    no_network = [
        f"{side.region_id} has no network attached: nothing to carry" for side in sides if not side.has_network
    ]
    if no_network:
        return Verdict(ConnectionStatus.ACTIVE, Enforcement.NONE, tuple(no_network))
    absent = [
        f"{side.region_id} has no gateway: nothing enforces it there"
        for side in sides
        if side.liveness is Liveness.ABSENT
    ]
    if absent:
        return Verdict(ConnectionStatus.ACTIVE, Enforcement.NONE, tuple(absent))
    silent = [
        f"enforcement unconfirmed: gateway {side.gateway_id} of {side.region_id} is silent"
        for side in sides
        if side.liveness is Liveness.SILENT
    ]
    pending = [
        reason for side in sides if side.liveness is not Liveness.SILENT for reason in _pending(side, wanted_bps)
    ]
    if granted_bps != wanted_bps:
        pending = [*(holders or ["waits for its turn to grow"]), *pending]
    if pending:
        return Verdict(ConnectionStatus.MODIFYING, Enforcement.PENDING, (*pending, *silent))
    if silent:
        return Verdict(ConnectionStatus.ACTIVE, Enforcement.UNCONFIRMED, tuple(silent))
    return Verdict(ConnectionStatus.ACTIVE, Enforcement.CONFIRMED)


def _pending(side: Side, wanted_bps: int) -> list[str]:
    if side.error:
        return [f"gateway {side.gateway_id} of {side.region_id}: {side.error}"]
    if side.former:
        return [side.former]
    if side.in_kernel_bps == (wanted_bps or TEST_RATE_BPS) and side.acknowledged:
        return []
    return [f"gateway {side.gateway_id} of {side.region_id} has not acknowledged yet"]
