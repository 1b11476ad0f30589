"""Resource groups: ResourceManager 2020-03-31, and what moves CEN's things and VPCs between groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, RESOURCE_MANAGER, VPC, ServiceCall
from opencen.api.cbn.actions.shapes import ClientToken, paged, second, sliced
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import invalid_parameter
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.labels import Labelled
from opencen.domain.nouns import ResourceGroup
from opencen.services import geography, identities, labels
from opencen.services.context import Context

ACTIONS = Actions[Context](RESOURCE_MANAGER)
CBN_ACTIONS = Actions[Context](CBN)
VPC_ACTIONS = Actions[Context](VPC)
_CBN_KINDS = {"cen": Labelled.INSTANCE, "bandwidthpackage": Labelled.PACKAGE}
_VPC_KINDS = {"vpc": Labelled.NETWORK}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResourceGroups(Paging):
    page_size: Annotated[int, Rule(minimum=1, maximum=100)] = 10
    resource_group_id: str = ""
    resource_group_ids: Annotated[tuple[str, ...], Rule(max_items=100)] = ()
    name: str = ""
    display_name: str = ""
    status: str = ""


@ACTIONS.action("ListResourceGroups")
def list_resource_groups(call: ServiceCall, given: ListResourceGroups) -> Answer:
    wanted = {*given.resource_group_ids, *([given.resource_group_id] if given.resource_group_id else [])}
    found = [
        group
        for group in labels.find_groups(call.context, call.actor)
        if (not wanted or group.id in wanted)
        and given.name in ("", group.name)
        and given.display_name in ("", group.display_name)
        and given.status in ("", "OK")
    ]
    number = _owner_number(call)
    return paged(given, sliced(given, found), "ResourceGroups", "ResourceGroup", lambda group: _group(group, number))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResourceGroup:
    name: str
    display_name: str = ""


@ACTIONS.action("CreateResourceGroup")
def create_resource_group(call: ServiceCall, given: CreateResourceGroup) -> Answer:
    group = labels.create_group(call.context, call.actor, name=given.name, display_name=given.display_name)
    return {"ResourceGroup": _detailed(call, group)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedGroup:
    resource_group_id: str


@ACTIONS.action("GetResourceGroup")
def get_resource_group(call: ServiceCall, given: NamedGroup) -> Answer:
    return {"ResourceGroup": _detailed(call, labels.get_group(call.context, call.actor, given.resource_group_id))}


@ACTIONS.action("DeleteResourceGroup")
def delete_resource_group(call: ServiceCall, given: NamedGroup) -> Answer:
    group = labels.delete_group(call.context, call.actor, given.resource_group_id)
    return {"ResourceGroup": {**_detailed(call, group), "Status": "PendingDelete"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResourceGroup:
    resource_type: str
    resource_id: str
    new_resource_group_id: str
    dry_run: bool = False
    client_token: ClientToken = ""


@CBN_ACTIONS.action("MoveResourceGroup")
def move_cbn_resource(call: ServiceCall, given: MoveResourceGroup) -> Answer:
    return _move(call, given, _CBN_KINDS)


@VPC_ACTIONS.action("MoveResourceGroup")
def move_vpc_resource(call: ServiceCall, given: MoveResourceGroup) -> Answer:
    return _move(call, given, _VPC_KINDS)


def _move(call: ServiceCall, given: MoveResourceGroup, kinds: Mapping[str, Labelled]) -> Answer:
    kind = kinds.get(given.resource_type.lower())
    if kind is None:
        raise invalid_parameter(
            "ResourceType", f"{given.resource_type[:64]!r} is in no group here; {', '.join(kinds)} are"
        )
    if given.dry_run:
        labels.check_move(call.context, call.actor, kind, given.resource_id, given.new_resource_group_id)
    else:
        labels.move(call.context, call.actor, kind, given.resource_id, given.new_resource_group_id)
    return {}


def _owner_number(call: ServiceCall) -> int:
    return identities.find_account(call.context, call.actor.account_id).number


def _group(group: ResourceGroup, owner_number: int) -> dict[str, object]:
    return {
        "Id": group.id,
        "Name": group.name,
        "DisplayName": group.display_name,
        "AccountId": str(owner_number),
        "Status": "OK",
        "CreateDate": second(group.created_at),
        "Tags": wrapped("Tag", ()),
    }


def _detailed(call: ServiceCall, group: ResourceGroup) -> dict[str, object]:
    regions = [{"RegionId": region.id, "Status": "OK"} for region in geography.find_regions(call.context)]
    return {**_group(group, _owner_number(call)), "RegionStatuses": wrapped("RegionStatus", regions)}
