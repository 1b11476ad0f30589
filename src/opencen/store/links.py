"""Rows of links (a pair of regions of an instance that both have, or had, networks) and of their two sides."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from opencen.domain import grants
from opencen.store.database import Transaction
from opencen.store.gateway_schema import gateways, link_sides, links
from opencen.store.plain import PlainStatement

Key = tuple[str, str, str]
"""(instance, region, region), the regions sorted."""

MAX_VNI = (1 << 24) - 1
ACTIVE = "active"
STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Link:
    cen_id: str
    region_a_id: str
    region_b_id: str
    vni: int
    package_id: str | None
    wanted_bps: int
    granted_bps: int
    revision: int
    waiting_since: int

    @property
    def key(self) -> Key:
        return (self.cen_id, self.region_a_id, self.region_b_id)


@dataclass(frozen=True, slots=True)
class LinkSide:
    cen_id: str
    region_a_id: str
    region_b_id: str
    region_id: str
    gateway_id: str
    held_bps: int
    in_kernel_bps: int | None
    acked_revision: int
    error: str | None

    @property
    def key(self) -> Key:
        return (self.cen_id, self.region_a_id, self.region_b_id)


_JOINED = and_(
    link_sides.c.cen_id == links.c.cen_id,
    link_sides.c.region_a_id == links.c.region_a_id,
    link_sides.c.region_b_id == links.c.region_b_id,
)


def _is(key: Key) -> ColumnElement[bool]:
    return and_(links.c.cen_id == key[0], links.c.region_a_id == key[1], links.c.region_b_id == key[2])


def _side_of(key: Key) -> ColumnElement[bool]:
    return and_(link_sides.c.cen_id == key[0], link_sides.c.region_a_id == key[1], link_sides.c.region_b_id == key[2])


def ensure(tx: Transaction, keys: Iterable[Key], revision: int) -> None:
    """Make the links that are missing, each with a VNI of its own and a side per gateway that there is."""
    present = _gateways(tx)
    for key in keys:
        if tx.execute(select(links.c.vni).where(_is(key))).first() is not None:
            continue
        tx.execute(
            insert(links).values(
                cen_id=key[0],
                region_a_id=key[1],
                region_b_id=key[2],
                vni=_free_vni(tx),
                wanted_bps=0,
                granted_bps=0,
                revision=revision,
                waiting_since=0,
            )
        )
        add_sides(tx, [(key, region_id, gateway_id) for region_id, gateway_id in present if region_id in key[1:]])


def _gateways(tx: Transaction) -> list[tuple[str, str]]:
    return [
        (region_id, gateway_id) for region_id, gateway_id in tx.execute(select(gateways.c.region_id, gateways.c.id))
    ]


def _free_vni(tx: Transaction) -> int:
    while True:
        vni = secrets.randbelow(MAX_VNI) + 1
        if tx.execute(select(links.c.vni).where(links.c.vni == vni)).first() is None:
            return vni


def add_sides(tx: Transaction, sides: Sequence[tuple[Key, str, str]]) -> None:
    """(link, region, gateway): from now on this gateway's kernel counts.

    An active one holds what has been granted so far; a standby passes nothing, and holds nothing.
    """
    for key, region_id, gateway_id in sides:
        is_active = tx.execute(select(gateways.c.role).where(gateways.c.id == gateway_id)).scalar_one() == ACTIVE
        granted_bps = tx.execute(select(links.c.granted_bps).where(_is(key))).scalar_one() if is_active else 0
        tx.execute(
            insert(link_sides).values(
                cen_id=key[0],
                region_a_id=key[1],
                region_b_id=key[2],
                region_id=region_id,
                gateway_id=gateway_id,
                held_bps=granted_bps,
                acked_revision=0,
            )
        )


_WANT = PlainStatement(
    update(links)
    .where(
        links.c.cen_id == bindparam("this_cen_id"),
        links.c.region_a_id == bindparam("this_region_a_id"),
        links.c.region_b_id == bindparam("this_region_b_id"),
    )
    .values(
        package_id=bindparam("package_id"),
        wanted_bps=bindparam("wanted_bps"),
        revision=bindparam("revision"),
        waiting_since=case(
            (links.c.wanted_bps > links.c.granted_bps, links.c.waiting_since), else_=bindparam("revision")
        ),
    )
)
_GRANT = PlainStatement(
    update(links)
    .where(
        links.c.cen_id == bindparam("this_cen_id"),
        links.c.region_a_id == bindparam("this_region_a_id"),
        links.c.region_b_id == bindparam("this_region_b_id"),
    )
    .values(granted_bps=bindparam("granted_bps"), revision=bindparam("revision"))
)
_HOLD = PlainStatement(
    update(link_sides)
    .where(
        link_sides.c.cen_id == bindparam("this_cen_id"),
        link_sides.c.region_a_id == bindparam("this_region_a_id"),
        link_sides.c.region_b_id == bindparam("this_region_b_id"),
        link_sides.c.held_bps < bindparam("told_bps"),
        link_sides.c.gateway_id.in_(select(gateways.c.id).where(gateways.c.role == ACTIVE)),
    )
    .values(held_bps=bindparam("told_bps"))
)
_HELD_IN = {
    end: cast(
        func.coalesce(func.sum(case((link_sides.c.region_id == column, link_sides.c.held_bps), else_=0)), 0), BigInteger
    )
    for end, column in (("a", links.c.region_a_id), ("b", links.c.region_b_id))
}
_OF_PACKAGE = PlainStatement(
    select(
        links.c.cen_id,
        links.c.region_a_id,
        links.c.region_b_id,
        links.c.wanted_bps,
        links.c.granted_bps,
        case((_HELD_IN["a"] > _HELD_IN["b"], _HELD_IN["a"]), else_=_HELD_IN["b"]),
        links.c.waiting_since,
    )
    .select_from(links)
    .outerjoin(link_sides, _JOINED)
    .where(links.c.package_id == bindparam("package_id"))
    .group_by(links.c.cen_id, links.c.region_a_id, links.c.region_b_id)
)
"""A limit is per direction, so a link holds the greater of what its two regions may send; and a region all that its
gateways may send, of which two may while they change places."""


def _this(key: Key) -> dict[str, object]:
    return {"this_cen_id": key[0], "this_region_a_id": key[1], "this_region_b_id": key[2]}


def want(tx: Transaction, key: Key, package_id: str, wanted_bps: int, revision: int) -> None:
    """What the link should have from `revision` on; who waits already keeps its turn."""
    _WANT.run(tx, _this(key) | {"package_id": package_id, "wanted_bps": wanted_bps, "revision": revision})


def grant(tx: Transaction, granted: Mapping[Key, tuple[int, int]], revision: int) -> None:
    """Tell gateways another rate (before, after) from `revision` on.

    Until they acknowledge, their kernels may hold the greater of both, whatever they said before: a tunnel that was
    not there may have come back with the rate of old.
    """
    for key, (before_bps, after_bps) in granted.items():
        _GRANT.run(tx, _this(key) | {"granted_bps": after_bps, "revision": revision})
        _HOLD.run(tx, _this(key) | {"told_bps": max(before_bps, after_bps)})


def of_package(tx: Transaction, package_id: str) -> list[grants.Link]:
    """The links that have, or may still have, a share of the package: the input of `regrant`."""
    return [
        grants.Link(
            key=(cen_id, region_a_id, region_b_id),
            wanted_bps=wanted_bps,
            granted_bps=granted_bps,
            held_bps=held_bps,
            waiting_since=waiting_since,
        )
        for (cen_id, region_a_id, region_b_id, wanted_bps, granted_bps, held_bps, waiting_since) in _OF_PACKAGE.rows(
            tx, {"package_id": package_id}
        )
    ]


def find_many(tx: Transaction, keys: Sequence[Key]) -> dict[Key, Link]:
    if not keys:
        return {}
    identity = tuple_(links.c.cen_id, links.c.region_a_id, links.c.region_b_id)
    found = (Link(**row._mapping) for row in tx.execute(select(links).where(identity.in_(list(keys)))))
    return {link.key: link for link in found}


def sides_of(tx: Transaction, keys: Sequence[Key]) -> dict[Key, list[LinkSide]]:
    identity = tuple_(link_sides.c.cen_id, link_sides.c.region_a_id, link_sides.c.region_b_id)
    sides: dict[Key, list[LinkSide]] = {}
    if keys:
        for row in tx.execute(select(link_sides).where(identity.in_(list(keys)))):
            side = _link_side(row)
            sides.setdefault(side.key, []).append(side)
    return sides


def _link_side(row: Any) -> LinkSide:
    return LinkSide(**row._mapping)


def of_instances(tx: Transaction, cen_ids: Sequence[str], region_id: str) -> list[Link]:
    """The links of these instances that touch a region."""
    statement = select(links).where(
        links.c.cen_id.in_(list(cen_ids)), or_(links.c.region_a_id == region_id, links.c.region_b_id == region_id)
    )
    rows = tx.execute(statement.order_by(links.c.cen_id, links.c.region_a_id, links.c.region_b_id))
    return [Link(**row._mapping) for row in rows]


def all_keys(tx: Transaction, cen_id: str | None = None) -> list[Key]:
    """The links there are, of all instances or of one."""
    statement = select(links.c.cen_id, links.c.region_a_id, links.c.region_b_id)
    if cen_id is not None:
        statement = statement.where(links.c.cen_id == cen_id)
    return [(row[0], row[1], row[2]) for row in tx.execute(statement)]


def touching_region(tx: Transaction, region_id: str) -> list[Link]:
    statement = select(links).where(or_(links.c.region_a_id == region_id, links.c.region_b_id == region_id))
    return [Link(**row._mapping) for row in tx.execute(statement)]


def sides_of_gateway(tx: Transaction, gateway_id: str, cen_ids: Sequence[str]) -> dict[Key, tuple[LinkSide, Link]]:
    """The gateway's sides in these instances, with their links."""
    statement = (
        select(links, link_sides)
        .join(
            link_sides,
            _JOINED,
        )
        .where(link_sides.c.gateway_id == gateway_id, link_sides.c.cen_id.in_(list(cen_ids)))
    )
    width = len(links.c)
    found: dict[Key, tuple[LinkSide, Link]] = {}
    for row in tx.execute(statement):
        link, side = Link(*row[:width]), LinkSide(*row[width:])
        found[link.key] = (side, link)
    return found


