"""When a standby gateway takes over: judged by silence on the arbiter's own clock alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opencen.domain.failover import (
    HEARD_WITHIN_S,
    PREFERRED_AFTER_S,
    SILENT_AFTER_S,
    Member,
    Watch,
    succession,
)
from opencen.gateway.follow import HEARTBEAT_S

TICK_S = 0.25


def _pair(
    active_silent_s: float, standby_silent_s: float, *, steady_s: float = 0.0, preferred: bool = False
) -> list[Member]:
    return [
        Member("gw-a", True, False, active_silent_s, 100.0),
        Member("gw-b", False, preferred, standby_silent_s, steady_s),
    ]


def test_a_standby_that_is_heard_takes_over_from_a_silent_one() -> None:
    decision = succession(_pair(SILENT_AFTER_S, 0.3))
    assert decision is not None
    assert (decision.gateway_id, decision.from_gateway_id, decision.reason) == ("gw-b", "gw-a", "not heard for 2.5 s")


def test_nobody_takes_over_while_the_active_one_is_heard_or_the_standby_is_not() -> None:
    assert succession(_pair(SILENT_AFTER_S - 0.1, 0.3)) is None
    assert succession(_pair(10.0, HEARD_WITHIN_S + 0.1)) is None
    assert succession(_pair(10.0, 0.0)[:1]) is None


def test_the_preferred_one_takes_over_again_once_it_has_been_steady() -> None:
    assert succession(_pair(0.3, 0.3, steady_s=PREFERRED_AFTER_S - 1, preferred=True)) is None
    assert succession(_pair(0.3, 0.3, steady_s=PREFERRED_AFTER_S)) is None, "nobody is preferred"
    decision = succession(_pair(0.3, 0.3, steady_s=PREFERRED_AFTER_S, preferred=True))
    assert decision is not None
    assert decision.gateway_id == "gw-b"


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from((TICK_S, TICK_S, TICK_S, 5.0))), max_size=80))
def test_silence_is_what_an_arbiter_that_never_stood_still_has_not_heard(
    looks: list[tuple[bool, bool, float]],
) -> None:
    """Against a naive second model: the whole history, looked through anew each time."""
    watch = Watch()
    history: list[tuple[float, set[str]]] = []
    now_s, beats = 1_000.0, {"gw-a": 0, "gw-b": 0}
    for a_beats, b_beats, passed_s in looks:
        now_s += passed_s
        beating = {name for name, beats_now in (("gw-a", a_beats), ("gw-b", b_beats)) if beats_now}
        for name in beating:
            beats[name] += 1
        stalled = passed_s > 1.5 or not history
        history.append((now_s, {"gw-a", "gw-b"} if stalled else beating))
        found = watch.look(dict(beats), now_s)
        for name in beats:
            heard_at_s = max(at_s for at_s, heard in history if name in heard)
            assert found[name][0] == now_s - heard_at_s
            assert found[name][1] <= heard_at_s - history[0][0]


def test_a_server_that_stood_still_or_has_just_started_waits_for_a_whole_silence() -> None:
    watch = Watch()
    assert watch.look({"gw-a": 1, "gw-b": 1}, 500.0) == {"gw-a": (0.0, 0.0), "gw-b": (0.0, 0.0)}
    assert watch.look({"gw-a": 1, "gw-b": 2}, 560.0)["gw-a"][0] == 0.0


def test_a_break_ends_what_was_steady() -> None:
    watch = Watch()
    now_s, mark = 0.0, 0
    for _ in range(400):
        now_s += TICK_S
        mark += 1
        silent_s, steady_s = watch.look({"gw-b": mark}, now_s)["gw-b"]
    assert (silent_s, steady_s >= 99) == (0.0, True)
    for _ in range(10):
        now_s += TICK_S
        watch.look({"gw-b": mark}, now_s)
    assert watch.look({"gw-b": mark + 1}, now_s + TICK_S)["gw-b"] == (0.0, 0.0)


def test_an_agent_beats_often_enough_that_two_lost_beats_are_no_silence() -> None:
    assert SILENT_AFTER_S > 3 * HEARTBEAT_S + 2 * TICK_S
