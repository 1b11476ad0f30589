"""Region connections: the cross-region bandwidth of pairs of regions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from opencen.api.rest.answers import page_of, tagged
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf, SeenVersion
from opencen.domain.connection import Automatic, ConnectionView
from opencen.services import connections, following, views
from opencen.wire import rest as wire

router = APIRouter(tags=["region connections"])
PAIR = "/instances/{cen_id}/region-connections/{region_id}/{other_region_id}"


def _connection(view: ConnectionView) -> wire.Connection:
    connection = view.connection
    return wire.Connection(
        id=connection.id,
        cen_id=connection.cen_id,
        region_a_id=connection.region_a_id,
        region_b_id=connection.region_b_id,
        package_id=connection.package_id,
        bandwidth_mbps=connection.bandwidth_mbps,
        status=view.status.value,
        enforcement=view.enforcement.value,
        reasons=list(view.reasons),
        granted_bps=view.granted_bps,
        limit_bps=view.limit_bps,
        automatic=wire.Automatic.model_validate(connection.automatic) if connection.automatic else None,
        sides=[wire.Side.model_validate(side) for side in view.sides],
        created_at=connection.created_at,
        updated_at=connection.updated_at,
        version=connection.version,
    )


@router.put(PAIR)
def set_connection(
    cen_id: str,
    region_id: str,
    other_region_id: str,
    body: wire.ConnectionSet,
    context: ContextOf,
    actor: ActorOf,
    seen: SeenVersion,
    response: Response,
) -> wire.Connection:
    """Set the bandwidth of a pair of regions, new or again. Answered when it is durable.

    `status` is Modifying until the gateways of both regions have it in their kernels.
    """
    connections.set_bandwidth(
        context,
        actor,
        cen_id,
        region_id,
        other_region_id,
        body.bandwidth_mbps,
        package_id=body.package_id,
        seen_version=seen,
        automatic=Automatic(body.automatic.max_mbps, body.automatic.weight) if body.automatic else None,
    )
    return tagged(response, _connection(views.get(context, actor, cen_id, region_id, other_region_id)))


@router.get(PAIR)
def get_connection(
    cen_id: str, region_id: str, other_region_id: str, context: ContextOf, actor: ActorOf, response: Response
) -> wire.Connection:
    """One region connection; the order of the regions does not matter."""
    return tagged(response, _connection(views.get(context, actor, cen_id, region_id, other_region_id)))


@router.delete(PAIR, status_code=204)
def delete_connection(
    cen_id: str, region_id: str, other_region_id: str, context: ContextOf, actor: ActorOf, seen: SeenVersion
) -> None:
    """Delete a region connection: its share is free at once, and the pair falls back to 1 kbit/s."""
    connections.delete(context, actor, cen_id, region_id, other_region_id, seen_version=seen)


@router.get("/instances/{cen_id}/decisions")
def list_decisions(cen_id: str, context: ContextOf, actor: ActorOf, page: PageOf) -> wire.Page[wire.Decision]:
    """How the limits of automatic connections followed the traffic, and why, the newest first; a week of it."""
    return page_of(wire.Decision, following.search(context, actor, cen_id, page), page)


@router.get("/region-connections")
def list_connections(
    context: ContextOf,
    actor: ActorOf,
    page: PageOf,
    cen_id: str | None = None,
    region_id: Annotated[str | None, Query(description="touching this region")] = None,
    package_id: Annotated[str | None, Query(description="out of this package")] = None,
    watch: Annotated[bool, Query(description="ask gateways for figures every second for the next 15 s")] = False,
) -> wire.Page[wire.Connection]:
    """Region connections with their status and live figures."""
    if watch:
        context.watch()
    found = views.search(context, actor, page, cen_id=cen_id, region_id=region_id, package_id=package_id)
    return page_of(wire.Connection, found, page, _connection)
