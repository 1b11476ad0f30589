"""Reading region connections. Writing them is `allocations.py`'s alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from opencen.domain.connection import Automatic, Connection
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page, matching
from opencen.store.schema import bandwidth_packages
from opencen.store.schema import region_connections as connections

_COLUMNS = [column for column in connections.c if column.name != "account_id"]


def _connection(row: Any) -> Connection:
    cen_id, region_a_id, region_b_id, package_id, bandwidth_mbps, created_at, updated_at, version, most, weight = row
    return Connection(
        cen_id=cen_id,
        region_a_id=region_a_id,
        region_b_id=region_b_id,
        package_id=package_id,
        bandwidth_mbps=bandwidth_mbps,
        created_at=created_at,
        updated_at=updated_at,
        version=version,
        automatic=None if most is None else Automatic(most, weight),
    )


_FIND = select(*_COLUMNS).where(
    connections.c.cen_id == bindparam("cen_id"),
    connections.c.region_a_id == bindparam("region_a_id"),
    connections.c.region_b_id == bindparam("region_b_id"),
)


def find(tx: Transaction, cen_id: str, region_a_id: str, region_b_id: str) -> Connection | None:
    """The connection of a sorted pair."""
    row = tx.execute(_FIND, {"cen_id": cen_id, "region_a_id": region_a_id, "region_b_id": region_b_id}).first()
    return None if row is None else _connection(row)


def search(
    tx: Transaction,
    account_id: str,
    page: Page,
    *,
    cen_id: str | None = None,
    region_id: str | None = None,
    package_id: str | None = None,
    pair: tuple[str, str] | None = None,
) -> Listing[Connection]:
    """Connections of an account: of one instance, touching a region, out of a package, or of a sorted pair."""
    conditions = [connections.c.account_id == account_id]
    if cen_id is not None:
        conditions.append(connections.c.cen_id == cen_id)
    if package_id is not None:
        conditions.append(connections.c.package_id == package_id)
    if region_id is not None:
        conditions.append(or_(connections.c.region_a_id == region_id, connections.c.region_b_id == region_id))
    if pair is not None:
        conditions.append(and_(connections.c.region_a_id == pair[0], connections.c.region_b_id == pair[1]))
    order = (connections.c.cen_id, connections.c.region_a_id, connections.c.region_b_id)
    rows, total = fetch_page(tx, select(*_COLUMNS).where(*conditions), page, order)
    return Listing(tuple(map(_connection, rows)), total)


_AUTOMATIC = select(*_COLUMNS).where(
    connections.c.package_id == bindparam("package_id"), connections.c.automatic_weight.is_not(None)
)


def automatic_of(tx: Transaction, package_id: str) -> tuple[Connection, ...]:
    """The connections out of a package whose limits follow the traffic."""
    return tuple(map(_connection, tx.execute(_AUTOMATIC, {"package_id": package_id})))


def followed_packages(tx: Transaction) -> list[str]:
    """The packages that have such connections and have not expired."""
    current = select(bandwidth_packages.c.id).where(bandwidth_packages.c.expired_at.is_(None))
    found = (
        select(connections.c.package_id)
        .where(connections.c.automatic_weight.is_not(None), connections.c.package_id.in_(current))
        .distinct()
    )
    return list(tx.execute(found.order_by(connections.c.package_id)).scalars())


def of_packages(tx: Transaction, package_ids: Sequence[str]) -> tuple[Connection, ...]:
    """All connections out of these packages."""
    if not package_ids:
        return ()
    statement = select(*_COLUMNS).where(*matching(connections.c.package_id, package_ids))
    rows = tx.execute(statement.order_by(connections.c.cen_id, connections.c.region_a_id, connections.c.region_b_id))
    return tuple(map(_connection, rows))


def of_accounts(tx: Transaction, account_ids: Sequence[str]) -> dict[str, list[Connection]]:
    """All connections of these accounts, by account."""
    found: dict[str, list[Connection]] = {account_id: [] for account_id in account_ids}
    if account_ids:
        statement = select(connections.c.account_id, *_COLUMNS).where(connections.c.account_id.in_(list(account_ids)))
        for account_id, *row in tx.execute(statement):
            found[account_id].append(_connection(row))
    return found
