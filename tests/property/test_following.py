"""Limits that follow the traffic: the package holds whatever meters say, guarantees are kept, and demand is served."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from opencen.domain.bandwidth import MBPS
from opencen.domain.following import Decision, Follower, follow, make_room, wanted_bps

A, B, C = (("cen", "us-west-1", region_id) for region_id in ("z-a", "z-b", "z-c"))


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, int, list[Follower]]:
    """A package, what is allocated out of it, and its automatic connections with any limits and any figures."""
    followers = []
    for number in range(draw(st.integers(1, 5))):
        minimum = draw(st.integers(1, 5))
        maximum = minimum + draw(st.integers(0, 30))
        used = draw(st.none() | st.integers(0, 40 * MBPS))
        key = ("cen", "us-west-1", f"z-{number}")
        limit = draw(st.integers(0, 30_000)) * 1000
        followers.append(
            Follower(key, minimum * MBPS, maximum * MBPS, draw(st.integers(1, 4)), limit, used, draw(st.booleans()))
        )
    manual = draw(st.integers(0, 20))
    allocated = manual + sum(item.minimum_bps for item in followers) // MBPS
    return allocated + draw(st.integers(0, 40)), allocated, followers


def after(followers: list[Follower], decisions: list[Decision]) -> dict[tuple[str, str, str], int]:
    return {item.key: item.limit_bps for item in followers} | {item.key: item.after_bps for item in decisions}


@settings(max_examples=1000)
@given(situations())
def test_the_package_holds_and_guarantees_are_kept(situation: tuple[int, int, list[Follower]]) -> None:
    bandwidth, allocated, followers = situation
    limits = after(followers, follow(bandwidth, allocated, followers))
    manual = allocated * MBPS - sum(item.minimum_bps for item in followers)
    assert sum(limits.values()) + manual <= bandwidth * MBPS
    for item in followers:
        assert item.minimum_bps <= limits[item.key] <= item.maximum_bps
        assert limits[item.key] % 1000 == 0


@settings(max_examples=500)
@given(situations())
def test_it_comes_to_rest(situation: tuple[int, int, list[Follower]]) -> None:
    """With the same demand, decisions end: no flapping."""
    bandwidth, allocated, followers = situation
    steady = [replace(item, used_bps=0, held_back=False) for item in followers]
    for _ in range(3):
        limits = after(steady, follow(bandwidth, allocated, steady))
        steady = [replace(item, limit_bps=limits[item.key]) for item in steady]
    assert follow(bandwidth, allocated, steady) == []


@settings(max_examples=500)
@given(situations(), st.integers(0, 60))
def test_room_is_made_without_touching_minimums(situation: tuple[int, int, list[Follower]], extra: int) -> None:
    _, _, followers = situation
    followers = [replace(item, limit_bps=max(item.limit_bps, item.minimum_bps)) for item in followers]
    room = sum(item.minimum_bps for item in followers) + extra * MBPS
    limits = {item.key: item.limit_bps for item in followers} | make_room(room, followers)
    assert sum(limits.values()) <= room or sum(item.limit_bps for item in followers) <= room
    assert all(item.minimum_bps <= limits[item.key] <= item.limit_bps for item in followers)


def automatic(key: tuple[str, str, str], limit_mbps: float, used_mbps: float | None, weight: int = 1) -> Follower:
    used = None if used_mbps is None else int(used_mbps * MBPS)
    return Follower(key, MBPS, 20 * MBPS, weight, int(limit_mbps * MBPS), used)


def test_who_is_held_back_gets_what_others_leave_idle_and_is_told_why() -> None:
    followers = [automatic(A, 6, 5.9), automatic(B, 7, 0.4), automatic(C, 7, 0.4)]
    decisions = {item.key: item for item in follow(20, 3, followers)}
    assert decisions[A].after_bps == 18_000_000
    assert decisions[B].after_bps == decisions[C].after_bps == 1_000_000
    assert decisions[A].why == (
        "us-west-1 - z-a 6 -> 18 Mbit/s: uses 5.9 and is held back; 12 idle at us-west-1 - z-b, us-west-1 - z-c"
    )


def test_all_who_are_held_back_share_by_weight() -> None:
    followers = [automatic(A, 5, 5, weight=3), automatic(B, 5, 5), automatic(C, 5, 0)]
    limits = after(followers, follow(20, 3, followers))
    assert limits == {A: 14_250_000, B: 4_750_000, C: 1_000_000}


def test_manual_connections_are_left_what_they_are_set_to() -> None:
    followers = [automatic(A, 1, 1), automatic(B, 1, 1)]
    assert sum(after(followers, follow(20, 12, followers)).values()) == 10_000_000


def test_silent_meters_change_nothing() -> None:
    followers = [automatic(A, 15, None), automatic(B, 5, None)]
    assert follow(20, 2, followers) == []
    assert wanted_bps(followers[0]) == 15_000_000


def test_a_small_difference_is_left_alone() -> None:
    followers = [automatic(A, 10.2, 9.9), automatic(B, 9.8, 9.7)]
    assert follow(20, 2, followers) == []
