"""The one row that says which server process does the background duties."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from opencen.store.database import Transaction
from opencen.store.schema import duty_lease as lease


@dataclass(frozen=True, slots=True)
class Lease:
    """`holder` (None: nobody) has said `beat` times that it is alive."""

    holder: str | None
    beat: int


def read(tx: Transaction) -> Lease:
    holder, beat = tx.execute(select(lease.c.holder, lease.c.beat)).one()
    return Lease(holder, beat)


def replace(tx: Transaction, seen: Lease, holder: str | None) -> Lease | None:
    """Hand the lease as it was `seen` to `holder`; None when it is another one by now."""
    statement = (
        update(lease)
        .where(lease.c.holder.is_not_distinct_from(seen.holder), lease.c.beat == seen.beat)
        .values(holder=holder, beat=seen.beat + 1)
    )
    return Lease(holder, seen.beat + 1) if tx.execute(statement).rowcount else None


def held_by(tx: Transaction, holder: str) -> bool:
    """Whether the lease is this holder's; nobody else takes it before `tx` ends."""
    return bool(tx.execute(select(lease.c.holder).with_for_update(read=True)).scalar_one() == holder)
