"""Gateways: what they are, what they should carry, and what they say they have.

Every change here takes its revision first: who attaches networks or sets bandwidths at the same time waits, or is
waited for, so that each link has a side for each gateway, and peers hear of each endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from opencen.domain import permissions
from opencen.domain.errors import (
    ConflictError,
    GatewayExistsError,
    GatewayInUseError,
    InvalidValueError,
    NotFoundError,
)
from opencen.domain.failover import MOST_GATEWAYS
from opencen.domain.names import checked_name
from opencen.domain.nouns import Actor, Gateway
from opencen.domain.status import LIVE_WITHIN, WAITED_FOR_WITHIN, Liveness, liveness
from opencen.domain.wanted import (
    UNKNOWN_REVISION,
    Held,
    KernelInstance,
    KernelLink,
    Place,
    WantedInstance,
    WantedLink,
    WantedNetwork,
    WantedState,
    counted_bps,
)
from opencen.services import encryption, grants, pairs
from opencen.services.context import Context, Work
from opencen.store import (
    control,
    drift,
    epochs,
    gateways,
    link_keys,
    links,
    network_interfaces,
    packages,
    regions,
    remainders,
    routes,
)
from opencen.store.database import Transaction
from opencen.store.drift import Drift
from opencen.store.gateways import GatewayRow, Heartbeat, InstanceFigures, Presence
from opencen.store.links import ACTIVE, STANDBY
from opencen.store.records import Listing, Page

_CHUNK = 500


def enlist(
    work: Work, gateway_id: str, *, region_id: str, account_id: str, name: str, credential_sha256: bytes
) -> None:
    """A new gateway for a region. Raises GatewayExistsError."""
    work.revision()
    if region_id not in regions.areas_of(work.tx, [region_id]):
        raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)
    present = gateways.of_region(work.tx, region_id)
    if len(present) >= MOST_GATEWAYS:
        raise GatewayExistsError(
            f"region {region_id} has gateways {' and '.join(row.id for row in present)} already; "
            "a region has an active and a standby gateway, not more",
            field="region_id",
            region_id=region_id,
            gateway_id=present[0].id,
        )
    row = GatewayRow(
        id=gateway_id,
        region_id=region_id,
        account_id=account_id,
        name=checked_name(name),
        token_sha256=credential_sha256,
        created_at=work.now,
        endpoint=None,
        behind_nat=False,
        agent_version=None,
        capabilities={},
        declared_networks=[],
        credential_since=work.now,
        role=STANDBY if present else ACTIVE,
        role_since=work.revision(),
    )
    gateways.add(work.tx, row)
    touching = links.touching_region(work.tx, region_id)
    links.add_sides(work.tx, [(link.key, region_id, gateway_id) for link in touching])
    pairs.touch_peers(work, region_id)  # its partner, if it has one, is to say twice a second that it is alive


def remove(context: Context, actor: Actor, gateway_id: str) -> None:
    """Revoke it: its credential is refused, peers drop its tunnels, and what it held does not count any more."""
    _remove(context, actor, gateway_id, "gateway.remove")


def leave(context: Context, row: GatewayRow) -> None:
    """The gateway's host ceases to be one, and says so itself."""
    _remove(context, pairs.as_actor(row), row.id, "gateway.leave")


def _remove(context: Context, actor: Actor, gateway_id: str, action: str) -> None:
    with context.change(actor, action, gateway_id) as work:
        work.revision()
        row = _require(work.tx, gateway_id)
        package_ids = _release(work.tx, gateway_id)
        links.remove_sides(work.tx, gateway_id)
        link_keys.forget_gateway(work.tx, gateway_id)
        gateways.remove(work.tx, gateway_id)
        remaining = gateways.of_region(work.tx, row.region_id)
        if row.is_active and remaining:
            pairs.take_over(work, remaining[0], row)
        pairs.touch_peers(work, row.region_id)
        _settle_all(work, package_ids)
        work.tell({"gateway_id": gateway_id, "region_id": row.region_id}, None)
    with context.database.volatile() as tx:
        gateways.forget_presence(tx, gateway_id)


