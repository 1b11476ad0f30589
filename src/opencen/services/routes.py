"""Routes: which blocks of an attached network the other regions of its instance know.

A withdrawn block is carried to no other region; networks of its own region on the same gateway still reach it, as they
are joined there without a tunnel.
"""

from __future__ import annotations

from opencen.domain.errors import NotFoundError
from opencen.domain.nouns import Actor, Attachment
from opencen.domain.routes import Route, checked_destination
from opencen.services import instances as instance_service
from opencen.services.context import Context, Work
from opencen.store import routes
from opencen.store.database import Transaction


def publish(context: Context, actor: Actor, cen_id: str, network_id: str, cidr_block: str) -> Route:
    """Make a block known to the instance's other regions. Raises NotFoundError for one outside of the network."""
    with context.change(actor, "route.publish", f"{cen_id}:{network_id}") as work:
        attachment, present = _lock(work, actor, cen_id, network_id)
        destination = checked_destination(cidr_block, network_id, attachment.cidr_blocks)
        custom = destination not in attachment.cidr_blocks
        if custom:
            routes.decide(work.tx, network_id, destination, published=True)
        else:
            routes.forget(work.tx, network_id, destination)
        route = Route(network_id, attachment.region_id, destination, custom, published=True)
        _tell(work, cen_id, present, route)
    return route


def withdraw(context: Context, actor: Actor, cen_id: str, network_id: str, cidr_block: str) -> None:
    """The opposite. Raises NotFoundError for a block that is not of the network, or was never published."""
    with context.change(actor, "route.withdraw", f"{cen_id}:{network_id}") as work:
        attachment, present = _lock(work, actor, cen_id, network_id)
        destination = checked_destination(cidr_block, network_id, attachment.cidr_blocks)
        before = next((route for route in present if route.cidr_block == destination), None)
        if before is None:
            raise NotFoundError("route", f"{network_id}/{destination}", field="cidr_block")
        if before.custom:
            routes.forget(work.tx, network_id, destination)
        else:
            routes.decide(work.tx, network_id, destination, published=False)
        route = Route(network_id, attachment.region_id, destination, before.custom, published=False)
        _tell(work, cen_id, present, route)


def _lock(work: Work, actor: Actor, cen_id: str, network_id: str) -> tuple[Attachment, tuple[Route, ...]]:
    instance_service.lock(work.tx, actor, cen_id)
    return _find(work.tx, cen_id, network_id)


def _find(tx: Transaction, cen_id: str, network_id: str) -> tuple[Attachment, tuple[Route, ...]]:
    for attachment, present in routes.of_attached(tx, cen_id):
        if attachment.network_id == network_id:
            return attachment, present
    raise NotFoundError("attachment", f"{cen_id}/{network_id}", field="network_id")


def _tell(work: Work, cen_id: str, present: tuple[Route, ...], route: Route) -> None:
    before = next((item for item in present if item.cidr_block == route.cidr_block), None)
    work.touch(cen_id, work.attached_regions(cen_id))
    work.tell(before, route)


def of_network(context: Context, actor: Actor, cen_id: str, network_id: str) -> tuple[Attachment, tuple[Route, ...]]:
    """An attached network, and its routes. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        return _find(tx, cen_id, network_id)


def known_in(context: Context, actor: Actor, cen_id: str, region_id: str) -> list[Route]:
    """What a region of an instance knows: the published routes, when it has a network itself. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        attached = routes.of_attached(tx, cen_id)
    if region_id not in {attachment.region_id for attachment, _ in attached}:
        return []
    return [route for _, present in attached for route in present if route.published]
