"""VSwitches and zones of the VPC API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import VPC, ServiceCall
from opencen.api.cbn.actions.shapes import (
    ClientToken,
    GivenTags,
    WantedTags,
    labels,
    page_of,
    paged,
    second,
    tag_list,
    wanted_labels,
)
from opencen.api.cbn.actions.vpc import dry_run_passed, owner_number, require_region, require_vpc, sibling_id
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import invalid_parameter
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import NotFoundError
from opencen.domain.labels import Labelled, Tag, default_group_id
from opencen.domain.nouns import VSwitch
from opencen.domain.vswitches import available_addresses, zones_of
from opencen.services import labels as label_service
from opencen.services import networks, vswitches
from opencen.services.context import Context
from opencen.store.records import Listing

ACTIONS = Actions[Context](VPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVSwitch:
    vpc_id: str
    zone_id: str
    cidr_block: str
    region_id: str = ""
    v_switch_name: str = ""
    description: str = ""
    ipv6_cidr_block: str = ""
    tag: GivenTags = ()
    client_token: ClientToken = ""


@ACTIONS.action("CreateVSwitch")
def create_vswitch(call: ServiceCall, given: CreateVSwitch) -> Answer:
    if given.ipv6_cidr_block:
        raise invalid_parameter("Ipv6CidrBlock", "gateways do not carry IPv6; create the vSwitch without it")
    require_vpc(call, given.vpc_id, given.region_id)
    vswitch = vswitches.create(
        call.context,
        call.actor,
        network_id=given.vpc_id,
        zone_id=given.zone_id,
        cidr_block=given.cidr_block,
        name=given.v_switch_name,
        description=given.description,
        labelled=labels(given.tag),
    )
    return {"VSwitchId": vswitch.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeVSwitches(Paging):
    region_id: str = ""
    vpc_id: str = ""
    v_switch_id: str = ""
    v_switch_name: str = ""
    zone_id: str = ""
    is_default: bool = False
    route_table_id: str = ""
    resource_group_id: str | None = None
    v_switch_owner_id: int | None = None
    tag: WantedTags = ()
    dry_run: bool = False


@ACTIONS.action("DescribeVSwitches")
def describe_vswitches(call: ServiceCall, given: DescribeVSwitches) -> Answer:
    """All filters must fit; a vSwitch is in its VPC's resource group and served by its VPC's route table."""
    if given.region_id:
        require_region(call, given.region_id)
    if given.dry_run:
        raise dry_run_passed()
    number = owner_number(call)
    elsewhere = (
        given.is_default
        or given.v_switch_owner_id not in (None, number)
        or (given.route_table_id and given.vpc_id and given.route_table_id != f"vtb-{given.vpc_id.partition('-')[2]}")
    )
    found: Listing[VSwitch] = Listing((), 0)
    if not elsewhere:
        vpc_id = given.vpc_id or (given.route_table_id and f"vpc-{given.route_table_id.partition('-')[2]}")
        found = vswitches.search(
            call.context,
            call.actor,
            page_of(given),
            ids=[given.v_switch_id] if given.v_switch_id else None,
            names=[given.v_switch_name] if given.v_switch_name else None,
            network_id=vpc_id or None,
            region_id=given.region_id or None,
            zone_id=given.zone_id or None,
            labelled=wanted_labels(given.tag, given.resource_group_id),
        )
    shapes = _Shapes(call, found.items, number)
    return paged(given, found, "VSwitches", "VSwitch", shapes.listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeVSwitchAttributes:
    v_switch_id: str
    region_id: str = ""
    dry_run: bool = False


@ACTIONS.action("DescribeVSwitchAttributes")
def describe_vswitch_attributes(call: ServiceCall, given: DescribeVSwitchAttributes) -> Answer:
    vswitch = _require(call, given.v_switch_id, given.region_id)
    if given.dry_run:
        raise dry_run_passed()
    return _Shapes(call, [vswitch], owner_number(call)).listed(vswitch)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyVSwitchAttribute:
    v_switch_id: str
    region_id: str = ""
    v_switch_name: str | None = None
    description: str | None = None


@ACTIONS.action("ModifyVSwitchAttribute")
def modify_vswitch_attribute(call: ServiceCall, given: ModifyVSwitchAttribute) -> Answer:
    vswitch = _require(call, given.v_switch_id, given.region_id)
    vswitches.modify(call.context, call.actor, vswitch.id, name=given.v_switch_name, description=given.description)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteVSwitch:
    v_switch_id: str
    region_id: str = ""


@ACTIONS.action("DeleteVSwitch")
def delete_vswitch(call: ServiceCall, given: DeleteVSwitch) -> Answer:
    vswitches.delete(call.context, call.actor, _require(call, given.v_switch_id, given.region_id).id)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeZones:
    region_id: str
    accept_language: str = "zh-CN"
    zone_type: Annotated[str, Rule(one_of=("AvailabilityZone", "EdgeZone", ""))] = "AvailabilityZone"


@ACTIONS.action("DescribeZones")
def describe_zones(call: ServiceCall, given: DescribeZones) -> Answer:
    require_region(call, given.region_id)
    zones = zones_of(given.region_id) if given.zone_type != "EdgeZone" else ()
    named = [{"ZoneId": zone, "LocalName": zone, "ZoneType": "AvailabilityZone"} for zone in zones]
    return {"Zones": wrapped("Zone", named)}


def _require(call: ServiceCall, vswitch_id: str, region_id: str) -> VSwitch:
    """The vSwitch, in that region when one is given. Raises NotFoundError."""
    vswitch = vswitches.get(call.context, call.actor, vswitch_id)
    if region_id not in ("", vswitch.region_id):
        raise NotFoundError("vSwitch", vswitch_id, field="vswitch_id")
    return vswitch


class _Shapes:
    """VSwitches as answers write them, with what they have beside their own rows read at once."""

    def __init__(self, call: ServiceCall, items: Sequence[VSwitch], owner: int) -> None:
        self._owner = owner
        self._tags = label_service.tags_of(call.context, Labelled.VSWITCH, [vswitch.id for vswitch in items])
        self._groups = networks.group_ids(call.context, sorted({vswitch.network_id for vswitch in items}))

    def listed(self, vswitch: VSwitch) -> dict[str, object]:
        tags: Sequence[Tag] = self._tags.get(vswitch.id, ())
        route_table_id = sibling_id("vtb", vswitch.network_id)
        return {
            "VSwitchId": vswitch.id,
            "VSwitchName": vswitch.name,
            "Description": vswitch.description,
            "VpcId": vswitch.network_id,
            "ZoneId": vswitch.zone_id,
            "Status": "Available",
            "CidrBlock": vswitch.cidr_block,
            "Ipv6CidrBlock": "",
            "EnabledIpv6": False,
            "AvailableIpAddressCount": available_addresses(vswitch.cidr_block),
            "IsDefault": False,
            "ShareType": "",
            "NetworkAclId": "",
            "OwnerId": self._owner,
            "ResourceGroupId": self._groups.get(vswitch.network_id) or default_group_id(vswitch.account_id),
            "CreationTime": second(vswitch.created_at),
            "RouteTable": {"RouteTableId": route_table_id, "RouteTableType": "System"},
            "Tags": tag_list(tags),
        }
