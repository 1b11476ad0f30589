"""Bandwidth packages: buy, resize, bind, unbind, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opencen.domain.bandwidth import check_resize, package_mbps
from opencen.domain.connection import Connection
from opencen.domain.errors import (
    AreaPairTakenError,
    EditConflictError,
    InvalidValueError,
    NotFoundError,
    PackageBoundError,
    PackageInUseError,
)
from opencen.domain.expiry import MAX_MONTHS, end_of_period
from opencen.domain.geography import area_pair
from opencen.domain.ids import new_id
from opencen.domain.labels import ANY_LABELS, NO_LABELS, Labelled, Labels, WantedLabels
from opencen.domain.names import checked_description, checked_name
from opencen.domain.nouns import Actor, Package, QuotaKind
from opencen.services import capacities, expiry, grants, labels, quotas
from opencen.services import instances as instance_service
from opencen.services.context import Context
from opencen.store import allocations, connections, packages, regions
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page

CHARGE_TYPES = ("POSTPAY", "PREPAY")


def buy(
    context: Context,
    actor: Actor,
    *,
    area_a_id: str,
    area_b_id: str,
    bandwidth_mbps: int,
    name: str = "",
    description: str = "",
    charge_type: str = "POSTPAY",
    months: int | None = None,
    labelled: Labels = NO_LABELS,
) -> Package:
    """A package between two areas, which may be the same area. Raises InvalidValueError, BandwidthValueError."""
    package_id = new_id("cenbwp")
    with context.change(actor, "package.buy", package_id) as work:
        known = {area.id for area in regions.find_areas(work.tx)}
        for field, area_id in (("area_a_id", area_a_id), ("area_b_id", area_b_id)):
            if area_id not in known:
                raise InvalidValueError(
                    f"there is no area {area_id!r}; there are {', '.join(sorted(known))}", field=field, value=area_id
                )
        if charge_type not in CHARGE_TYPES:
            raise InvalidValueError(
                f"a package is POSTPAY or PREPAY, not {charge_type!r}", field="charge_type", value=charge_type
            )
        first, second = area_pair(area_a_id, area_b_id)
        package = Package(
            id=package_id,
            account_id=actor.account_id,
            name=checked_name(name),
            description=checked_description(description),
            area_a_id=first,
            area_b_id=second,
            bandwidth_mbps=package_mbps(bandwidth_mbps),
            allocated_mbps=0,
            created_at=work.now,
            version=1,
            charge_type=charge_type,
            expires_at=_end(charge_type, work.now, months),
            resource_group_id=labels.stored_group(work.tx, actor, labelled.resource_group_id),
        )
        quotas.take(work, QuotaKind.PACKAGES)
        capacities.sell(work, (first, second), package.bandwidth_mbps)
        packages.add(work.tx, package)
        labels.apply(work.tx, actor, Labelled.PACKAGE, package_id, labelled)
        work.tell(None, package)
    return package


def _end(charge_type: str, now: datetime, months: int | None) -> datetime | None:
    """When a package that is bought now ends: PREPAY is for some months, POSTPAY until it is deleted."""
    if charge_type == "POSTPAY":
        if months is not None:
            raise InvalidValueError("a POSTPAY package does not end: it has no months", field="months", value=months)
        return None
    if months is None or isinstance(months, bool) or not 1 <= months <= MAX_MONTHS:
        raise InvalidValueError(
            f"a PREPAY package is bought for 1 to {MAX_MONTHS} months, not {months}", field="months", value=months
        )
    return end_of_period(now, months)


def get(context: Context, actor: Actor, package_id: str) -> Package:
    with context.database.read() as tx:
        return require(tx, actor, package_id)


def require(tx: Transaction, actor: Actor, package_id: str, *, lock: bool = False) -> Package:
    """The package, when it is this account's. Raises NotFoundError."""
    package = packages.find(tx, actor.account_id, package_id, lock=lock)
    if package is None:
        raise NotFoundError("bandwidth package", package_id, field="package_id")
    return package


def search(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    cen_ids: Sequence[str] | None = None,
    bound: bool | None = None,
    any_of: bool = False,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Package]:
    with context.database.read() as tx:
        return packages.search(
            tx,
            actor.account_id,
            page,
            ids=ids,
            names=names,
            cen_ids=cen_ids,
            bound=bound,
            any_of=any_of,
            labelled=labelled,
        )


def connections_of(context: Context, package_ids: Sequence[str]) -> dict[str, list[Connection]]:
    """The region connections out of each of these packages, which the caller was allowed to see."""
    with context.database.read() as tx:
        found = connections.of_packages(tx, package_ids)
    by_package: dict[str, list[Connection]] = {}
    for connection in found:
        by_package.setdefault(connection.package_id, []).append(connection)
    return by_package


