"""CEN instances: CreateCen, DescribeCens, ModifyCenAttribute, DeleteCen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import (
    ClientToken,
    GivenTags,
    WantedTags,
    filter_values,
    group_of,
    labels,
    minute,
    page_of,
    paged,
    tag_list,
    wanted_labels,
)
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import RpcError
from opencen.api.cbn.protocol.parameters import Filter, Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.labels import Labelled, Tag
from opencen.domain.nouns import Instance
from opencen.services import instances
from opencen.services import labels as label_service
from opencen.services.context import Context

ACTIONS = Actions[Context](CBN)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCen:
    name: str = ""
    description: str = ""
    protection_level: Annotated[str, Rule(one_of=("REDUCED", "FULL", ""))] = "REDUCED"
    resource_group_id: str = ""
    tag: GivenTags = ()
    client_token: ClientToken = ""


@ACTIONS.action("CreateCen")
def create_cen(call: ServiceCall, given: CreateCen) -> Answer:
    if given.protection_level == "FULL":
        raise RpcError(
            "OperationUnsupported.CenFullLevel",
            400,
            "ProtectionLevel FULL is not supported; networks never overlap here.",
        )
    instance = instances.create(
        call.context,
        call.actor,
        name=given.name,
        description=given.description,
        labelled=labels(given.tag, given.resource_group_id),
    )
    return {"CenId": instance.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCens(Paging):
    filter: Annotated[tuple[Filter, ...], Rule(max_items=5)] = ()
    tag: WantedTags = ()
    resource_group_id: str | None = None


@ACTIONS.action("DescribeCens")
def describe_cens(call: ServiceCall, given: DescribeCens) -> Answer:
    wanted = filter_values(given.filter, ("CenId", "Name"))
    found = instances.search(
        call.context,
        call.actor,
        page_of(given),
        ids=wanted.get("CenId"),
        names=wanted.get("Name"),
        labelled=wanted_labels(given.tag, given.resource_group_id),
    )
    tags = label_service.tags_of(call.context, Labelled.INSTANCE, [instance.id for instance in found.items])
    return paged(given, found, "Cens", "Cen", lambda instance: _cen(instance, tags.get(instance.id, ())))


def _cen(instance: Instance, tags: Sequence[Tag]) -> dict[str, object]:
    return {
        "CenId": instance.id,
        "Name": instance.name,
        "Description": instance.description,
        "Status": "Active",
        "ProtectionLevel": "REDUCED",
        "Ipv6Level": "DISABLED",
        "CreationTime": minute(instance.created_at),
        "ResourceGroupId": group_of(instance),
        "CenBandwidthPackageIds": wrapped("CenBandwidthPackageId", instance.package_ids),
        "Tags": tag_list(tags),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyCenAttribute:
    cen_id: str
    name: str | None = None
    description: str | None = None
    protection_level: Annotated[str, Rule(one_of=("REDUCED", "FULL", ""))] = "REDUCED"


@ACTIONS.action("ModifyCenAttribute")
def modify_cen_attribute(call: ServiceCall, given: ModifyCenAttribute) -> Answer:
    if given.protection_level == "FULL":
        raise RpcError("InvalidOperation.EnhanceProtectionLevel", 400, "ProtectionLevel REDUCED cannot become FULL.")
    instances.modify(call.context, call.actor, given.cen_id, name=given.name, description=given.description)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCen:
    cen_id: str


@ACTIONS.action("DeleteCen")
def delete_cen(call: ServiceCall, given: DeleteCen) -> Answer:
    instances.delete(call.context, call.actor, given.cen_id)
    return {}
