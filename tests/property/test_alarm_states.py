"""When an alarm is raised and cleared, against a second, slow model that looks at all points at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opencen.domain import alarms
from opencen.domain.alarms import GAP_S, Condition, Point, State, Watch

START = datetime(2026, 11, 1, tzinfo=UTC)
HIGH, BETWEEN, LOW = 90.0, 75.0, 10.0

conditions = st.builds(
    Condition,
    raise_at=st.just(80),
    raise_for_s=st.sampled_from([0, 10, 60, 300]),
    clear_at=st.sampled_from([80, 70]),
    clear_for_s=st.sampled_from([0, 30, 120]),
)
steps_s = st.one_of(st.integers(1, 30), st.sampled_from([60, 61, 300]))
"""Between points: mostly as gateways report, sometimes just within the gap that is bridged, or beyond it."""
values = st.sampled_from([HIGH, HIGH, BETWEEN, LOW, LOW])


@st.composite
def arrivals(draw: st.DrawFn) -> list[Point]:
    """Points as they arrive: some late, some twice."""
    now, points = START, []
    for step_s, value in draw(st.lists(st.tuples(steps_s, values), max_size=60)):
        now += timedelta(seconds=step_s)
        points.append(Point(now, value))
    for place, back in draw(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 5)), max_size=8)):
        if 0 < place < len(points):
            late = points.pop(place - 1)
            points.insert(min(place - 1 + back, len(points)), late)
    for place in draw(st.lists(st.integers(0, 59), max_size=4)):
        if place < len(points):
            points.insert(place, points[place])
    return points


def naive(condition: Condition, points: Sequence[Point]) -> list[State]:
    """The state after each arrival, by looking back over everything that counts."""
    counted: list[Point] = []
    state, changed_after, states = State.CLEAR, 0, []
    for point in points:
        if not counted or point.at > counted[-1].at:
            counted.append(point)
            wants_s = condition.raise_for_s if state is State.CLEAR else condition.clear_for_s
            for first in range(changed_after, len(counted)):
                run = counted[first:]
                high = all(each.value >= condition.raise_at for each in run)
                low = all(each.value < condition.clear_at for each in run)
                seams = itertools.pairwise(run)
                whole = all((after.at - before.at).total_seconds() <= GAP_S for before, after in seams)
                long_enough = (run[-1].at - run[0].at).total_seconds() >= wants_s
                if whole and long_enough and (high if state is State.CLEAR else low):
                    state = State.RAISED if state is State.CLEAR else State.CLEAR
                    changed_after = len(counted)
                    break
        states.append(state)
    return states


@given(conditions, arrivals())
def test_the_state_is_what_all_points_together_say(condition: Condition, points: list[Point]) -> None:
    watch, states = Watch(), []
    for point in points:
        watch = alarms.step(condition, watch, point)
        states.append(watch.state)
    assert states == naive(condition, points)


def run(condition: Condition, *points: tuple[int, float]) -> list[State]:
    """The state after each of (second, value)."""
    watch, states = Watch(), []
    for second, value in points:
        watch = alarms.step(condition, watch, Point(START + timedelta(seconds=second), value))
        states.append(watch.state)
    return states


def test_a_short_peak_raises_nothing_and_a_short_lull_clears_nothing() -> None:
    condition = Condition(80, 30, 70, 30)
    up, down = State.RAISED, State.CLEAR
    assert run(condition, (0, 90), (20, 90), (25, 60), (40, 90), (65, 90), (71, 90)) == [down] * 5 + [up]
    raised = ((0, 90), (30, 90))
    assert run(condition, *raised, (40, 60), (60, 75), (80, 60), (100, 60), (110, 60)) == [
        down,
        up,
        up,
        up,
        up,
        up,
        down,
    ]


def test_what_is_not_known_neither_raises_nor_clears() -> None:
    condition = Condition(80, 30, 70, 30)
    assert run(condition, (0, 90), (300, 90))[-1] is State.CLEAR
    assert run(condition, (0, 90), (30, 90), (40, 10), (400, 10))[-1] is State.RAISED


@given(st.integers(1, 400), st.integers(0, 86_400))
def test_a_message_is_tried_ever_more_slowly_for_a_day(attempts: int, age_s: int) -> None:
    created_at = START
    now = created_at + timedelta(seconds=age_s)
    at = alarms.next_attempt_at(attempts, created_at, now)
    wait_s = min(5 * 2 ** (attempts - 1), 3600)
    assert at == (None if age_s + wait_s > 86_400 else now + timedelta(seconds=wait_s))
