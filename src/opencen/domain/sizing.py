"""What size of a package, and what division of it, would have served the traffic that was recorded. Pure.

A demand is what a connection used in each interval of a span, its busier direction, bit/s; None where nothing was
metered. Where the limit dropped packets, more was wanted than was recorded: such intervals are counted apart.
Percentiles are by nearest rank: the least value that so many per cent of the intervals do not exceed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from opencen.domain.bandwidth import MBPS, MIN_CONNECTION_MBPS, MIN_PACKAGE_MBPS

PERCENTILES = (50, 90, 95, 99, 100)
FORECAST_DAYS = 7
"""A line through fewer days says nothing."""
_FORECAST_YEARS = 10


@dataclass(frozen=True, slots=True)
class Demand:
    """One connection over the span; `held_back[n]`: its limit dropped packets in interval n."""

    name: str
    set_mbps: int
    used_bps: Sequence[int | None]
    held_back: Sequence[bool]


@dataclass(frozen=True, slots=True)
class PackageSize:
    """What serves `percentile` per cent of the intervals.

    `shared_mbps`: when the limits follow the traffic, so that a busy pair has what idle ones leave. `divided_mbps`:
    when each pair has its own part, the sum of what each needs.
    """

    percentile: int
    shared_mbps: int
    divided_mbps: int


@dataclass(frozen=True, slots=True)
class Share:
    """One connection's part of a division by `percentile`, beside what it is set to."""

    name: str
    set_mbps: int
    suggested_mbps: int
    mean_bps: int
    peak_bps: int
    served: float
    """The part of the intervals whose traffic the suggestion would have let through."""
    held_back: float
    """The part of the intervals in which the limit dropped packets: more was wanted than was recorded."""


@dataclass(frozen=True, slots=True)
class Sizing:
    bandwidth_mbps: int
    percentile: int
    intervals: int
    sizes: tuple[PackageSize, ...]
    shares: tuple[Share, ...]
    mean_bps: int
    """Of all connections together."""
    unused_bps: int
    """What was bought and not used, on average: what the present package wasted."""
    full_on: date | None
    """When the traffic will need the whole package, if it goes on as it did; None: not within ten years."""
    forecast_days: int
    """Days of traffic behind the forecast; below 7 there is none."""


def size(
    bandwidth_mbps: int,
    demands: Sequence[Demand],
    percentile: int,
    daily_bps: Mapping[date, int],
) -> Sizing:
    """Sizes by percentile, the division by `percentile`, and when the package is full.

    `daily_bps` is each day's `percentile` of the traffic of all connections together.
    """
    totals = _totals(demands)
    sizes = tuple(
        PackageSize(
            item,
            max(MIN_PACKAGE_MBPS, whole_mbps(rank(totals, item))),
            max(MIN_PACKAGE_MBPS, sum(_suggested(demand, item) for demand in demands)),
        )
        for item in PERCENTILES
    )
    mean_bps = _mean(totals)
    return Sizing(
        bandwidth_mbps=bandwidth_mbps,
        percentile=percentile,
        intervals=len(totals),
        sizes=sizes,
        shares=tuple(_share(demand, percentile) for demand in demands),
        mean_bps=mean_bps,
        unused_bps=max(0, bandwidth_mbps * MBPS - mean_bps),
        full_on=full_on(bandwidth_mbps, daily_bps),
        forecast_days=len(daily_bps),
    )


def rank(values: Sequence[int], percentile: int) -> int:
    """The percentile by nearest rank; 0 of none."""
    return sorted(values)[-(-percentile * len(values) // 100) - 1] if values else 0


def whole_mbps(rate_bps: int) -> int:
    """The least whole number of Mbit/s that lets a rate through."""
    return -(-rate_bps // MBPS)


def _known(demand: Demand) -> list[int]:
    return [used for used in demand.used_bps if used is not None]


def _totals(demands: Sequence[Demand]) -> list[int]:
    """All connections together, in the intervals in which anything was metered."""
    rows = zip(*(demand.used_bps for demand in demands), strict=True)
    return [sum(used or 0 for used in row) for row in rows if any(used is not None for used in row)]


def _mean(values: Sequence[int]) -> int:
    return sum(values) // len(values) if values else 0


def _suggested(demand: Demand, percentile: int) -> int:
    return max(MIN_CONNECTION_MBPS, whole_mbps(rank(_known(demand), percentile)))


def _share(demand: Demand, percentile: int) -> Share:
    known = _known(demand)
    suggested = _suggested(demand, percentile)
    return Share(
        name=demand.name,
        set_mbps=demand.set_mbps,
        suggested_mbps=suggested,
        mean_bps=_mean(known),
        peak_bps=max(known, default=0),
        served=sum(used <= suggested * MBPS for used in known) / len(known) if known else 1.0,
        held_back=sum(demand.held_back) / len(known) if known else 0.0,
    )


def full_on(bandwidth_mbps: int, daily_bps: Mapping[date, int]) -> date | None:
    """The day on which a straight line through the days (least squares) reaches the package; None: not foreseeable."""
    if len(daily_bps) < FORECAST_DAYS:
        return None
    first = min(daily_bps)
    days = [(day - first).days for day in daily_bps]
    rates = list(daily_bps.values())
    mean_day, mean_rate = sum(days) / len(days), sum(rates) / len(rates)
    spread = sum((day - mean_day) ** 2 for day in days)
    slope = sum((day - mean_day) * (rate - mean_rate) for day, rate in zip(days, rates, strict=True)) / spread
    if slope <= 0:
        return None
    at_day = mean_day + (bandwidth_mbps * MBPS - mean_rate) / slope
    if at_day > max(days) + 365 * _FORECAST_YEARS:
        return None
    return first + timedelta(days=max(int(at_day), *days))
