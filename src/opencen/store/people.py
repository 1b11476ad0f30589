"""Rows of users and access keys, as administrators manage them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from opencen.domain.nouns import KeyEntry, Role, User
from opencen.domain.permissions import lesser
from opencen.store.database import Transaction
from opencen.store.schema import access_keys, sessions, user_totp, users

_USERS = select(
    users.c.id,
    users.c.account_id,
    users.c.username,
    users.c.role,
    users.c.created_at,
    users.c.disabled_at,
    user_totp.c.confirmed_at,
).outerjoin(user_totp, user_totp.c.user_id == users.c.id)
_KEYS = select(
    access_keys.c.id,
    access_keys.c.user_id,
    access_keys.c.name,
    access_keys.c.role,
    access_keys.c.source_networks,
    access_keys.c.active,
    access_keys.c.created_at,
    access_keys.c.last_used_at,
    users.c.username,
    users.c.account_id,
    users.c.role.label("user_role"),
).join(users, users.c.id == access_keys.c.user_id)


def find_users(tx: Transaction, *conditions: ColumnElement[bool]) -> list[User]:
    rows = tx.execute(_USERS.where(*conditions).order_by(users.c.created_at, users.c.id))
    return [
        User(
            id=row.id,
            account_id=row.account_id,
            username=row.username,
            role=Role(row.role),
            created_at=row.created_at,
            disabled_at=row.disabled_at,
            has_totp=row.confirmed_at is not None,
        )
        for row in rows
    ]


def find_user(tx: Transaction, user_id: str) -> User | None:
    found = find_users(tx, users.c.id == user_id)
    return found[0] if found else None


def change_user(tx: Transaction, user_id: str, role: Role, disabled_at: datetime | None) -> None:
    tx.execute(update(users).where(users.c.id == user_id).values(role=role.value, disabled_at=disabled_at))


def set_password(tx: Transaction, user_id: str, password_hash: str) -> None:
    tx.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def end_sessions(tx: Transaction, user_id: str) -> None:
    tx.execute(delete(sessions).where(sessions.c.user_id == user_id))


def remove_user(tx: Transaction, user_id: str) -> None:
    """With its sessions and access keys."""
    end_sessions(tx, user_id)
    tx.execute(delete(user_totp).where(user_totp.c.user_id == user_id))
    tx.execute(delete(access_keys).where(access_keys.c.user_id == user_id))
    tx.execute(delete(users).where(users.c.id == user_id))


def count_administrators(tx: Transaction) -> int:
    """Those who are not disabled."""
    enabled = (users.c.role == Role.ADMINISTRATOR.value, users.c.disabled_at.is_(None))
    return int(tx.execute(select(func.count()).select_from(users).where(*enabled)).scalar_one())


def find_keys(tx: Transaction, *conditions: ColumnElement[bool]) -> list[KeyEntry]:
    rows = tx.execute(_KEYS.where(*conditions).order_by(access_keys.c.created_at, access_keys.c.id))
    return [
        KeyEntry(
            id=row.id,
            user_id=row.user_id,
            username=row.username,
            account_id=row.account_id,
            name=row.name or "",
            role=lesser(Role(row.user_role), Role(row.role or row.user_role)),
            source_networks=tuple(row.source_networks or ()),
            active=row.active,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )
        for row in rows
    ]


def find_key(tx: Transaction, key_id: str) -> KeyEntry | None:
    found = find_keys(tx, access_keys.c.id == key_id)
    return found[0] if found else None


def add_key(tx: Transaction, key: KeyEntry, secret_sealed: bytes) -> None:
    tx.execute(
        insert(access_keys).values(
            id=key.id,
            user_id=key.user_id,
            secret_sealed=secret_sealed,
            active=key.active,
            created_at=key.created_at,
            name=key.name,
            role=key.role.value,
            source_networks=list(key.source_networks),
        )
    )


def switch_key(tx: Transaction, key_id: str, active: bool) -> None:
    tx.execute(update(access_keys).where(access_keys.c.id == key_id).values(active=active))


def remove_key(tx: Transaction, key_id: str) -> None:
    tx.execute(delete(access_keys).where(access_keys.c.id == key_id))


def note_use(tx: Transaction, key_id: str, at: datetime) -> None:
    tx.execute(update(access_keys).where(access_keys.c.id == key_id).values(last_used_at=at))
