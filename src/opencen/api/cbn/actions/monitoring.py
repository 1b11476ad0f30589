"""CloudMonitor (Cms) as users of CEN script it: what region connections and packages carry, namespace `acs_cen`.

Metrics, dimensions and units: reference `cbn-api.md`, section 5.2. All are outbound: the other direction is asked for
with `localRegionId` and `oppositeRegionId` exchanged. Where the real service is silent: without StartTime the last hour
is answered; a point is there once its period has ended; the metrics of a span of areas are of its busier direction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from opencen.api.cbn.actions.products import CMS, ServiceCall
from opencen.api.cbn.actions.spans import span_id
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import RpcError
from opencen.domain.bandwidth import MBPS
from opencen.domain.usage import HOUR_S, MINUTE_S
from opencen.services import identities
from opencen.services.context import Context
from opencen.services.usage import asking
from opencen.services.usage.asking import Direction, Span

ACTIONS = Actions[Context](CMS)

NAMESPACE: Final = "acs_cen"
_MOST_POINTS: Final = 1_440
_DEFAULT_POINTS: Final = 1_000
Datapoint = dict[str, Any]


def _invalid(message: str) -> RpcError:
    return RpcError("ParameterInvalid", 400, f"Illegal parameters. {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeMetricList:
    namespace: str
    metric_name: str
    dimensions: str | None = None
    period: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    length: str | None = None
    next_token: str | None = None


@ACTIONS.action("DescribeMetricList")
def describe_metric_list(call: ServiceCall, given: DescribeMetricList) -> Answer:
    period_s, span = _period_s(given), _span(call, given)
    found = _datapoints(call, given, span)
    first = _number(given.next_token or "0", "NextToken", 0, len(found))
    length = _number(given.length or str(_DEFAULT_POINTS), "Length", 1, _MOST_POINTS)
    answer = _answer(found[first : first + length], period_s)
    if first + length < len(found):
        answer["NextToken"] = str(first + length)
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeMetricLast:
    namespace: str
    metric_name: str
    dimensions: str | None = None
    period: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    length: str | None = None
    next_token: str | None = None


@ACTIONS.action("DescribeMetricLast")
def describe_metric_last(call: ServiceCall, given: DescribeMetricLast) -> Answer:
    asked = DescribeMetricList(**{name: getattr(given, name) for name in DescribeMetricList.__slots__})
    last: dict[str, Datapoint] = {}
    for point in _datapoints(call, asked, _span(call, asked)):
        last[json.dumps([value for name, value in point.items() if name.endswith("Id")])] = point
    return _answer(list(last.values()), _period_s(asked))


def _answer(points: list[Datapoint], period_s: int) -> dict[str, Any]:
    text = json.dumps(points, separators=(",", ":"))
    return {"Code": "200", "Success": True, "Period": str(period_s), "Datapoints": text}


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text[:12]) <= most):
        raise _invalid(f"{name} is a whole number from {least} to {most}, not {text[:32]!r}.")
    return int(text)


def _period_s(given: DescribeMetricList) -> int:
    period_s = _number(given.period or str(MINUTE_S), "Period", MINUTE_S, 24 * HOUR_S)
    if period_s % MINUTE_S:
        raise _invalid(f"Period is 60 or a multiple of 60, not {period_s}.")
    return period_s


def _span(call: ServiceCall, given: DescribeMetricList) -> Span:
    """(StartTime, EndTime] in whole periods that have ended."""
    period_s, now_s = _period_s(given), int(call.context.clock().timestamp())
    end_s = min(_time_s(given.end_time, "EndTime") if given.end_time else now_s, now_s)
    start_s = _time_s(given.start_time, "StartTime") if given.start_time else end_s - HOUR_S
    if start_s >= end_s:
        raise _invalid("StartTime is not before EndTime.")
    end_s -= end_s % period_s
    return asking.span_of(call.context, min(start_s, end_s - period_s), end_s, None, period_s, asking.MOST_POINTS)


def _time_s(text: str, name: str) -> int:
    """Milliseconds since 1970, `2026-11-24 20:00:00` (UTC) or `2026-11-24T20:00:00Z`."""
    if text.isascii() and text.isdecimal():
        return int(text[:16]) // 1_000
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise _invalid(f"{name} is no time: {text[:32]!r}.") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _dimensions(given: DescribeMetricList) -> list[Mapping[str, str]]:
    """What is asked for: an object, or a list of them; none is everything."""
    if not given.dimensions:
        return [{}]
    try:
        read = json.loads(given.dimensions)
    except ValueError as error:
        raise _invalid("Dimensions is no JSON.") from error
    asked = read if isinstance(read, list) else [read]
    if not all(isinstance(item, dict) and all(isinstance(value, str) for value in item.values()) for item in asked):
        raise _invalid('Dimensions is like {"cenId":"cen-…","localRegionId":"…","oppositeRegionId":"…"}.')
    return asked or [{}]


def _datapoints(call: ServiceCall, given: DescribeMetricList, span: Span) -> list[Datapoint]:
    if given.namespace != NAMESPACE:
        raise RpcError("ResourceNotFound", 404, f"The namespace served here is {NAMESPACE}.")
    if given.metric_name in _REGION_METRICS:
        points = _of_regions(call, _REGION_METRICS[given.metric_name], span)
    elif given.metric_name in _AREA_METRICS:
        points = _of_areas(call, span, percent=given.metric_name == _AREA_PERCENT)
    else:
        names = ", ".join(sorted([*_REGION_METRICS, *_AREA_METRICS]))
        raise RpcError("ResourceNotFound", 404, f"There is no metric {given.metric_name[:64]!r}; there are {names}.")
    asked = _dimensions(given)
    wanted = [point for point in points if any(_matches(point, dimensions) for dimensions in asked)]
    return sorted(wanted, key=lambda point: point["timestamp"])


def _matches(point: Datapoint, dimensions: Mapping[str, str]) -> bool:
    known = {name.lower(): str(value) for name, value in point.items() if name.endswith("Id")}
    return all(known.get(name.lower()) == value for name, value in dimensions.items() if value)


Shown = list[dict[str, float] | None]
Figures = Callable[[Direction], Shown]
"""What each of a direction's points shows, by statistic; None where nothing is known."""


