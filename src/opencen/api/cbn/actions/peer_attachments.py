"""Region connections in the words of today's CEN: what joins two transit routers. One row, one cap, two views."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import ClientToken, GivenTags, WantedTags, carries, labels, minute, plain_tags
from opencen.api.cbn.actions.spans import span_id
from opencen.api.cbn.actions.transit_shapes import (
    TRANSIT_ERRORS,
    TokenPaging,
    by_token,
    cut,
    find_pair,
    find_router,
    page_of_token,
    peer_attachment_id,
    require_region,
    router_id,
    router_of,
)
from opencen.api.cbn.actions.vpc import owner_number
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, RpcError
from opencen.api.cbn.protocol.parameters import Rule
from opencen.domain.connection import ConnectionView
from opencen.domain.errors import NotFoundError
from opencen.domain.labels import Labelled
from opencen.domain.names import checked_description, checked_name
from opencen.domain.status import ConnectionStatus
from opencen.domain.transit import ConnectionNote, TransitRouter
from opencen.services import connections, geography, instances, views
from opencen.services import labels as label_service
from opencen.services.context import Context, RehearsedError
from opencen.store.records import Listing, Page

ACTIONS = Actions[Context](CBN)
_MOST_CONNECTIONS = 10_000
_STATUSES = {ConnectionStatus.ACTIVE: "Attached", ConnectionStatus.MODIFYING: "Modifying"}
_Bandwidth = Annotated[int | None, Rule(code="IllegalParam.Bandwidth")]
_BandwidthType = Annotated[
    str, Rule(one_of=("BandwidthPackage", "DataTransfer", ""), code="IllegalParam.BandwidthType")
]
_LinkType = Annotated[str, Rule(one_of=("Gold", "Platinum", ""))]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTransitRouterPeerAttachment:
    peer_transit_router_id: str
    transit_router_id: str = ""
    cen_id: str = ""
    region_id: str = ""
    peer_transit_router_region_id: str = ""
    bandwidth: _Bandwidth = None
    bandwidth_type: _BandwidthType = ""
    cen_bandwidth_package_id: str = ""
    default_link_type: _LinkType = ""
    auto_publish_route_enabled: bool = False
    transit_router_attachment_name: str = ""
    transit_router_attachment_description: str = ""
    tag: GivenTags = ()
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("CreateTransitRouterPeerAttachment", errors=TRANSIT_ERRORS)
def create_transit_router_peer_attachment(call: ServiceCall, given: CreateTransitRouterPeerAttachment) -> Answer:
    _require_package_bandwidth(given.bandwidth_type, given.default_link_type)
    peer = _peer(call, given)
    if given.bandwidth is None:
        raise RpcError("MissingParam.Bandwidth", 400, "The parameter Bandwidth is required.")
    context = call.context.rehearsal() if given.dry_run else call.context
    with suppress(RehearsedError):
        local = router_of(call, context, given.transit_router_id, given.cen_id, given.region_id)
        require_region("RegionId", given.region_id, local)
        if local.cen_id != peer.cen_id:
            raise RpcError("IllegalParam.PeerTransitRouterId", 400, "The transit routers belong to two CEN instances.")
        note = ConnectionNote(
            local.region_id,
            checked_name(given.transit_router_attachment_name),
            checked_description(given.transit_router_attachment_description),
            given.auto_publish_route_enabled,
        )
        made = connections.join(
            context,
            call.actor,
            local.cen_id,
            note,
            peer.region_id,
            given.bandwidth,
            package_id=given.cen_bandwidth_package_id or None,
            labelled=labels(given.tag),
        )
        return {"TransitRouterAttachmentId": peer_attachment_id(made.cen_id, (made.region_a_id, made.region_b_id))}
    return {}


def _peer(call: ServiceCall, given: CreateTransitRouterPeerAttachment) -> TransitRouter:
    try:
        peer = find_router(call, given.peer_transit_router_id)
    except NotFoundError as unknown:
        raise RpcError("InvalidPeerTransitRouterId.NotFound", 400, unknown.message) from unknown
    require_region("PeerRegionId", given.peer_transit_router_region_id, peer)
    return peer


def _require_package_bandwidth(bandwidth_type: str, link_type: str) -> None:
    """Raises RpcError for what only an account with traffic billing has."""
    if bandwidth_type == "DataTransfer":
        raise RpcError(
            "OperationUnsupported.CloudDataTransferService",
            400,
            "The account has not opened Cloud Data Transfer; allocate bandwidth from a bandwidth package.",
        )
    if link_type == "Platinum":
        raise RpcError(
            "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold",
            400,
            "With bandwidth of a package the link type is Gold.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTransitRouterPeerAttachments(TokenPaging):
    cen_id: str = ""
    transit_router_id: str = ""
    region_id: str = ""
    transit_router_attachment_id: str = ""
    tag: WantedTags = ()


@ACTIONS.action("ListTransitRouterPeerAttachments", errors=TRANSIT_ERRORS)
def list_transit_router_peer_attachments(call: ServiceCall, given: ListTransitRouterPeerAttachments) -> Answer:
    """Every region connection is one, also one that was set as a limit: then its first region is the local one."""
    page = page_of_token(given)
    found = _search(call, given, Page(1, _MOST_CONNECTIONS) if given.tag else page)
    tags = label_service.tags_of(call.context, Labelled.CONNECTION, [view.connection.id for view in found.items])
    if given.tag:
        found = cut(page, [view for view in found.items if carries(tags.get(view.connection.id, ()), given.tag)])
    notes = connections.notes_of(call.context, [view.connection for view in found.items])
    area_ids = {region.id: region.area_id for region in geography.find_regions(call.context)}
    number = owner_number(call)
    return by_token(
        page,
        found,
        "TransitRouterAttachments",
        lambda view: {
            **_attachment(view, notes[_key(view)], area_ids, number),
            "Tags": plain_tags(tags.get(view.connection.id, ())),
        },
    )


def _search(call: ServiceCall, given: ListTransitRouterPeerAttachments, page: Page) -> Listing[ConnectionView]:
    cen_id, region_id, pair = given.cen_id, given.region_id, None
    if given.transit_router_id:
        router = find_router(call, given.transit_router_id)
        if cen_id not in ("", router.cen_id) or region_id not in ("", router.region_id):
            return Listing((), 0)
        cen_id, region_id = router.cen_id, router.region_id
    if given.transit_router_attachment_id:
        try:
            named_cen_id, pair = find_pair(call, given.transit_router_attachment_id)
            instances.get(call.context, call.actor, named_cen_id)
        except NotFoundError:
            return Listing((), 0)
        if cen_id not in ("", named_cen_id):
            return Listing((), 0)
        cen_id = named_cen_id
    return views.search(call.context, call.actor, page, cen_id=cen_id or None, region_id=region_id or None, pair=pair)


def _key(view: ConnectionView) -> tuple[str, str, str]:
    return view.connection.cen_id, view.connection.region_a_id, view.connection.region_b_id


def _attachment(view: ConnectionView, note: ConnectionNote, area_ids: dict[str, str], number: int) -> dict[str, object]:
    cen_id, *pair = _key(view)
    (peer_region_id,) = set(pair) - {note.local_region_id}
    return {
        "TransitRouterAttachmentId": peer_attachment_id(cen_id, (pair[0], pair[1])),
        "TransitRouterAttachmentName": note.name,
        "TransitRouterAttachmentDescription": note.description,
        "TransitRouterId": router_id(cen_id, note.local_region_id),
        "RegionId": note.local_region_id,
        "PeerTransitRouterId": router_id(cen_id, peer_region_id),
        "PeerTransitRouterRegionId": peer_region_id,
        "PeerTransitRouterOwnerId": number,
        "CenId": cen_id,
        "ResourceType": "TR",
        "Status": _STATUSES[view.status],
        "Bandwidth": view.connection.bandwidth_mbps,
        "BandwidthType": "BandwidthPackage",
        "CenBandwidthPackageId": view.connection.package_id,
        "GeographicSpanId": span_id(area_ids[pair[0]], area_ids[pair[1]]),
        "DefaultLinkType": "Gold",
        "AutoPublishRouteEnabled": note.announces_routes,
        "CreationTime": minute(view.connection.created_at),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTransitRouterPeerAttachmentAttribute:
    transit_router_attachment_id: str
    bandwidth: _Bandwidth = None
    bandwidth_type: _BandwidthType = ""
    cen_bandwidth_package_id: str = ""
    default_link_type: _LinkType = ""
    auto_publish_route_enabled: bool | None = None
    transit_router_attachment_name: str | None = None
    transit_router_attachment_description: str | None = None
    dry_run: bool = False
    client_token: ClientToken = ""


@ACTIONS.action("UpdateTransitRouterPeerAttachmentAttribute", errors=TRANSIT_ERRORS)
def update_transit_router_peer_attachment_attribute(
    call: ServiceCall, given: UpdateTransitRouterPeerAttachmentAttribute
) -> Answer:
    _require_package_bandwidth(given.bandwidth_type, given.default_link_type)
    cen_id, pair = find_pair(call, given.transit_router_attachment_id)
    context = call.context.rehearsal() if given.dry_run else call.context
    with suppress(RehearsedError):
        connections.change_joined(
            context,
            call.actor,
            cen_id,
            pair,
            bandwidth_mbps=given.bandwidth,
            package_id=given.cen_bandwidth_package_id or None,
            name=given.transit_router_attachment_name,
            description=given.transit_router_attachment_description,
            announces_routes=given.auto_publish_route_enabled,
        )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTransitRouterPeerAttachment:
    """Force is taken and makes no difference: no route tables or queues hang on an attachment here."""

    transit_router_attachment_id: str
    force: bool = False
    dry_run: bool = False
    client_token: ClientToken = ""


_UNKNOWN: ErrorMap = {
    **TRANSIT_ERRORS,
    (NotFoundError, "CEN instance"): Refusal("InvalidTransitRouterAttachmentId.NotFound", 400),
}


@ACTIONS.action("DeleteTransitRouterPeerAttachment", errors=_UNKNOWN)
def delete_transit_router_peer_attachment(call: ServiceCall, given: DeleteTransitRouterPeerAttachment) -> Answer:
    cen_id, pair = find_pair(call, given.transit_router_attachment_id)
    context = call.context.rehearsal() if given.dry_run else call.context
    with suppress(RehearsedError):
        connections.delete(context, call.actor, cen_id, *pair)
    return {}
