"""Every column that holds sealed secrets, and what each is bound to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, select, update

from opencen.store.database import Transaction
from opencen.store.schema import access_keys, alarm_channels, user_totp


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """`key` tells the rows apart; `label` makes what the secret of a row is bound to."""

    column: Column[Any]
    key: Column[Any]
    label: Callable[[str], str]


def totp_label(user_id: str) -> str:
    return f"totp:{user_id}"


COLUMNS = (
    SealedColumn(access_keys.c.secret_sealed, access_keys.c.id, str),
    SealedColumn(user_totp.c.secret_sealed, user_totp.c.user_id, totp_label),
    SealedColumn(alarm_channels.c.secret_sealed, alarm_channels.c.id, str),
)


def every(tx: Transaction, sealed: SealedColumn) -> Iterator[tuple[str, bytes]]:
    """(key, sealed secret) of each row."""
    yield from [
        (row[0], row[1]) for row in tx.execute(select(sealed.key, sealed.column).where(sealed.column.is_not(None)))
    ]


def replace(tx: Transaction, sealed: SealedColumn, key: str, secret: bytes) -> None:
    tx.execute(update(sealed.column.table).where(sealed.key == key).values({sealed.column.name: secret}))