def release(context: Context, actor: Actor, gateway_id: str) -> None:
    """An operator vouches that a silent gateway passes nothing any more: what it held may be granted to others."""
    with context.change(actor, "gateway.release", gateway_id) as work:
        work.revision()
        row = _require(work.tx, gateway_id)
        with context.database.volatile() as volatile_tx:
            presence = gateways.presences(volatile_tx, [gateway_id]).get(gateway_id)
        if presence is not None and liveness(presence.seen_at, work.now) is not Liveness.SILENT:
            raise ConflictError(
                f"gateway {gateway_id} of {row.region_id} is alive: it says itself what it holds", gateway_id=gateway_id
            )
        held = [] if row.is_active else links.held_by(work.tx, gateway_id)
        package_ids = _release(work.tx, gateway_id)
        pairs.complete(work, held)
        _settle_all(work, package_ids)
        work.tell({"gateway_id": gateway_id, "package_ids": package_ids}, None)


def _release(tx: Transaction, gateway_id: str) -> list[str]:
    return sorted({*links.release(tx, gateway_id), *remainders.forget_gateway(tx, gateway_id)})


def find_all(context: Context) -> list[Gateway]:
    with context.database.read() as tx:
        rows = gateways.find_all(tx)
        wanted = {row.id: control.region_revision(tx, row.region_id) for row in rows}
    presences = presences_of(context, rows)
    with context.database.volatile() as volatile_tx:
        drifted = drift.totals(volatile_tx, [row.id for row in rows])
    return [
        replace(_gateway(row, presences.get(row.id), wanted[row.id]), drift_count=drifted.get(row.id, 0))
        for row in rows
    ]


def search_drift(context: Context, actor: Actor, gateway_id: str, page: Page) -> Listing[Drift]:
    """What a gateway found otherwise than it should be, and repaired; the newest first."""
    permissions.check_read(actor, "gateway.watch_drift")
    with context.database.read() as tx:
        _require(tx, gateway_id)
    with context.database.volatile() as volatile_tx:
        return drift.search(volatile_tx, gateway_id, page)


def presences_of(context: Context, rows: list[GatewayRow]) -> dict[str, Presence]:
    """What these gateways last said."""
    with context.database.volatile() as tx:
        return gateways.presences(tx, [row.id for row in rows])


def get(context: Context, gateway_id: str) -> Gateway:
    for gateway in find_all(context):
        if gateway.id == gateway_id:
            return gateway
    raise NotFoundError("gateway", gateway_id, field="gateway_id")


def _gateway(row: GatewayRow, presence: Presence | None, wanted_revision: int) -> Gateway:
    return Gateway(
        id=row.id,
        region_id=row.region_id,
        name=row.name,
        created_at=row.created_at,
        endpoint=row.endpoint,
        agent_version=row.agent_version,
        capabilities=row.capabilities,
        applied_revision=presence.applied_revision if presence else 0,
        wanted_revision=wanted_revision,
        last_seen_at=presence.seen_at if presence else None,
        repairs=presence.repairs if presence else 0,
        declared_networks=tuple((item["network"], item["interface"]) for item in row.declared_networks),
        credential_since=row.credential_since,
        rotation_wanted=row.rotation_wanted,
        role="active" if row.is_active else "standby",
        preferred=row.preferred,
        trouble=_trouble(presence),
    )


def _trouble(presence: Presence | None) -> str | None:
    if presence is None:
        return None
    if presence.other_host_at is not None:
        return f"another host used its credential, last at {presence.other_host_at.isoformat(timespec='seconds')}"
    return presence.trouble


def _require(tx: Transaction, gateway_id: str) -> GatewayRow:
    row = gateways.find(tx, gateway_id)
    if row is None:
        raise NotFoundError("gateway", gateway_id, field="gateway_id")
    return row


def _settle_all(work: Work, package_ids: list[str]) -> None:
    for package_id in sorted(package_ids):
        bandwidth_mbps = packages.bandwidth_mbps(work.tx, package_id)
        if bandwidth_mbps is not None:
            grants.settle(work, package_id, bandwidth_mbps)


