"""Attachments of networks in the words of today's CEN: what a VPC has on a transit router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.child_instances import owner_account
from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import ClientToken, GivenTags, WantedTags, carries, labels, plain_tags, second
from opencen.api.cbn.actions.transit_shapes import (
    TRANSIT_ERRORS,
    TokenPaging,
    by_token,
    cut,
    find_router,
    network_of,
    only,
    page_of_token,
    rehearsable,
    require_region,
    router_id,
    router_of,
    vpc_attachment_id,
)
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.parameters import Rule
from opencen.domain.errors import NotFoundError
from opencen.domain.labels import Labelled, Tag
from opencen.domain.nouns import Attachment
from opencen.domain.transit import AttachmentNote
from opencen.services import attachments, identities, networks, transit_routers
from opencen.services import labels as label_service
from opencen.services.context import Context

ACTIONS = Actions[Context](CBN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneMapping:
    zone_id: str
    v_switch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTransitRouterVpcAttachment:
    vpc_id: str
    cen_id: str = ""
    transit_router_id: str = ""
    region_id: str = ""
    vpc_owner_id: int | None = None
    zone_mappings: Annotated[tuple[ZoneMapping, ...], Rule(max_items=10)] = ()
    auto_publish_route_enabled: bool = False
    charge_type: Annotated[str, Rule(one_of=("POSTPAY", ""))] = "POSTPAY"
    transit_router_attachment_name: str = ""
    transit_router_attachment_description: str = ""
    tag: GivenTags = ()
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("CreateTransitRouterVpcAttachment", errors=TRANSIT_ERRORS)
def create_transit_router_vpc_attachment(call: ServiceCall, given: CreateTransitRouterVpcAttachment) -> Answer:
    owner_id = owner_account(call, given.vpc_owner_id, given.vpc_id)
    region_id = given.region_id
    if not region_id and not given.transit_router_id and owner_id == call.actor.account_id:
        region_id = networks.get(call.context, call.actor, given.vpc_id).region_id
    note = AttachmentNote(
        given.transit_router_attachment_name,
        given.transit_router_attachment_description,
        given.auto_publish_route_enabled,
        tuple((mapping.zone_id, mapping.v_switch_id) for mapping in given.zone_mappings),
    )
    with rehearsable(call, given.dry_run) as context:
        router = router_of(call, context, given.transit_router_id, given.cen_id, region_id)
        require_region("RegionId", given.region_id, router)
        attachments.attach(
            context,
            call.actor,
            router.cen_id,
            given.vpc_id,
            region_id=router.region_id,
            owner_account_id=owner_id,
            note=note,
            labelled=labels(given.tag),
        )
    return {"TransitRouterAttachmentId": vpc_attachment_id(given.vpc_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTransitRouterVpcAttachments(TokenPaging):
    cen_id: str = ""
    transit_router_id: str = ""
    region_id: str = ""
    vpc_id: str = ""
    transit_router_attachment_id: str = ""
    status: str = ""
    tag: WantedTags = ()


@ACTIONS.action("ListTransitRouterVpcAttachments", errors=TRANSIT_ERRORS)
def list_transit_router_vpc_attachments(call: ServiceCall, given: ListTransitRouterVpcAttachments) -> Answer:
    page = page_of_token(given)
    cen_id, region_id = given.cen_id, given.region_id
    if given.transit_router_id:
        router = find_router(call, given.transit_router_id)
        cen_id, region_id = router.cen_id, router.region_id
    found = only(
        transit_routers.attachments(call.context, call.actor, cen_id=cen_id or None),
        (given.cen_id, lambda item: item[0].cen_id),
        (region_id, lambda item: item[0].region_id),
        (given.vpc_id, lambda item: item[0].network_id),
        (given.transit_router_attachment_id, lambda item: vpc_attachment_id(item[0].network_id)),
        (given.status, lambda _: "Attached"),
    )
    tags = label_service.tags_of(call.context, Labelled.ATTACHMENT, [item[0].network_id for item in found])
    found = [item for item in found if carries(tags.get(item[0].network_id, ()), given.tag)]
    numbers = {account.id: account.number for account in identities.find_accounts(call.context)}
    return by_token(
        page,
        cut(page, found),
        "TransitRouterAttachments",
        lambda item: _attachment(*item, numbers[item[0].account_id], tags.get(item[0].network_id, ())),
    )


def _attachment(
    attachment: Attachment, note: AttachmentNote, owner_number: int, tags: Sequence[Tag]
) -> dict[str, object]:
    zones = [
        {"ZoneId": zone_id, "VSwitchId": vswitch_id, "NetworkInterfaceId": ""}
        for zone_id, vswitch_id in note.zone_mappings
    ]
    return {
        "TransitRouterAttachmentId": vpc_attachment_id(attachment.network_id),
        "TransitRouterAttachmentName": note.name,
        "TransitRouterAttachmentDescription": note.description,
        "TransitRouterId": router_id(attachment.cen_id, attachment.region_id),
        "TransitRouterVPCAttachmentOptions": {},
        "CenId": attachment.cen_id,
        "VpcId": attachment.network_id,
        "VpcOwnerId": owner_number,
        "VpcRegionId": attachment.region_id,
        "ResourceType": "VPC",
        "ChargeType": "POSTPAY",
        "OrderType": "PayByCenOwner",
        "Status": "Attached",
        "AutoPublishRouteEnabled": note.announces_routes,
        "ZoneMappings": zones,
        "CreationTime": second(attachment.attached_at),
        "Tags": plain_tags(tags),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTransitRouterVpcAttachmentAttribute:
    transit_router_attachment_id: str
    transit_router_attachment_name: str | None = None
    transit_router_attachment_description: str | None = None
    auto_publish_route_enabled: bool | None = None
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("UpdateTransitRouterVpcAttachmentAttribute", errors=TRANSIT_ERRORS)
def update_transit_router_vpc_attachment_attribute(
    call: ServiceCall, given: UpdateTransitRouterVpcAttachmentAttribute
) -> Answer:
    attachment = _find(call, given.transit_router_attachment_id)
    with rehearsable(call, given.dry_run) as context:
        transit_routers.modify_attachment(
            context,
            call.actor,
            attachment.network_id,
            name=given.transit_router_attachment_name,
            description=given.transit_router_attachment_description,
            announces_routes=given.auto_publish_route_enabled,
        )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTransitRouterVpcAttachment:
    """Force is taken and makes no difference: no route tables hang on an attachment here."""

    transit_router_attachment_id: str
    force: bool = False
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("DeleteTransitRouterVpcAttachment", errors=TRANSIT_ERRORS)
def delete_transit_router_vpc_attachment(call: ServiceCall, given: DeleteTransitRouterVpcAttachment) -> Answer:
    attachment = _find(call, given.transit_router_attachment_id)
    with rehearsable(call, given.dry_run) as context:
        attachments.detach(context, call.actor, attachment.cen_id, attachment.network_id)
    return {}


def _find(call: ServiceCall, attachment_id: str) -> Attachment:
    """Raises NotFoundError."""
    network_id = network_of(attachment_id)
    for attachment, _ in transit_routers.attachments(call.context, call.actor):
        if attachment.network_id == network_id:
            return attachment
    raise NotFoundError("attachment", attachment_id, field="id")
