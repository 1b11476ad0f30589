"""The locked door: the only code that writes what is allocated out of a package.

Each function runs in the caller's transaction, with the package's row locked (PostgreSQL: SELECT … FOR UPDATE;
SQLite: there is one writer). It changes a connection and the package's stored sum together, so the CHECK
`allocated_within_bandwidth` makes the database itself refuse a sum that exceeds the package, whatever the caller did.
A test holds that no other module writes these columns.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, insert, update

from opencen.domain.connection import Automatic, Connection
from opencen.domain.nouns import Package
from opencen.store.database import Transaction
from opencen.store.plain import PlainStatement
from opencen.store.schema import bandwidth_packages as packages
from opencen.store.schema import connection_tenures as tenures
from opencen.store.schema import region_connections as connections

_THIS = and_(
    connections.c.cen_id == bindparam("this_cen_id"),
    connections.c.region_a_id == bindparam("this_region_a_id"),
    connections.c.region_b_id == bindparam("this_region_b_id"),
)
_ALLOCATE = PlainStatement(
    update(packages)
    .where(packages.c.id == bindparam("this_id"))
    .values(allocated_mbps=bindparam("allocated_mbps"), version=bindparam("version"))
)
_INSERT = insert(connections)
_CHANGE = update(connections).where(_THIS)
_CHANGE = _CHANGE.values(
    bandwidth_mbps=bindparam("bandwidth_mbps"),
    updated_at=bindparam("updated_at"),
    version=bindparam("version"),
    automatic_max_mbps=bindparam("automatic_max_mbps"),
    automatic_weight=bindparam("automatic_weight"),
)
_DELETE = delete(connections).where(_THIS)
_END_TENURE = PlainStatement(
    update(tenures)
    .where(
        tenures.c.cen_id == bindparam("this_cen_id"),
        tenures.c.region_a_id == bindparam("this_region_a_id"),
        tenures.c.region_b_id == bindparam("this_region_b_id"),
        tenures.c.until_s.is_(None),
    )
    .values(until_s=bindparam("until_s"))
)
_BEGIN_TENURE = PlainStatement(
    insert(tenures).values({column.name: bindparam(column.name) for column in tenures.c if column.name != "id"})
)


def _this(connection: Connection) -> dict[str, str]:
    return {
        "this_cen_id": connection.cen_id,
        "this_region_a_id": connection.region_a_id,
        "this_region_b_id": connection.region_b_id,
    }


def _automatic(automatic: Automatic | None) -> dict[str, int | None]:
    return {
        "automatic_max_mbps": automatic.max_mbps if automatic else None,
        "automatic_weight": automatic.weight if automatic else None,
    }


def _allocate(tx: Transaction, package: Package, allocated_mbps: int) -> None:
    values = {"this_id": package.id, "allocated_mbps": allocated_mbps, "version": package.version + 1}
    _ALLOCATE.run(tx, values)


def _begin_tenure(tx: Transaction, package: Package, connection: Connection) -> None:
    """From now on, what the connection carries is accounted to this package."""
    _BEGIN_TENURE.run(
        tx,
        {
            "cen_id": connection.cen_id,
            "region_a_id": connection.region_a_id,
            "region_b_id": connection.region_b_id,
            "since_s": int(connection.updated_at.timestamp()),
            "until_s": None,
            "account_id": package.account_id,
            "package_id": package.id,
            "bandwidth_mbps": connection.bandwidth_mbps,
        },
    )


def _end_tenure(tx: Transaction, connection: Connection, at: datetime) -> None:
    _END_TENURE.run(tx, {"until_s": int(at.timestamp())} | _this(connection))


def insert_connection(tx: Transaction, package: Package, connection: Connection, allocated_mbps: int) -> None:
    """Add a connection; the package's sum becomes `allocated_mbps`."""
    _allocate(tx, package, allocated_mbps)
    tx.execute(
        _INSERT,
        {
            "cen_id": connection.cen_id,
            "region_a_id": connection.region_a_id,
            "region_b_id": connection.region_b_id,
            "package_id": package.id,
            "account_id": package.account_id,
            "bandwidth_mbps": connection.bandwidth_mbps,
            "created_at": connection.created_at,
            "updated_at": connection.updated_at,
            "version": connection.version,
            **_automatic(connection.automatic),
        },
    )
    _begin_tenure(tx, package, connection)


def change_connection(
    tx: Transaction,
    package: Package,
    connection: Connection,
    bandwidth_mbps: int,
    automatic: Automatic | None,
    allocated_mbps: int,
    at: datetime,
) -> None:
    """Set a connection to another bandwidth; the package's sum becomes `allocated_mbps`."""
    _allocate(tx, package, allocated_mbps)
    values = {"bandwidth_mbps": bandwidth_mbps, "updated_at": at, "version": connection.version + 1}
    tx.execute(_CHANGE, values | _automatic(automatic) | _this(connection))
    _end_tenure(tx, connection, at)
    changed = replace(
        connection,
        bandwidth_mbps=bandwidth_mbps,
        automatic=automatic,
        updated_at=at,
        version=connection.version + 1,
    )
    _begin_tenure(tx, package, changed)


def delete_connection(tx: Transaction, package: Package, connection: Connection, at: datetime) -> None:
    """Remove a connection; its share is free at once."""
    tx.execute(_DELETE, _this(connection))
    _end_tenure(tx, connection, at)
    _allocate(tx, package, package.allocated_mbps - connection.bandwidth_mbps)


def resize_package(tx: Transaction, package: Package, bandwidth_mbps: int) -> None:
    """Give a package another bandwidth; the database refuses less than is allocated."""
    tx.execute(
        update(packages)
        .where(packages.c.id == package.id)
        .values(bandwidth_mbps=bandwidth_mbps, version=package.version + 1)
    )


def end_package(tx: Transaction, package: Package, at: datetime) -> None:
    """From now on nothing is carried out of it; what is allocated stays allocated, for its renewal."""
    tx.execute(update(packages).where(packages.c.id == package.id).values(expired_at=at, version=package.version + 1))


def renew_package(tx: Transaction, package: Package, expires_at: datetime) -> None:
    """Let it last until then."""
    tx.execute(
        update(packages)
        .where(packages.c.id == package.id)
        .values(expires_at=expires_at, expired_at=None, warned_at=None, version=package.version + 1)
    )
