"""The background duty of usage: batches become 10-second points in blocks, full hours become minutes and hours, and
what is older than its layer is kept goes. One server process does it; each step may be done twice without harm.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import structlog

from opencen.domain.usage import (
    BASE,
    BASE_STEP_S,
    BILLED,
    DAY_S,
    HOUR_S,
    HOURS,
    LATEST_S,
    LIVE_KEPT_S,
    MINUTES,
    Points,
    amounts,
    coarser,
    pieces_of,
    spread,
)
from opencen.services.context import Context
from opencen.services.usage import months
from opencen.services.usage.reading import CLOSED_UNTIL, Rosters, TickColumns, ticks_of
from opencen.store import tenures, usage
from opencen.store.database import Transaction
from opencen.store.usage import Batch

ROLL_AFTER_S: Final = 600
"""Batches are put into blocks some at a time: until then a chart reads them as they came."""
_CLOSE_AFTER_S: Final = ROLL_AFTER_S + 60
_BATCHES_AT_ONCE: Final = 150
_SERIES_AT_ONCE: Final = 500
_EXPIRE_EVERY_S: Final = HOUR_S
_EXPIRED_AT: Final = "expired_at_s"
log = structlog.get_logger()

Rest = Callable[[float], None]
"""Told the seconds that a piece of work took: requests of the same process come first in between."""


def roll_up(context: Context) -> None:
    """One round of the duty."""
    run(context, rest=lambda took_s: time.sleep(min(0.2, took_s)))


def run(context: Context, *, rest: Rest = lambda _: None) -> None:
    """Put batches into blocks that are old enough, close hours, let go of what is too old."""
    now_s = int(context.clock().timestamp())
    with context.database.usage_read() as tx:
        gateway_ids = usage.gateways_with_news(tx)
        closed_s = usage.progress(tx, CLOSED_UNTIL)
        expired_s = usage.progress(tx, _EXPIRED_AT)
    for gateway_id in gateway_ids:
        while _fold(context, gateway_id, now_s - ROLL_AFTER_S, closed_s, rest):
            pass
    _close_hours(context, closed_s, now_s, rest)
    with context.database.usage_write() as tx:
        usage.empty_batches(tx, now_s - LIVE_KEPT_S - BASE_STEP_S)
    if now_s - expired_s >= _EXPIRE_EVERY_S:
        _expire(context, now_s, rest)


def summary(context: Context) -> tuple[int, int]:
    """Directions of which something is kept, and batches that are in no block yet."""
    with context.database.usage_read() as tx:
        return usage.summary(tx)


# batches into blocks


def _fold(context: Context, gateway_id: str, before_s: int, closed_s: int, rest: Rest) -> bool:
    """Put a gateway's oldest batches into blocks, when the oldest began before; True when there may be more."""
    with context.database.usage_read() as tx:
        batches = usage.news_of(tx, gateway_id, _BATCHES_AT_ONCE)
        if not batches or min(end - lasted for end, lasted in batches[0].ticks) >= before_s:
            return False
        began = time.monotonic()
        rows = _folded(tx, batches, closed_s, rest)
    with context.database.usage_write() as tx:
        usage.put_blocks(tx, rows)
        usage.set_rolled(tx, [batch.id for batch in batches])
    rest(time.monotonic() - began)
    return len(batches) == _BATCHES_AT_ONCE


def _folded(tx: Transaction, batches: Sequence[Batch], closed_s: int, rest: Rest) -> list[dict[str, Any]]:
    """The blocks that these batches change, as they will be: of closed hours their minutes and hours as well."""
    rosters = Rosters(tx)
    by_roster: dict[int, list[Batch]] = defaultdict(list)
    for batch in batches:
        by_roster[batch.roster_id].append(batch)
    fresh: dict[int, dict[int, Points]] = defaultdict(dict)
    for roster_id, of_roster in by_roster.items():
        series_ids = rosters.series_of(roster_id)
        for hour_s, parts in _hours_of(of_roster, len(series_ids)):
            for series_id, points in zip(series_ids, parts, strict=True):
                if not series_id:
                    continue
                block = fresh[hour_s].setdefault(series_id, Points.none(hour_s, BASE_STEP_S, BASE.length))
                block.add(points)
    rows: list[dict[str, Any]] = []
    for hour_s, of_series in fresh.items():
        for some in usage.chunks(list(of_series), _SERIES_AT_ONCE):
            began = time.monotonic()
            blocks = {series_id: of_series[series_id] for series_id in some}
            for series_id, present in usage.blocks_at(tx, some, BASE, hour_s).items():
                blocks[series_id].add(present)
            rows += usage.packed(BASE, blocks)
            if hour_s < closed_s:
                rows += _derived(tx, blocks, hour_s)
            rest(time.monotonic() - began)
    return rows


