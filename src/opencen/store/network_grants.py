"""Rows of grants: networks that one account lets another account's CEN instance attach."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select

from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.schema import accounts, instances, network_grants, networks
from opencen.store.upsert import insert_new


@dataclass(frozen=True, slots=True)
class NetworkGrant:
    """A grant, with the numbers of the accounts on both ends."""

    network_id: str
    network_account_id: str
    network_account_number: int
    region_id: str
    cen_id: str
    cen_account_id: str
    cen_account_number: int
    created_at: datetime


_OWNER = accounts.alias("network_owner")
_CEN_OWNER = accounts.alias("cen_owner")


def _select() -> Select[Any]:
    return (
        select(
            network_grants.c.network_id,
            networks.c.account_id.label("network_account_id"),
            _OWNER.c.number.label("network_account_number"),
            networks.c.region_id,
            network_grants.c.cen_id,
            instances.c.account_id.label("cen_account_id"),
            _CEN_OWNER.c.number.label("cen_account_number"),
            network_grants.c.created_at,
        )
        .join(networks, networks.c.id == network_grants.c.network_id)
        .join(instances, instances.c.id == network_grants.c.cen_id)
        .join(_OWNER, _OWNER.c.id == networks.c.account_id)
        .join(_CEN_OWNER, _CEN_OWNER.c.id == instances.c.account_id)
    )


def add(tx: Transaction, network_id: str, cen_id: str, created_at: datetime) -> bool:
    """False when it is there already."""
    return insert_new(tx, network_grants, {"network_id": network_id, "cen_id": cen_id, "created_at": created_at})


def remove(tx: Transaction, network_id: str, cen_id: str) -> bool:
    """False when there is none."""
    statement = delete(network_grants).where(
        network_grants.c.network_id == network_id, network_grants.c.cen_id == cen_id
    )
    return tx.execute(statement).rowcount == 1


def find(tx: Transaction, network_id: str, cen_id: str) -> NetworkGrant | None:
    statement = _select().where(network_grants.c.network_id == network_id, network_grants.c.cen_id == cen_id)
    row = tx.execute(statement).first()
    return None if row is None else NetworkGrant(**row._mapping)


def search(
    tx: Transaction,
    page: Page,
    *,
    network_account_id: str | None = None,
    cen_account_id: str | None = None,
    network_id: str | None = None,
    cen_id: str | None = None,
    region_id: str | None = None,
    network_account_number: int | None = None,
) -> Listing[NetworkGrant]:
    """Grants by an account, or to one; the oldest first."""
    wanted = (
        (networks.c.account_id, network_account_id),
        (instances.c.account_id, cen_account_id),
        (network_grants.c.network_id, network_id),
        (network_grants.c.cen_id, cen_id),
        (networks.c.region_id, region_id),
        (_OWNER.c.number, network_account_number),
    )
    statement = _select().where(*(column == value for column, value in wanted if value is not None))
    order = (network_grants.c.created_at, network_grants.c.network_id, network_grants.c.cen_id)
    rows, total = fetch_page(tx, statement, page, order)
    return Listing(tuple(NetworkGrant(**row._mapping) for row in rows), total)


def account_of_instance(tx: Transaction, cen_id: str) -> str | None:
    return tx.execute(select(instances.c.account_id).where(instances.c.id == cen_id)).scalar()


def owner_number(tx: Transaction, cen_id: str) -> int | None:
    """The number of the account that an instance belongs to."""
    joined = select(accounts.c.number).join(instances, instances.c.account_id == accounts.c.id)
    return tx.execute(joined.where(instances.c.id == cen_id)).scalar()


def account_of_number(tx: Transaction, number: int) -> str | None:
    return tx.execute(select(accounts.c.id).where(accounts.c.number == number)).scalar()
