"""Rows of what was decided for automatic connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from opencen.domain.following import Decision
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.volatile_schema import decisions


@dataclass(frozen=True, slots=True)
class DecisionRow:
    id: int
    at: datetime
    cen_id: str
    region_a_id: str
    region_b_id: str
    package_id: str
    before_bps: int
    after_bps: int
    wanted_bps: int
    why: str


def add(volatile_tx: Transaction, at: datetime, package_id: str, made: Sequence[Decision]) -> None:
    rows = [
        {
            "at": at,
            "cen_id": item.key[0],
            "region_a_id": item.key[1],
            "region_b_id": item.key[2],
            "package_id": package_id,
            "before_bps": item.before_bps,
            "after_bps": item.after_bps,
            "wanted_bps": item.wanted_bps,
            "why": item.why,
        }
        for item in made
    ]
    volatile_tx.execute(insert(decisions), rows)


def forget_before(volatile_tx: Transaction, at: datetime) -> None:
    volatile_tx.execute(delete(decisions).where(decisions.c.at < at))


def search(volatile_tx: Transaction, cen_id: str, page: Page) -> Listing[DecisionRow]:
    """Those of an instance, the newest first."""
    statement = select(decisions).where(decisions.c.cen_id == cen_id)
    rows, total = fetch_page(volatile_tx, statement, page, (decisions.c.id.desc(),))
    return Listing(tuple(DecisionRow(**row._mapping) for row in rows), total)
