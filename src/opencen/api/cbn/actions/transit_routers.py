"""Transit routers: a region of a CEN instance each. Enterprise ones were made; Basic ones came with a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import (
    ClientToken,
    GivenTags,
    WantedTags,
    carries,
    labels,
    minute,
    plain_tags,
    sliced,
)
from opencen.api.cbn.actions.transit_shapes import TRANSIT_ERRORS, find_router, only, rehearsable, router_id
from opencen.api.cbn.actions.vpc import owner_number
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, RpcError, invalid_parameter
from opencen.api.cbn.protocol.parameters import Filter, Paging
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.labels import Labelled, Tag
from opencen.domain.transit import RouterKind, TransitRouter
from opencen.domain.vswitches import zones_of
from opencen.services import geography, transit_routers
from opencen.services import labels as label_service
from opencen.services.context import Context

ACTIONS = Actions[Context](CBN)
_IS_GONE = Refusal("ParameterInstanceId", 404)
_GONE: ErrorMap = {
    **TRANSIT_ERRORS,
    (NotFoundError, "transit router"): _IS_GONE,
    (NotFoundError, "CEN instance"): _IS_GONE,
}
"""Terraform takes this code for: it is gone."""
_UNKNOWN_INSTANCE: ErrorMap = {(NotFoundError, "CEN instance"): Refusal("ParameterCenInstanceId", 404)}
_EDITIONS = {RouterKind.IMPLICIT: "Basic", RouterKind.MADE: "Enterprise"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTransitRouter:
    cen_id: str
    region_id: str
    transit_router_name: str = ""
    transit_router_description: str = ""
    support_multicast: bool = False
    tag: GivenTags = ()
    transit_router_cidr_list: str = ""
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("CreateTransitRouter", errors={**TRANSIT_ERRORS, **_UNKNOWN_INSTANCE})
def create_transit_router(call: ServiceCall, given: CreateTransitRouter) -> Answer:
    if given.support_multicast:
        raise invalid_parameter("SupportMulticast", "gateways carry no multicast")
    if given.transit_router_cidr_list not in ("", "[]"):
        raise invalid_parameter("TransitRouterCidrList", "transit routers have no addresses of their own here")
    with rehearsable(call, given.dry_run) as context:
        router = transit_routers.create(
            context,
            call.actor,
            given.cen_id,
            given.region_id,
            name=given.transit_router_name,
            description=given.transit_router_description,
            labelled=labels(given.tag),
        )
    return {"TransitRouterId": router_id(router.cen_id, router.region_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTransitRouters(Paging):
    cen_id: str = ""
    region_id: str = ""
    transit_router_id: str = ""
    transit_router_name: str = ""
    status: str = ""
    type: str = ""
    feature_filter: tuple[Filter, ...] = ()
    tag: WantedTags = ()


@ACTIONS.action("ListTransitRouters")
def list_transit_routers(call: ServiceCall, given: ListTransitRouters) -> Answer:
    if not (given.cen_id or given.region_id or given.transit_router_id):
        raise RpcError(
            "InvalidParameterCombination.TransitRouter", 400, "Give CenId, RegionId or TransitRouterId at least."
        )
    found = only(
        transit_routers.search(call.context, call.actor, cen_id=given.cen_id or None),
        (given.region_id, lambda router: router.region_id),
        (given.transit_router_id, lambda router: router_id(router.cen_id, router.region_id)),
        (given.transit_router_name, lambda router: router.name),
        (given.status, lambda _: "Active"),
        (given.type, lambda router: _EDITIONS[router.kind]),
    )
    if not _wants_plain(given.feature_filter):
        found = []
    tags = label_service.tags_of(call.context, Labelled.TRANSIT_ROUTER, [_label_id(router) for router in found])
    found = [router for router in found if carries(tags.get(_label_id(router), ()), given.tag)]
    number = owner_number(call)
    listing = sliced(given, found)
    return {
        "TransitRouters": [_router(router, number, tags.get(_label_id(router), ())) for router in listing.items],
        "TotalCount": listing.total,
        "PageNumber": given.page_number,
        "PageSize": given.page_size,
    }


def _wants_plain(filters: tuple[Filter, ...]) -> bool:
    """Whether routers without multicast pass. Raises RpcError for another feature."""
    plain = True
    for wanted in filters:
        if wanted.key != "Multicast":
            raise RpcError(
                "InvalidOperation.UnsupportFilter", 400, f"The feature {wanted.key[:64]!r} is not supported."
            )
        if not set(wanted.value) <= {"Enabled", "Disabled"}:
            raise RpcError("InvalidOperation.UnsupportFilterValue", 400, "A feature is Enabled or Disabled.")
        plain = plain and "Disabled" in wanted.value
    return plain


def _label_id(router: TransitRouter) -> str:
    return f"{router.cen_id}:{router.region_id}"


def _router(router: TransitRouter, number: int, tags: Sequence[Tag]) -> dict[str, object]:
    return {
        "TransitRouterId": router_id(router.cen_id, router.region_id),
        "TransitRouterName": router.name,
        "TransitRouterDescription": router.description,
        "CenId": router.cen_id,
        "RegionId": router.region_id,
        "AliUid": number,
        "Type": _EDITIONS[router.kind],
        "Status": "Active",
        "SupportMulticast": False,
        "CreationTime": minute(router.created_at),
        "TransitRouterCidrList": [],
        "Tags": plain_tags(tags),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTransitRouter:
    transit_router_id: str
    region_id: str = ""
    transit_router_name: str | None = None
    transit_router_description: str | None = None
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("UpdateTransitRouter", errors=_GONE)
def update_transit_router(call: ServiceCall, given: UpdateTransitRouter) -> Answer:
    router = find_router(call, given.transit_router_id)
    if given.region_id not in ("", router.region_id):
        raise InvalidValueError(
            f"{given.transit_router_id} is in {router.region_id}", field="region_id", value=given.region_id
        )
    with rehearsable(call, given.dry_run) as context:
        transit_routers.modify(
            context,
            call.actor,
            router.cen_id,
            router.region_id,
            name=given.transit_router_name,
            description=given.transit_router_description,
        )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTransitRouter:
    transit_router_id: str
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("DeleteTransitRouter", errors=_GONE)
def delete_transit_router(call: ServiceCall, given: DeleteTransitRouter) -> Answer:
    router = find_router(call, given.transit_router_id)
    with rehearsable(call, given.dry_run) as context:
        transit_routers.delete(context, call.actor, router.cen_id, router.region_id)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTransitRouterAvailableResource:
    region_id: str
    support_multicast: bool = False


@ACTIONS.action("ListTransitRouterAvailableResource", errors=TRANSIT_ERRORS)
def list_transit_router_available_resource(call: ServiceCall, given: ListTransitRouterAvailableResource) -> Answer:
    if given.region_id not in {region.id for region in geography.find_regions(call.context)}:
        raise InvalidValueError(f"there is no region {given.region_id!r}", field="region_id", value=given.region_id)
    zones = [] if given.support_multicast else list(zones_of(given.region_id))
    return {
        "AvailableZones": zones,
        "MasterZones": zones,
        "SlaveZones": zones,
        "SupportMulticast": given.support_multicast,
    }
