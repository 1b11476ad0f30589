"""What is asked of usage: charts of a connection and of a package, and totals. An account sees its own alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from opencen.domain.bandwidth import MBPS
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.geography import area_pair, connection_id, region_pair
from opencen.domain.nouns import Actor, Package, Role
from opencen.domain.usage import BASE_STEP_S, DAY_S, HOUR_S, HOURS, LIVE_KEPT_S, MINUTE_S, Points, step_for
from opencen.services import geography
from opencen.services.context import Context
from opencen.services.usage.reading import points_of
from opencen.store import packages, tenures, usage
from opencen.store.database import Transaction
from opencen.store.records import Page
from opencen.store.tenures import Tenure
from opencen.store.usage import Series

MOST_POINTS: Final = 10_000
DEFAULT_POINTS: Final = 1_000
_EARLIEST_S: Final = HOURS.kept_s
_MOST_PACKAGES: Final = 1_000
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
    if (end - start) // step_s > max(MOST_POINTS, most_points):
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
        known = usage.find_series(tx, cen_id, *pair).values()
        series = [one for one in known if one.account_id == actor.account_id]
        if not series and held is None:
            raise NotFoundError("region connection", connection_id(*key), field="id")
        points = _points(tx, series, span, _now_s(context))
    if watch:
        context.watch_connection(*key)
    return _chart(key, span, series, points, held or [])


def charts(context: Context, actor: Actor, span: Span) -> list[Chart]:
    """The charts of all connections of the account that there were, and of all of which something was metered."""
    with context.database.read() as tx:
        by_pair = _by_pair(tenures.between(tx, span.from_s, span.to_s, account_id=actor.account_id))
    with context.database.usage_read() as tx:
        series = usage.series_of_account(tx, actor.account_id)
        of_pair: dict[Pair, list[Series]] = defaultdict(list)
        for one in series:
            of_pair[one.cen_id, *one.pair].append(one)
        points = _points(tx, series, span, _now_s(context))
    keys = sorted({*by_pair, *of_pair})
    return [_chart(key, span, of_pair[key], points, by_pair[key]) for key in keys]


def _chart(
    key: Pair, span: Span, series: Sequence[Series], points: Mapping[int, Points], held: Sequence[Tenure]
) -> Chart:
    by_sender = {one.from_region_id: points[one.id] for one in series}
    limits = _limits(held, span)

    def direction(sender: str, receiver: str) -> Direction:
        nothing = Points.none(span.from_s, span.step_s, span.length)
        return Direction(sender, receiver, by_sender.get(sender, nothing), limits)

    return Chart(key, span, (direction(key[1], key[2]), direction(key[2], key[1])))


def _by_pair(held: Sequence[Tenure]) -> dict[Pair, list[Tenure]]:
    by_pair: dict[Pair, list[Tenure]] = defaultdict(list)
    for tenure in held:
        by_pair[tenure.key].append(tenure)
    return by_pair


def areas(context: Context) -> dict[str, str]:
    """The area of each region."""
    return {region.id: region.area_id for region in geography.find_regions(context)}


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


# packages


@dataclass(frozen=True, slots=True)
class Share:
    """What a connection carried out of a package, bit/s a direction; 0 while it was not out of it, None unknown."""

    key: Pair
    a_to_b_bps: tuple[int | None, ...]
    b_to_a_bps: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class PackageChart:
    package: Package
    span: Span
    shares: tuple[Share, ...]


def package_chart(context: Context, actor: Actor, package_id: str, span: Span) -> PackageChart:
    """A package's connections against it, those that were out of it at some time of the span. Raises NotFoundError."""
    with context.database.read() as tx:
        package = packages.find(tx, actor.account_id, package_id)
        if package is None:
            raise NotFoundError("bandwidth package", package_id, field="package_id")
        held = tenures.between(tx, span.from_s, span.to_s, account_id=actor.account_id, package_id=package_id)
    by_pair = _by_pair(held)
    with context.database.usage_read() as tx:
        series = {
            ((one.cen_id, *one.pair), one.from_region_id): one
            for one in usage.series_of_instances(tx, [key[0] for key in by_pair])
            if (one.cen_id, *one.pair) in by_pair
        }
        points = _points(tx, list(series.values()), span, _now_s(context))
    shares = []
    for key, of_pair in sorted(by_pair.items()):
        inside = [limit is not None for limit in _limits(of_pair, span)]
        rates = []
        for region in key[1:]:
            one = series.get((key, region))
            means = points[one.id].mean_bps() if one else [None] * span.length
            rates.append(tuple(mean if held_then else 0 for mean, held_then in zip(means, inside, strict=True)))
        shares.append(Share(key, rates[0], rates[1]))
    return PackageChart(package, span, tuple(shares))


