"""Rows of what was published or withdrawn of the networks attached to instances."""

from __future__ import annotations

from sqlalchemy import delete, select

from opencen.domain.nouns import Attachment
from opencen.domain.routes import Route, routes_of
from opencen.store import networks
from opencen.store.database import Transaction
from opencen.store.schema import attachments, route_publications
from opencen.store.upsert import upsert


def decide(tx: Transaction, network_id: str, cidr_block: str, *, published: bool) -> None:
    row = {"network_id": network_id, "cidr_block": cidr_block, "published": published}
    upsert(tx, route_publications, [row])


def forget(tx: Transaction, network_id: str, cidr_block: str) -> None:
    """From now on the rule holds again: a network's own blocks are published, nothing else is."""
    columns = route_publications.c
    tx.execute(delete(route_publications).where(columns.network_id == network_id, columns.cidr_block == cidr_block))


def of_attached(tx: Transaction, *cen_ids: str) -> list[tuple[Attachment, tuple[Route, ...]]]:
    """All attachments of these instances in the order in which they were made, with their routes."""
    statement = (
        select(route_publications)
        .join(attachments, attachments.c.network_id == route_publications.c.network_id)
        .where(attachments.c.cen_id.in_(cen_ids))
    )
    decisions: dict[str, dict[str, bool]] = {}
    for row in tx.execute(statement):
        decisions.setdefault(row.network_id, {})[row.cidr_block] = row.published
    return [
        (item, routes_of(item.network_id, item.region_id, item.cidr_blocks, decisions.get(item.network_id, {})))
        for item in networks.attached(tx, *cen_ids)
    ]
