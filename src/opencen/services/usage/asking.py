"""What is asked of usage: charts of a connection and of a package, and totals. An account sees its own alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opencen.domain.bandwidth import MBPS
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.geography import connection_id, region_pair
from opencen.domain.nouns import Actor
from opencen.domain.usage import BASE_STEP_S, DAY_S, HOUR_S, HOURS, LIVE_KEPT_S, Points, step_for
from opencen.services.context import Context
from opencen.services.usage.reading import points_of
from opencen.store import tenures, usage
from opencen.store.database import Transaction
from opencen.store.tenures import Tenure
from opencen.store.usage import Series

MOST_POINTS: Final = 10_000
DEFAULT_POINTS: Final = 1_000
_EARLIEST_S: Final = HOURS.kept_s
Pair = tuple[str, str, str]
"""Instance and sorted regions."""


@dataclass(frozen=True, slots=True)
class Span:
    """[from_s, to_s) in points of `step_s`, of which both are multiples."""

    from_s: int
    to_s: int
    step_s: int

    @property
    def length(self) -> int:
        return (self.to_s - self.from_s) // self.step_s


@dataclass(frozen=True, slots=True)
class Direction:
    """What one region sent to the other, and what was set: bit/s, None where no connection was."""

    from_region_id: str
    to_region_id: str
    points: Points
    limit_bps: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    key: Pair
    span: Span
    directions: tuple[Direction, Direction]


def span_of(
    context: Context,
    from_s: float | None,
    to_s: float | None,
    last_s: int | None,
    step_s: int | None,
    most_points: int = DEFAULT_POINTS,
) -> Span:
    """What a caller means: the last hour when it says nothing. Raises InvalidValueError."""
    now_s = _now_s(context)
    end = now_s + 1 if to_s is None else min(int(to_s), now_s + 1)
    start = end - (last_s if last_s is not None else HOUR_S) if from_s is None else int(from_s)
    if start >= end:
        raise InvalidValueError(f"the span begins ({start}) after it ends ({end})", field="from")
    start = max(start, now_s - _EARLIEST_S)
    if step_s is None:
        step_s = step_for(start, end, now_s, most_points)
    elif step_s < BASE_STEP_S:
        if step_s != 1 or start < now_s - LIVE_KEPT_S - BASE_STEP_S:
            raise InvalidValueError(
                "points of less than 10 s are points of 1 s, of the last 15 minutes", field="step_s", value=step_s
            )
    elif step_s % BASE_STEP_S or step_s > DAY_S:
        raise InvalidValueError(
            f"step_s is 1, or a multiple of 10 up to a day, not {step_s}", field="step_s", value=step_s
        )
    start -= start % step_s
    end += -end % step_s
    if (end - start) // step_s > MOST_POINTS:
        raise InvalidValueError(
            f"{(end - start) // step_s} points, where at most {MOST_POINTS} are answered; take a longer step",
            field="step_s",
            value=step_s,
        )
    return Span(start, end, step_s)


def chart(
    context: Context,
    actor: Actor,
    cen_id: str,
    region_id: str,
    other_region_id: str,
    span: Span,
    *,
    watch: bool = False,
) -> Chart:
    """A connection's points, a direction each. Raises NotFoundError for what is not this account's."""
    pair = region_pair(region_id, other_region_id)
    key = (cen_id, *pair)
    held = _tenures_of(context, actor, key, span)
    with context.database.usage_read() as tx:
        series = {
            region: one
            for region, one in usage.find_series(tx, cen_id, *pair).items()
            if one.account_id == actor.account_id
        }
        if not series and held is None:
            raise NotFoundError("region connection", connection_id(*key), field="id")
        points = _points(tx, list(series.values()), span, _now_s(context))
    if watch:
        context.watch_connection(*key)
    limits = _limits(held or [], span)
    directions = [
        Direction(
            region,
            pair[1] if region == pair[0] else pair[0],
            points[series[region].id] if region in series else Points.none(span.from_s, span.step_s, span.length),
            limits,
        )
        for region in pair
    ]
    return Chart(key, span, (directions[0], directions[1]))


def _now_s(context: Context) -> int:
    return int(context.clock().timestamp())


def _tenures_of(context: Context, actor: Actor, key: Pair, span: Span) -> list[Tenure] | None:
    """What was set in the span; None when this account neither has nor had such a connection."""
    with context.database.read() as tx:
        held = tenures.between(tx, span.from_s, span.to_s, account_id=actor.account_id, key=key)
        if held:
            return held
        ever = tenures.between(tx, 0, _now_s(context) + 1, account_id=actor.account_id, key=key)
    return [] if ever else None


def _points(tx: Transaction, series: Sequence[Series], span: Span, now_s: int) -> dict[int, Points]:
    senders = {one.id: one.from_region_id for one in series}
    try:
        return points_of(tx, senders, span.from_s, span.to_s, span.step_s, now_s)
    except ValueError as error:
        raise InvalidValueError(f"{error}; take a longer step", field="step_s", value=span.step_s) from error


def _limits(held: Sequence[Tenure], span: Span) -> tuple[int | None, ...]:
    limits: list[int | None] = [None] * span.length
    for tenure in held:
        first = max(0, (tenure.since_s - span.from_s) // span.step_s)
        until_s = span.to_s if tenure.until_s is None else tenure.until_s
        last = min(span.length, -((span.from_s - until_s) // span.step_s))
        for slot in range(first, last):
            limits[slot] = tenure.bandwidth_mbps * MBPS
    return tuple(limits)