class _Slot:
    """One 10-second point of all links of a roster, as columns."""

    def __init__(self, links: int) -> None:
        self.metered_s = 0
        self.sent_bytes: Sequence[int] = [0] * links
        self.sent_packets: Sequence[int] = self.sent_bytes
        self.dropped_packets: Sequence[int] = self.sent_bytes
        self.max_bps: Sequence[int] = self.sent_bytes
        self.backlog_bytes: Sequence[int] = self.sent_bytes

    def add(self, seconds: int, tick: TickColumns, share: Callable[[Sequence[int]], Sequence[int]]) -> None:
        rates = [amount * 8 // tick.for_s for amount in tick.sent_bytes]
        sent, packets, drops = map(share, (tick.sent_bytes, tick.sent_packets, tick.dropped_packets))
        if not self.metered_s:
            self.sent_bytes, self.sent_packets, self.dropped_packets = sent, packets, drops
            self.max_bps, self.backlog_bytes = rates, tick.backlog_bytes
        else:
            self.sent_bytes = list(map(int.__add__, self.sent_bytes, sent))
            self.sent_packets = list(map(int.__add__, self.sent_packets, packets))
            self.dropped_packets = list(map(int.__add__, self.dropped_packets, drops))
            self.max_bps = list(map(max, self.max_bps, rates))
            self.backlog_bytes = list(map(max, self.backlog_bytes, tick.backlog_bytes))
        self.metered_s = min(BASE_STEP_S, self.metered_s + seconds)

    def columns(self) -> tuple[Sequence[int], ...]:
        return self.sent_bytes, self.sent_packets, self.dropped_packets, self.max_bps, self.backlog_bytes


def _hours_of(batches: Sequence[Batch], links: int) -> Iterator[tuple[int, list[Points]]]:
    """The 10-second points in these batches of one roster, by hour: of each link, from the first to the last."""
    slots: dict[int, _Slot] = {}
    for batch in batches:
        for tick in ticks_of(batch, links):
            pieces = pieces_of(tick.end_s - tick.for_s, tick.end_s, BASE_STEP_S)
            lengths = [seconds for _, seconds in pieces]
            for place, (start_s, seconds) in enumerate(pieces):
                slot = slots.setdefault(start_s, _Slot(links))
                slot.add(seconds, tick, _sharer(lengths, place))
    hours: dict[int, list[int]] = defaultdict(list)
    for start_s in sorted(slots):
        hours[start_s - start_s % HOUR_S].append(start_s)
    for hour_s, starts in hours.items():
        yield hour_s, _transposed(slots, starts, links)


def _sharer(lengths: Sequence[int], place: int) -> Callable[[Sequence[int]], Sequence[int]]:
    if len(lengths) == 1:
        return lambda column: column
    return lambda column: [spread(amount, lengths)[place] for amount in column]


def _transposed(slots: dict[int, _Slot], starts: Sequence[int], links: int) -> list[Points]:
    """From a column a point to a row a link: what is between the first and the last point and not there is unknown."""
    first, last = starts[0], starts[-1]
    nothing = _Slot(links)
    in_order = [slots.get(at, nothing) for at in range(first, last + 1, BASE_STEP_S)]
    metered = [slot.metered_s for slot in in_order]
    flat: list[list[int]] = []
    for columns in zip(*(slot.columns() for slot in in_order), strict=True):
        whole: list[int] = []
        for column in columns:
            whole.extend(column)
        flat.append(whole)
    sent, packets, drops, rates, backlog = flat
    zeros = [0] * len(in_order)
    return [
        Points(
            first,
            BASE_STEP_S,
            [sent[n::links], packets[n::links], drops[n::links], metered, rates[n::links], zeros, backlog[n::links]],
        )
        for n in range(links)
    ]


# hours


def _derived(tx: Transaction, blocks: dict[int, Points], hour_s: int) -> list[dict[str, Any]]:
    """Minutes, billed intervals and the hour out of full blocks of 10-second points of that hour."""
    rows = list(usage.packed(MINUTES, {i: coarser(block, MINUTES.step_s) for i, block in blocks.items()}))
    day_s = hour_s - hour_s % DAY_S
    for layer, merge in ((BILLED, amounts), (HOURS, coarser)):
        present = usage.blocks_at(tx, list(blocks), layer, hour_s)
        days = {}
        for series_id, block in blocks.items():
            day = present.get(series_id) or Points.none(day_s, layer.step_s, layer.length)
            day.put(merge(block, layer.step_s))
            days[series_id] = day
        rows += usage.packed(layer, days)
    return rows


def _close_hours(context: Context, closed_s: int, now_s: int, rest: Rest) -> None:
    """Make minutes and hours of every hour whose batches should all have come; later ones are put in as they come."""
    until_s = now_s - _CLOSE_AFTER_S
    until_s -= until_s % HOUR_S
    for hour_s in range(max(closed_s, until_s - BASE.kept_s), until_s, HOUR_S):
        with context.database.usage_read() as tx:
            ids = usage.series_ids(tx)
        for some in usage.chunks(ids, _SERIES_AT_ONCE):
            began = time.monotonic()
            with context.database.usage_read() as tx:
                rows = _derived(tx, usage.blocks_at(tx, some, BASE, hour_s), hour_s)
            with context.database.usage_write() as tx:
                usage.put_blocks(tx, rows)
            rest(time.monotonic() - began)
        with context.database.usage_write() as tx:
            usage.set_progress(tx, CLOSED_UNTIL, hour_s + HOUR_S)


# expiry


def _expire(context: Context, now_s: int, rest: Rest) -> None:
    with context.database.usage_read() as tx:
        ids = usage.series_ids(tx)
    for some in usage.chunks(ids, _SERIES_AT_ONCE):
        began = time.monotonic()
        with context.database.usage_write() as tx:
            usage.forget_blocks(tx, some, now_s)
        rest(time.monotonic() - began)
    with context.database.usage_write() as tx:
        usage.forget_batches(tx, now_s - 2 * LATEST_S)
        usage.forget_empty_series(tx)
        usage.set_progress(tx, _EXPIRED_AT, now_s)
    months.settle(context, now_s)
    with context.database.write() as tx:
        tenures.forget(tx, now_s - HOURS.kept_s)
