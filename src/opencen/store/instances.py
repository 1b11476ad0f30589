"""Rows of CEN instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, select, update

from opencen.domain.labels import ANY_LABELS, Labelled, WantedLabels
from opencen.domain.nouns import Instance
from opencen.store import labels
from opencen.store.database import Transaction
from opencen.store.plain import PlainStatement
from opencen.store.records import Listing, Page, fetch_page, matching
from opencen.store.schema import attachments, bandwidth_packages, instances, region_connections

_NETWORKS = (
    select(func.count()).select_from(attachments).where(attachments.c.cen_id == instances.c.id).scalar_subquery()
)
_CONNECTIONS = (
    select(func.count())
    .select_from(region_connections)
    .where(region_connections.c.cen_id == instances.c.id)
    .scalar_subquery()
)


def _select() -> Select[Any]:
    return select(instances, _NETWORKS.label("network_count"), _CONNECTIONS.label("connection_count"))


def _read(tx: Transaction, rows: Sequence[Any]) -> tuple[Instance, ...]:
    packages: dict[str, list[str]] = {}
    if rows:
        bound = (
            select(bandwidth_packages.c.cen_id, bandwidth_packages.c.id)
            .where(bandwidth_packages.c.cen_id.in_([row.id for row in rows]))
            .order_by(bandwidth_packages.c.created_at, bandwidth_packages.c.id)
        )
        for cen_id, package_id in tx.execute(bound):
            packages.setdefault(cen_id, []).append(package_id)
    return tuple(Instance(**row._mapping, package_ids=tuple(packages.get(row.id, ()))) for row in rows)


def add(tx: Transaction, instance: Instance) -> None:
    tx.execute(
        insert(instances).values(
            id=instance.id,
            account_id=instance.account_id,
            name=instance.name,
            description=instance.description,
            created_at=instance.created_at,
            resource_group_id=instance.resource_group_id,
            version=instance.version,
        )
    )


def find(tx: Transaction, account_id: str, cen_id: str) -> Instance | None:
    rows = tx.execute(_select().where(instances.c.id == cen_id, instances.c.account_id == account_id)).all()
    found = _read(tx, rows)
    return found[0] if found else None


_EXISTS = PlainStatement(
    select(instances.c.id).where(
        instances.c.id == bindparam("cen_id"), instances.c.account_id == bindparam("account_id")
    )
)


def exists(tx: Transaction, account_id: str, cen_id: str) -> bool:
    return bool(_EXISTS.rows(tx, {"cen_id": cen_id, "account_id": account_id}))


def lock(tx: Transaction, account_id: str, cen_id: str, *, to_remove: bool = False) -> bool:
    """Keep others from changing what belongs to the instance until this transaction ends. False when unknown.

    FOR NO KEY UPDATE: rows that refer to the instance can be added meanwhile, so that who holds a package and adds a
    connection does not wait for who holds the instance and waits for the package. Who means to remove it waits for them
    first, before it takes any other lock.
    """
    this = instances.c.id == cen_id, instances.c.account_id == account_id
    statement = select(instances.c.id).where(*this).with_for_update(key_share=not to_remove)
    return tx.execute(statement).first() is not None


def search(
    tx: Transaction,
    account_id: str,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    containing: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Instance]:
    """Instances by id, by exact name, or with `containing` in name or id, in the order of their creation."""
    conditions = [
        instances.c.account_id == account_id,
        *matching(instances.c.id, ids),
        *matching(instances.c.name, names),
        *labels.conditions(instances, Labelled.INSTANCE, account_id, labelled),
    ]
    if containing:
        conditions.append(
            instances.c.name.icontains(containing, autoescape=True)
            | instances.c.id.icontains(containing, autoescape=True)
        )
    rows, total = fetch_page(tx, _select().where(*conditions), page, (instances.c.created_at, instances.c.id))
    return Listing(_read(tx, rows), total)


def change(tx: Transaction, cen_id: str, *, name: str, description: str, version: int) -> None:
    tx.execute(
        update(instances).where(instances.c.id == cen_id).values(name=name, description=description, version=version)
    )


def remove(tx: Transaction, cen_id: str) -> None:
    labels.remove_tags(tx, Labelled.INSTANCE, [cen_id], None)
    labels.remove_tags_of_parts(tx, Labelled.TRANSIT_ROUTER, cen_id)
    tx.execute(delete(instances).where(instances.c.id == cen_id))


def accounts_of(tx: Transaction, cen_ids: Sequence[str]) -> dict[str, str]:
    """Whose each of these instances is; one that is gone is missing."""
    found: dict[str, str] = {}
    for start in range(0, len(cen_ids), 500):
        some = cen_ids[start : start + 500]
        rows = tx.execute(select(instances.c.id, instances.c.account_id).where(instances.c.id.in_(some)))
        found |= {row.id: row.account_id for row in rows}
    return found
