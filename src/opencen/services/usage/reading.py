"""Points out of batches as they came, and out of blocks: what roll-up and every answer begin with."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opencen.domain.usage import (
    BASE,
    BASE_STEP_S,
    LIVE_KEPT_S,
    LIVE_STEP_S,
    Points,
    coarser,
    layer_for,
    pieces_of,
    spread,
)
from opencen.store import usage
from opencen.store.database import Transaction
from opencen.store.usage import Batch

CLOSED_UNTIL = "closed_until_s"
"""Up to when minutes and hours are in blocks of their own; what is later is made of 10-second points when asked."""
_LINK_BYTES = 20


@dataclass(frozen=True, slots=True)
class TickColumns:
    """One tick of a batch: a number a link, in the roster's order."""

    end_s: int
    for_s: int
    sent_bytes: Sequence[int]
    sent_packets: Sequence[int]
    dropped_packets: Sequence[int]
    backlog_bytes: Sequence[int]


def ticks_of(batch: Batch, links: int) -> Iterator[TickColumns]:
    body = memoryview(batch.body)
    for number, (end_s, for_s) in enumerate(batch.ticks):
        at = number * links * _LINK_BYTES
        columns = []
        for code, width in (("Q", 8), ("I", 4), ("I", 4), ("I", 4)):
            column = array(code)
            column.frombytes(body[at : at + links * width])
            columns.append(column)
            at += links * width
        yield TickColumns(end_s, for_s, *columns)


class Rosters:
    """The rosters that a reading meets, each read once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[int, list[int]] = {}

    def series_of(self, roster_id: int) -> list[int]:
        if roster_id not in self._known:
            self._known[roster_id] = usage.roster(self._tx, roster_id)
        return self._known[roster_id]


def from_batches(
    tx: Transaction, batches: Iterable[Batch], series_ids: Sequence[int], from_s: int, to_s: int, step_s: int
) -> dict[int, Points]:
    """Points of [from_s, to_s) of each of these series, as the batches have them."""
    rosters = Rosters(tx)
    found = {series_id: Points.none(from_s, step_s, (to_s - from_s) // step_s) for series_id in series_ids}
    places: dict[int, list[tuple[int, Points]]] = {}
    for batch in batches:
        if batch.roster_id not in places:
            in_roster = {series_id: index for index, series_id in enumerate(rosters.series_of(batch.roster_id))}
            places[batch.roster_id] = [(in_roster[i], found[i]) for i in series_ids if i in in_roster]
        wanted = places[batch.roster_id]
        if not wanted:
            continue
        for tick in ticks_of(batch, len(rosters.series_of(batch.roster_id))):
            if tick.end_s > from_s and tick.end_s - tick.for_s < to_s:
                _add_tick(tick, wanted)
    return found


def _add_tick(tick: TickColumns, wanted: Sequence[tuple[int, Points]]) -> None:
    _, first = wanted[0]
    step_s = first.step_s
    if step_s == LIVE_STEP_S and tick.for_s > BASE_STEP_S:
        return
    pieces = pieces_of(tick.end_s - tick.for_s, tick.end_s, step_s)
    lengths = [seconds for _, seconds in pieces]
    slots = [(start - first.start_s) // step_s for start, _ in pieces]
    for index, points in wanted:
        passed = tick.sent_bytes[index]
        rate = passed * 8 // tick.for_s
        amounts = (passed, tick.sent_packets[index], tick.dropped_packets[index])
        shares = [(amount,) for amount in amounts] if len(slots) == 1 else [spread(a, lengths) for a in amounts]
        sent, packets, drops, metered, most, _, backlog = points.columns
        for place, slot in enumerate(slots):
            if not 0 <= slot < len(sent):
                continue
            sent[slot] += shares[0][place]
            packets[slot] += shares[1][place]
            drops[slot] += shares[2][place]
            metered[slot] = min(step_s, metered[slot] + lengths[place])
            most[slot] = max(most[slot], rate)
            backlog[slot] = max(backlog[slot], tick.backlog_bytes[index])


def points_of(
    tx: Transaction,
    series: Mapping[int, str],
    from_s: int,
    to_s: int,
    step_s: int,
    now_s: int,
) -> dict[int, Points]:
    """Points of [from_s, to_s), both multiples of `step_s`, of series by id; the value is the sending region.

    Raises ValueError when no points of that step are kept at `from_s`.
    """
    ids, region_ids = list(series), sorted(set(series.values()))
    if step_s < BASE_STEP_S:
        if from_s < now_s - LIVE_KEPT_S - 2 * BASE_STEP_S:
            raise ValueError(f"points of {step_s} s are kept for {LIVE_KEPT_S} s")
        batches = usage.batches_between(tx, from_s, to_s, region_ids=region_ids)
        return from_batches(tx, batches, ids, from_s, to_s, step_s)
    layer = layer_for(from_s, now_s, step_s)
    if layer is None:
        raise ValueError(f"points of {step_s} s are not kept for so long")
    found = {series_id: usage.points(tx, series_id, layer, from_s, to_s) for series_id in ids}
    fresh_s = from_s if layer is BASE else max(from_s, usage.progress(tx, CLOSED_UNTIL))
    fresh_s -= fresh_s % layer.step_s
    end_s = to_s - (to_s - fresh_s) % BASE_STEP_S
    if fresh_s < end_s:
        batches = usage.batches_between(tx, fresh_s, end_s, region_ids=region_ids, rolled=False)
        for series_id, points in from_batches(tx, batches, ids, fresh_s, end_s, BASE_STEP_S).items():
            if layer is BASE:
                found[series_id].add(points)
                continue
            points.add(usage.points(tx, series_id, BASE, fresh_s, end_s))
            found[series_id].put(coarser(points, layer.step_s))
    if step_s == layer.step_s:
        return found
    return {series_id: coarser(points, step_s) for series_id, points in found.items()}
