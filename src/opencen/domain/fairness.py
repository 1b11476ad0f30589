"""Weighted max-min fairness with guarantees: how a package's bandwidth is divided among those who want it. Pure.

Everybody has its minimum first. What is left raises the least served, in proportion to the weights, until it has what
it demands or its maximum, or nothing is left (progressive filling). Amounts are whole units of any size; what the
division leaves over is handed out one unit at a time, so that the shares sum to the capacity exactly where the demand
exceeds it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Claim(Generic[K]):
    """`wanted` is met as far as fairness allows; `minimum` is guaranteed, whatever is wanted."""

    key: K
    minimum: int
    wanted: int
    weight: int = 1

    @property
    def most(self) -> int:
        return max(self.minimum, self.wanted)


def divide(capacity: int, claims: Sequence[Claim[K]]) -> dict[K, int]:
    """The shares. Raises ValueError when the minimums alone exceed the capacity, or a weight is not positive."""
    guaranteed = sum(claim.minimum for claim in claims)
    if guaranteed > capacity:
        raise ValueError(f"the minimums sum to {guaranteed}, more than {capacity}")
    if any(claim.weight <= 0 for claim in claims):
        raise ValueError("a weight is positive")
    if sum(claim.most for claim in claims) <= capacity:
        return {claim.key: claim.most for claim in claims}
    level = _water_level(capacity, claims)
    shares = {claim.key: _share(claim, level) for claim in claims}
    _hand_out(capacity - sum(shares.values()), claims, shares, level)
    return shares


@dataclass(frozen=True, slots=True)
class _Level:
    """Units for each unit of weight, as an exact fraction."""

    numerator: int
    denominator: int

    def of(self, weight: int) -> tuple[int, int]:
        """Whole units at this level, and what is left of another one, in parts of the denominator."""
        return divmod(self.numerator * weight, self.denominator)


def _share(claim: Claim[K], level: _Level) -> int:
    return min(claim.most, max(claim.minimum, level.of(claim.weight)[0]))


def _water_level(capacity: int, claims: Sequence[Claim[K]]) -> _Level:
    """The level at which the shares, min(most, max(minimum, level * weight)), use the capacity up.

    Their sum grows piecewise with the level: a claim joins at minimum/weight and is satisfied at most/weight. All is
    reckoned in parts of a common multiple of the weights, so that it stays whole.
    """
    scale = lcm(*{claim.weight for claim in claims})
    events = sorted(
        event
        for claim in claims
        for event in (
            (claim.minimum * (scale // claim.weight), claim.weight),
            (claim.most * (scale // claim.weight), -claim.weight),
        )
    )
    left = (capacity - sum(claim.minimum for claim in claims)) * scale
    level, slope = 0, 0
    for at, change in events:
        more = slope * (at - level)
        if slope and more >= left:
            return _Level(level * slope + left, slope * scale)
        left -= more
        level, slope = at, slope + change
    return _Level(level, scale)


def _hand_out(left: int, claims: Sequence[Claim[K]], shares: dict[K, int], level: _Level) -> None:
    """What rounding down left over, a unit each, to those whom it cost most."""
    cost = {
        claim.key: rest
        for claim in claims
        for whole, rest in (level.of(claim.weight),)
        if rest and claim.minimum <= whole < claim.most
    }
    for key in sorted(cost, key=cost.__getitem__, reverse=True)[:left]:
        shares[key] += 1


def spread(
    capacity: int, shares: Mapping[K, int], claims: Sequence[Claim[K]], maximums: Mapping[K, int]
) -> dict[K, int]:
    """Shares that leave nothing idle: what nobody demands is spread by weight, up to each one's maximum."""
    if sum(shares.values()) >= capacity:
        return dict(shares)
    return divide(capacity, [Claim(c.key, shares[c.key], maximums[c.key], c.weight) for c in claims])
