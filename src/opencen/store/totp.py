"""Rows of users' second factors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from opencen.store.database import Transaction
from opencen.store.schema import user_totp
from opencen.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class TotpRow:
    """`secret_sealed` is encrypted; `confirmed_at` None: not asked for yet."""

    user_id: str
    secret_sealed: bytes
    confirmed_at: datetime | None
    last_step: int


def find(tx: Transaction, user_id: str) -> TotpRow | None:
    row = tx.execute(select(user_totp).where(user_totp.c.user_id == user_id)).first()
    return None if row is None else TotpRow(**row._mapping)


def put(tx: Transaction, row: TotpRow) -> None:
    values = {name: getattr(row, name) for name in ("user_id", "secret_sealed", "confirmed_at", "last_step")}
    upsert(tx, user_totp, [values])


def confirm(tx: Transaction, user_id: str, at: datetime) -> None:
    tx.execute(update(user_totp).where(user_totp.c.user_id == user_id).values(confirmed_at=at))


def use_step(tx: Transaction, user_id: str, step: int) -> bool:
    """False when the code of this time step, or of a later one, was used already."""
    fresh = (user_totp.c.user_id == user_id, user_totp.c.last_step < step)
    return tx.execute(update(user_totp).where(*fresh).values(last_step=step)).rowcount == 1


def remove(tx: Transaction, user_id: str) -> bool:
    return tx.execute(delete(user_totp).where(user_totp.c.user_id == user_id)).rowcount == 1
