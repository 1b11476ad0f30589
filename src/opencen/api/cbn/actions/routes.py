"""Routes of attached networks: what every region of a CEN instance knows, and publishing and withdrawing it.

A VPC's own blocks are its system routes; a smaller block inside them is a custom route. Each VPC has the one route
table that was made with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import paged, sliced
from opencen.api.cbn.actions.transit_shapes import only
from opencen.api.cbn.actions.vpc import vpc_id_of
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, RpcError, invalid_parameter
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.routes import Route
from opencen.services import geography, routes
from opencen.services.context import Context

ACTIONS = Actions[Context](CBN)
_Type = Annotated[str, Rule(one_of=("VPC", "VBR", "CCN"), code="ParameterIllegal.ChildInstanceType")]
_ERRORS: ErrorMap = {
    (NotFoundError, "route"): Refusal("InvalidOperation.NotFoundRoute", 400),
    (InvalidValueError, "cidr_block"): Refusal("InvalidParameter", 400),
}
_PREFERENCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenRegionDomainRouteEntries:
    cen_id: str
    cen_region_id: str
    status: Annotated[str, Rule(one_of=("Active", "Candidate", "Rejected", "Prohibited", "All", ""))] = ""
    page_number: Annotated[int, Rule(minimum=1, maximum=1_000_000)] = 1
    page_size: Annotated[int, Rule(minimum=1, maximum=500)] = 10


@ACTIONS.action("DescribeCenRegionDomainRouteEntries")
def describe_cen_region_domain_route_entries(call: ServiceCall, given: DescribeCenRegionDomainRouteEntries) -> Answer:
    """Networks of one instance never overlap, so no route is ever a candidate, rejected or prohibited."""
    found = routes.known_in(call.context, call.actor, given.cen_id, given.cen_region_id)
    if given.cen_region_id not in {region.id for region in geography.find_regions(call.context)}:
        raise InvalidValueError(
            f"there is no region {given.cen_region_id!r}", field="region_id", value=given.cen_region_id
        )
    if given.status not in ("Active", "All", ""):
        found = []
    page = Paging(page_number=given.page_number, page_size=given.page_size)
    return paged(
        page, sliced(page, found), "CenRouteEntries", "CenRouteEntry", lambda route: _entry(route, given.cen_region_id)
    )


def _entry(route: Route, region_id: str) -> dict[str, object]:
    own = "Custom" if route.custom else "System"
    return {
        "DestinationCidrBlock": route.cidr_block,
        "NextHopType": "VPC",
        "NextHopInstanceId": route.network_id,
        "NextHopRegionId": route.region_id,
        "Type": own if route.region_id == region_id else "CEN",
        "Status": "Active",
        "ToOtherRegionStatus": "Active",
        "Preference": _PREFERENCE,
        "AsPaths": wrapped("AsPath", ()),
        "Communities": wrapped("Community", ()),
        "CenRouteMapRecords": wrapped("CenRouteMapRecord", ()),
        "CenOutRouteMapRecords": wrapped("CenOutRouteMapRecord", ()),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRoute:
    cen_id: str
    child_instance_id: str
    child_instance_type: _Type
    child_instance_region_id: str
    child_instance_route_table_id: str
    destination_cidr_block: str


@ACTIONS.action("PublishRouteEntries", errors=_ERRORS)
def publish_route_entries(call: ServiceCall, given: PublishedRoute) -> Answer:
    _require_table(call, given)
    routes.publish(call.context, call.actor, given.cen_id, given.child_instance_id, given.destination_cidr_block)
    return {}


@ACTIONS.action("WithdrawPublishedRouteEntries", errors=_ERRORS)
def withdraw_published_route_entries(call: ServiceCall, given: PublishedRoute) -> Answer:
    _require_table(call, given)
    routes.withdraw(call.context, call.actor, given.cen_id, given.child_instance_id, given.destination_cidr_block)
    return {}


def _require_table(call: ServiceCall, given: PublishedRoute) -> None:
    """That the parts name one attached VPC and its route table. Raises RpcError, NotFoundError."""
    _routes_of(call, given.cen_id, given.child_instance_id, given.child_instance_type, given.child_instance_region_id)
    if vpc_id_of(given.child_instance_route_table_id) != given.child_instance_id:
        raise invalid_parameter("ChildInstanceRouteTableId", f"{given.child_instance_id} has no route table of that id")


def _routes_of(call: ServiceCall, cen_id: str, child_id: str, child_type: str, region_id: str) -> tuple[Route, ...]:
    if child_type != "VPC":
        raise RpcError("InstanceType.NotSupport", 400, f"Networks of type {child_type} are not supported: use VPC.")
    attachment, present = routes.of_network(call.context, call.actor, cen_id, child_id)
    if region_id != attachment.region_id:
        raise RpcError(
            "ParameterIllegal.ChildInstanceRegionId", 400, f"{child_id} is in {attachment.region_id}, not there."
        )
    return present


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePublishedRouteEntries(Paging):
    cen_id: str
    child_instance_id: str
    child_instance_type: _Type
    child_instance_region_id: str
    child_instance_route_table_id: str = ""
    destination_cidr_block: str = ""


@ACTIONS.action("DescribePublishedRouteEntries", errors=_ERRORS)
def describe_published_route_entries(call: ServiceCall, given: DescribePublishedRouteEntries) -> Answer:
    present = _routes_of(
        call, given.cen_id, given.child_instance_id, given.child_instance_type, given.child_instance_region_id
    )
    table_id = f"vtb-{given.child_instance_id.partition('-')[2]}"
    found = only(
        present,
        (given.child_instance_route_table_id, lambda _: table_id),
        (given.destination_cidr_block, lambda route: route.cidr_block),
    )
    return paged(
        given,
        sliced(given, found),
        "PublishedRouteEntries",
        "PublishedRouteEntry",
        lambda route: _published(route, table_id),
    )


def _published(route: Route, table_id: str) -> dict[str, object]:
    return {
        "ChildInstanceRouteTableId": table_id,
        "DestinationCidrBlock": route.cidr_block,
        "NextHopType": "local",
        "NextHopId": "",
        "RouteType": "Custom" if route.custom else "System",
        "PublishStatus": "Published" if route.published else "NonPublished",
        "OperationalMode": True,
        "Conflicts": wrapped("Conflict", ()),
    }
