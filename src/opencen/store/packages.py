"""Rows of bandwidth packages, but for what is allocated out of them: `allocations.py` alone writes that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from opencen.domain.labels import ANY_LABELS, Labelled, WantedLabels
from opencen.domain.nouns import Package
from opencen.store import labels
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page, matching
from opencen.store.schema import bandwidth_packages as packages


def _package(row: Any) -> Package:
    return Package(**row._mapping)


def add(tx: Transaction, package: Package) -> None:
    tx.execute(
        insert(packages).values(
            id=package.id,
            account_id=package.account_id,
            name=package.name,
            description=package.description,
            area_a_id=package.area_a_id,
            area_b_id=package.area_b_id,
            bandwidth_mbps=package.bandwidth_mbps,
            allocated_mbps=0,
            charge_type=package.charge_type,
            created_at=package.created_at,
            resource_group_id=package.resource_group_id,
            expires_at=package.expires_at,
            version=package.version,
        )
    )


def find(tx: Transaction, account_id: str, package_id: str, *, lock: bool = False) -> Package | None:
    statement = select(packages).where(packages.c.id == package_id, packages.c.account_id == account_id)
    row = tx.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else _package(row)


_BOUND = select(packages).where(packages.c.cen_id == bindparam("cen_id")).order_by(packages.c.created_at, packages.c.id)
_SERVING = _BOUND.where(packages.c.area_a_id == bindparam("area_a_id"), packages.c.area_b_id == bindparam("area_b_id"))
_SERVING_LOCKED = _SERVING.with_for_update()


def bound(tx: Transaction, cen_id: str) -> list[Package]:
    """The packages bound to an instance."""
    return [_package(row) for row in tx.execute(_BOUND, {"cen_id": cen_id})]


def serving(tx: Transaction, cen_id: str, areas: tuple[str, str], *, lock: bool = False) -> Package | None:
    """The package bound to an instance that joins the sorted pair `areas`."""
    names = {"cen_id": cen_id, "area_a_id": areas[0], "area_b_id": areas[1]}
    row = tx.execute(_SERVING_LOCKED if lock else _SERVING, names).first()
    return None if row is None else _package(row)


def search(
    tx: Transaction,
    account_id: str,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    cen_ids: Sequence[str] | None = None,
    bound: bool | None = None,
    any_of: bool = False,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Package]:
    """Packages `labelled` so for which all of the given conditions hold, or with `any_of` at least one."""
    wanted = [*matching(packages.c.id, ids), *matching(packages.c.name, names), *matching(packages.c.cen_id, cen_ids)]
    if bound is not None:
        wanted.append(packages.c.cen_id.is_not(None) if bound else packages.c.cen_id.is_(None))
    statement = select(packages).where(
        packages.c.account_id == account_id, *labels.conditions(packages, Labelled.PACKAGE, account_id, labelled)
    )
    if any_of and wanted:
        condition = wanted[0]
        for other in wanted[1:]:
            condition = condition | other
        statement = statement.where(condition)
    else:
        statement = statement.where(*wanted)
    rows, total = fetch_page(tx, statement, page, (packages.c.created_at, packages.c.id))
    return Listing(tuple(map(_package, rows)), total)


def change(tx: Transaction, package_id: str, *, name: str, description: str, version: int) -> None:
    tx.execute(
        update(packages).where(packages.c.id == package_id).values(name=name, description=description, version=version)
    )


def bind(tx: Transaction, package_id: str, cen_id: str | None, version: int) -> None:
    """Bind to `cen_id`, or unbind (None); the database refuses to unbind what carries connections."""
    tx.execute(update(packages).where(packages.c.id == package_id).values(cen_id=cen_id, version=version))


def remove(tx: Transaction, package_id: str) -> None:
    labels.remove_tags(tx, Labelled.PACKAGE, [package_id], None)
    tx.execute(delete(packages).where(packages.c.id == package_id))


def bandwidth_mbps(tx: Transaction, package_id: str) -> int | None:
    """A package's size, whoever owns it; None when it is gone."""
    return tx.execute(select(packages.c.bandwidth_mbps).where(packages.c.id == package_id)).scalar()


def ending(tx: Transaction, now: datetime, warned_until: datetime) -> list[tuple[str, str]]:
    """(package, account) of those that have ended, or end before `warned_until` and were not warned of."""
    untold = packages.c.warned_at.is_(None) & (packages.c.expires_at <= warned_until)
    statement = select(packages.c.id, packages.c.account_id).where(
        packages.c.expired_at.is_(None), untold | (packages.c.expires_at <= now)
    )
    return [(package_id, account_id) for package_id, account_id in tx.execute(statement)]


def note_warning(tx: Transaction, package_id: str, at: datetime) -> None:
    tx.execute(update(packages).where(packages.c.id == package_id).values(warned_at=at))


def expired(tx: Transaction, package_ids: Iterable[str]) -> dict[str, datetime]:
    """Those of these packages whose connections have fallen back, and since when."""
    statement = select(packages.c.id, packages.c.expired_at).where(
        packages.c.id.in_(list(package_ids)), packages.c.expired_at.is_not(None)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def sizes(tx: Transaction, package_id: str) -> tuple[int, int] | None:
    """A package's size and what is allocated out of it, Mbit/s, whoever owns it; None when it is gone."""
    statement = select(packages.c.bandwidth_mbps, packages.c.allocated_mbps).where(packages.c.id == package_id)
    row = tx.execute(statement).first()
    return None if row is None else (row[0], row[1])


def account_of(tx: Transaction, package_id: str) -> str | None:
    """Whose package it is; None when it is gone."""
    return tx.execute(select(packages.c.account_id).where(packages.c.id == package_id)).scalar()


def of_accounts(tx: Transaction, account_ids: Sequence[str]) -> dict[str, list[Package]]:
    """All packages of these accounts, by account."""
    found: dict[str, list[Package]] = {account_id: [] for account_id in account_ids}
    if account_ids:
        for row in tx.execute(select(packages).where(packages.c.account_id.in_(list(account_ids)))):
            found[row.account_id].append(_package(row))
    return found