def hello(
    context: Context,
    row: GatewayRow,
    *,
    endpoint: str,
    agent_version: str,
    capabilities: dict[str, Any],
    declared_networks: list[dict[str, str]],
    behind_nat: bool = False,
    host_id: str | None = None,
    knows_roles: bool = True,
) -> None:
    """A gateway has started, or was out of touch. It and its peers are told when this changes how they are linked.

    Raises InvalidValueError when `endpoint` is no address of a host, GatewayInUseError when another host is this
    gateway now, and ConflictError for a standby whose agent does not know that there are such.
    """
    if not row.is_active and not knows_roles:
        raise ConflictError(
            f"gateway {row.id} is the standby of {row.region_id}, and agent {agent_version} would carry traffic beside "
            "the active one: install a newer agent on it",
            gateway_id=row.id,
        )
    _note_heard(context, row, host_id)
    now = replace(
        row,
        endpoint=endpoint,
        behind_nat=behind_nat,
        agent_version=agent_version,
        capabilities=capabilities,
        declared_networks=declared_networks,
    )
    if now == row:
        return
    with context.change(pairs.as_actor(row), "gateway.hello", row.id) as work:
        work.revision()
        _check_endpoint(endpoint)
        gateways.introduce(
            work.tx,
            row.id,
            endpoint=endpoint,
            behind_nat=behind_nat,
            agent_version=agent_version,
            capabilities=capabilities,
            declared_networks=declared_networks,
        )
        if _linked_by(now) != _linked_by(row):
            pairs.touch_peers(work, row.region_id)
        work.tell(_introduction(row), _introduction(now))


def _linked_by(row: GatewayRow) -> tuple[str | None, bool, object]:
    """What of a gateway decides how links to it are built."""
    return row.endpoint, row.behind_nat, row.capabilities.get("max_encrypted_links")


def _check_endpoint(endpoint: str) -> None:
    """Peers build tunnels to it: what is no address of one host must not reach them. Raises InvalidValueError."""
    try:
        address = ip_address(endpoint)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast or endpoint == "255.255.255.255":
        raise InvalidValueError(
            f"a gateway's endpoint is an IP address at which peers reach it, not {endpoint!r}",
            field="endpoint",
            value=endpoint,
        )


def _introduction(row: GatewayRow) -> dict[str, object]:
    return {
        "endpoint": row.endpoint,
        "behind_nat": row.behind_nat,
        "agent_version": row.agent_version,
        "capabilities": row.capabilities,
        "declared_networks": row.declared_networks,
    }


def wanted_state(context: Context, row: GatewayRow, after: int, held: Held | None = None) -> WantedState:
    """What the gateway should carry: everything for `after` 0, else what changed since that revision.

    Everything also when what it has `held` is no part of this control plane's history.
    """
    with context.database.read() as tx:
        current = control.current_revision(tx)  # before what changed is read: nothing up to here can be missed
        row = _require(tx, row.id)
        continues = held is None or epochs.includes(tx, held.epoch, max(held.revision, after))
        after = after if continues else 0
        changed = control.changed_instances(tx, row.region_id, after)
        revision = max([current, *(at for _, at, _ in changed)])
        present = [(cen_id, at) for cen_id, at, is_present in changed if is_present]
        everyone = gateways.find_all(tx)
        ends = {gateway.region_id: gateway for gateway in everyone if gateway.is_active}
        instances: list[WantedInstance] = []
        for start in range(0, len(present), _CHUNK):
            instances += _wanted_instances(context, tx, row, dict(present[start : start + _CHUNK]), ends)
        epoch = epochs.current(tx)
    removed = tuple(cen_id for cen_id, _, is_present in changed if not is_present)
    partner = next((item for item in everyone if item.region_id == row.region_id and item.id != row.id), None)
    place = Place(row.is_active, row.role_since, None if partner is None else context.vault.derived(row.region_id))
    return WantedState(revision, after == 0, tuple(instances), removed, epoch, continues, place)


def _wanted_instances(
    context: Context, tx: Transaction, mine: GatewayRow, revisions: dict[str, int], ends: dict[str, GatewayRow]
) -> list[WantedInstance]:
    region_id = mine.region_id
    published: dict[tuple[str, str], list[str]] = {}
    local: dict[str, list[WantedNetwork]] = {cen_id: [] for cen_id in revisions}
    for network, known in routes.of_attached(tx, *revisions):
        blocks = published.setdefault((network.cen_id, network.region_id), [])
        blocks.extend(route.cidr_block for route in known if route.published)
        if network.region_id == region_id:
            local[network.cen_id].append(WantedNetwork(network.network_id, network.network_name, network.cidr_blocks))
    here = [network.network_id for known_networks in local.values() for network in known_networks]
    at = network_interfaces.of_gateway(tx, mine.id, here)
    wanted: dict[str, list[WantedLink]] = {cen_id: [] for cen_id in revisions}
    waiting = links.held_by_standbys(tx, list(revisions), region_id)  # the former active gateway may still send
    touching = links.of_instances(tx, list(revisions), region_id)
    handed = encryption.handed(context, tx, touching, mine, ends)
    for link in touching:
        peer_id = link.region_b_id if link.region_a_id == region_id else link.region_a_id
        remote = published.get((link.cen_id, peer_id))
        if remote is not None and local[link.cen_id]:
            told = handed[link.key]
            endpoint = ends[peer_id].endpoint if peer_id in ends and told.refusal is None else None
            wanted[link.cen_id].append(
                WantedLink(
                    peer_id,
                    link.vni,
                    endpoint,
                    tuple(sorted(remote)),
                    0 if link.key in waiting else link.granted_bps,
                    told.wireguard,
                    told.refusal,
                )
            )
    return [
        WantedInstance(
            cen_id,
            revision,
            tuple(replace(network, interface=at.get(network.network_id)) for network in local[cen_id]),
            tuple(wanted[cen_id]),
        )
        for cen_id, revision in revisions.items()
    ]


