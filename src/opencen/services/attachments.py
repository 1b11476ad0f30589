"""A network's membership of a CEN instance."""

from __future__ import annotations

from dataclasses import replace

from opencen.domain.errors import InvalidValueError, NetworkAttachedError, NotFoundError, NotGrantedError
from opencen.domain.geography import region_pair
from opencen.domain.labels import NO_LABELS, Labelled, Labels
from opencen.domain.names import check_no_overlap, checked_description, checked_name
from opencen.domain.nouns import Actor, Attachment, Network
from opencen.domain.transit import AttachmentNote
from opencen.services import instances as instance_service
from opencen.services import labels
from opencen.services import networks as network_service
from opencen.services.context import Context
from opencen.store import gateways, instances, links, network_grants, networks, transit
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page


def attach(
    context: Context,
    actor: Actor,
    cen_id: str,
    network_id: str,
    *,
    region_id: str | None = None,
    owner_account_id: str | None = None,
    note: AttachmentNote | None = None,
    labelled: Labels = NO_LABELS,
) -> Attachment:
    """Attach a network of the account's own, or one that another account has granted to the instance.

    `region_id`, when given, must be the network's, and `owner_account_id` its account's. Raises NetworkAttachedError,
    OverlappingNetworksError, NotGrantedError, NotFoundError, InvalidValueError.
    """
    with context.change(actor, "network.attach", cen_id) as work:
        instance_service.lock(work.tx, actor, cen_id)
        network = _require_attachable(work.tx, actor, cen_id, network_id, owner_account_id)
        if region_id is not None and region_id != network.region_id:
            raise InvalidValueError(
                f"network {network_id} is in {network.region_id}, not in {region_id}",
                field="region_id",
                value=region_id,
            )
        if network.cen_id is not None:
            where = "it already" if network.cen_id == cen_id else network.cen_id
            raise NetworkAttachedError(
                f"network {network_id} is attached to {where}; a network belongs to one CEN instance",
                field="network_id",
                network_id=network_id,
                cen_id=network.cen_id,
            )
        others = networks.attached(work.tx, cen_id)
        check_no_overlap(network_id, network.cidr_blocks, [(other.network_id, other.cidr_blocks) for other in others])
        networks.attach(work.tx, cen_id, network, work.now)
        if note is not None:
            checked_name(note.name)
            checked_description(note.description)
            transit.save_attachment_note(work.tx, network_id, note)
        labels.apply(work.tx, actor, Labelled.ATTACHMENT, network_id, labelled)
        regions = {other.region_id for other in others}
        new_links = [
            (cen_id, *region_pair(network.region_id, other)) for other in sorted(regions - {network.region_id})
        ]
        links.ensure(work.tx, new_links, work.revision())
        work.touch(cen_id, regions | {network.region_id})
        attachment = networks.attached_page(work.tx, cen_id, Page(1, 1), network_id=network_id).items[0]
        work.tell(None, attachment)
    return attachment


def _require_attachable(
    tx: Transaction, actor: Actor, cen_id: str, network_id: str, owner_account_id: str | None
) -> Network:
    own_id = actor.account_id
    granting_id = None if owner_account_id == own_id else _granting(tx, cen_id, network_id)
    if owner_account_id not in (None, own_id, granting_id):
        raise _not_granted(cen_id, network_id)
    network = networks.find(tx, owner_account_id or granting_id or own_id, network_id, lock=True)
    if network is None:
        raise NotFoundError("network", network_id, field="network_id")
    if network.account_id != own_id and _granting(tx, cen_id, network_id) is None:  # taken back before the lock
        raise _not_granted(cen_id, network_id)
    return network


def _granting(tx: Transaction, cen_id: str, network_id: str) -> str | None:
    """The account that has granted the network to the instance."""
    grant = network_grants.find(tx, network_id, cen_id)
    return grant.network_account_id if grant else None


def _not_granted(cen_id: str, network_id: str) -> NotGrantedError:
    return NotGrantedError(
        f"the account that owns network {network_id} has not granted it to {cen_id}",
        field="network_id",
        network_id=network_id,
        cen_id=cen_id,
    )


def detach(context: Context, actor: Actor, cen_id: str, network_id: str) -> None:
    """Detach a network. A region connection of a region that loses its last network stays, with its share, marked.

    The instance's account may, and the network's. Raises NotFoundError.
    """
    with context.change(actor, "network.detach", cen_id) as work:
        owner_id = _account_that_may_detach(work.tx, actor, cen_id, network_id)
        instances.lock(work.tx, owner_id, cen_id)
        found = networks.attached_page(work.tx, cen_id, Page(1, 1), network_id=network_id).items
        if not found:
            network_service.require(work.tx, actor, network_id)
            raise NotFoundError("attachment", f"{cen_id}/{network_id}", field="network_id")
        networks.find(work.tx, found[0].account_id, network_id, lock=True)
        regions = networks.attached_regions(work.tx, cen_id)
        networks.detach(work.tx, network_id)
        work.touch(cen_id, regions)
        work.tell({"network_id": network_id, "region_id": found[0].region_id}, None)


def _account_that_may_detach(tx: Transaction, actor: Actor, cen_id: str, network_id: str) -> str:
    """The instance's account, when the actor is of it, or of the account of a network attached there."""
    if instance_service.exists(tx, actor, cen_id):
        return actor.account_id
    own = networks.find(tx, actor.account_id, network_id)
    owner_id = network_grants.account_of_instance(tx, cen_id) if own is not None and own.cen_id == cen_id else None
    if owner_id is None:
        raise NotFoundError("CEN instance", cen_id, field="cen_id")
    return owner_id


def search(
    context: Context,
    actor: Actor,
    cen_id: str,
    page: Page,
    *,
    region_id: str | None = None,
    network_id: str | None = None,
) -> Listing[Attachment]:
    """Attachments of an instance, with what gateways say of whether they carry them."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        found = networks.attached_page(tx, cen_id, page, region_id=region_id, network_id=network_id)
        by_region = gateways.active_by_region(tx, {attachment.region_id for attachment in found.items})
    with context.database.volatile() as tx:
        presences = gateways.presences(tx, [gateway.id for gateway in by_region.values()], [cen_id])
    items = []
    for attachment in found.items:
        gateway = by_region.get(attachment.region_id)
        presence = presences.get(gateway.id) if gateway else None
        said = presence.networks.get(attachment.network_id) if presence else None
        if gateway is None:
            items.append(replace(attachment, reason=f"{attachment.region_id} has no gateway"))
        elif said is not None:
            items.append(
                replace(attachment, carried=said["carried"], reason=said["reason"], interface=said.get("interface"))
            )
        else:
            items.append(attachment)
    return Listing(tuple(items), found.total)
