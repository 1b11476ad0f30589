"""Rows of transit routers, and of the notes on what hangs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, tuple_, union_all

from opencen.domain.connection import Connection
from opencen.domain.labels import Labelled
from opencen.domain.nouns import Attachment
from opencen.domain.transit import AttachmentNote, ConnectionNote, RouterKind, TransitRouter
from opencen.store import labels, networks
from opencen.store.database import Transaction
from opencen.store.schema import (
    attachment_notes,
    attachments,
    connection_notes,
    instances,
    region_connections,
    transit_routers,
)
from opencen.store.upsert import upsert

Key = tuple[str, str, str]
"""A region connection: instance, first and second region."""


def save_router(tx: Transaction, router: TransitRouter) -> None:
    upsert(
        tx,
        transit_routers,
        [
            {
                "cen_id": router.cen_id,
                "region_id": router.region_id,
                "kind": router.kind.value,
                "name": router.name,
                "description": router.description,
                "created_at": router.created_at,
            }
        ],
    )


def remove_router(tx: Transaction, cen_id: str, region_id: str) -> None:
    labels.remove_tags(tx, Labelled.TRANSIT_ROUTER, [f"{cen_id}:{region_id}"], None)
    tx.execute(
        delete(transit_routers).where(transit_routers.c.cen_id == cen_id, transit_routers.c.region_id == region_id)
    )


def _narrowed(statement: Select[Any], account_id: str, cen_id: str | None) -> Select[Any]:
    statement = statement.where(instances.c.account_id == account_id)
    return statement if cen_id is None else statement.where(instances.c.id == cen_id)


def routers(tx: Transaction, account_id: str, cen_id: str | None = None) -> list[TransitRouter]:
    """All transit routers of an account or one of its instances, with a row or without, sorted by their creation."""
    found: dict[tuple[str, str], TransitRouter] = {}
    rows = select(transit_routers).join(instances, instances.c.id == transit_routers.c.cen_id)
    for row in tx.execute(_narrowed(rows, account_id, cen_id)):
        made = {**row._mapping, "account_id": account_id, "kind": RouterKind(row.kind)}
        found[row.cen_id, row.region_id] = TransitRouter(**made)
    for cen_id_used, region_id, since in tx.execute(_regions_in_use(account_id, cen_id)):
        found.setdefault(
            (cen_id_used, region_id),
            TransitRouter(cen_id_used, region_id, account_id, RouterKind.IMPLICIT, "", "", since),
        )
    return sorted(found.values(), key=lambda router: (router.created_at, router.cen_id, router.region_id))


def _regions_in_use(account_id: str, cen_id: str | None) -> Select[Any]:
    """(instance, region, since when) of each region with a network attached or a region connection set."""
    of_networks = select(attachments.c.cen_id, attachments.c.region_id, attachments.c.attached_at.label("since")).join(
        instances, instances.c.id == attachments.c.cen_id
    )
    ends = [
        select(region_connections.c.cen_id, region_id, region_connections.c.created_at).join(
            instances, instances.c.id == region_connections.c.cen_id
        )
        for region_id in (region_connections.c.region_a_id, region_connections.c.region_b_id)
    ]
    used = union_all(*(_narrowed(statement, account_id, cen_id) for statement in (of_networks, *ends))).subquery()
    return select(used.c.cen_id, used.c.region_id, func.min(used.c.since)).group_by(used.c.cen_id, used.c.region_id)


def find_router(tx: Transaction, account_id: str, cen_id: str, region_id: str) -> TransitRouter | None:
    return next((router for router in routers(tx, account_id, cen_id) if router.region_id == region_id), None)


def peers_of(tx: Transaction, cen_id: str, region_id: str) -> list[str]:
    """The regions with which a region has a connection set."""
    a, b = region_connections.c.region_a_id, region_connections.c.region_b_id
    statement = select(a, b).where(region_connections.c.cen_id == cen_id, or_(a == region_id, b == region_id))
    return [row[1] if row[0] == region_id else row[0] for row in tx.execute(statement.order_by(a, b))]


def save_connection_note(tx: Transaction, key: Key, note: ConnectionNote) -> None:
    upsert(
        tx,
        connection_notes,
        [
            {
                "cen_id": key[0],
                "region_a_id": key[1],
                "region_b_id": key[2],
                "local_region_id": note.local_region_id,
                "name": note.name,
                "description": note.description,
                "announces_routes": note.announces_routes,
            }
        ],
    )


def connection_notes_of(tx: Transaction, items: Sequence[Connection]) -> dict[Key, ConnectionNote]:
    """The notes of these region connections; one without a note counts as made from its first region."""
    keys = [(item.cen_id, item.region_a_id, item.region_b_id) for item in items]
    notes = {key: ConnectionNote(local_region_id=key[1]) for key in keys}
    columns = connection_notes.c
    if keys:
        identity = tuple_(columns.cen_id, columns.region_a_id, columns.region_b_id)
        for row in tx.execute(select(connection_notes).where(identity.in_(keys))):
            notes[row.cen_id, row.region_a_id, row.region_b_id] = ConnectionNote(
                row.local_region_id, row.name, row.description, row.announces_routes
            )
    return notes


def save_attachment_note(tx: Transaction, network_id: str, note: AttachmentNote) -> None:
    upsert(
        tx,
        attachment_notes,
        [
            {
                "network_id": network_id,
                "name": note.name,
                "description": note.description,
                "announces_routes": note.announces_routes,
                "zone_mappings": [list(mapping) for mapping in note.zone_mappings],
            }
        ],
    )


def attachments_with_notes(
    tx: Transaction, account_id: str, cen_id: str | None = None
) -> list[tuple[Attachment, AttachmentNote]]:
    """What is attached to an account's instances, or to one of them, in the order in which it was."""
    own = _narrowed(select(instances.c.id), account_id, cen_id)
    found = networks.attached(tx, *tx.execute(own).scalars())
    notes = _attachment_notes(tx, [attachment.network_id for attachment in found])
    return [(attachment, notes.get(attachment.network_id, AttachmentNote())) for attachment in found]


def _attachment_notes(tx: Transaction, network_ids: Sequence[str]) -> dict[str, AttachmentNote]:
    if not network_ids:
        return {}
    rows = tx.execute(select(attachment_notes).where(attachment_notes.c.network_id.in_(list(network_ids))))
    return {
        row.network_id: AttachmentNote(
            row.name,
            row.description,
            row.announces_routes,
            tuple((zone_id, vswitch_id) for zone_id, vswitch_id in row.zone_mappings),
        )
        for row in rows
    }
