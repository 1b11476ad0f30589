"""Epochs: each server process that starts begins one, at a revision of its own.

A gateway holds (epoch, revision). A database that was restored from an older copy does not know epochs begun after the
copy was made, and its next start ends the epoch that the copy knew: what was committed in it later is not part of this
history, whatever the numbers have grown to since.
"""

from __future__ import annotations

from sqlalchemy import func, insert, select

from opencen.store.control import current_revision
from opencen.store.database import Transaction
from opencen.store.gateway_schema import epochs


def begin(tx: Transaction, epoch_id: str, first_revision: int) -> None:
    tx.execute(insert(epochs).values(id=epoch_id, first_revision=first_revision))


def current(tx: Transaction) -> str:
    return str(tx.execute(select(epochs.c.id).order_by(epochs.c.first_revision.desc()).limit(1)).scalar_one())


def includes(tx: Transaction, epoch_id: str, revision: int) -> bool:
    """Whether `revision`, as it was told in that epoch, is part of this database's history."""
    first = tx.execute(select(epochs.c.first_revision).where(epochs.c.id == epoch_id)).scalar()
    if first is None:
        return False
    following = tx.execute(select(func.min(epochs.c.first_revision)).where(epochs.c.first_revision > first)).scalar()
    return revision < following if following is not None else revision <= current_revision(tx)
