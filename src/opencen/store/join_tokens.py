"""Rows of the tokens with which gateways join."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from opencen.domain.joining import JoinToken
from opencen.store.database import Transaction
from opencen.store.gateway_schema import join_tokens


@dataclass(frozen=True, slots=True)
class JoinTokenRow:
    """A token, and the hashes of its secret and of the credential of the host that used it."""

    token: JoinToken
    secret_sha256: bytes
    credential_sha256: bytes | None


def _row(columns: dict[str, object]) -> JoinTokenRow:
    secret, credential = columns.pop("secret_sha256"), columns.pop("credential_sha256")
    return JoinTokenRow(JoinToken(**columns), secret, credential)  # type: ignore[arg-type]


def add(tx: Transaction, token: JoinToken, secret_sha256: bytes) -> None:
    tx.execute(
        insert(join_tokens).values(
            id=token.id,
            region_id=token.region_id,
            account_id=token.account_id,
            created_by=token.created_by,
            secret_sha256=secret_sha256,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )
    )


def find(tx: Transaction, token_id: str) -> JoinTokenRow | None:
    row = tx.execute(select(join_tokens).where(join_tokens.c.id == token_id)).first()
    return None if row is None else _row(dict(row._mapping))


def find_all(tx: Transaction) -> list[JoinToken]:
    """The newest first."""
    rows = tx.execute(select(join_tokens).order_by(join_tokens.c.created_at.desc(), join_tokens.c.id))
    return [_row(dict(row._mapping)).token for row in rows]


def use(
    tx: Transaction, token_id: str, now: datetime, used_from: str | None, gateway_id: str, credential_sha256: bytes
) -> None:
    tx.execute(
        update(join_tokens)
        .where(join_tokens.c.id == token_id)
        .values(used_at=now, used_from=used_from, gateway_id=gateway_id, credential_sha256=credential_sha256)
    )


def revoke(tx: Transaction, token_id: str, now: datetime) -> None:
    tx.execute(update(join_tokens).where(join_tokens.c.id == token_id).values(revoked_at=now))


def forget(tx: Transaction, expired_before: datetime) -> None:
    tx.execute(delete(join_tokens).where(join_tokens.c.expires_at < expired_before))
