"""VPC 2016-04-28, as far as CEN's clients need it. A VPC is an OpenCEN network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import VPC, ServiceCall
from opencen.api.cbn.actions.shapes import (
    ClientToken,
    GivenTags,
    WantedTags,
    group_of,
    labels,
    page_of,
    paged,
    second,
    tag_list,
    wanted_labels,
)
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import RpcError, invalid_parameter
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import InvalidValueError, NetworkAttachedError, NotFoundError, VSwitchesExistError
from opencen.domain.labels import Labelled, Tag
from opencen.domain.names import checked_cidr_blocks, checked_description, checked_name
from opencen.domain.nouns import Network
from opencen.services import geography, identities, network_grants, networks, vswitches
from opencen.services import labels as label_service
from opencen.services.context import Context
from opencen.store.records import Listing

ACTIONS = Actions[Context](VPC)
_DEFAULT_CIDR_BLOCK = "172.16.0.0/12"
_MOST_IDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVpc:
    region_id: str
    cidr_block: str = ""
    vpc_name: str = ""
    description: str = ""
    enable_ipv6: bool = False
    ipv6_cidr_block: str = ""
    user_cidr: str = ""
    resource_group_id: str = ""
    tag: GivenTags = ()
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("CreateVpc")
def create_vpc(call: ServiceCall, given: CreateVpc) -> Answer:
    if given.enable_ipv6 or given.ipv6_cidr_block:
        raise invalid_parameter("EnableIpv6", "gateways do not carry IPv6; create the VPC without it")
    if given.user_cidr:
        raise invalid_parameter("UserCidr", "gateways carry the VPC's own blocks only")
    cidr_block = given.cidr_block or _DEFAULT_CIDR_BLOCK
    if given.dry_run:
        require_region(call, given.region_id)
        checked_name(given.vpc_name)
        checked_description(given.description)
        checked_cidr_blocks([cidr_block])
        raise dry_run_passed()
    network = networks.create(
        call.context,
        call.actor,
        region_id=given.region_id,
        cidr_blocks=[cidr_block],
        name=given.vpc_name,
        description=given.description,
        labelled=labels(given.tag, given.resource_group_id),
    )
    return {
        "VpcId": network.id,
        "VRouterId": sibling_id("vrt", network.id),
        "RouteTableId": sibling_id("vtb", network.id),
        "ResourceGroupId": group_of(network),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeVpcs(Paging):
    region_id: str
    vpc_id: str = ""
    vpc_name: str = ""
    is_default: bool = False
    resource_group_id: str | None = None
    vpc_owner_id: int | None = None
    enable_ipv6: bool = False
    dhcp_options_set_id: str = ""
    tag: WantedTags = ()
    dry_run: bool = False


@ACTIONS.action("DescribeVpcs")
def describe_vpcs(call: ServiceCall, given: DescribeVpcs) -> Answer:
    ids = [part.strip() for part in given.vpc_id.split(",") if part.strip()]
    if len(ids) > _MOST_IDS:
        raise invalid_parameter("VpcId", f"it names {len(ids)} VPCs, at most {_MOST_IDS} may be given")
    require_region(call, given.region_id)
    if given.dry_run:
        raise dry_run_passed()
    number = owner_number(call)
    nobody = (
        given.is_default or given.enable_ipv6 or given.dhcp_options_set_id or given.vpc_owner_id not in (None, number)
    )
    found: Listing[Network] = Listing((), 0)
    if not nobody:
        found = networks.search(
            call.context,
            call.actor,
            page_of(given),
            ids=ids or None,
            names=[given.vpc_name] if given.vpc_name else None,
            region_id=given.region_id,
            labelled=wanted_labels(given.tag, given.resource_group_id),
        )
    parts = _Parts(call, found.items)
    return paged(given, found, "Vpcs", "Vpc", lambda network: _listed_vpc(network, number, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeVpcAttribute:
    region_id: str
    vpc_id: str
    is_default: bool = False
    dry_run: bool = False


@ACTIONS.action("DescribeVpcAttribute")
def describe_vpc_attribute(call: ServiceCall, given: DescribeVpcAttribute) -> Answer:
    network = require_vpc(call, given.vpc_id, given.region_id)
    if given.dry_run:
        raise dry_run_passed()
    number = owner_number(call)
    cens = []
    if network.cen_id:
        cen_owner = network_grants.owner_number(call.context, network.cen_id)
        cens = [{"CenId": network.cen_id, "CenOwnerId": cen_owner, "CenStatus": "Attached"}]
    return {
        **_vpc(network, number, _Parts(call, [network])),
        "ClassicLinkEnabled": False,
        "AssociatedCens": wrapped("AssociatedCen", cens),
        "AssociatedPropagationSources": wrapped("AssociatedPropagationSources", ()),
        "CloudResources": wrapped("CloudResourceSetType", ()),
        "Ipv4GatewayId": "",
        "SupportIpv4Gateway": False,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyVpcAttribute:
    vpc_id: str
    region_id: str = ""
    vpc_name: str | None = None
    description: str | None = None
    cidr_block: str = ""
    user_cidr: str = ""
    enable_ipv6: Annotated[str, Rule(one_of=("true", "false", "True", "False", ""))] = ""


@ACTIONS.action("ModifyVpcAttribute")
def modify_vpc_attribute(call: ServiceCall, given: ModifyVpcAttribute) -> Answer:
    network = require_vpc(call, given.vpc_id, given.region_id)
    if given.cidr_block not in ("", network.cidr_blocks[0]):
        raise invalid_parameter("CidrBlock", f"the block of {network.id} stays {network.cidr_blocks[0]}")
    if given.enable_ipv6.lower() == "true" or given.user_cidr:
        raise invalid_parameter("EnableIpv6", "gateways carry the VPC's own IPv4 blocks only")
    networks.modify(call.context, call.actor, network.id, name=given.vpc_name, description=given.description)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteVpc:
    vpc_id: str
    region_id: str = ""
    force_delete: bool = False
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("DeleteVpc")
def delete_vpc(call: ServiceCall, given: DeleteVpc) -> Answer:
    """ForceDelete does not detach: what an instance carries is never taken from it in passing."""
    network = require_vpc(call, given.vpc_id, given.region_id)
    if given.dry_run:
        if vswitches.of_networks(call.context, [network.id]):
            raise VSwitchesExistError(f"network {network.id} still has vSwitches; delete them first")
        if network.cen_id:
            raise NetworkAttachedError(f"network {network.id} is attached to {network.cen_id}; detach it first")
        raise dry_run_passed()
    networks.delete(call.context, call.actor, network.id)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRegions:
    accept_language: str = "zh-CN"


@ACTIONS.action("DescribeRegions")
def describe_regions(call: ServiceCall, given: DescribeRegions) -> Answer:
    chinese = given.accept_language.lower().startswith("zh")
    regions = [
        {
            "RegionId": region.id,
            "LocalName": region.name_zh if chinese else region.name,
            "RegionEndpoint": call.host,
        }
        for region in geography.find_regions(call.context)
    ]
    return {"Regions": wrapped("Region", regions)}


def require_region(call: ServiceCall, region_id: str) -> None:
    if region_id not in {region.id for region in geography.find_regions(call.context)}:
        raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)


def require_vpc(call: ServiceCall, vpc_id: str, region_id: str) -> Network:
    """The VPC, in that region when one is given. Raises NotFoundError."""
    network = networks.get(call.context, call.actor, vpc_id)
    if region_id not in ("", network.region_id):
        raise NotFoundError("network", vpc_id, field="network_id")
    return network


def dry_run_passed() -> RpcError:
    return RpcError("DryRunOperation", 400, "Request validation has been passed with DryRun flag set.")


def owner_number(call: ServiceCall) -> int:
    """The account's number, which the provider's APIs call the owner's id."""
    return identities.find_account(call.context, call.actor.account_id).number


