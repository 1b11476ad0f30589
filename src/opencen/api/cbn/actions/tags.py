"""Tags of CEN's things and of VPCs: TagResources, UntagResources (VPC: UnTagResources), ListTagResources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, VPC, ServiceCall
from opencen.api.cbn.actions.shapes import GivenTags, WantedTags, labels, wanted_labels
from opencen.api.cbn.actions.transit_shapes import (
    find_pair,
    find_router,
    network_of,
    peer_attachment_id,
    router_id,
    vpc_attachment_id,
)
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, invalid_parameter, missing_parameter
from opencen.api.cbn.protocol.parameters import Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import NotFoundError
from opencen.domain.geography import connection_id
from opencen.domain.labels import Labelled, TaggedResource
from opencen.services import labels as service
from opencen.services.context import Context

CBN_ACTIONS = Actions[Context](CBN)
VPC_ACTIONS = Actions[Context](VPC)

CBN_KINDS: Mapping[str, Labelled] = {
    "CEN": Labelled.INSTANCE,
    "BANDWIDTHPACKAGE": Labelled.PACKAGE,
    "TRANSITROUTER": Labelled.TRANSIT_ROUTER,
    "TRANSITROUTERVPCATTACHMENT": Labelled.ATTACHMENT,
    "TRANSITROUTERPEERATTACHMENT": Labelled.CONNECTION,
}
VPC_KINDS: Mapping[str, Labelled] = {"VPC": Labelled.NETWORK, "VSWITCH": Labelled.VSWITCH}
"""By resource type in capitals: clients write `cen`, `Cen` and `CEN`, `VSWITCH` and `VSwitch`."""

_Ids = tuple[str, ...]
_ERRORS: ErrorMap = {
    (NotFoundError, "transit router"): Refusal("InvalidTransitRouterId.NotFound", 404),
    (NotFoundError, "attachment"): Refusal("InvalidTransitRouterAttachmentId.NotFound", 404),
    (NotFoundError, "region connection"): Refusal("InvalidTransitRouterAttachmentId.NotFound", 404),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TagResources:
    resource_type: str
    resource_id: _Ids
    tag: GivenTags


@dataclass(frozen=True, slots=True, kw_only=True)
class UntagResources:
    resource_type: str
    resource_id: _Ids
    tag_key: tuple[str, ...] = ()
    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListTagResources:
    resource_type: str
    resource_id: _Ids = ()
    tag: WantedTags = ()
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCbnTags(_ListTagResources):
    page_size: Annotated[int, Rule(minimum=1, maximum=50)] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVpcTags(_ListTagResources):
    max_results: Annotated[int, Rule(minimum=1, maximum=50)] = 50


@CBN_ACTIONS.action("TagResources", errors=_ERRORS)
def tag_cbn_resources(call: ServiceCall, given: TagResources) -> Answer:
    return _tag(call, given, CBN_KINDS)


@CBN_ACTIONS.action("UntagResources", errors=_ERRORS)
def untag_cbn_resources(call: ServiceCall, given: UntagResources) -> Answer:
    return _untag(call, given, CBN_KINDS)


@CBN_ACTIONS.action("ListTagResources", errors=_ERRORS)
def list_cbn_tags(call: ServiceCall, given: ListCbnTags) -> Answer:
    return _list(call, given, CBN_KINDS, given.page_size)


@VPC_ACTIONS.action("TagResources")
def tag_vpc_resources(call: ServiceCall, given: TagResources) -> Answer:
    return _tag(call, given, VPC_KINDS)


@VPC_ACTIONS.action("UnTagResources")
def untag_vpc_resources(call: ServiceCall, given: UntagResources) -> Answer:
    return _untag(call, given, VPC_KINDS)


@VPC_ACTIONS.action("ListTagResources")
def list_vpc_tags(call: ServiceCall, given: ListVpcTags) -> Answer:
    return _list(call, given, VPC_KINDS, given.max_results)


def _kind(resource_type: str, kinds: Mapping[str, Labelled]) -> Labelled:
    kind = kinds.get(resource_type.upper())
    if kind is None:
        raise invalid_parameter("ResourceType", f"{resource_type[:64]!r} has no tags here; {', '.join(kinds)} have")
    return kind


def _tag(call: ServiceCall, given: TagResources, kinds: Mapping[str, Labelled]) -> Answer:
    kind = _kind(given.resource_type, kinds)
    service.set_tags(call.context, call.actor, kind, _named(call, kind, given.resource_id), labels(given.tag).tags)
    return {}


def _untag(call: ServiceCall, given: UntagResources, kinds: Mapping[str, Labelled]) -> Answer:
    if not given.tag_key and not given.all:
        raise missing_parameter("TagKey")
    kind = _kind(given.resource_type, kinds)
    service.remove_tags(call.context, call.actor, kind, _named(call, kind, given.resource_id), given.tag_key or None)
    return {}


def _list(call: ServiceCall, given: _ListTagResources, kinds: Mapping[str, Labelled], size: int) -> Answer:
    kind = _kind(given.resource_type, kinds)
    page = service.search_tags(
        call.context,
        call.actor,
        kind,
        resource_ids=_known(call, kind, given.resource_id) if given.resource_id else None,
        wanted=wanted_labels(given.tag).tags,
        next_token=given.next_token,
        size=size,
    )
    name = next(name for name, named in kinds.items() if named is kind)
    tags = [
        {"ResourceId": _wire_id(tag), "ResourceType": name, "TagKey": tag.key, "TagValue": tag.value}
        for tag in page.items
    ]
    return {"TagResources": wrapped("TagResource", tags), "NextToken": page.next_token}


def _named(call: ServiceCall, kind: Labelled, resource_ids: Iterable[str]) -> tuple[str, ...]:
    """What these ids name, in OpenCEN's words. Raises NotFoundError."""
    return tuple(dict.fromkeys(_own_id(call, kind, resource_id) for resource_id in resource_ids))


def _known(call: ServiceCall, kind: Labelled, resource_ids: Iterable[str]) -> tuple[str, ...]:
    """The same; ids that name nothing are left out."""
    known: list[str] = []
    for resource_id in resource_ids:
        with suppress(NotFoundError):
            known.append(_own_id(call, kind, resource_id))
    return tuple(known)


def _own_id(call: ServiceCall, kind: Labelled, resource_id: str) -> str:
    match kind:
        case Labelled.TRANSIT_ROUTER:
            router = find_router(call, resource_id)
            return f"{router.cen_id}:{router.region_id}"
        case Labelled.ATTACHMENT:
            return network_of(resource_id)
        case Labelled.CONNECTION:
            cen_id, pair = find_pair(call, resource_id)
            return connection_id(cen_id, *pair)
    return resource_id


def _wire_id(tag: TaggedResource) -> str:
    match tag.kind:
        case Labelled.TRANSIT_ROUTER:
            cen_id, region_id = tag.resource_id.split(":")
            return router_id(cen_id, region_id)
        case Labelled.ATTACHMENT:
            return vpc_attachment_id(tag.resource_id)
        case Labelled.CONNECTION:
            cen_id, first, second = tag.resource_id.split(":")
            return peer_attachment_id(cen_id, (first, second))
    return tag.resource_id
