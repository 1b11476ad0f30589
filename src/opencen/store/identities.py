"""Rows of accounts, users, access keys and used nonces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select

from opencen.domain.nouns import Account
from opencen.store.database import Transaction
from opencen.store.schema import access_keys, accounts, users
from opencen.store.upsert import plain_insert_new
from opencen.store.volatile_schema import nonces


@dataclass(frozen=True, slots=True)
class UserRow:
    id: str
    account_id: str
    username: str
    password_hash: str
    role: str
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessKeyRow:
    """`secret_sealed` is encrypted: see `services/vault.py`."""

    id: str
    secret_sealed: bytes
    active: bool
    user_id: str
    account_id: str
    username: str
    role: str
    key_role: str | None
    source_networks: list[str] | None
    disabled_at: datetime | None


def add_account(tx: Transaction, account: Account) -> None:
    tx.execute(
        insert(accounts).values(id=account.id, number=account.number, name=account.name, created_at=account.created_at)
    )


def find_account(tx: Transaction, account_id: str) -> Account | None:
    row = tx.execute(select(accounts).where(accounts.c.id == account_id)).first()
    return None if row is None else Account(**row._mapping)


def find_accounts(tx: Transaction) -> list[Account]:
    return [Account(**row._mapping) for row in tx.execute(select(accounts).order_by(accounts.c.created_at))]


def count_accounts(tx: Transaction) -> int:
    return int(tx.execute(select(func.count()).select_from(accounts)).scalar_one())


def add_user(tx: Transaction, user: UserRow) -> None:
    tx.execute(
        insert(users).values(
            id=user.id,
            account_id=user.account_id,
            username=user.username,
            password_hash=user.password_hash,
            role=user.role,
            created_at=user.created_at,
        )
    )


def find_user(tx: Transaction, username: str) -> UserRow | None:
    row = tx.execute(select(users).where(users.c.username == username)).first()
    return None if row is None else UserRow(**row._mapping)


def add_access_key(tx: Transaction, key_id: str, user_id: str, secret_sealed: bytes, created_at: datetime) -> None:
    tx.execute(
        insert(access_keys).values(
            id=key_id, user_id=user_id, secret_sealed=secret_sealed, active=True, created_at=created_at
        )
    )


_FIND_ACCESS_KEY = (
    select(
        access_keys.c.id,
        access_keys.c.secret_sealed,
        access_keys.c.active,
        access_keys.c.user_id,
        users.c.account_id,
        users.c.username,
        users.c.role,
        access_keys.c.role.label("key_role"),
        access_keys.c.source_networks,
        users.c.disabled_at,
    )
    .join(users, users.c.id == access_keys.c.user_id)
    .where(access_keys.c.id == bindparam("key_id"))
)


def find_access_key(tx: Transaction, key_id: str) -> AccessKeyRow | None:
    row = tx.execute(_FIND_ACCESS_KEY, {"key_id": key_id}).first()
    return None if row is None else AccessKeyRow(**row._mapping)


def some_sealed_secret(tx: Transaction) -> tuple[str, bytes] | None:
    """The id and the sealed secret of any access key; None when there is none."""
    row = tx.execute(select(access_keys.c.id, access_keys.c.secret_sealed).limit(1)).first()
    return None if row is None else (row[0], row[1])


def remember_nonce(volatile_tx: Transaction, access_key_id: str, nonce: str, expires_at_s: int) -> bool:
    """False when this key has used this nonce already."""
    row = {"access_key_id": access_key_id, "nonce": nonce, "expires_at": expires_at_s}
    return plain_insert_new(volatile_tx, nonces, row)


def forget_nonces(volatile_tx: Transaction, before_s: int) -> int:
    """Drop the nonces whose requests would be refused as too old anyway."""
    return volatile_tx.execute(delete(nonces).where(nonces.c.expires_at < before_s)).rowcount
