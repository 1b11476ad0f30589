"""Bandwidth that follows the traffic: what the automatic connections of a package should be limited to now. Pure.

An automatic connection is guaranteed its minimum, which is allocated like any bandwidth that is set; what the package
has beyond all that is allocated is divided among the automatic ones. Rates are bit/s, whole kbit/s, a direction each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opencen.domain.bandwidth import MBPS
from opencen.domain.fairness import Claim, divide, spread

Key = tuple[str, str, str]
UNIT_BPS = 1_000
SATURATED = 0.9
"""From this part of its limit on, a connection may want any amount more: the limit holds it back."""
HEADROOM = 1.25
SPARE_BPS = 100_000
"""What a connection may grow at once, above what it uses, before the next decision."""
HYSTERESIS = 0.05
"""A change of less than this part of a limit is not worth a change in the kernels."""


@dataclass(frozen=True, slots=True)
class Follower:
    """An automatic connection, as it is now."""

    key: Key
    minimum_bps: int
    maximum_bps: int
    weight: int
    limit_bps: int
    used_bps: int | None = None
    """What passes in the busier direction; None when no meter has told lately."""
    held_back: bool = False
    """Packets wait or were dropped by the limit."""

    @property
    def name(self) -> str:
        return f"{self.key[1]} - {self.key[2]}"


@dataclass(frozen=True, slots=True)
class Decision:
    """A new limit, and why in one sentence."""

    key: Key
    before_bps: int
    after_bps: int
    wanted_bps: int
    why: str


def wanted_bps(follower: Follower) -> int:
    """What a connection would use if nothing held it back, within its maximum.

    A meter that is silent is no reason to change anything: the present limit is wanted.
    """
    if follower.used_bps is None:
        wanted = follower.limit_bps
    elif follower.held_back or follower.used_bps >= SATURATED * follower.limit_bps:
        wanted = follower.maximum_bps
    else:
        wanted = int(follower.used_bps * HEADROOM) + SPARE_BPS
    return min(max(wanted, follower.minimum_bps), follower.maximum_bps)


def follow(bandwidth_mbps: int, allocated_mbps: int, followers: Sequence[Follower]) -> list[Decision]:
    """The limits that should change. Their sum never exceeds what the package has beside its manual connections.

    `allocated_mbps` is all that is allocated out of the package, the minimums of the automatic ones included.
    """
    if not followers:
        return []
    spare_bps = (bandwidth_mbps - allocated_mbps) * MBPS
    capacity = (spare_bps + sum(follower.minimum_bps for follower in followers)) // UNIT_BPS
    claims = [
        Claim(item.key, item.minimum_bps // UNIT_BPS, wanted_bps(item) // UNIT_BPS, item.weight) for item in followers
    ]
    maximums = {item.key: item.maximum_bps // UNIT_BPS for item in followers}
    shares = spread(capacity, divide(capacity, claims), claims, maximums)
    limits = {key: share * UNIT_BPS for key, share in shares.items()}
    steady = {item.key: item.limit_bps if _is_small(item, limits[item.key]) else limits[item.key] for item in followers}
    if sum(steady.values()) <= capacity * UNIT_BPS:
        limits = steady
    return [_decision(item, limits[item.key], followers) for item in followers if limits[item.key] != item.limit_bps]


def _is_small(follower: Follower, after_bps: int) -> bool:
    within = follower.minimum_bps <= follower.limit_bps <= follower.maximum_bps
    return within and abs(after_bps - follower.limit_bps) < max(HYSTERESIS * follower.limit_bps, SPARE_BPS)


def _decision(follower: Follower, after_bps: int, followers: Sequence[Follower]) -> Decision:
    wanted = wanted_bps(follower)
    if follower.used_bps is None:
        reason = "its meters are silent"
    elif wanted == follower.maximum_bps and follower.used_bps < wanted:
        reason = f"uses {_mbps(follower.used_bps)} and is held back"
    else:
        reason = f"uses {_mbps(follower.used_bps)}"
    if after_bps > follower.limit_bps:
        others = [item for item in followers if item.key != follower.key and wanted_bps(item) < item.limit_bps]
        idle_bps = sum(item.limit_bps - wanted_bps(item) for item in others)
        if others:
            reason += f"; {_mbps(idle_bps)} idle at {', '.join(item.name for item in others[:3])}"
    elif wanted >= follower.limit_bps:
        reason += "; others want their share"
    change = f"{follower.name} {_mbps(follower.limit_bps)} -> {_mbps(after_bps)} Mbit/s"
    return Decision(follower.key, follower.limit_bps, after_bps, wanted, f"{change}: {reason}")


def _mbps(rate_bps: int) -> str:
    return f"{rate_bps / MBPS:.3g}"


def make_room(room_bps: int, followers: Sequence[Follower]) -> dict[Key, int]:
    """Lower limits, when what is allocated has grown, so that they sum to at most `room_bps`; minimums are kept.

    Raises ValueError when the minimums alone do not fit.
    """
    if sum(item.limit_bps for item in followers) <= room_bps:
        return {}
    claims = [
        Claim(item.key, item.minimum_bps // UNIT_BPS, item.limit_bps // UNIT_BPS, item.weight) for item in followers
    ]
    shares = divide(room_bps // UNIT_BPS, claims)
    return {
        item.key: shares[item.key] * UNIT_BPS for item in followers if shares[item.key] * UNIT_BPS != item.limit_bps
    }
