"""Which size and division of a package the recorded traffic asks for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime

from opencen.domain import sizing
from opencen.domain.connection import Connection
from opencen.domain.errors import InvalidValueError
from opencen.domain.nouns import Actor
from opencen.domain.sizing import Demand, Sizing
from opencen.domain.usage import BILLED_STEP_S
from opencen.services import packages
from opencen.services.context import Context
from opencen.services.usage import asking
from opencen.services.usage.asking import Span

_DAYS_MOST = 30
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class PackageSizing:
    package_id: str
    span: Span
    connections: tuple[Connection, ...]
    """In the order of `sizing.shares`."""
    sizing: Sizing


def size(context: Context, actor: Actor, package_id: str, *, last_s: int, percentile: int = 95) -> PackageSizing:
    """What would have served, over the last `last_s` seconds, in 5-minute means.

    Raises NotFoundError, InvalidValueError.

    Only connections that draw on the package now are looked at.
    """
    if not 1 <= percentile <= 100:
        raise InvalidValueError(
            f"a percentile is from 1 to 100, not {percentile}", field="percentile", value=percentile
        )
    if not BILLED_STEP_S <= last_s <= _DAYS_MOST * _DAY_S:
        raise InvalidValueError(
            f"traffic is looked at over {BILLED_STEP_S} seconds to {_DAYS_MOST} days, not {last_s} s",
            field="last_s",
            value=last_s,
        )
    package = packages.get(context, actor, package_id)
    present = tuple(packages.connections_of(context, [package_id]).get(package_id, []))
    span = asking.span_of(context, None, None, last_s, BILLED_STEP_S)
    demands = [_demand(context, actor, connection, span) for connection in present]
    daily = _daily(span, demands, percentile)
    return PackageSizing(package_id, span, present, sizing.size(package.bandwidth_mbps, demands, percentile, daily))


def _demand(context: Context, actor: Actor, connection: Connection, span: Span) -> Demand:
    pair = (connection.region_a_id, connection.region_b_id)
    forth, back = asking.chart(context, actor, connection.cen_id, *pair, span).directions
    used = [
        None if a is None and b is None else max(a or 0, b or 0)
        for a, b in zip(forth.points.mean_bps(), back.points.mean_bps(), strict=True)
    ]
    dropped = [a + b > 0 for a, b in zip(forth.points.dropped_packets, back.points.dropped_packets, strict=True)]
    return Demand(" - ".join(pair), connection.bandwidth_mbps, used, dropped)


def _daily(span: Span, demands: list[Demand], percentile: int) -> dict[date, int]:
    """Each whole day's percentile of the traffic of all connections together."""
    by_day: dict[date, list[int]] = defaultdict(list)
    for number, row in enumerate(zip(*(demand.used_bps for demand in demands), strict=True)):
        if any(used is not None for used in row):
            day = datetime.fromtimestamp(span.from_s + number * span.step_s, UTC).date()
            by_day[day].append(sum(used or 0 for used in row))
    whole = _DAY_S // span.step_s
    return {day: sizing.rank(totals, percentile) for day, totals in by_day.items() if len(totals) >= whole // 2}
