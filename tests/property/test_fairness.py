"""The division of a package against an independent optimiser, and against its own promises."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from opencen.domain.fairness import Claim, divide, spread


@st.composite
def divisions(draw: st.DrawFn) -> tuple[int, list[Claim[int]]]:
    """A capacity that covers the minimums, and claims on it."""
    count = draw(st.integers(1, 8))
    claims = [
        Claim(key, draw(st.integers(0, 50)), draw(st.integers(0, 400)), draw(st.integers(1, 5))) for key in range(count)
    ]
    capacity = sum(claim.minimum for claim in claims) + draw(st.integers(0, 600))
    return capacity, claims


def optimal_levels(capacity: int, claims: list[Claim[int]]) -> dict[int, float]:
    """Weighted max-min by a sequence of linear programmes: raise the least of share/weight as far as it goes, fix
    those who cannot go higher, and raise the rest. A guaranteed minimum above its level is no reason to stop.
    """
    fixed: dict[int, float] = {}
    while len(fixed) < len(claims):
        free = [claim for claim in claims if claim.key not in fixed]
        room = capacity - sum(fixed.values())
        best = _raise(room, free)
        fixed |= {
            claim.key: min(claim.most, max(claim.minimum, best * claim.weight))
            for claim in free
            if _most_of(claim, room, free, best) <= max(claim.minimum, best * claim.weight) + 1e-5
        }
    return fixed


def _raise(room: float, free: list[Claim[int]]) -> float:
    """The highest common level t for which every share is at least weight * t, in what room there is."""
    # variables: the share of each claim, then t, which is maximised
    rows = [[-1.0 if i == j else 0.0 for j in range(len(free))] + [float(c.weight)] for i, c in enumerate(free)]
    rows.append([1.0] * len(free) + [0.0])
    bounds = [(float(claim.minimum), float(claim.most)) for claim in free] + [(0.0, None)]
    return float(_solved([0.0] * len(free) + [-1.0], rows, [0.0] * len(free) + [room + 1e-7], bounds)[-1])


def _most_of(claim: Claim[int], room: float, free: list[Claim[int]], level: float) -> float:
    """The most that one can have while all other free ones keep the level."""
    least = [min(float(other.most), max(float(other.minimum), level * other.weight)) for other in free]
    bounds = [(low, float(other.most)) for low, other in zip(least, free, strict=True)]
    cost = [-1.0 if other is claim else 0.0 for other in free]
    return float(_solved(cost, [[1.0] * len(free)], [room + 1e-6], bounds)[free.index(claim)])


def _solved(cost: list[float], rows: list[list[float]], limits: list[float], bounds: list[Any]) -> Any:
    found = linprog(cost, A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
    assert found.status == 0, found.message
    return found.x


@settings(max_examples=150, deadline=None)
@given(divisions())
def test_shares_are_max_min_fair_as_a_linear_programme_finds_them(division: tuple[int, list[Claim[int]]]) -> None:
    capacity, claims = division
    shares, best = divide(capacity, claims), optimal_levels(capacity, claims)
    for claim in claims:
        assert shares[claim.key] == pytest.approx(best[claim.key], abs=1.001), claim


@settings(max_examples=500)
@given(divisions())
def test_minimums_are_kept_and_the_capacity_is_used_exactly(division: tuple[int, list[Claim[int]]]) -> None:
    capacity, claims = division
    shares = divide(capacity, claims)
    assert all(claim.minimum <= shares[claim.key] <= claim.most for claim in claims)
    assert sum(shares.values()) == min(capacity, sum(claim.most for claim in claims))


@settings(max_examples=500)
@given(divisions())
def test_nobody_starves_while_another_could_give(division: tuple[int, list[Claim[int]]]) -> None:
    """Whoever wants more has no less, by weight, than anybody who has more than its minimum; but for a unit."""
    capacity, claims = division
    shares = divide(capacity, claims)
    for poor in (claim for claim in claims if shares[claim.key] < claim.most):
        for rich in (claim for claim in claims if shares[claim.key] > claim.minimum):
            assert shares[poor.key] + 1 >= (shares[rich.key] - 1) * poor.weight / rich.weight


@settings(max_examples=300)
@given(divisions(), st.integers(0, 400))
def test_what_nobody_wants_is_spread_and_never_taken_from_a_demand(
    division: tuple[int, list[Claim[int]]], extra: int
) -> None:
    capacity, claims = division
    shares = divide(capacity, claims)
    maximums = {claim.key: claim.most + extra for claim in claims}
    whole = spread(capacity, shares, claims, maximums)
    assert all(shares[key] <= whole[key] <= maximums[key] for key in shares)
    assert sum(whole.values()) == min(capacity, sum(maximums.values()))


def test_minimums_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="minimums sum to 30"):
        divide(20, [Claim("a", 15, 0), Claim("b", 15, 0)])


def test_ten_thousand_connections_are_divided_in_under_a_third_of_a_second() -> None:
    chance = random.Random(7)
    claims = [
        Claim(key, chance.randrange(1_000), chance.randrange(100_000), chance.randrange(1, 10)) for key in range(10_000)
    ]
    capacity = sum(claim.minimum for claim in claims) + 100_000_000
    began = time.process_time()
    shares = divide(capacity, claims)
    assert time.process_time() - began < 0.3
    assert sum(shares.values()) == capacity
