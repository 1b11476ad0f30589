"""What kernels may still hold out of a package to which their link does not belong any more.

A link leaves its package when its instance is deleted, or when its pair of regions draws on another package. What its
gateways have not acknowledged as gone stays here, counted against the old package (design, rule 9), until they report
on the revision at which it left, or are released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, select, update

from opencen.store.database import Transaction
from opencen.store.gateway_schema import link_sides, links
from opencen.store.gateway_schema import wire_remainders as remainders
from opencen.store.plain import PlainStatement
from opencen.store.upsert import upsert

Key = tuple[str, str, str]
"""(instance, region, region), the regions sorted."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """`held_bps` is the most that the kernel of `gateway_id`, in `region_id`, may still have of the link."""

    package_id: str
    cen_id: str
    region_a_id: str
    region_b_id: str
    region_id: str
    gateway_id: str
    held_bps: int
    revision: int

    @property
    def key(self) -> Key:
        return (self.cen_id, self.region_a_id, self.region_b_id)


def _remainder(row: Any) -> Remainder:
    return Remainder(**row._mapping)


def keep_instance(tx: Transaction, cen_id: str, revision: int) -> None:
    """Before the links of an instance go: keep what their kernels hold."""
    _keep(tx, links.c.cen_id == cen_id, revision)


def keep_link(tx: Transaction, key: Key, package_id: str, revision: int) -> None:
    """Before a link draws on `package_id`: keep what its kernels hold out of the one it draws on now, if another."""
    this = (links.c.cen_id == key[0]) & (links.c.region_a_id == key[1]) & (links.c.region_b_id == key[2])
    _keep(tx, this & (links.c.package_id != package_id), revision)


def _keep(tx: Transaction, condition: ColumnElement[bool], revision: int) -> None:
    held = (
        select(links.c.package_id, link_sides)
        .join_from(
            link_sides,
            links,
            (link_sides.c.cen_id == links.c.cen_id)
            & (link_sides.c.region_a_id == links.c.region_a_id)
            & (link_sides.c.region_b_id == links.c.region_b_id),
        )
        .where(condition, links.c.package_id.is_not(None), link_sides.c.held_bps > 0)
    )
    rows = [
        {
            "package_id": row.package_id,
            "cen_id": row.cen_id,
            "region_a_id": row.region_a_id,
            "region_b_id": row.region_b_id,
            "region_id": row.region_id,
            "gateway_id": row.gateway_id,
            "held_bps": row.held_bps,
            "revision": revision,
        }
        for row in tx.execute(held)
    ]
    if rows:
        upsert(tx, remainders, rows)


_OF_PACKAGE = PlainStatement(select(remainders).where(remainders.c.package_id == bindparam("package_id")))


def of_package(tx: Transaction, package_id: str) -> list[Remainder]:
    return [Remainder(*row) for row in _OF_PACKAGE.rows(tx, {"package_id": package_id})]


def of_gateway(tx: Transaction, gateway_id: str, cen_ids: Sequence[str]) -> list[Remainder]:
    """What a gateway may still hold of these instances."""
    statement = select(remainders).where(remainders.c.gateway_id == gateway_id, remainders.c.cen_id.in_(list(cen_ids)))
    return [_remainder(row) for row in tx.execute(statement)]


def _is(remainder: Remainder) -> ColumnElement[bool]:
    return (
        (remainders.c.package_id == remainder.package_id)
        & (remainders.c.cen_id == remainder.cen_id)
        & (remainders.c.region_a_id == remainder.region_a_id)
        & (remainders.c.region_b_id == remainder.region_b_id)
        & (remainders.c.gateway_id == remainder.gateway_id)
    )


def hold(tx: Transaction, remainder: Remainder, held_bps: int) -> None:
    """Its kernel has been found to hold no more than this; 0: nothing remains."""
    if held_bps:
        tx.execute(update(remainders).where(_is(remainder)).values(held_bps=held_bps))
    else:
        tx.execute(delete(remainders).where(_is(remainder)))


def forget_gateway(tx: Transaction, gateway_id: str) -> list[str]:
    """Count nothing as held by this gateway; the packages that this may free something of."""
    found = select(remainders.c.package_id).where(remainders.c.gateway_id == gateway_id).distinct()
    package_ids = list(tx.execute(found).scalars())
    tx.execute(delete(remainders).where(remainders.c.gateway_id == gateway_id))
    return package_ids
