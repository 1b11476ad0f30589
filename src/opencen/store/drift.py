"""Rows of what gateways found otherwise than it should be, and repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func, select

from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.upsert import insert_new, upsert
from opencen.store.volatile_schema import gateway_drift, gateway_drift_counts

KEPT = 1_000
"""Events of each gateway that are kept; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Drift:
    """`part` is the peer region of a link, the id of a network, or '' for what concerns a whole instance."""

    gateway_id: str
    event_id: str
    at: datetime
    cen_id: str
    part: str
    found: str


def add(volatile_tx: Transaction, events: Sequence[Drift]) -> None:
    """Keep and count those that are new: a report may come twice."""
    new = [event for event in events if insert_new(volatile_tx, gateway_drift, asdict(event))]
    for event in new:
        count = counts(volatile_tx, event.gateway_id, [event.cen_id]).get((event.cen_id, event.part), 0)
        row = {"gateway_id": event.gateway_id, "cen_id": event.cen_id, "part": event.part, "count": count + 1}
        upsert(volatile_tx, gateway_drift_counts, [row])
    for gateway_id in {event.gateway_id for event in new}:
        _forget_old(volatile_tx, gateway_id)


def _forget_old(volatile_tx: Transaction, gateway_id: str) -> None:
    mine = gateway_drift.c.gateway_id == gateway_id
    newest = select(gateway_drift.c.at).where(mine).order_by(gateway_drift.c.at.desc()).offset(KEPT - 1).limit(1)
    oldest_kept = volatile_tx.execute(newest).scalar()
    if oldest_kept is not None:
        volatile_tx.execute(delete(gateway_drift).where(mine, gateway_drift.c.at < oldest_kept))


def counts(volatile_tx: Transaction, gateway_id: str, cen_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """By instance and part: how often it was found otherwise."""
    statement = select(gateway_drift_counts.c.cen_id, gateway_drift_counts.c.part, gateway_drift_counts.c.count).where(
        gateway_drift_counts.c.gateway_id == gateway_id, gateway_drift_counts.c.cen_id.in_(list(cen_ids))
    )
    return {(cen_id, part): count for cen_id, part, count in volatile_tx.execute(statement)}


def totals(volatile_tx: Transaction, gateway_ids: Sequence[str]) -> dict[str, int]:
    """By gateway: how often anything was found otherwise."""
    statement = (
        select(gateway_drift_counts.c.gateway_id, func.sum(gateway_drift_counts.c.count))
        .where(gateway_drift_counts.c.gateway_id.in_(list(gateway_ids)))
        .group_by(gateway_drift_counts.c.gateway_id)
    )
    return {gateway_id: int(total) for gateway_id, total in volatile_tx.execute(statement)}


def search(volatile_tx: Transaction, gateway_id: str, page: Page) -> Listing[Drift]:
    """Those of a gateway, the newest first."""
    statement = select(gateway_drift).where(gateway_drift.c.gateway_id == gateway_id)
    order = (gateway_drift.c.at.desc(), gateway_drift.c.event_id)
    rows, total = fetch_page(volatile_tx, statement, page, order)
    return Listing(tuple(Drift(**row._mapping) for row in rows), total)


def forget_gateway(volatile_tx: Transaction, gateway_id: str) -> None:
    for table in (gateway_drift, gateway_drift_counts):
        volatile_tx.execute(delete(table).where(table.c.gateway_id == gateway_id))