def package_charts(context: Context, actor: Actor, span: Span) -> list[PackageChart]:
    """The charts of all packages of the account that there are."""
    with context.database.read() as tx:
        of_account = packages.search(tx, actor.account_id, Page(1, _MOST_PACKAGES)).items
    return [package_chart(context, actor, package.id, span) for package in of_account]


# totals


class GroupBy(StrEnum):
    CONNECTION = "connection"
    PACKAGE = "package"
    INSTANCE = "instance"
    AREA_PAIR = "area-pair"
    ACCOUNT = "account"


@dataclass(slots=True)
class Total:
    """What passed in a span. `a_to_b_bytes`: from the region, or for packages and pairs of areas the area, first."""

    key: str
    sent_packets: int = 0
    dropped_packets: int = 0
    a_to_b_bytes: int = 0
    b_to_a_bytes: int = 0

    @property
    def sent_bytes(self) -> int:
        return self.a_to_b_bytes + self.b_to_a_bytes


def totals(context: Context, actor: Actor, by: GroupBy, span: Span) -> list[Total]:
    """Of the account, the greatest first; by account, an administrator is told of all accounts."""
    everyone = by is GroupBy.ACCOUNT and actor.role is Role.ADMINISTRATOR
    with context.database.usage_read() as tx:
        series = usage.series_of_account(tx, None if everyone else actor.account_id)
        points = _points(tx, series, span, _now_s(context))
    with context.database.read() as tx:
        held = tenures.between(tx, span.from_s, span.to_s, account_id=None if everyone else actor.account_id)
        area_of = context.areas_of(tx, {region for one in series for region in one.pair})
    by_pair = _by_pair(held)
    found: dict[str, Total] = {}
    for one in series:
        pair = (one.cen_id, *one.pair)
        if by is GroupBy.PACKAGE:
            parts = [(tenure.package_id, _while_held(points[one.id], tenure, span)) for tenure in by_pair[pair]]
        else:
            parts = [(_group_of(one, by, area_of), points[one.id])]
        forth = _goes_forth(one, by, area_of)
        for key, part in parts:
            _count(found.setdefault(key, Total(key)), part, forth=forth)
    return sorted(found.values(), key=lambda total: (-total.sent_bytes, total.key))


def _group_of(series: Series, by: GroupBy, areas: Mapping[str, str]) -> str:
    match by:
        case GroupBy.CONNECTION:
            return connection_id(series.cen_id, *series.pair)
        case GroupBy.INSTANCE:
            return series.cen_id
        case GroupBy.ACCOUNT:
            return series.account_id
        case _:
            return ":".join(area_pair(*(areas[region] for region in series.pair)))


def _goes_forth(series: Series, by: GroupBy, areas: Mapping[str, str]) -> bool:
    if by in (GroupBy.PACKAGE, GroupBy.AREA_PAIR):
        sender, receiver = areas[series.from_region_id], areas[series.to_region_id]
        if sender != receiver:
            return sender < receiver
    return series.from_region_id < series.to_region_id


def _while_held(points: Points, tenure: Tenure, span: Span) -> Points:
    """The points that ended while the connection was out of the package."""
    since_s = max(span.from_s, tenure.since_s - tenure.since_s % span.step_s)
    until_s = span.to_s if tenure.until_s is None else tenure.until_s - tenure.until_s % span.step_s
    return points.between(since_s, min(span.to_s, until_s))


def _count(total: Total, points: Points, *, forth: bool) -> None:
    total.sent_packets += sum(points.sent_packets)
    total.dropped_packets += sum(points.dropped_packets)
    if forth:
        total.a_to_b_bytes += sum(points.sent_bytes)
    else:
        total.b_to_a_bytes += sum(points.sent_bytes)


def totals_span(context: Context, from_s: float | None, to_s: float | None, last_s: int | None) -> Span:
    """A span to be summed up; how finely its ends are taken goes by its length."""
    end = _now_s(context) if to_s is None else to_s
    length_s = (last_s or HOUR_S) if from_s is None else end - from_s
    step_s = BASE_STEP_S if length_s <= 2 * HOUR_S else MINUTE_S if length_s <= 2 * DAY_S else HOUR_S
    return span_of(context, from_s, to_s, last_s, step_s, most_points=_EARLIEST_S)
