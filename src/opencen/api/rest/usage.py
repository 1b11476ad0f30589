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
from opencen.services.usage import asking, intake
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
