"""Roll-up against a model that keeps every second of every tick and recomputes all from them, whatever the order, the
gaps, the duplicates and the lateness of batches. And meters against what a kernel really let pass.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencen.domain.usage import BASE, BASE_STEP_S, HOUR_S, HOURS, MINUTES, Points, pack, percentile_95, unpack
from opencen.gateway.kernel.counters import Reading
from opencen.gateway.usage.tracks import Device, Tracks
from opencen.services.usage import rolling
from opencen.store import usage
from usage_world import HOUR_0, PEERS, Tick, World, world_on


@pytest.fixture
def world(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    with world_on(tmp_path, database_url) as made:
        yield made


class Model:
    """Every tick, as (begin, end, bytes); points are made of them anew each time they are asked for."""

    def __init__(self, ticks: list[Tick], peer_index: int) -> None:
        self._ticks = [(end_s - for_s, end_s, sent[peer_index]) for end_s, for_s, sent in ticks]

    def base(self) -> dict[int, tuple[int, int, int]]:
        """Of each 10-second point: bytes, seconds metered, greatest rate."""
        found: dict[int, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for begin_s, end_s, amount in self._ticks:
            for slot in range(begin_s - begin_s % BASE_STEP_S, end_s, BASE_STEP_S):
                low, high = max(begin_s, slot), min(end_s, slot + BASE_STEP_S)
                share = amount * (high - begin_s) // (end_s - begin_s) - amount * (low - begin_s) // (end_s - begin_s)
                sent, metered, most = found[slot]
                rate = amount * 8 // (end_s - begin_s)
                found[slot] = (sent + share, min(BASE_STEP_S, metered + high - low), max(most, rate))
        return found

    def at(self, step_s: int) -> dict[int, tuple[int, int, int, int]]:
        """Of each point of a step: bytes, mean, greatest rate, and 95th percentile of 10-second means."""
        groups: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for slot, point in self.base().items():
            groups[slot - slot % step_s].append(point)
        found = {}
        for start_s, points in groups.items():
            sent, metered = sum(p[0] for p in points), sum(p[1] for p in points)
            means = sorted(p[0] * 8 // p[1] for p in points)
            rank = -(-95 * len(means) // 100)
            found[start_s] = (sent, sent * 8 // metered, max(p[2] for p in points), means[rank - 1])
        return found


def as_drawn(points: Points) -> dict[int, tuple[int, int, int, int]]:
    rows = zip(points.sent_bytes, points.mean_bps(), points.max_bps, points.p95_bps, strict=True)
    return {
        points.start_s + number * points.step_s: (sent, mean, most, p95)
        for number, (sent, mean, most, p95) in enumerate(rows)
        if mean is not None
    }


@st.composite
def timelines(draw: st.DrawFn) -> list[Tick]:
    """Ticks from 0 on, one after another, of 1 s, 10 s and odd lengths, aligned or not, with gaps: less than a day."""
    at_s = draw(st.integers(0, 3_000))
    ticks: list[Tick] = []
    for _ in range(draw(st.integers(1, 16))):
        for_s = draw(st.sampled_from((1, 1, 1, 10, 10, 3, 17, 400)))
        at_s += for_s + draw(st.sampled_from((0, 0, 0, 0, 5, 90, 700)))
        ticks.append((at_s, for_s, (draw(st.integers(0, 1 << 33)), draw(st.integers(0, 100)))))
    return ticks


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Tick], list[tuple[int, int, list[Tick]]]]:
    """A timeline, and the batches that carry it: (delay in seconds, sequence, ticks), some more than once."""
    ticks = draw(timelines())
    batches: list[tuple[int, list[Tick]]] = []
    rest = list(ticks)
    while rest:
        size = draw(st.integers(1, 12))
        batches.append((len(batches), rest[:size]))
        rest = rest[size:]
    sent = [(draw(st.sampled_from((0, 0, 0, 30, 700, 5_000))), *batch) for batch in batches]
    again = [(draw(st.sampled_from((1, 800, 6_000))), *batch) for batch in batches if draw(st.booleans())]
    return ticks, sent + again


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
def test_points_are_those_of_a_naive_recomputation(
    shared_world: World, delivery: tuple[list[Tick], list[tuple[int, int, list[Tick]]]]
) -> None:
    """Between deliveries the duty runs as time goes by, so that batches come before and after their hour was closed."""
    world, began_s = shared_world, shared_world.next_hour_s()
    ticks = [(began_s + end_s, for_s, sent) for end_s, for_s, sent in delivery[0]]
    batches = [
        (delay_s, sequence, [(began_s + end_s, for_s, sent) for end_s, for_s, sent in part])
        for delay_s, sequence, part in delivery[1]
    ]
    cen_id = world.new_instance()
    in_time = sorted(((part[-1][0] + 1 + delay_s, sequence, part) for delay_s, sequence, part in batches), key=_when)
    for at_s, sequence, part in in_time:
        if at_s > world.now_s + 600:
            world.now_s = float(at_s)
            rolling.run(world.context)
        world.now_s = max(world.now_s, float(at_s))
        world.send(cen_id, sequence, part)
    to_s = world.next_hour_s()
    models = {peer: Model(ticks, index) for index, peer in enumerate(PEERS)}
    for peer, model in models.items():
        assert as_drawn(world.drawn(cen_id, peer, began_s, to_s, 10)) == model.at(10), "as soon as it has come"
    world.now_s += 2 * HOUR_S
    rolling.run(world.context)
    for peer, model in models.items():
        for step_s in (BASE.step_s, MINUTES.step_s, HOURS.step_s):
            assert as_drawn(world.drawn(cen_id, peer, began_s, to_s, step_s)) == model.at(step_s), step_s


def _when(item: tuple[int, int, list[Tick]]) -> tuple[int, int]:
    return item[0], item[1]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_on(tmp_path_factory.mktemp("usage"), None) as made:
        yield made


def test_both_databases_roll_up_alike(world: World) -> None:
    cen_id = world.new_instance()
    ticks = [(HOUR_0 + n, 1, (n * 1_000, 5)) for n in range(1, 601)]
    for number in range(0, 600, 10):
        world.now_s = HOUR_0 + number + 11.0
        world.send(cen_id, number, ticks[number : number + 10])
    world.now_s = HOUR_0 + 2.0 * HOUR_S
    rolling.run(world.context)
    model = Model(ticks, 0)
    for step_s in (10, 60, 3_600):
        points = world.drawn(cen_id, PEERS[0], HOUR_0, HOUR_0 + HOUR_S, step_s)
        assert as_drawn(points) == model.at(step_s)


def test_what_is_older_than_its_layer_is_kept_goes_and_what_is_not_stays(world: World) -> None:
    cen_id = world.new_instance()
    world.now_s = HOUR_0 + 30.0
    world.send(cen_id, 1, [(HOUR_0 + 20, 10, (800, 80))])
    for later_s, left in (
        (7_200, {10, 60, 3_600}),
        (2 * 86_400, {60, 3_600}),
        (40 * 86_400, {3_600}),
        (740 * 86_400, set()),
    ):
        world.now_s = float(HOUR_0 + later_s)
        rolling.run(world.context)
        with world.context.database.usage_read() as tx:
            series = usage.find_series(tx, cen_id, "us-west-1", PEERS[0]).get("us-west-1")
            found = {
                layer.step_s
                for layer in (BASE, MINUTES, HOURS)
                if series is not None and any(usage.points(tx, series.id, layer, HOUR_0, HOUR_0 + HOUR_S).sent_bytes)
            }
        assert found == left


@given(columns=st.lists(st.lists(st.integers(0, (1 << 64) - 1), min_size=360, max_size=360), min_size=7, max_size=7))
@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_block_is_read_as_it_was_written(columns: list[list[int]]) -> None:
    points = Points(HOUR_0, BASE_STEP_S, columns)
    assert unpack(HOUR_0, BASE, pack(points)) == points


@given(values=st.lists(st.integers(0, 100), max_size=200))
def test_the_percentile_is_the_least_that_95_in_100_do_not_exceed(values: list[int]) -> None:
    naive = [value for value in sorted(values) if sum(v <= value for v in values) * 100 >= 95 * len(values)]
    assert percentile_95(values) == (naive[0] if naive else 0)


# meters


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    """What happens at a gateway: (event, seconds later in 1/10, bytes that pass, drops)."""
    events = st.sampled_from(("read", "read", "read", "read", "recreate", "restart", "kill", "unreadable"))
    step = st.tuples(events, st.integers(1, 150), st.integers(0, 1 << 40), st.integers(0, 1 << 20))
    return draw(st.lists(step, min_size=1, max_size=40))


@given(history=histories(), fine=st.booleans(), align_s=st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_every_byte_is_in_exactly_one_tick(history: list[tuple[str, int, int, int]], fine: bool, align_s: int) -> None:
    """Through resets of the counters, restarts of the agent, and kills that lose what was not yet written down."""
    device: Device = ("ns", "to-x")
    at_us, ifindex, counted, drops, passed, dropped = 10_000_000, 2, 1 << 30, 77, 0, 0
    tracks = Tracks(align_s=align_s)
    tracks.begin(device, Reading(ifindex, counted, counted // 1_000, drops, 0), at_us)
    tracks.since_us = at_us
    written: list[Written] = []
    saved, drafts = json.dumps(tracks.saved()), []
    for event, later, amount, refused in history:
        at_us += later * 100_000
        if event == "recreate":
            # what passed since the last reading would be lost with the device: it is read as it goes
            drafts += _observe(tracks, at_us, {device: Reading(ifindex, counted, counted // 1_000, drops, 5)}, fine)
            ifindex, counted, drops = ifindex + 1, 0, 0
        counted, drops = counted + amount, (drops + refused) % (1 << 32)
        passed, dropped = passed + amount, dropped + refused
        if event == "kill":
            tracks, drafts = Tracks.restored(json.loads(saved)), []
        if event == "restart":
            written, saved, drafts = written + drafts, json.dumps(tracks.saved()), []
            tracks = Tracks.restored(json.loads(saved))
        if event == "unreadable":
            tracks.observe(at_us, {}, lambda _: fine, complete=True, unread=[device])
        else:
            drafts += _observe(tracks, at_us, {device: Reading(ifindex, counted, counted // 1_000, drops, 5)}, fine)
        if event == "recreate":
            written, saved, drafts = written + drafts, json.dumps(tracks.saved()), []
    for _ in range(2):
        at_us += 20_000_000
        drafts += _observe(tracks, at_us, {device: Reading(ifindex, counted, counted // 1_000, drops, 5)}, fine)
    ticks = written + drafts
    assert [tick[0] for tick in ticks[1:]] == [tick[1] for tick in ticks[:-1]], "one after another, without a hole"
    assert sum(tick[2] for tick in ticks) == passed
    assert sum(tick[3] for tick in ticks) == dropped


Written = tuple[int, int, int, int]
"""Begin, end, bytes and drops of a tick."""


def _observe(tracks: Tracks, at_us: int, readings: dict[Device, Reading], fine: bool) -> list[Written]:
    ticks = tracks.observe(at_us, readings, lambda _: fine, complete=True)
    return [(*span, row.sent_bytes, row.dropped_packets) for span, rows in ticks.items() for row in rows]


@given(late_us=st.lists(st.integers(0, 900_000), min_size=30, max_size=30))
def test_readings_that_come_late_make_no_spike_and_no_dip(late_us: list[int]) -> None:
    """A steady rate is drawn as that rate, however unsteadily it is read."""
    tracks, device = Tracks(), ("ns", "to-x")
    rates = []
    for second, late in enumerate(late_us, 10):
        at_us = second * 1_000_000 + late
        reading = Reading(2, at_us, at_us // 1_000, 0, 0)
        rates += [row[2] / (row[1] - row[0]) for row in _observe(tracks, at_us, {device: reading}, True)]
    assert all(abs(rate - 1_000_000) <= 2 for rate in rates[1:]), rates
