"""Bandwidth packages and their binding."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from opencen.api.rest.answers import page_of, tagged
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf, SeenVersion
from opencen.services import expiry, packages, sizing
from opencen.wire import rest as wire
from opencen.wire import sizing as sizing_wire

router = APIRouter(tags=["bandwidth packages"])


@router.post("/bandwidth-packages", status_code=201)
def buy_package(body: wire.PackageBuy, context: ContextOf, actor: ActorOf, response: Response) -> wire.Package:
    """Buy bandwidth between two areas (or within one)."""
    package = packages.buy(
        context,
        actor,
        area_a_id=body.area_a_id,
        area_b_id=body.area_b_id,
        bandwidth_mbps=body.bandwidth_mbps,
        name=body.name,
        description=body.description,
        charge_type=body.charge_type,
        months=body.months,
    )
    return tagged(response, wire.Package.model_validate(package))


@router.get("/bandwidth-packages")
def list_packages(
    context: ContextOf,
    actor: ActorOf,
    page: PageOf,
    cen_id: Annotated[str | None, Query(description="bound to this instance")] = None,
    bound: Annotated[bool | None, Query(description="bound to any instance, or to none")] = None,
    name: str | None = None,
) -> wire.Page[wire.Package]:
    """The account's bandwidth packages, in the order in which they were bought."""
    found = packages.search(
        context,
        actor,
        page,
        cen_ids=None if cen_id is None else [cen_id],
        bound=bound,
        names=None if name is None else [name],
    )
    return page_of(wire.Package, found, page)


@router.get("/bandwidth-packages/{package_id}")
def get_package(package_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.Package:
    """One bandwidth package."""
    return tagged(response, wire.Package.model_validate(packages.get(context, actor, package_id)))


@router.patch("/bandwidth-packages/{package_id}")
def modify_package(
    package_id: str,
    body: wire.PackageModify,
    context: ContextOf,
    actor: ActorOf,
    seen: SeenVersion,
    response: Response,
) -> wire.Package:
    """Rename, describe or resize a package; it cannot shrink below what is allocated."""
    package = packages.modify(
        context,
        actor,
        package_id,
        name=body.name,
        description=body.description,
        bandwidth_mbps=body.bandwidth_mbps,
        seen_version=seen,
    )
    return tagged(response, wire.Package.model_validate(package))


@router.get("/bandwidth-packages/{package_id}/sizing")
def size_package(
    package_id: str,
    context: ContextOf,
    actor: ActorOf,
    last_s: Annotated[int, Query(ge=300, description="how far back; at most 30 days")] = 7 * 24 * 3600,
    percentile: Annotated[int, Query(ge=1, le=100, description="of the intervals, to be served")] = 95,
) -> sizing_wire.PackageSizing:
    """Which size and division of the package would have served what was recorded, and what the present one wasted."""
    found = sizing.size(context, actor, package_id, last_s=last_s, percentile=percentile)
    return sizing_wire.PackageSizing(
        package_id=package_id,
        bandwidth_mbps=found.sizing.bandwidth_mbps,
        from_time=datetime.fromtimestamp(found.span.from_s, UTC),
        to_time=datetime.fromtimestamp(found.span.to_s, UTC),
        intervals=found.sizing.intervals,
        percentile=percentile,
        sizes=[sizing_wire.PackageSize.model_validate(size) for size in found.sizing.sizes],
        shares=[
            sizing_wire.SuggestedShare(
                cen_id=connection.cen_id,
                region_a_id=connection.region_a_id,
                region_b_id=connection.region_b_id,
                set_mbps=share.set_mbps,
                suggested_mbps=share.suggested_mbps,
                mean_bps=share.mean_bps,
                peak_bps=share.peak_bps,
                served=share.served,
                held_back=share.held_back,
            )
            for connection, share in zip(found.connections, found.sizing.shares, strict=True)
        ],
        mean_bps=found.sizing.mean_bps,
        unused_bps=found.sizing.unused_bps,
        full_on=found.sizing.full_on,
        forecast_days=found.sizing.forecast_days,
    )


@router.delete("/bandwidth-packages/{package_id}", status_code=204)
def delete_package(package_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Delete a package that is not bound."""
    packages.delete(context, actor, package_id)


@router.post("/bandwidth-packages/{package_id}/renewal")
def renew_package(
    package_id: str, body: wire.PackageRenew, context: ContextOf, actor: ActorOf, response: Response
) -> wire.Package:
    """Let a package that was bought for a time last longer; connections that had fallen back get what is set again."""
    return tagged(response, wire.Package.model_validate(expiry.renew(context, actor, package_id, body.months)))


@router.put("/bandwidth-packages/{package_id}/binding")
def bind_package(
    package_id: str, body: wire.Bind, context: ContextOf, actor: ActorOf, response: Response
) -> wire.Package:
    """Bind a package to a CEN instance."""
    return tagged(response, wire.Package.model_validate(packages.bind(context, actor, package_id, body.cen_id)))


@router.delete("/bandwidth-packages/{package_id}/binding")
def unbind_package(package_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.Package:
    """Unbind a package from which no region connection draws."""
    return tagged(response, wire.Package.model_validate(packages.unbind(context, actor, package_id)))
