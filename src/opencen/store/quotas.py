"""Rows of the quotas of accounts, and how much of each is used."""

from __future__ import annotations

from sqlalchemy import Table, delete, func, insert, select

from opencen.domain.nouns import QuotaKind
from opencen.store.database import Transaction
from opencen.store.schema import account_quotas, bandwidth_packages, instances, networks, region_connections

_COUNTED: dict[QuotaKind, Table] = {
    QuotaKind.INSTANCES: instances,
    QuotaKind.NETWORKS: networks,
    QuotaKind.PACKAGES: bandwidth_packages,
    QuotaKind.CONNECTIONS: region_connections,
}


def find(tx: Transaction, account_id: str) -> dict[QuotaKind, int]:
    """The most that an account may have; a kind that is missing has no limit."""
    rows = tx.execute(select(account_quotas).where(account_quotas.c.account_id == account_id))
    return {QuotaKind(row.kind): row.most for row in rows}


def most(tx: Transaction, account_id: str, kind: QuotaKind) -> int | None:
    statement = select(account_quotas.c.most).where(
        account_quotas.c.account_id == account_id, account_quotas.c.kind == kind.value
    )
    return tx.execute(statement).scalar()


def used(tx: Transaction, account_id: str, kind: QuotaKind) -> int:
    table = _COUNTED[kind]
    return int(tx.execute(select(func.count()).select_from(table).where(table.c.account_id == account_id)).scalar_one())


def put(tx: Transaction, account_id: str, kind: QuotaKind, most: int | None) -> None:
    """`most` None: no limit."""
    this = (account_quotas.c.account_id == account_id, account_quotas.c.kind == kind.value)
    tx.execute(delete(account_quotas).where(*this))
    if most is not None:
        tx.execute(insert(account_quotas).values(account_id=account_id, kind=kind.value, most=most))
