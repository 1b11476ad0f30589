"""Route tables of the VPC API: each VPC has one, made with it, which Terraform reads right after creating the VPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opencen.api.cbn.actions.products import VPC, ServiceCall
from opencen.api.cbn.actions.shapes import WantedTags, group_of, page_of, paged, second, tag_list, wanted_labels
from opencen.api.cbn.actions.vpc import owner_number, sibling_id, vpc_id_of
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.parameters import Paging
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.labels import WantedLabels
from opencen.domain.nouns import Network, VSwitch
from opencen.services import networks, vswitches
from opencen.services.context import Context
from opencen.store.records import Listing, Page

ACTIONS = Actions[Context](VPC)
_MOST_VSWITCHES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRouteTableList(Paging):
    region_id: str
    vpc_id: str = ""
    router_id: str = ""
    route_table_id: str = ""
    route_table_name: str = ""
    route_table_type: str = ""
    router_type: str = ""
    resource_group_id: str | None = None
    tag: WantedTags = ()


@ACTIONS.action("DescribeRouteTableList")
def describe_route_table_list(call: ServiceCall, given: DescribeRouteTableList) -> Answer:
    nothing = given.route_table_name or given.tag or given.route_table_type not in ("", "System")
    found = _find(
        call,
        given,
        (given.vpc_id, given.router_id, given.route_table_id),
        given.region_id,
        wanted_labels((), given.resource_group_id),
        nothing=bool(nothing) or given.router_type not in ("", "VRouter"),
    )
    number = owner_number(call)
    inside = vswitches.of_networks(call.context, [network.id for network in found.items])
    return paged(
        given,
        found,
        "RouterTableList",
        "RouterTableListType",
        lambda network: _listed(network, number, inside.get(network.id, ())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRouteTables(Paging):
    region_id: str = ""
    v_router_id: str = ""
    router_id: str = ""
    router_type: str = ""
    route_table_id: str = ""
    resource_group_id: str | None = None


@ACTIONS.action("DescribeRouteTables")
def describe_route_tables(call: ServiceCall, given: DescribeRouteTables) -> Answer:
    """The entries are the VPC's own; what CEN brings is listed by DescribeCenRegionDomainRouteEntries."""
    found = _find(
        call,
        given,
        (given.v_router_id, given.router_id, given.route_table_id),
        given.region_id,
        wanted_labels((), given.resource_group_id),
        nothing=given.router_type not in ("", "VRouter"),
    )
    inside = {
        network.id: vswitches.search(call.context, call.actor, Page(1, _MOST_VSWITCHES), network_id=network.id).items
        for network in found.items
    }
    return paged(given, found, "RouteTables", "RouteTable", lambda network: _with_entries(network, inside[network.id]))


def _find(
    call: ServiceCall,
    given: Paging,
    identifiers: Sequence[str],
    region_id: str,
    labelled: WantedLabels,
    *,
    nothing: bool,
) -> Listing[Network]:
    """The VPCs whose tables are asked for: by the ids of VPC, router and table, which must agree."""
    named = {vpc_id_of(identifier) for identifier in identifiers if identifier}
    if nothing or len(named) > 1:
        return Listing((), 0)
    return networks.search(
        call.context,
        call.actor,
        page_of(given),
        ids=sorted(named) or None,
        region_id=region_id or None,
        labelled=labelled,
    )


def _listed(network: Network, number: int, vswitch_ids: Sequence[str]) -> dict[str, object]:
    return {
        "RouteTableId": sibling_id("vtb", network.id),
        "RouteTableType": "System",
        "RouteTableName": "",
        "Description": "",
        "RouterId": sibling_id("vrt", network.id),
        "RouterType": "VRouter",
        "VpcId": network.id,
        "Status": "Available",
        "AssociateType": "VSwitch",
        "VSwitchIds": wrapped("VSwitchId", vswitch_ids),
        "GatewayIds": wrapped("GatewayIds", ()),
        "RoutePropagationEnable": True,
        "OwnerId": number,
        "ResourceGroupId": group_of(network),
        "CreationTime": second(network.created_at),
        "Tags": tag_list(()),
    }


def _with_entries(network: Network, inside: Sequence[VSwitch]) -> dict[str, object]:
    table_id = sibling_id("vtb", network.id)
    entries = [
        {
            "RouteEntryId": f"rte-{vswitch.id.partition('-')[2]}",
            "RouteEntryName": "",
            "Description": "",
            "RouteTableId": table_id,
            "DestinationCidrBlock": vswitch.cidr_block,
            "Type": "System",
            "Status": "Available",
            "NextHopType": "local",
            "InstanceId": "",
            "NextHops": wrapped("NextHop", ()),
        }
        for vswitch in inside
    ]
    return {
        "RouteTableId": table_id,
        "RouteTableType": "System",
        "Status": "Available",
        "VRouterId": sibling_id("vrt", network.id),
        "CreationTime": second(network.created_at),
        "ResourceGroupId": group_of(network),
        "RouteEntrys": wrapped("RouteEntry", entries),
        "VSwitchIds": wrapped("VSwitchId", [vswitch.id for vswitch in inside]),
    }