def _rate(direction: Direction) -> Shown:
    points = direction.points
    return [
        None if mean is None else {"Value": mean, "Average": mean, "Maximum": most}
        for mean, most in zip(points.mean_bps(), points.max_bps, strict=True)
    ]


def _percent(direction: Direction) -> Shown:
    return [
        {name: round(rate * 100 / limit_bps, 2) for name, rate in rates.items()} if rates and limit_bps else None
        for rates, limit_bps in zip(_rate(direction), direction.limit_bps, strict=True)
    ]


def _drops(direction: Direction) -> Shown:
    points = direction.points
    rates = [
        round(drops / metered_s, 2) if metered_s else None
        for drops, metered_s in zip(points.dropped_packets, points.metered_s, strict=True)
    ]
    return [None if rate is None else {"Average": rate, "Maximum": rate, "Minimum": rate} for rate in rates]


_REGION_METRICS: Final[Mapping[str, Figures]] = {
    "InternetOutRateByConnectionRegion": _rate,
    "InternetOutRatePercentByConnectionRegion": _percent,
    "InternetOutDropRateByConnectionRegion": _drops,
}
_AREA_PERCENT: Final = "InternetOutRatePercentByConnectionArea"
_AREA_METRICS: Final = ("InternetOutRateByConnectionArea", _AREA_PERCENT)


def _of_regions(call: ServiceCall, figures: Figures, span: Span) -> Iterator[Datapoint]:
    user_id = str(identities.find_account(call.context, call.actor.account_id).number)
    areas = asking.areas(call.context)
    for chart in asking.charts(call.context, call.actor, span):
        for direction in chart.directions:
            local, opposite = direction.from_region_id, direction.to_region_id
            dimensions = {
                "userId": user_id,
                "cenId": chart.key[0],
                "geographicSpanId": span_id(areas[local], areas[opposite]),
                "localRegionId": local,
                "oppositeRegionId": opposite,
            }
            for number, shown in enumerate(figures(direction)):
                if shown is not None:
                    yield {"timestamp": _timestamp(span, number), **dimensions, **shown}


def _of_areas(call: ServiceCall, span: Span, *, percent: bool) -> Iterator[Datapoint]:
    user_id = str(identities.find_account(call.context, call.actor.account_id).number)
    for chart in asking.package_charts(call.context, call.actor, span):
        package = chart.package
        dimensions = {
            "userId": user_id,
            "cenId": package.cen_id or "",
            "geographicSpanId": span_id(package.area_a_id, package.area_b_id),
            "bandwidthPackageId": package.id,
        }
        for number in range(span.length):
            forth = [share.a_to_b_bps[number] for share in chart.shares]
            back = [share.b_to_a_bps[number] for share in chart.shares]
            if all(rate is None for rate in forth + back):
                continue
            busier = max(sum(rate or 0 for rate in rates) for rates in (forth, back))
            value = round(busier * 100 / (package.bandwidth_mbps * MBPS), 2) if percent else busier
            yield {"timestamp": _timestamp(span, number), **dimensions, "Value": value, "Average": value}


def _timestamp(span: Span, number: int) -> int:
    """Milliseconds since 1970 at which a point begins."""
    return (span.from_s + number * span.step_s) * 1_000