def acknowledge(tx: Transaction, side: LinkSide) -> None:
    """Keep what a gateway's kernel has been found to hold."""
    tx.execute(
        update(link_sides)
        .where(_side_of(side.key), link_sides.c.gateway_id == side.gateway_id)
        .values(
            held_bps=side.held_bps,
            in_kernel_bps=side.in_kernel_bps,
            acked_revision=side.acked_revision,
            error=side.error,
        )
    )


def holders(tx: Transaction, package_ids: Sequence[str]) -> list[tuple[str, LinkSide]]:
    """(package, side) of each kernel that may still have more than it was granted."""
    statement = (
        select(links.c.package_id, link_sides)
        .join(
            link_sides,
            _JOINED,
        )
        .where(links.c.package_id.in_(list(package_ids)), link_sides.c.held_bps > links.c.granted_bps)
    )
    return [(row[0], LinkSide(*row[1:])) for row in tx.execute(statement)]


def release(tx: Transaction, gateway_id: str) -> list[str]:
    """Count nothing as held by this gateway; the packages that this may free something of."""
    held = select(links.c.package_id).join(
        link_sides,
        _JOINED,
    )
    held = held.where(link_sides.c.gateway_id == gateway_id, link_sides.c.held_bps > 0).distinct()
    package_ids = [package_id for package_id in tx.execute(held).scalars() if package_id is not None]
    tx.execute(update(link_sides).where(link_sides.c.gateway_id == gateway_id).values(held_bps=0))
    return package_ids


