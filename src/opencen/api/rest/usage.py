"""Usage: charts, totals and monthly percentiles; and what gateways meter."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from opencen.api.rest.callers import ActorOf, ContextOf, GatewayOf
from opencen.api.rest.connections import PAIR
from opencen.services.usage import asking, intake, months
from opencen.services.usage.asking import Span
from opencen.wire import usage as wire

router = APIRouter(tags=["usage"])
gateway_router = APIRouter(prefix="/gateway", tags=["gateways' own"])

Format = Annotated[Literal["json", "csv"], Query(description="csv: the same, a line a point")]


def get_span(
    context: ContextOf,
    from_time: Annotated[datetime | None, Query(alias="from", description="RFC 3339; with `to`")] = None,
    to_time: Annotated[datetime | None, Query(alias="to", description="RFC 3339; now without")] = None,
    last_s: Annotated[int | None, Query(ge=1, description="instead of `from`: so many seconds before `to`")] = None,
    step_s: Annotated[
        int | None, Query(ge=1, description="1, or a multiple of 10; chosen for the span without")
    ] = None,
    most_points: Annotated[int, Query(ge=1, le=asking.MOST_POINTS, description="when `step_s` is chosen")] = 1_000,
) -> Span:
    return asking.span_of(context, _epoch(from_time), _epoch(to_time), last_s, step_s, most_points)


SpanOf = Annotated[Span, Depends(get_span)]


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _time(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    disposition = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=disposition)


def _known(values: Sequence[int], metered_s: Sequence[int]) -> list[int | None]:
    return [value if seconds else None for value, seconds in zip(values, metered_s, strict=True)]


def _direction(direction: asking.Direction) -> wire.UsageDirection:
    points = direction.points
    return wire.UsageDirection(
        from_region_id=direction.from_region_id,
        to_region_id=direction.to_region_id,
        mean_bps=[None if mean is None else float(mean) for mean in points.mean_bps()],
        max_bps=_known(points.max_bps, points.metered_s),
        p95_bps=_known(points.p95_bps, points.metered_s),
        sent_bytes=points.sent_bytes,
        sent_packets=points.sent_packets,
        dropped_packets=points.dropped_packets,
        backlog_bytes=points.backlog_bytes,
        limit_bps=list(direction.limit_bps),
    )


_CHART_COLUMNS = (
    "mean_bps",
    "max_bps",
    "p95_bps",
    "sent_bytes",
    "sent_packets",
    "dropped_packets",
    "backlog_bytes",
    "limit_bps",
)


@router.get(f"{PAIR}/usage", response_model=wire.UsageChart)
def get_connection_usage(
    cen_id: str,
    region_id: str,
    other_region_id: str,
    context: ContextOf,
    actor: ActorOf,
    span: SpanOf,
    answer_format: Annotated[Format, Query(alias="format")] = "json",
    watch: Annotated[bool, Query(description="meter this connection every second for the next 15 s")] = False,
) -> Any:
    """Both directions of a region connection as points: mean, greatest and 95th percentile, drops, and the limit."""
    found = asking.chart(context, actor, cen_id, region_id, other_region_id, span, watch=watch)
    chart = wire.UsageChart(
        cen_id=cen_id,
        region_a_id=found.key[1],
        region_b_id=found.key[2],
        from_time=_time(span.from_s),
        to_time=_time(span.to_s),
        step_s=span.step_s,
        directions=[_direction(direction) for direction in found.directions],
    )
    if answer_format == "json":
        return chart
    rows = (
        [
            _time(span.from_s + number * span.step_s).isoformat(),
            direction.from_region_id,
            direction.to_region_id,
            *("" if (value := getattr(direction, name)[number]) is None else value for name in _CHART_COLUMNS),
        ]
        for direction in chart.directions
        for number in range(span.length)
    )
    header = ("time", "from_region_id", "to_region_id", *_CHART_COLUMNS)
    return _csv(f"usage-{cen_id}-{found.key[1]}-{found.key[2]}", header, rows)


@router.get("/bandwidth-packages/{package_id}/usage", response_model=wire.PackageUsageChart)
def get_package_usage(
    package_id: str,
    context: ContextOf,
    actor: ActorOf,
    span: SpanOf,
    answer_format: Annotated[Format, Query(alias="format")] = "json",
) -> Any:
    """What each connection carried out of a package, to be stacked against it."""
    found = asking.package_chart(context, actor, package_id, span)
    chart = wire.PackageUsageChart(
        package_id=package_id,
        bandwidth_mbps=found.package.bandwidth_mbps,
        from_time=_time(span.from_s),
        to_time=_time(span.to_s),
        step_s=span.step_s,
        connections=[
            wire.PackageUsageConnection(
                cen_id=share.key[0],
                region_a_id=share.key[1],
                region_b_id=share.key[2],
                a_to_b_bps=list(share.a_to_b_bps),
                b_to_a_bps=list(share.b_to_a_bps),
            )
            for share in found.shares
        ],
    )
    if answer_format == "json":
        return chart
    rows = (
        [
            _time(span.from_s + number * span.step_s).isoformat(),
            share.cen_id,
            share.region_a_id,
            share.region_b_id,
            "" if share.a_to_b_bps[number] is None else share.a_to_b_bps[number],
            "" if share.b_to_a_bps[number] is None else share.b_to_a_bps[number],
        ]
        for share in chart.connections
        for number in range(span.length)
    )
    header = ("time", "cen_id", "region_a_id", "region_b_id", "a_to_b_bps", "b_to_a_bps")
    return _csv(f"usage-{package_id}", header, rows)


@router.get("/usage/totals", response_model=wire.UsageTotals)
def get_totals(
    context: ContextOf,
    actor: ActorOf,
    by: Annotated[asking.GroupBy, Query(description="by account, an administrator sees all accounts")],
    from_time: Annotated[datetime | None, Query(alias="from", description="RFC 3339; with `to`")] = None,
    to_time: Annotated[datetime | None, Query(alias="to", description="RFC 3339; now without")] = None,
    last_s: Annotated[int | None, Query(ge=1, description="instead of `from`: so many seconds before `to`")] = None,
    answer_format: Annotated[Format, Query(alias="format")] = "json",
) -> Any:
    """What passed in a span: its ends are taken to the 10 s, the minute (beyond 2 h) or the hour (beyond 2 days)."""
    span = asking.totals_span(context, _epoch(from_time), _epoch(to_time), last_s)
    items = [
        wire.UsageTotal(
            key=total.key,
            sent_bytes=total.sent_bytes,
            sent_packets=total.sent_packets,
            dropped_packets=total.dropped_packets,
            mean_bps=total.sent_bytes * 8 / (span.to_s - span.from_s),
            a_to_b_bytes=total.a_to_b_bytes,
            b_to_a_bytes=total.b_to_a_bytes,
        )
        for total in asking.totals(context, actor, by, span)
    ]
    if answer_format == "json":
        return wire.UsageTotals(by=by.value, from_time=_time(span.from_s), to_time=_time(span.to_s), items=items)
    header = tuple(wire.UsageTotal.model_fields)
    return _csv(f"usage-by-{by.value}", header, ([getattr(item, name) for name in header] for item in items))


@router.get("/usage/months/{month}", response_model=wire.UsageMonth)
def get_month(
    month: str, context: ContextOf, actor: ActorOf, answer_format: Annotated[Format, Query(alias="format")] = "json"
) -> Any:
    """Monthly 95th percentiles of 5-minute means, of each connection and package: `month` is like 2026-11."""
    found = months.month(context, actor, month)
    items = [
        wire.MonthlyPercentile(
            kind="connection" if row.kind == "connection" else "package",
            id=row.id,
            a_to_b_bps=row.a_to_b_bps,
            b_to_a_bps=row.b_to_a_bps,
            billed_bps=max(row.a_to_b_bps, row.b_to_a_bps),
            sent_bytes=row.sent_bytes,
        )
        for row in found.rows
    ]
    if answer_format == "json":
        return wire.UsageMonth(month=found.month, intervals=found.intervals, final=found.final, items=items)
    header = tuple(wire.MonthlyPercentile.model_fields)
    return _csv(f"usage-{month}", header, ([getattr(item, name) for name in header] for item in items))


@gateway_router.post("/usage")
def take_usage(body: wire.UsageBatch, context: ContextOf, gateway: GatewayOf) -> wire.UsageAnswer:
    """What a gateway metered. Answered when it is on disk."""
    taken = intake.take(
        context,
        gateway,
        spool_id=body.spool_id,
        sequence=body.sequence,
        clock=intake.Clock(body.clock.boot_id, body.clock.boot_s, body.clock.wall_s),
        boot_id=body.boot_id,
        boot_wall_s=body.boot_wall_s,
        roster_sha256=body.roster_sha256,
        roster=None if body.roster is None else [(link.cen_id, link.peer_region_id) for link in body.roster],
        ticks=[
            intake.Tick(
                tick.at_s,
                tick.for_s,
                (tick.sent_bytes, tick.sent_packets, tick.dropped_packets, tick.backlog_bytes),
            )
            for tick in body.ticks
        ],
    )
    if taken.wants_roster:
        return wire.UsageAnswer(wants_roster=True)
    watched = [
        wire.RosterLink(cen_id=cen_id, peer_region_id=peer_region_id)
        for cen_id, peer_region_id in intake.watched_links(context, gateway.region_id)
    ]
    return wire.UsageAnswer(align_s=intake.align_s(taken.offset_s), watched=watched)
