"""What a package should have been: percentiles against a naive count, and a forecast against a line that is known."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opencen.domain.bandwidth import MBPS
from opencen.domain.sizing import Demand, full_on, rank, size

DAY = date(2026, 3, 1)


def demand(name: str, used_mbps: list[float | None], set_mbps: int = 10, dropped: int = 0) -> Demand:
    used = [None if mbps is None else int(mbps * MBPS) for mbps in used_mbps]
    return Demand(name, set_mbps, used, [number < dropped for number in range(len(used))])


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=60), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[int], percentile: int) -> None:
    found = rank(values, percentile)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percentile * len(values)
    for less in (value for value in values if value < found):
        assert 100 * sum(value <= less for value in values) < percentile * len(values)


@st.composite
def spans(draw: st.DrawFn) -> list[Demand]:
    length = draw(st.integers(1, 20))
    used = st.none() | st.floats(0, 50)
    return [
        demand(f"pair-{number}", draw(st.lists(used, min_size=length, max_size=length)))
        for number in range(draw(st.integers(1, 5)))
    ]


@given(spans(), st.sampled_from([50, 90, 95, 99, 100]))
def test_a_suggested_size_serves_as_much_as_it_says(demands: list[Demand], percentile: int) -> None:
    """Counted the naive way: interval by interval."""
    found = size(20, demands, percentile, {})
    shared = next(item.shared_mbps for item in found.sizes if item.percentile == percentile)
    metered = [row for row in zip(*(item.used_bps for item in demands), strict=True) if set(row) != {None}]
    served = sum(sum(used or 0 for used in row) <= shared * MBPS for row in metered)
    assert 100 * served >= percentile * len(metered)
    for share, item in zip(found.shares, demands, strict=True):
        known = [used for used in item.used_bps if used is not None]
        assert 100 * share.served * len(known) >= percentile * len(known) - 1e-6
    for item in found.sizes[-1:]:  # all of the traffic: a divided package is never smaller than a shared one
        assert item.divided_mbps >= item.shared_mbps


def test_pairs_that_are_busy_at_different_times_need_less_together() -> None:
    night, day = demand("night", [18, 18, 1, 1]), demand("day", [1, 1, 18, 18])
    found = size(40, [night, day], 100, {})
    assert (found.sizes[-1].shared_mbps, found.sizes[-1].divided_mbps) == (19, 36)
    assert found.mean_bps == 19 * MBPS
    assert found.unused_bps == 21 * MBPS


def test_a_limit_that_dropped_packets_is_said() -> None:
    share = size(20, [demand("held", [10, 10, 2, 1], dropped=2)], 95, {}).shares[0]
    assert (share.held_back, share.peak_bps, share.set_mbps) == (0.5, 10 * MBPS, 10)


def test_nothing_metered_suggests_the_least_and_no_more() -> None:
    found = size(20, [demand("new", [None, None])], 95, {})
    assert (found.intervals, found.shares[0].suggested_mbps, found.sizes[0].shared_mbps) == (0, 1, 2)


def test_a_growing_traffic_fills_the_package_on_a_day_that_is_foreseen() -> None:
    grows = {DAY + timedelta(days=day): (10 + day) * MBPS for day in range(8)}
    assert full_on(30, grows) == DAY + timedelta(days=20)
    assert full_on(12, grows) == DAY + timedelta(days=7), "it is full already"
    assert full_on(30, dict.fromkeys(grows, 10 * MBPS)) is None, "it does not grow"
    assert full_on(30, dict(list(grows.items())[:6])) is None, "too few days"
