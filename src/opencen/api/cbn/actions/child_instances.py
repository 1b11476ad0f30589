"""Networks of a CEN instance, which Cbn calls child instances: attach, detach, describe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import minute, page_of, paged
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, RpcError
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import InvalidValueError, NotFoundError, NotGrantedError
from opencen.domain.nouns import Attachment
from opencen.services import attachments, geography, identities, network_grants, networks
from opencen.services.context import Context
from opencen.store.records import Listing, Page

ACTIONS = Actions[Context](CBN)
_TYPES = ("VPC", "VBR", "CCN")
_Type = Annotated[str, Rule(one_of=_TYPES, code="ParameterIllegal.ChildInstanceType")]
_ATTACH_ERRORS: ErrorMap = {
    (InvalidValueError, "region_id"): Refusal("ParameterIllegal.ChildInstanceRegionId", 400),
    NotGrantedError: Refusal("Forbbiden.AttachChildInstanceAcrossUid", 409),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildInstance:
    cen_id: str
    child_instance_id: str
    child_instance_type: _Type
    child_instance_region_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachCenChildInstance(ChildInstance):
    child_instance_owner_id: int | None = None


@ACTIONS.action("AttachCenChildInstance", errors=_ATTACH_ERRORS)
def attach_cen_child_instance(call: ServiceCall, given: AttachCenChildInstance) -> Answer:
    _require_vpc(given.child_instance_type)
    attachments.attach(
        call.context,
        call.actor,
        given.cen_id,
        given.child_instance_id,
        region_id=given.child_instance_region_id,
        owner_account_id=owner_account(call, given.child_instance_owner_id, given.child_instance_id),
    )
    return {}


def owner_account(call: ServiceCall, number: int | None, network_id: str) -> str:
    """The account whose network is meant: the caller's when none is named. Raises NotGrantedError."""
    if not number:
        return call.actor.account_id
    account_id = network_grants.account_of_number(call.context, number)
    if account_id is None:
        raise NotGrantedError(
            f"account {number} has not granted network {network_id[:64]} to the instance",
            field="network_id",
            network_id=network_id,
        )
    return account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachCenChildInstance(ChildInstance):
    child_instance_owner_id: int | None = None
    cen_owner_id: int | None = None


@ACTIONS.action("DetachCenChildInstance")
def detach_cen_child_instance(call: ServiceCall, given: DetachCenChildInstance) -> Answer:
    """The instance's account detaches, or with CenOwnerId the network's account."""
    _require_vpc(given.child_instance_type)
    if given.cen_owner_id in (None, 0, _owner_number(call)):
        _require_attachment(call, given)
    else:
        network = networks.get(call.context, call.actor, given.child_instance_id)
        if (network.cen_id, network.region_id) != (given.cen_id, given.child_instance_region_id):
            raise NotFoundError("attachment", f"{given.cen_id}/{network.id}", field="network_id")
    attachments.detach(call.context, call.actor, given.cen_id, given.child_instance_id)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenAttachedChildInstances(Paging):
    cen_id: str
    child_instance_region_id: str | None = None
    child_instance_type: _Type = "VPC"


@ACTIONS.action("DescribeCenAttachedChildInstances")
def describe_cen_attached_child_instances(call: ServiceCall, given: DescribeCenAttachedChildInstances) -> Answer:
    found = attachments.search(
        call.context, call.actor, given.cen_id, page_of(given), region_id=given.child_instance_region_id or None
    )
    if given.child_instance_type != "VPC":
        found = Listing((), 0)
    numbers = _owner_numbers(call, found.items)
    return paged(
        given, found, "ChildInstances", "ChildInstance", lambda item: _child_instance(item, numbers[item.account_id])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenAttachedChildInstanceAttribute(ChildInstance):
    pass


@ACTIONS.action("DescribeCenAttachedChildInstanceAttribute")
def describe_cen_attached_child_instance_attribute(
    call: ServiceCall, given: DescribeCenAttachedChildInstanceAttribute
) -> Answer:
    attachment = _require_attachment(call, given)
    return {
        **_child_instance(attachment, _owner_numbers(call, [attachment])[attachment.account_id]),
        "ChildInstanceName": attachment.network_name,
        "ChildInstanceAttributes": _attributes(attachment.cidr_blocks),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeChildInstanceRegions:
    product_type: Annotated[str, Rule(one_of=_TYPES)] = "VPC"
    accept_language: str = "zh-CN"


@ACTIONS.action("DescribeChildInstanceRegions")
def describe_child_instance_regions(call: ServiceCall, given: DescribeChildInstanceRegions) -> Answer:
    regions = geography.find_regions(call.context) if given.product_type == "VPC" else []
    chinese = given.accept_language.lower().startswith("zh")
    named = [{"RegionId": region.id, "LocalName": region.name_zh if chinese else region.name} for region in regions]
    return {"Regions": wrapped("Region", named)}


def _require_vpc(child_instance_type: str) -> None:
    if child_instance_type != "VPC":
        raise RpcError(
            "InstanceType.NotSupport", 400, f"Networks of type {child_instance_type} are not supported: use VPC."
        )


def _require_attachment(call: ServiceCall, given: ChildInstance) -> Attachment:
    """The attachment that is described by all of its parts. Raises NotFoundError."""
    found = attachments.search(call.context, call.actor, given.cen_id, Page(1, 1), network_id=given.child_instance_id)
    if (
        found.items
        and given.child_instance_type == "VPC"
        and found.items[0].region_id == given.child_instance_region_id
    ):
        return found.items[0]
    raise NotFoundError(
        "attachment", f"{given.cen_id}/{given.child_instance_type} {given.child_instance_id}", field="network_id"
    )


def _owner_number(call: ServiceCall) -> int:
    return identities.find_account(call.context, call.actor.account_id).number


def _owner_numbers(call: ServiceCall, attached: Iterable[Attachment]) -> dict[str, int]:
    """The numbers of the accounts whose networks these are, by id."""
    return {
        account_id: identities.find_account(call.context, account_id).number
        for account_id in {attachment.account_id for attachment in attached}
    }


def _child_instance(attachment: Attachment, owner_number: int) -> dict[str, object]:
    return {
        "CenId": attachment.cen_id,
        "ChildInstanceId": attachment.network_id,
        "ChildInstanceType": "VPC",
        "ChildInstanceRegionId": attachment.region_id,
        "ChildInstanceOwnerId": owner_number,
        "ChildInstanceAttachTime": minute(attachment.attached_at),
        "Status": "Attached",
    }


def _attributes(cidr_blocks: Sequence[str]) -> dict[str, object]:
    return {
        "CidrBlock": cidr_blocks[0],
        "Ipv6CidrBlock": "",
        "SecondaryCidrBlocks": wrapped("secondaryCidrBlock", cidr_blocks[1:]),
        "Ipv6CidrBlocks": wrapped("ipv6CidrBlock", ()),
    }
