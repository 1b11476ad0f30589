"""Rows of the sessions of people who logged on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from opencen.store.database import Transaction
from opencen.store.schema import sessions, users


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, with the user whose it is."""

    id: str
    user_id: str
    token_sha256: bytes
    created_at: datetime
    expires_at: datetime
    source_address: str | None
    user_agent: str
    account_id: str
    username: str
    role: str


_SELECT = (
    select(sessions, users.c.account_id, users.c.username, users.c.role)
    .join(users, users.c.id == sessions.c.user_id)
    .where(users.c.disabled_at.is_(None))
)
_FIND = _SELECT.where(sessions.c.id == bindparam("session_id"))


_KEPT = ("id", "user_id", "token_sha256", "created_at", "expires_at", "source_address", "user_agent")


def add(tx: Transaction, row: SessionRow) -> None:
    tx.execute(insert(sessions).values({name: getattr(row, name) for name in _KEPT}))


def find(tx: Transaction, session_id: str) -> SessionRow | None:
    row = tx.execute(_FIND, {"session_id": session_id}).first()
    return None if row is None else SessionRow(**row._mapping)


def of_user(tx: Transaction, user_id: str, now: datetime) -> list[SessionRow]:
    """The sessions of a user that have not expired, the newest first."""
    statement = _SELECT.where(sessions.c.user_id == user_id, sessions.c.expires_at > now).order_by(
        sessions.c.created_at.desc(), sessions.c.id
    )
    return [SessionRow(**row._mapping) for row in tx.execute(statement)]


def remove(tx: Transaction, session_id: str) -> None:
    tx.execute(delete(sessions).where(sessions.c.id == session_id))


def forget_expired(tx: Transaction, now: datetime) -> None:
    tx.execute(delete(sessions).where(sessions.c.expires_at <= now))
