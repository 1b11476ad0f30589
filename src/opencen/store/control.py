"""The revision: it grows by one with each committed change, under the lock of its one row."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update

from opencen.store.database import Transaction
from opencen.store.gateway_schema import region_instances
from opencen.store.plain import PlainStatement
from opencen.store.schema import control
from opencen.store.upsert import plain_upsert

_NEXT = PlainStatement(update(control).values(revision=control.c.revision + 1).returning(control.c.revision))


def next_revision(tx: Transaction) -> int:
    """Take the next number. Later writers wait for this transaction to end, so revisions commit in their order."""
    return int(_NEXT.rows(tx, {})[0][0])


def current_revision(tx: Transaction) -> int:
    return int(tx.execute(select(control.c.revision)).scalar_one())


def mark(tx: Transaction, cen_id: str, region_ids: Iterable[str], present: frozenset[str], revision: int) -> None:
    """From `revision` on, what gateways of these regions carry of this instance differs; `present`: still something."""
    rows = [
        {"region_id": region_id, "cen_id": cen_id, "revision": revision, "present": region_id in present}
        for region_id in sorted(region_ids)
    ]
    if rows:
        plain_upsert(tx, region_instances, rows)


def region_revision(tx: Transaction, region_id: str) -> int:
    """The revision at which a gateway of this region should be; 0 when it never had anything to carry."""
    statement = (
        select(region_instances.c.revision)
        .where(region_instances.c.region_id == region_id)
        .order_by(region_instances.c.revision.desc())
        .limit(1)
    )
    return tx.execute(statement).scalar() or 0


def changed_instances(tx: Transaction, region_id: str, after: int) -> list[tuple[str, int, bool]]:
    """(instance, revision, present) of what changed for a region after a revision."""
    statement = (
        select(region_instances.c.cen_id, region_instances.c.revision, region_instances.c.present)
        .where(region_instances.c.region_id == region_id, region_instances.c.revision > after)
        .order_by(region_instances.c.cen_id)
    )
    return [(cen_id, revision, present) for cen_id, revision, present in tx.execute(statement)]


def instances_of_region(tx: Transaction, region_id: str) -> list[str]:
    """The instances that a gateway of this region carries."""
    statement = select(region_instances.c.cen_id).where(
        region_instances.c.region_id == region_id, region_instances.c.present.is_(True)
    )
    return list(tx.execute(statement).scalars())


def regions_of_instance(tx: Transaction, cen_id: str) -> list[str]:
    """The regions whose gateways have ever been told of this instance."""
    return list(tx.execute(select(region_instances.c.region_id).where(region_instances.c.cen_id == cen_id)).scalars())
