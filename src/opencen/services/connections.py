"""Region connections: the cross-region bandwidth of a pair of regions. What OpenCEN exists for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opencen.domain.bandwidth import allocated_after_set, connection_mbps
from opencen.domain.connection import Automatic, Connection, checked_automatic
from opencen.domain.errors import (
    AlreadyConnectedError,
    EditConflictError,
    InvalidValueError,
    NotFoundError,
    PackageNotBoundError,
    RegionWithoutNetworkError,
)
from opencen.domain.geography import area_pair, connection_id, region_pair
from opencen.domain.labels import NO_LABELS, Labelled, Labels
from opencen.domain.names import checked_description, checked_name
from opencen.domain.nouns import Actor, Package, QuotaKind
from opencen.domain.transit import ConnectionNote
from opencen.services import expiry, grants, labels, quotas
from opencen.services import instances as instance_service
from opencen.services.context import Context, Work, plain
from opencen.store import allocations, connections, links, packages, remainders, transit
from opencen.store import labels as label_rows
from opencen.store.database import Transaction


def set_bandwidth(
    context: Context,
    actor: Actor,
    cen_id: str,
    region_id: str,
    other_region_id: str,
    bandwidth_mbps: int,
    *,
    package_id: str | None = None,
    seen_version: int | None = None,
    automatic: Automatic | None = None,
    keeps_automatic: bool = False,
) -> Connection:
    """Set the bandwidth of a pair of regions, new or again; durable when it returns.

    With `automatic`, what is set is guaranteed and the limit follows the traffic; without, it is the limit, unless
    `keeps_automatic` says that an automatic connection stays one.

    `package_id`, when given, must be the package that serves the pair. `seen_version` is the version that the caller
    last saw (0: none); with another one it is refused. Raises NotFoundError, InvalidValueError, SameRegionError,
    BandwidthValueError, PackageNotBoundError, RegionWithoutNetworkError, BandwidthExceededError, EditConflictError.
    """
    resource = f"{cen_id}:{':'.join(sorted((region_id, other_region_id)))}"
    with context.change(actor, "connection.set", resource) as work:
        _require_instance(work.tx, actor, cen_id)
        pair = region_pair(region_id, other_region_id)
        areas = _areas(context, work.tx, pair)
        package = _package_for(work.tx, cen_id, pair, areas, package_id)
        connection_mbps(bandwidth_mbps)
        _require_networks(work, cen_id, pair)
        before = connections.find(work.tx, cen_id, *pair)
        _check_version(before, connection_id(cen_id, *pair), seen_version)
        if keeps_automatic and before is not None and before.automatic is not None:
            automatic = replace(before.automatic, max_mbps=max(before.automatic.max_mbps, bandwidth_mbps))
        automatic = checked_automatic(automatic, bandwidth_mbps)
        after = _carry_out(work, package, before, cen_id, pair, bandwidth_mbps, automatic)
        work.tell(before, after)
    return after


def join(
    context: Context,
    actor: Actor,
    cen_id: str,
    note: ConnectionNote,
    peer_region_id: str,
    bandwidth_mbps: int,
    *,
    package_id: str | None = None,
    labelled: Labels = NO_LABELS,
) -> Connection:
    """A region connection that is new, and noted; the networks of its regions may follow later.

    The caller has made sure that both regions have a transit router. Raises AlreadyConnectedError, and what
    `set_bandwidth` raises but RegionWithoutNetworkError.
    """
    resource = f"{cen_id}:{':'.join(sorted((note.local_region_id, peer_region_id)))}"
    with context.change(actor, "connection.set", resource) as work:
        instance_service.lock(work.tx, actor, cen_id)
        pair = region_pair(note.local_region_id, peer_region_id)
        areas = _areas(context, work.tx, pair)
        package = _package_for(work.tx, cen_id, pair, areas, package_id)
        connection_mbps(bandwidth_mbps)
        present = connections.find(work.tx, cen_id, *pair)
        if present is not None:
            raise AlreadyConnectedError(
                f"{pair[0]} and {pair[1]} of {cen_id} have a connection already, of {present.bandwidth_mbps} Mbit/s; "
                "change that one",
                cen_id=cen_id,
                region_ids=pair,
                bandwidth_mbps=present.bandwidth_mbps,
            )
        links.ensure(work.tx, [(cen_id, *pair)], work.revision())
        connection = _carry_out(work, package, None, cen_id, pair, bandwidth_mbps)
        transit.save_connection_note(work.tx, (cen_id, *pair), note)
        labels.apply(work.tx, actor, Labelled.CONNECTION, connection.id, labelled)
        work.tell(None, {**plain(connection), **plain(note)})
    return connection


def change_joined(
    context: Context,
    actor: Actor,
    cen_id: str,
    pair: tuple[str, str],
    *,
    bandwidth_mbps: int | None = None,
    package_id: str | None = None,
    name: str | None = None,
    description: str | None = None,
    announces_routes: bool | None = None,
) -> None:
    """Change what is given of a region connection (the pair sorted) and of its note; the rest stays."""
    with context.change(actor, "connection.set", connection_id(cen_id, *pair)) as work:
        before = after = _lock_package_of(work, actor, cen_id, pair)[1]
        if bandwidth_mbps is not None or package_id is not None:
            package = _package_for(work.tx, cen_id, pair, _areas(context, work.tx, pair), package_id)
            wanted_mbps = before.bandwidth_mbps if bandwidth_mbps is None else connection_mbps(bandwidth_mbps)
            automatic = before.automatic if bandwidth_mbps is None else None
            after = _carry_out(work, package, before, cen_id, pair, wanted_mbps, automatic)
        note = transit.connection_notes_of(work.tx, [before])[cen_id, *pair]
        noted = replace(
            note,
            name=note.name if name is None else checked_name(name),
            description=note.description if description is None else checked_description(description),
            announces_routes=note.announces_routes if announces_routes is None else announces_routes,
        )
        if noted != note:
            transit.save_connection_note(work.tx, (cen_id, *pair), noted)
        work.tell({**plain(before), **plain(note)}, {**plain(after), **plain(noted)})


def delete(
    context: Context,
    actor: Actor,
    cen_id: str,
    region_id: str,
    other_region_id: str,
    *,
    seen_version: int | None = None,
) -> None:
    """Delete a region connection: its share is free at once, and the pair falls back to 1 kbit/s."""
    resource = f"{cen_id}:{':'.join(sorted((region_id, other_region_id)))}"
    with context.change(actor, "connection.delete", resource) as work:
        _require_instance(work.tx, actor, cen_id)
        pair = region_pair(region_id, other_region_id)
        _areas(context, work.tx, pair)
        package, before = _lock_package_of(work, actor, cen_id, pair)
        _check_version(before, before.id, seen_version)
        allocations.delete_connection(work.tx, package, before, work.now)
        label_rows.remove_tags(work.tx, Labelled.CONNECTION, [before.id], None)
        links.want(work.tx, (cen_id, *pair), package.id, 0, work.revision())
        grants.settle(work, package.id, package.bandwidth_mbps)
        work.touch(cen_id, pair)
        work.tell(before, None)


def notes_of(context: Context, items: Sequence[Connection]) -> dict[tuple[str, str, str], ConnectionNote]:
    """What was noted of these region connections, by instance and sorted pair."""
    with context.database.read() as tx:
        return transit.connection_notes_of(tx, items)


def _lock_package_of(work: Work, actor: Actor, cen_id: str, pair: tuple[str, str]) -> tuple[Package, Connection]:
    """The connection, with the row of its package locked. Raises NotFoundError."""
    found = connections.find(work.tx, cen_id, *pair)
    package = packages.find(work.tx, actor.account_id, found.package_id, lock=True) if found else None
    locked = connections.find(work.tx, cen_id, *pair) if package else None
    if locked is None or package is None:
        raise NotFoundError("region connection", connection_id(cen_id, *pair), field="id")
    if locked.package_id != package.id:  # set anew, out of another package, while this one waited
        return _lock_package_of(work, actor, cen_id, pair)
    return package, locked


def _carry_out(
    work: Work,
    package: Package,
    before: Connection | None,
    cen_id: str,
    pair: tuple[str, str],
    bandwidth_mbps: int,
    automatic: Automatic | None = None,
) -> Connection:
    expiry.check_current(package, work)
    if before is None:
        quotas.take(work, QuotaKind.CONNECTIONS)
    after = _allocate(work, package, before, cen_id, pair, bandwidth_mbps, automatic)
    if before is None:
        remainders.keep_link(work.tx, (cen_id, *pair), package.id, work.revision())
    links.want(work.tx, (cen_id, *pair), package.id, _limit_bps(work.tx, before, after), work.revision())
    grants.settle(work, package.id, package.bandwidth_mbps)
    work.touch(cen_id, pair)
    return after


def _limit_bps(tx: Transaction, before: Connection | None, after: Connection) -> int:
    """What is set; an automatic connection keeps the limit that was decided for it, within its bounds."""
    if after.automatic is None or before is None or before.automatic is None:
        return after.rate_bps
    key = (after.cen_id, after.region_a_id, after.region_b_id)
    return min(max(links.find_many(tx, [key])[key].wanted_bps, after.rate_bps), after.most_bps)


def _require_instance(tx: Transaction, actor: Actor, cen_id: str) -> None:
    if not instance_service.exists(tx, actor, cen_id):
        raise NotFoundError("CEN instance", cen_id, field="cen_id")


def _areas(context: Context, tx: Transaction, pair: tuple[str, str]) -> tuple[str, str]:
    areas = context.areas_of(tx, pair)
    for region_id in pair:
        if region_id not in areas:
            raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)
    return area_pair(areas[pair[0]], areas[pair[1]])


def _package_for(
    tx: Transaction, cen_id: str, pair: tuple[str, str], areas: tuple[str, str], package_id: str | None
) -> Package:
    package = packages.serving(tx, cen_id, areas, lock=True)
    if package is None:
        others = [f"{package.id} ({package.area_a_id} - {package.area_b_id})" for package in packages.bound(tx, cen_id)]
        raise PackageNotBoundError(
            f"{cen_id} has no bandwidth package bound between {areas[0]} and {areas[1]}, which {pair[0]} and {pair[1]} "
            f"need; bound are: {', '.join(others) or 'none'}",
            field="package_id",
            cen_id=cen_id,
            area_a_id=areas[0],
            area_b_id=areas[1],
            region_ids=pair,
        )
    if package_id not in (None, package.id):
        raise PackageNotBoundError(
            f"{pair[0]} - {pair[1]} draws on package {package.id}, the one bound to {cen_id} between {areas[0]} and "
            f"{areas[1]}, not on {package_id}",
            field="package_id",
            cen_id=cen_id,
            package_id=package_id,
            bound_package_id=package.id,
            area_a_id=areas[0],
            area_b_id=areas[1],
        )
    return package


def _require_networks(work: Work, cen_id: str, pair: tuple[str, str]) -> None:
    attached = work.attached_regions(cen_id)
    without = [region_id for region_id in pair if region_id not in attached]
    if without:
        raise RegionWithoutNetworkError(
            f"no network of {' and '.join(without)} is attached to {cen_id}; attach one first",
            field="region_id",
            cen_id=cen_id,
            region_ids=without,
        )


def _check_version(present: Connection | None, identifier: str, seen_version: int | None) -> None:
    version = present.version if present else 0
    if seen_version is None or seen_version == version:
        return
    now = f"it is now {present.bandwidth_mbps} Mbit/s" if present else "it is not set now"
    raise EditConflictError(
        f"{identifier} was changed meanwhile: {now}",
        field="bandwidth_mbps",
        seen={"version": seen_version},
        current={"version": version, "bandwidth_mbps": present.bandwidth_mbps if present else None},
    )


def _allocate(
    work: Work,
    package: Package,
    before: Connection | None,
    cen_id: str,
    pair: tuple[str, str],
    bandwidth_mbps: int,
    automatic: Automatic | None,
) -> Connection:
    allocated_mbps = allocated_after_set(
        package.id,
        bandwidth_mbps=package.bandwidth_mbps,
        allocated_mbps=package.allocated_mbps,
        own_mbps=before.bandwidth_mbps if before else 0,
        asked_mbps=bandwidth_mbps,
    )
    if before is not None:
        allocations.change_connection(work.tx, package, before, bandwidth_mbps, automatic, allocated_mbps, work.now)
        return replace(
            before,
            bandwidth_mbps=bandwidth_mbps,
            automatic=automatic,
            updated_at=work.now,
            version=before.version + 1,
        )
    connection = Connection(
        cen_id=cen_id,
        region_a_id=pair[0],
        region_b_id=pair[1],
        package_id=package.id,
        bandwidth_mbps=bandwidth_mbps,
        created_at=work.now,
        updated_at=work.now,
        version=1,
        automatic=automatic,
    )
    allocations.insert_connection(work.tx, package, connection, allocated_mbps)
    return connection
