"""Rows of what the backbone carries between two areas; the only writer of what of it is sold.

Whoever buys, resizes, deletes or declares holds the revision's lock first, so they come one after the other; the CHECK
`sold_within_capacity` refuses whatever the code does.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from opencen.domain.nouns import Capacity
from opencen.store.database import Transaction
from opencen.store.schema import area_capacities as capacities
from opencen.store.schema import bandwidth_packages as packages
from opencen.store.upsert import plain_upsert


def find_all(tx: Transaction) -> list[Capacity]:
    return [
        Capacity(**row._mapping)
        for row in tx.execute(select(capacities).order_by(capacities.c.area_a_id, capacities.c.area_b_id))
    ]


def find(tx: Transaction, areas: tuple[str, str]) -> Capacity | None:
    row = tx.execute(select(capacities).where(capacities.c.area_a_id == areas[0], capacities.c.area_b_id == areas[1]))
    found = row.first()
    return None if found is None else Capacity(**found._mapping)


def sum_of_packages(tx: Transaction, areas: tuple[str, str]) -> int:
    """Over all accounts."""
    statement = select(func.coalesce(func.sum(packages.c.bandwidth_mbps), 0))
    return int(
        tx.execute(statement.where(packages.c.area_a_id == areas[0], packages.c.area_b_id == areas[1])).scalar_one()
    )


def declare(tx: Transaction, capacity: Capacity) -> None:
    row = {
        "area_a_id": capacity.area_a_id,
        "area_b_id": capacity.area_b_id,
        "capacity_mbps": capacity.capacity_mbps,
        "sold_mbps": capacity.sold_mbps,
    }
    plain_upsert(tx, capacities, [row])


def sell(tx: Transaction, capacity: Capacity, sold_mbps: int) -> None:
    """What is sold becomes `sold_mbps`."""
    this = (capacities.c.area_a_id == capacity.area_a_id, capacities.c.area_b_id == capacity.area_b_id)
    tx.execute(update(capacities).where(*this).values(sold_mbps=sold_mbps))


def remove(tx: Transaction, capacity: Capacity) -> None:
    this = (capacities.c.area_a_id == capacity.area_a_id, capacities.c.area_b_id == capacity.area_b_id)
    tx.execute(delete(capacities).where(*this))
