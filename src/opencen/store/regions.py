"""Rows of areas and regions."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, insert, select

from opencen.domain.geography import Area, Region
from opencen.store.database import Transaction
from opencen.store.schema import areas, regions


def find_areas(tx: Transaction) -> list[Area]:
    return [Area(**row._mapping) for row in tx.execute(select(areas).order_by(areas.c.id))]


def find_regions(tx: Transaction) -> list[Region]:
    return [Region(**row._mapping) for row in tx.execute(select(regions).order_by(regions.c.id))]


def add_area(tx: Transaction, area: Area) -> None:
    tx.execute(insert(areas).values(id=area.id, name=area.name, name_zh=area.name_zh))


def add_region(tx: Transaction, region: Region) -> None:
    tx.execute(insert(regions).values(id=region.id, name=region.name, name_zh=region.name_zh, area_id=region.area_id))


_AREAS_OF = select(regions.c.id, regions.c.area_id).where(regions.c.id.in_(bindparam("region_ids", expanding=True)))


def areas_of(tx: Transaction, region_ids: Iterable[str]) -> dict[str, str]:
    """The area of each of these regions; unknown ones are missing."""
    return {row.id: row.area_id for row in tx.execute(_AREAS_OF, {"region_ids": list(region_ids)})}
