"""Rows of client tokens: what was answered to calls that may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from opencen.store.database import Transaction
from opencen.store.schema import client_tokens
from opencen.store.upsert import insert_new


@dataclass(frozen=True, slots=True)
class TokenKey:
    account_id: str
    action: str
    token: str


def forget_expired(tx: Transaction, now: datetime) -> None:
    tx.execute(delete(client_tokens).where(client_tokens.c.expires_at <= now))


def claim(tx: Transaction, key: TokenKey, parameters_sha256: bytes, expires_at: datetime) -> bool:
    """False when the token was used before. Waits for a transaction that is using it now."""
    row = {
        "account_id": key.account_id,
        "action": key.action,
        "token": key.token,
        "parameters_sha256": parameters_sha256,
        "answer": {},
        "expires_at": expires_at,
    }
    return insert_new(tx, client_tokens, row)


def find(tx: Transaction, key: TokenKey) -> tuple[bytes, dict[str, Any]]:
    """The hash of the parameters of the first call, and its answer."""
    row = tx.execute(select(client_tokens.c.parameters_sha256, client_tokens.c.answer).where(*_is(key))).one()
    return row.parameters_sha256, row.answer


def remember(tx: Transaction, key: TokenKey, answer: Mapping[str, object]) -> None:
    tx.execute(update(client_tokens).where(*_is(key)).values(answer=dict(answer)))


def _is(key: TokenKey) -> tuple[Any, ...]:
    return (
        client_tokens.c.account_id == key.account_id,
        client_tokens.c.action == key.action,
        client_tokens.c.token == key.token,
    )