def sibling_id(prefix: str, network_id: str) -> str:
    """The router and the route table that come with a VPC have its id under their own prefix."""
    return f"{prefix}-{network_id.partition('-')[2]}"


def vpc_id_of(identifier: str) -> str:
    """The id of the VPC that a router's or a route table's id belongs to."""
    return f"vpc-{identifier.partition('-')[2]}"


class _Parts:
    """What the VPCs of an answer have beside their own rows, read at once."""

    def __init__(self, call: ServiceCall, items: Sequence[Network]) -> None:
        ids = [network.id for network in items]
        self._tags = label_service.tags_of(call.context, Labelled.NETWORK, ids)
        self._vswitch_ids = vswitches.of_networks(call.context, ids)

    def tags(self, network: Network) -> Sequence[Tag]:
        return self._tags.get(network.id, ())

    def vswitch_ids(self, network: Network) -> Sequence[str]:
        return self._vswitch_ids.get(network.id, ())


def _vpc(network: Network, number: int, parts: _Parts) -> dict[str, object]:
    return {
        "VpcId": network.id,
        "VpcName": network.name,
        "Description": network.description,
        "RegionId": network.region_id,
        "Status": "Available",
        "CidrBlock": network.cidr_blocks[0],
        "SecondaryCidrBlocks": wrapped("SecondaryCidrBlock", network.cidr_blocks[1:]),
        "Ipv6CidrBlock": "",
        "Ipv6CidrBlocks": wrapped("Ipv6CidrBlock", ()),
        "EnabledIpv6": False,
        "UserCidrs": wrapped("UserCidr", ()),
        "VSwitchIds": wrapped("VSwitchId", parts.vswitch_ids(network)),
        "VRouterId": sibling_id("vrt", network.id),
        "IsDefault": False,
        "CreationTime": second(network.created_at),
        "DhcpOptionsSetId": "",
        "DhcpOptionsSetStatus": "",
        "DnsHostnameStatus": "DISABLED",
        "OwnerId": number,
        "ResourceGroupId": group_of(network),
        "Tags": tag_list(parts.tags(network)),
    }


def _listed_vpc(network: Network, number: int, parts: _Parts) -> dict[str, object]:
    return {
        **_vpc(network, number, parts),
        "CenStatus": "Attached" if network.cen_id else "",
        "RouterTableIds": wrapped("RouterTableIds", [sibling_id("vtb", network.id)]),
        "NatGatewayIds": wrapped("NatGatewayIds", ()),
    }