def report(
    context: Context,
    row: GatewayRow,
    *,
    applied_revision: int,
    repairs: int,
    instances: list[KernelInstance],
    epoch: str | None = None,
    host_id: str | None = None,
    drifted: Sequence[Drift] = (),
) -> int:
    """Keep what a gateway says its kernel has; grant what this frees. The revision at which it should be.

    What it says of revisions that are no part of this control plane's history acknowledges nothing: such a gateway was
    told it by a later copy of the database than this one. Raises GatewayInUseError when another host is this gateway.
    """
    with context.database.read() as tx:
        foreign = not _is_of_this_history(tx, epoch, applied_revision, instances)
    trouble = None
    if foreign:
        trouble = (
            f"it holds revision {applied_revision} of another history of this control plane, and keeps it: run "
            "opencen gateway accept-revision on its host"
        )
        applied_revision = 0
        instances = [replace(instance, revision=UNKNOWN_REVISION) for instance in instances]
    _note_heard(context, row, host_id, trouble)
    if drifted:
        with context.database.volatile() as volatile_tx:
            drift.add(volatile_tx, drifted)
    if instances:
        _keep_presence(context, row, applied_revision, repairs, instances)
    keys = encryption.said(row, instances)
    with context.database.read() as tx:
        news = _news(tx, row, instances)
        if not news and not _drained(tx, row, instances) and not encryption.news(tx, row, keys):
            return control.region_revision(tx, row.region_id)
    with context.change(pairs.as_actor(row), "gateway.report", row.id, audited=False) as work:
        work.revision()
        package_ids = set()
        row = _require(work.tx, row.id)
        held_before = set() if row.is_active else set(links.held_by(work.tx, row.id))
        news = _news(work.tx, row, instances)
        for side, package_id in news:
            links.acknowledge(work.tx, side)
            if package_id is not None:
                package_ids.add(package_id)
        dropped = {side.key for side, _ in news if side.key in held_before and not side.held_bps}
        freed = {*pairs.off_the_wire(work, row, [side for side, _ in news], keys), *dropped}
        pairs.complete(work, freed)
        package_ids |= {link.package_id for link in links.find_many(work.tx, sorted(freed)).values() if link.package_id}
        for remainder, held_bps in _drained(work.tx, row, instances):
            remainders.hold(work.tx, remainder, held_bps)
            package_ids.add(remainder.package_id)
        encryption.keep(context, work, row, encryption.news(work.tx, row, keys))
        _settle_all(work, sorted(package_ids))
    with context.database.read() as tx:
        return control.region_revision(tx, row.region_id)


def _news(tx: Transaction, row: GatewayRow, instances: list[KernelInstance]) -> list[tuple[links.LinkSide, str | None]]:
    """The sides of which the report says something new, as they now are, with their packages."""
    said = {instance.cen_id: instance for instance in instances}
    news: list[tuple[links.LinkSide, str | None]] = []
    for start in range(0, len(instances), _CHUNK):
        cen_ids = [instance.cen_id for instance in instances[start : start + _CHUNK]]
        for key, (side, link) in links.sides_of_gateway(tx, row.id, cen_ids).items():
            instance = said[key[0]]
            found = _found_of(instance, key, row.region_id)
            now = _acknowledged(side, link, instance.revision, found, is_active=row.is_active)
            if now != side:
                news.append((now, link.package_id))
    return news


