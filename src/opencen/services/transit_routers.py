"""Transit routers, and what hangs on them: a region connection and an attachment in the words of today's CEN."""

from __future__ import annotations

from dataclasses import replace

from opencen.domain.errors import InvalidValueError, NotFoundError, RouterExistsError, RouterInUseError
from opencen.domain.labels import NO_LABELS, Labelled, Labels
from opencen.domain.names import checked_description, checked_name
from opencen.domain.nouns import Actor, Attachment
from opencen.domain.transit import AttachmentNote, RouterKind, TransitRouter
from opencen.services import instances as instance_service
from opencen.services import labels
from opencen.services.context import Context, Work
from opencen.store import networks, transit
from opencen.store.records import Page


def create(
    context: Context,
    actor: Actor,
    cen_id: str,
    region_id: str,
    *,
    name: str = "",
    description: str = "",
    labelled: Labels = NO_LABELS,
) -> TransitRouter:
    """Make the router of a region; one that came with a network is taken over. Raises RouterExistsError."""
    with context.change(actor, "transit_router.create", f"{cen_id}:{region_id}") as work:
        instance_service.lock(work.tx, actor, cen_id)
        before = _find(context, work, actor, cen_id, region_id)
        if before is not None and before.kind is RouterKind.MADE:
            raise RouterExistsError(
                f"{cen_id} has a transit router in {region_id} already; a region has one",
                cen_id=cen_id,
                region_id=region_id,
            )
        router = TransitRouter(
            cen_id,
            region_id,
            actor.account_id,
            RouterKind.MADE,
            checked_name(name),
            checked_description(description),
            work.now,
        )
        transit.save_router(work.tx, router)
        labels.apply(work.tx, actor, Labelled.TRANSIT_ROUTER, f"{cen_id}:{region_id}", labelled)
        work.tell(before, router)
    return router


def ensure(context: Context, actor: Actor, cen_id: str, region_id: str) -> TransitRouter:
    """The router of a region, made when there is none."""
    found = [router for router in search(context, actor, cen_id=cen_id) if router.region_id == region_id]
    if found:
        return found[0]
    try:
        return create(context, actor, cen_id, region_id)
    except RouterExistsError:
        return get(context, actor, cen_id, region_id)


def get(context: Context, actor: Actor, cen_id: str, region_id: str) -> TransitRouter:
    """Raises NotFoundError."""
    with context.database.read() as tx:
        router = transit.find_router(tx, actor.account_id, cen_id, region_id)
    if router is None:
        raise _no_router(cen_id, region_id)
    return router


def search(context: Context, actor: Actor, *, cen_id: str | None = None) -> list[TransitRouter]:
    """The routers of the account or of one instance, the oldest first. Raises NotFoundError for the instance."""
    with context.database.read() as tx:
        if cen_id is not None and not instance_service.exists(tx, actor, cen_id):
            raise NotFoundError("CEN instance", cen_id, field="cen_id")
        return transit.routers(tx, actor.account_id, cen_id)


def modify(
    context: Context,
    actor: Actor,
    cen_id: str,
    region_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> TransitRouter:
    with context.change(actor, "transit_router.modify", f"{cen_id}:{region_id}") as work:
        instance_service.lock(work.tx, actor, cen_id)
        before = _require(context, work, actor, cen_id, region_id)
        after = replace(
            before,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
        )
        transit.save_router(work.tx, after)
        work.tell(before, after)
    return after


def delete(context: Context, actor: Actor, cen_id: str, region_id: str) -> None:
    """Raises RouterInUseError while networks or region connections hang on it."""
    with context.change(actor, "transit_router.delete", f"{cen_id}:{region_id}") as work:
        instance_service.lock(work.tx, actor, cen_id)
        router = _require(context, work, actor, cen_id, region_id)
        attached = networks.attached_page(work.tx, cen_id, Page(1, 50), region_id=region_id).items
        network_ids = [attachment.network_id for attachment in attached]
        peers = transit.peers_of(work.tx, cen_id, region_id)
        if network_ids or peers:
            hanging = [*network_ids, *(f"the connection to {peer}" for peer in peers)]
            raise RouterInUseError(
                f"the transit router of {cen_id} in {region_id} still has {', '.join(hanging[:5])}; remove that first",
                cen_id=cen_id,
                network_ids=network_ids,
                region_ids=peers,
            )
        transit.remove_router(work.tx, cen_id, region_id)
        work.tell(router, None)


def attachments(
    context: Context, actor: Actor, *, cen_id: str | None = None
) -> list[tuple[Attachment, AttachmentNote]]:
    """What is attached to the account's instances or one of them, with what was noted of it, the oldest first."""
    with context.database.read() as tx:
        if cen_id is not None and not instance_service.exists(tx, actor, cen_id):
            raise NotFoundError("CEN instance", cen_id, field="cen_id")
        return transit.attachments_with_notes(tx, actor.account_id, cen_id)


def modify_attachment(
    context: Context,
    actor: Actor,
    network_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    announces_routes: bool | None = None,
) -> None:
    """Change what is given of the note on an attachment. Raises NotFoundError."""
    with context.change(actor, "attachment.modify", network_id) as work:
        hanging = transit.attachments_with_notes(work.tx, actor.account_id)
        before = next((note for attachment, note in hanging if attachment.network_id == network_id), None)
        if before is None:
            raise NotFoundError("attachment", network_id, field="network_id")
        after = replace(
            before,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
            announces_routes=before.announces_routes if announces_routes is None else announces_routes,
        )
        transit.save_attachment_note(work.tx, network_id, after)
        work.tell(before, after)


def _find(context: Context, work: Work, actor: Actor, cen_id: str, region_id: str) -> TransitRouter | None:
    if region_id not in context.areas_of(work.tx, [region_id]):
        raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)
    return transit.find_router(work.tx, actor.account_id, cen_id, region_id)


def _require(context: Context, work: Work, actor: Actor, cen_id: str, region_id: str) -> TransitRouter:
    router = _find(context, work, actor, cen_id, region_id)
    if router is None:
        raise _no_router(cen_id, region_id)
    return router


def _no_router(cen_id: str, region_id: str) -> NotFoundError:
    return NotFoundError("transit router", f"{cen_id}:{region_id}", field="id")