def modify(
    context: Context,
    actor: Actor,
    package_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    bandwidth_mbps: int | None = None,
    seen_version: int | None = None,
) -> Package:
    """Rename, describe, resize. Raises PackageShrinkError, with the numbers, below what is allocated."""
    with context.change(actor, "package.modify", package_id) as work:
        before = require(work.tx, actor, package_id, lock=True)
        check_version(before, seen_version)
        if bandwidth_mbps is not None:
            expiry.check_current(before, work)
            check_resize(
                package_id,
                bandwidth_mbps=before.bandwidth_mbps,
                allocated_mbps=before.allocated_mbps,
                asked_mbps=package_mbps(bandwidth_mbps),
            )
            capacities.sell(work, (before.area_a_id, before.area_b_id), bandwidth_mbps - before.bandwidth_mbps)
            allocations.resize_package(work.tx, before, bandwidth_mbps)
            grants.settle(work, package_id, bandwidth_mbps)
        packages.change(
            work.tx,
            package_id,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
            version=before.version + 1,
        )
        after = require(work.tx, actor, package_id)
        work.tell(before, after)
    return after


def check_version(package: Package, seen_version: int | None) -> None:
    """Raises EditConflictError, with both values, when the caller last saw another version."""
    if seen_version is not None and seen_version != package.version:
        raise EditConflictError(
            f"package {package.id} was changed meanwhile: it is now {package.bandwidth_mbps} Mbit/s, "
            f"{package.allocated_mbps} allocated",
            field="bandwidth_mbps",
            seen={"version": seen_version},
            current={
                "version": package.version,
                "bandwidth_mbps": package.bandwidth_mbps,
                "allocated_mbps": package.allocated_mbps,
                "name": package.name,
            },
        )


def bind(context: Context, actor: Actor, package_id: str, cen_id: str) -> Package:
    """Put a package to use for an instance. Raises PackageBoundError, AreaPairTakenError."""
    with context.change(actor, "package.bind", package_id) as work:
        instance_service.lock(work.tx, actor, cen_id)
        before = require(work.tx, actor, package_id, lock=True)
        if before.cen_id is not None:
            raise PackageBoundError(
                f"package {package_id} is bound to {before.cen_id} already; unbind it first",
                field="package_id",
                package_id=package_id,
                cen_id=before.cen_id,
            )
        taken = packages.serving(work.tx, cen_id, (before.area_a_id, before.area_b_id))
        if taken is not None:
            raise AreaPairTakenError(
                f"{cen_id} has package {taken.id} between {before.area_a_id} and {before.area_b_id} already; an "
                "instance has one package per pair of areas: resize that one",
                field="package_id",
                package_id=package_id,
                bound_package_id=taken.id,
                area_a_id=before.area_a_id,
                area_b_id=before.area_b_id,
            )
        expiry.check_current(before, work)
        packages.bind(work.tx, package_id, cen_id, before.version + 1)
        after = require(work.tx, actor, package_id)
        work.tell(before, after)
    return after


def unbind(context: Context, actor: Actor, package_id: str, *, cen_id: str | None = None) -> Package:
    """Take a package out of use. Raises PackageInUseError while region connections draw on it."""
    with context.change(actor, "package.unbind", package_id) as work:
        before = require(work.tx, actor, package_id, lock=True)
        if before.cen_id is None or cen_id not in (None, before.cen_id):
            raise NotFoundError("binding", f"{package_id} to {cen_id or 'an instance'}", field="package_id")
        _check_unused(work.tx, before)
        packages.bind(work.tx, package_id, None, before.version + 1)
        after = require(work.tx, actor, package_id)
        work.tell(before, after)
    return after


def delete(context: Context, actor: Actor, package_id: str) -> None:
    """Raises PackageInUseError or PackageBoundError while it is in use."""
    with context.change(actor, "package.delete", package_id) as work:
        package = require(work.tx, actor, package_id, lock=True)
        _check_unused(work.tx, package)
        if package.cen_id is not None:
            raise PackageBoundError(
                f"package {package_id} is bound to {package.cen_id}; unbind it first",
                package_id=package_id,
                cen_id=package.cen_id,
            )
        capacities.sell(work, (package.area_a_id, package.area_b_id), -package.bandwidth_mbps)
        packages.remove(work.tx, package_id)
        work.tell(package, None)


def _check_unused(tx: Transaction, package: Package) -> None:
    using = connections.of_packages(tx, [package.id])
    if using:
        named = ", ".join(
            f"{connection.region_a_id} - {connection.region_b_id}: {connection.bandwidth_mbps}"
            for connection in using[:5]
        )
        raise PackageInUseError(
            f"package {package.id}: {package.allocated_mbps} of {package.bandwidth_mbps} Mbit/s are allocated to "
            f"{len(using)} region connections ({named}); delete those first",
            package_id=package.id,
            bandwidth_mbps=package.bandwidth_mbps,
            allocated_mbps=package.allocated_mbps,
            connection_ids=[connection.id for connection in using],
        )
