"""Monthly 95th percentiles, of connections and of packages: what burstable bandwidth is billed by.

Of a calendar month (UTC) in intervals of 5 minutes that begin at its first second. An interval's rate is its bytes over
5 minutes, a direction each; one in which nothing was metered counts as 0. The percentile is by nearest rank over all
intervals of the month, of a month under way over those that have begun. A package's interval is the sum of those
connections that were out of it when the interval ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opencen.domain.errors import InvalidValueError
from opencen.domain.geography import connection_id
from opencen.domain.nouns import Actor
from opencen.domain.usage import (
    BASE,
    BASE_STEP_S,
    BILLED,
    BILLED_STEP_S,
    HOURS,
    Points,
    amounts,
    month_bounds,
    month_of,
    monthly_95_bps,
)
from opencen.services.context import Context
from opencen.services.usage.reading import CLOSED_UNTIL, from_batches
from opencen.store import tenures, usage
from opencen.store.database import Transaction
from opencen.store.tenures import Tenure
from opencen.store.usage import MonthRow, Series

FINAL_AFTER_S: Final = 2 * 86_400
"""A batch may come a day late; after another one a month is final."""
_SERIES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Month:
    month: str
    intervals: int
    final: bool
    rows: tuple[MonthRow, ...]


def month(context: Context, actor: Actor, name: str) -> Month:
    """The percentiles of a month (`2026-11`) of all connections and packages of the account."""
    now_s = int(context.clock().timestamp())
    try:
        from_s, to_s = month_bounds(name)
    except ValueError as error:
        raise InvalidValueError(f"a month is written like 2026-11, not {name!r}", field="month", value=name) from error
    if from_s > now_s:
        raise InvalidValueError(f"{name} has not begun", field="month", value=name)
    intervals = (min(to_s, now_s) - from_s + BILLED_STEP_S - 1) // BILLED_STEP_S
    with context.database.usage_read() as tx:
        kept = usage.months(tx, name, actor.account_id)
        series = usage.series_of_account(tx, actor.account_id)
    final = now_s >= to_s + FINAL_AFTER_S
    rows = kept if final and kept else _computed(context, series, name, now_s)
    return Month(name, intervals, final, tuple(rows))


def settle(context: Context, now_s: int) -> None:
    """Keep the percentiles of the month before, once it is final: they outlive what they were made of."""
    begun_s, _ = month_bounds(month_of(now_s))
    name = month_of(begun_s - 1)
    if now_s < begun_s + FINAL_AFTER_S:
        return
    with context.database.usage_read() as tx:
        if usage.progress(tx, f"month {name}"):
            return
        series = usage.series_of_account(tx, None)
    by_account: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        by_account[one.account_id].append(one)
    for of_account in by_account.values():
        rows = _computed(context, of_account, name, now_s)
        with context.database.usage_write() as tx:
            usage.put_months(tx, rows)
    with context.database.usage_write() as tx:
        usage.set_progress(tx, f"month {name}", 1)
        usage.forget_months(tx, month_of(now_s - HOURS.kept_s))


def _computed(context: Context, series: Sequence[Series], name: str, now_s: int) -> list[MonthRow]:
    from_s, to_s = month_bounds(name)
    to_s = min(to_s, now_s + -now_s % BILLED_STEP_S)
    intervals = (to_s - from_s) // BILLED_STEP_S
    if not series or intervals <= 0:
        return []
    account_id = series[0].account_id
    with context.database.read() as tx:
        held = tenures.between(tx, from_s, to_s, account_id=account_id)
        areas = {region: context.areas_of(tx, [region]).get(region, "") for s in series for region in s.pair}
    by_pair: dict[tuple[str, str, str], list[Tenure]] = defaultdict(list)
    for tenure in held:
        by_pair[tenure.key].append(tenure)
    connections: dict[tuple[str, str, str], list[Sequence[int]]] = {}
    packages: dict[str, list[list[int]]] = {}
    for some in usage.chunks(series, _SERIES_AT_ONCE):
        with context.database.usage_read() as tx:
            sent = _intervals(tx, some, from_s, to_s)
        for one in some:
            key = (one.cen_id, *one.pair)
            direction = 0 if one.from_region_id == one.pair[0] else 1
            nothing: list[Sequence[int]] = [(), ()]
            connections.setdefault(key, nothing)[direction] = sent[one.id].sent_bytes
            towards = _towards(one, areas)
            for tenure in by_pair[key]:
                whole = packages.setdefault(tenure.package_id, [[0] * intervals, [0] * intervals])[towards]
                _add_while_held(whole, sent[one.id].sent_bytes, tenure, from_s)
    rows = [
        _row(name, "connection", connection_id(*key), account_id, both, intervals) for key, both in connections.items()
    ]
    rows += [_row(name, "package", package_id, account_id, both, intervals) for package_id, both in packages.items()]
    return [row for row in rows if row.sent_bytes]


def _towards(series: Series, areas: Mapping[str, str]) -> int:
    """0 from the area that sorts first, or within one area from the region that does; 1 the other way."""
    sender, receiver = areas[series.from_region_id], areas[series.to_region_id]
    here = (sender, series.from_region_id) if sender == receiver else (sender, "")
    there = (receiver, series.to_region_id) if sender == receiver else (receiver, "")
    return 0 if here < there else 1


def _add_while_held(whole: list[int], sent_bytes: Sequence[int], tenure: Tenure, from_s: int) -> None:
    """Add the intervals that ended while the connection was out of the package."""
    first = max(0, (tenure.since_s - from_s) // BILLED_STEP_S)
    last = len(whole)
    if tenure.until_s is not None:
        last = min(last, (tenure.until_s - from_s) // BILLED_STEP_S)
    for place in range(first, last):
        whole[place] += sent_bytes[place]


def _row(
    name: str, kind: str, identifier: str, account_id: str, both: Sequence[Sequence[int]], intervals: int
) -> MonthRow:
    a_to_b, b_to_a = both
    return MonthRow(
        month=name,
        kind=kind,
        id=identifier,
        account_id=account_id,
        a_to_b_bps=monthly_95_bps(a_to_b, intervals),
        b_to_a_bps=monthly_95_bps(b_to_a, intervals),
        sent_bytes=sum(a_to_b) + sum(b_to_a),
    )


def _intervals(tx: Transaction, series: Sequence[Series], from_s: int, to_s: int) -> dict[int, Points]:
    """The 5-minute amounts of each series: of closed hours as they are kept, of later ones made now."""
    found = {one.id: usage.points(tx, one.id, BILLED, from_s, to_s) for one in series}
    fresh_s = max(from_s, usage.progress(tx, CLOSED_UNTIL), to_s - BASE.kept_s)
    fresh_s += -fresh_s % BILLED_STEP_S
    if fresh_s >= to_s:
        return found
    regions = sorted({one.from_region_id for one in series})
    batches = usage.batches_between(tx, fresh_s, to_s, region_ids=regions, rolled=False)
    for series_id, points in from_batches(tx, batches, list(found), fresh_s, to_s, BASE_STEP_S).items():
        points.add(usage.points(tx, series_id, BASE, fresh_s, to_s))
        found[series_id].put(amounts(points, BILLED_STEP_S))
    return found
