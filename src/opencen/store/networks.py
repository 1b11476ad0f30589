"""Rows of networks and of their attachments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select, update

from opencen.domain.labels import ANY_LABELS, Labelled, WantedLabels
from opencen.domain.nouns import Attachment, Network
from opencen.store import labels
from opencen.store.database import Transaction
from opencen.store.plain import PlainStatement
from opencen.store.records import Listing, Page, fetch_page, matching
from opencen.store.schema import attachments, networks


def _select() -> Select[Any]:
    return select(networks, attachments.c.cen_id).outerjoin(attachments, attachments.c.network_id == networks.c.id)


def _network(row: Any) -> Network:
    return Network(**{**row._mapping, "cidr_blocks": tuple(row.cidr_blocks)})


def add(tx: Transaction, network: Network) -> None:
    tx.execute(
        insert(networks).values(
            id=network.id,
            account_id=network.account_id,
            region_id=network.region_id,
            name=network.name,
            description=network.description,
            cidr_blocks=list(network.cidr_blocks),
            created_at=network.created_at,
            resource_group_id=network.resource_group_id,
        )
    )


def find(tx: Transaction, account_id: str, network_id: str, *, lock: bool = False) -> Network | None:
    this = networks.c.id == network_id, networks.c.account_id == account_id
    if lock:  # first, and read then: who waited for the lock must see what the other has attached
        tx.execute(select(networks.c.id).where(*this).with_for_update())
    row = tx.execute(_select().where(*this)).first()
    return None if row is None else _network(row)


def find_any(tx: Transaction, network_id: str) -> Network | None:
    """A network of any account."""
    row = tx.execute(_select().where(networks.c.id == network_id)).first()
    return None if row is None else _network(row)


def search(
    tx: Transaction,
    account_id: str,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    region_id: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Network]:
    conditions = [
        networks.c.account_id == account_id,
        *matching(networks.c.id, ids),
        *matching(networks.c.name, names),
        *labels.conditions(networks, Labelled.NETWORK, account_id, labelled),
    ]
    if region_id is not None:
        conditions.append(networks.c.region_id == region_id)
    rows, total = fetch_page(tx, _select().where(*conditions), page, (networks.c.created_at, networks.c.id))
    return Listing(tuple(map(_network, rows)), total)


def group_ids(tx: Transaction, network_ids: Sequence[str]) -> dict[str, str | None]:
    """The resource group of each of these networks."""
    statement = select(networks.c.id, networks.c.resource_group_id).where(networks.c.id.in_(network_ids))
    return {row.id: row.resource_group_id for row in tx.execute(statement)}


def change(tx: Transaction, network_id: str, *, name: str, description: str) -> None:
    tx.execute(update(networks).where(networks.c.id == network_id).values(name=name, description=description))


def remove(tx: Transaction, network_id: str) -> None:
    labels.remove_tags(tx, Labelled.NETWORK, [network_id], None)
    tx.execute(delete(networks).where(networks.c.id == network_id))


def attach(tx: Transaction, cen_id: str, network: Network, attached_at: datetime) -> None:
    tx.execute(
        insert(attachments).values(
            cen_id=cen_id, network_id=network.id, region_id=network.region_id, attached_at=attached_at
        )
    )


def detach(tx: Transaction, network_id: str) -> None:
    labels.remove_tags(tx, Labelled.ATTACHMENT, [network_id], None)
    tx.execute(delete(attachments).where(attachments.c.network_id == network_id))


def _select_attached() -> Select[Any]:
    return select(
        attachments.c.cen_id,
        attachments.c.network_id,
        networks.c.name.label("network_name"),
        attachments.c.region_id,
        networks.c.account_id,
        networks.c.cidr_blocks,
        attachments.c.attached_at,
    ).join(networks, networks.c.id == attachments.c.network_id)


def _attachment(row: Any) -> Attachment:
    return Attachment(**{**row._mapping, "cidr_blocks": tuple(row.cidr_blocks)})


def attached_page(
    tx: Transaction, cen_id: str, page: Page, *, region_id: str | None = None, network_id: str | None = None
) -> Listing[Attachment]:
    statement = _select_attached().where(attachments.c.cen_id == cen_id)
    if region_id is not None:
        statement = statement.where(attachments.c.region_id == region_id)
    if network_id is not None:
        statement = statement.where(attachments.c.network_id == network_id)
    rows, total = fetch_page(tx, statement, page, (attachments.c.attached_at, attachments.c.network_id))
    return Listing(tuple(map(_attachment, rows)), total)


def attached(tx: Transaction, *cen_ids: str) -> tuple[Attachment, ...]:
    """All attachments of these instances, in the order in which they were made."""
    statement = _select_attached().where(attachments.c.cen_id.in_(cen_ids))
    rows = tx.execute(statement.order_by(attachments.c.attached_at, attachments.c.network_id))
    return tuple(map(_attachment, rows))


_ATTACHED_REGIONS = PlainStatement(
    select(attachments.c.region_id).where(attachments.c.cen_id == bindparam("cen_id")).distinct()
)


def attached_regions(tx: Transaction, cen_id: str) -> frozenset[str]:
    """The regions in which the instance has a network."""
    return frozenset(region_id for (region_id,) in _ATTACHED_REGIONS.rows(tx, {"cen_id": cen_id}))