def _drained(
    tx: Transaction, row: GatewayRow, instances: list[KernelInstance]
) -> list[tuple[remainders.Remainder, int]]:
    """What links that have left a package hold less of it, now that their kernel has gone on to later orders."""
    said = {instance.cen_id: instance for instance in instances}
    drained: list[tuple[remainders.Remainder, int]] = []
    for start in range(0, len(instances), _CHUNK):
        cen_ids = [instance.cen_id for instance in instances[start : start + _CHUNK]]
        for remainder in remainders.of_gateway(tx, row.id, cen_ids):
            instance = said[remainder.cen_id]
            if instance.revision < remainder.revision:
                continue
            found = _found_of(instance, remainder.key, row.region_id)
            stuck = found is not None and found.error is not None
            held_bps = counted_bps(found.in_kernel_bps) if found and stuck else 0
            if held_bps < remainder.held_bps:
                drained.append((remainder, held_bps))
    return drained


def _found_of(instance: KernelInstance, key: links.Key, region_id: str) -> KernelLink | None:
    peer_id = key[2] if key[1] == region_id else key[1]
    return next((link for link in instance.links if link.peer_region_id == peer_id), None)


def _acknowledged(
    side: links.LinkSide, link: links.Link, revision: int, found: KernelLink | None, *, is_active: bool
) -> links.LinkSide:
    """The side once its kernel was found to have `found` with the orders of `revision`.

    An acknowledgement older than the link's latest order does not end what that order may have put into the kernel.
    A standby is given nothing, so it never comes to hold more than when it was active.
    """
    in_kernel_bps = found.in_kernel_bps if found else None
    counted = counted_bps(in_kernel_bps)
    if revision == UNKNOWN_REVISION:
        return replace(side, in_kernel_bps=in_kernel_bps, held_bps=max(side.held_bps, counted), acked_revision=0)
    if revision < side.acked_revision:
        return side
    if not is_active:
        counted = min(side.held_bps, counted)
    covers_latest = revision >= link.revision
    acked_revision = link.revision if covers_latest else side.acked_revision
    return replace(
        side,
        in_kernel_bps=in_kernel_bps,
        held_bps=counted if covers_latest else max(side.held_bps, counted),
        acked_revision=acked_revision,
        error=found.error if found else None,
    )


def _is_of_this_history(
    tx: Transaction, epoch: str | None, applied_revision: int, instances: list[KernelInstance]
) -> bool:
    latest = max([applied_revision, *(instance.revision for instance in instances)])
    return epochs.includes(tx, epoch, latest) if epoch else latest <= control.current_revision(tx)


def check_host(context: Context, row: GatewayRow, host_id: str | None) -> None:
    """Raises GatewayInUseError when another host, heard lately, is this gateway."""
    with context.database.volatile() as tx:
        before = gateways.heartbeats(tx, [row.id]).get(row.id)
        if before is None or not _is_another(before, host_id, context.clock()):
            return
        gateways.save_heartbeat(tx, replace(before, other_host_at=context.clock()))
    refusal = GatewayInUseError(
        f"gateway {row.id} is another host, heard {abs(context.clock() - before.at).total_seconds():.0f} s ago: its "
        "credential must not be used on two. Join this host as a gateway of its own",
        gateway_id=row.id,
    )
    if before.other_host_at is None:  # the first of many: it asks again and again
        context.record_refusal(pairs.as_actor(row), "gateway.hello", row.id, refusal)
    raise refusal


def _is_another(before: Heartbeat, host_id: str | None, now: datetime) -> bool:
    known = host_id is not None and before.host_id is not None
    return known and before.host_id != host_id and abs(now - before.at) <= LIVE_WITHIN


def _note_heard(context: Context, row: GatewayRow, host_id: str | None, trouble: str | None = None) -> None:
    """This gateway is alive. Raises GatewayInUseError."""
    check_host(context, row, host_id)
    now = context.clock()
    with context.database.volatile() as tx:
        before = gateways.heartbeats(tx, [row.id]).get(row.id)
        other_at = before.other_host_at if before else None
        if other_at is not None and abs(now - other_at) > WAITED_FOR_WITHIN:
            other_at = None
        gateways.save_heartbeat(tx, Heartbeat(row.id, now, host_id, other_at, trouble))


def _keep_presence(
    context: Context, row: GatewayRow, applied_revision: int, repairs: int, instances: list[KernelInstance]
) -> None:
    said = [InstanceFigures(row.id, item.cen_id, item.live_links, item.networks) for item in instances]
    with context.database.volatile() as tx:
        gateways.save_figures(tx, said)
        gateways.save_presence(tx, Presence(row.id, context.clock(), applied_revision, repairs))