def hold(tx: Transaction, key: Key, gateway_id: str, held_bps: int) -> None:
    """What this gateway's kernel may have of a link from now on."""
    of_gateway = and_(_side_of(key), link_sides.c.gateway_id == gateway_id)
    tx.execute(update(link_sides).where(of_gateway).values(held_bps=held_bps))


def renumber(tx: Transaction, keys: Iterable[Key], revision: int) -> None:
    """There are new orders for these links, which no earlier acknowledgement covers."""
    for key in keys:
        tx.execute(update(links).where(_is(key)).values(revision=revision))


def held_by(tx: Transaction, gateway_id: str) -> list[Key]:
    """The links of which this gateway's kernel may have something."""
    mine = and_(link_sides.c.gateway_id == gateway_id, link_sides.c.held_bps > 0)
    return [side.key for side in map(_link_side, tx.execute(select(link_sides).where(mine)))]


def held_by_standbys(tx: Transaction, cen_ids: Sequence[str], region_id: str) -> dict[Key, list[LinkSide]]:
    """The links of these instances of which a standby of the region may still send something."""
    statement = select(link_sides).where(
        link_sides.c.region_id == region_id,
        link_sides.c.cen_id.in_(list(cen_ids)),
        link_sides.c.held_bps > 0,
        link_sides.c.gateway_id.in_(select(gateways.c.id).where(gateways.c.role != ACTIVE)),
    )
    found: dict[Key, list[LinkSide]] = {}
    for side in map(_link_side, tx.execute(statement)):
        found.setdefault(side.key, []).append(side)
    return found


def remove_sides(tx: Transaction, gateway_id: str) -> None:
    """Nothing that this gateway held counts any more."""
    tx.execute(delete(link_sides).where(link_sides.c.gateway_id == gateway_id))


def remove_instance(tx: Transaction, cen_id: str) -> None:
    tx.execute(delete(links).where(links.c.cen_id == cen_id))
