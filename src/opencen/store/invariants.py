"""The invariants of the rows, each recomputed the naive way: from scratch, in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, ip_network

from sqlalchemy import select

from opencen.domain.bandwidth import MBPS
from opencen.domain.geography import area_pair
from opencen.domain.labels import Labelled
from opencen.store.database import Transaction
from opencen.store.gateway_schema import link_sides, links, region_instances
from opencen.store.schema import (
    area_capacities,
    attachments,
    bandwidth_packages,
    control,
    instances,
    network_grants,
    networks,
    region_connections,
    regions,
    route_publications,
    tags,
    transit_routers,
    vswitches,
)


def _sums(tx: Transaction) -> Iterator[str]:
    """The stored sum of a package is the sum of its region connections, and does not exceed its bandwidth."""
    sums: dict[str, int] = defaultdict(int)
    for row in tx.execute(select(region_connections)):
        sums[row.package_id] += row.bandwidth_mbps
    for row in tx.execute(select(bandwidth_packages)):
        if sums[row.id] != row.allocated_mbps:
            yield f"{row.id}: {row.allocated_mbps} Mbit/s stored as allocated, its connections sum to {sums[row.id]}"
        if sums[row.id] > row.bandwidth_mbps:
            yield f"{row.id}: connections sum to {sums[row.id]} Mbit/s of {row.bandwidth_mbps}"


def _bindings(tx: Transaction) -> Iterator[str]:
    """A connection draws on a package bound to its instance; an instance has one package per pair of areas."""
    packages = {row.id: row for row in tx.execute(select(bandwidth_packages))}
    taken: dict[tuple[str, str, str], str] = {}
    for package in packages.values():
        if package.cen_id is None:
            continue
        key = (package.cen_id, package.area_a_id, package.area_b_id)
        if key in taken:
            yield f"{package.id} and {taken[key]} are both bound to {key[0]} between {key[1]} and {key[2]}"
        taken[key] = package.id
    for row in tx.execute(select(region_connections)):
        if packages[row.package_id].cen_id != row.cen_id:
            bound_to = packages[row.package_id].cen_id
            yield f"{row.cen_id}:{row.region_a_id}:{row.region_b_id} draws on {row.package_id}, bound to {bound_to}"


def _pairs(tx: Transaction) -> Iterator[str]:
    """A connection joins two different regions, sorted, one in each of its package's areas."""
    area_of = {row.id: row.area_id for row in tx.execute(select(regions))}
    areas_of = {row.id: (row.area_a_id, row.area_b_id) for row in tx.execute(select(bandwidth_packages))}
    for row in tx.execute(select(region_connections)):
        name = f"{row.cen_id}:{row.region_a_id}:{row.region_b_id}"
        if row.region_a_id >= row.region_b_id:
            yield f"{name}: the regions are not two, sorted"
        if area_pair(area_of[row.region_a_id], area_of[row.region_b_id]) != areas_of[row.package_id]:
            yield f"{name}: its regions are not in the areas of {row.package_id}"


def _links(tx: Transaction) -> Iterator[str]:
    """Every connection has its link, which wants what is set; without one, or a current package, it wants nothing."""
    expired = set(
        tx.execute(select(bandwidth_packages.c.id).where(bandwidth_packages.c.expired_at.is_not(None))).scalars()
    )
    wanted = {
        (row.cen_id, row.region_a_id, row.region_b_id): (
            row.bandwidth_mbps * MBPS,
            (row.automatic_max_mbps or row.bandwidth_mbps) * MBPS,
        )
        for row in tx.execute(select(region_connections))
        if row.package_id not in expired
    }
    wanted |= {
        (row.cen_id, row.region_a_id, row.region_b_id): (0, 0)
        for row in tx.execute(select(region_connections))
        if row.package_id in expired
    }
    sums: dict[str | None, int] = defaultdict(int)
    for row in tx.execute(select(links)):
        key = (row.cen_id, row.region_a_id, row.region_b_id)
        least_bps, most_bps = wanted.pop(key, (0, 0))
        sums[row.package_id] += row.wanted_bps
        if not least_bps <= row.wanted_bps <= most_bps:
            yield f"{':'.join(key)}: the link wants {row.wanted_bps} bit/s, which is not what is set"
        if row.granted_bps > row.wanted_bps:
            yield f"{':'.join(key)}: {row.granted_bps} bit/s granted, only {row.wanted_bps} wanted"
    for key in wanted:
        yield f"{':'.join(key)}: set, but there is no link"
    for package in tx.execute(select(bandwidth_packages)):
        if sums[package.id] > package.bandwidth_mbps * MBPS:
            yield f"{package.id}: {sums[package.id]} bit/s wanted of {package.bandwidth_mbps} Mbit/s"


def _wire(tx: Transaction) -> Iterator[str]:
    """What is granted out of a package never exceeds it, and a kernel holds no more than was ever granted."""
    granted: dict[str, int] = defaultdict(int)
    for row in tx.execute(select(links)):
        if row.package_id is not None:
            granted[row.package_id] += row.granted_bps
    for row in tx.execute(select(bandwidth_packages)):
        if granted[row.id] > row.bandwidth_mbps * MBPS:
            yield f"{row.id}: {granted[row.id]} bit/s granted of {row.bandwidth_mbps} Mbit/s"
    revision = tx.execute(select(control.c.revision)).scalar_one()
    for row in tx.execute(select(link_sides)):
        if row.acked_revision > revision:
            yield f"{row.gateway_id} acknowledged revision {row.acked_revision}, the latest is {revision}"


def _overlaps(tx: Transaction) -> Iterator[str]:
    """Networks of one instance do not overlap, and are attached in their own region."""
    by_instance: dict[str, list[tuple[str, str]]] = defaultdict(list)
    joined = select(attachments, networks.c.cidr_blocks, networks.c.region_id.label("home")).join(
        networks, networks.c.id == attachments.c.network_id
    )
    for row in tx.execute(joined):
        if row.region_id != row.home:
            yield f"{row.network_id} of {row.home} is attached in {row.region_id}"
        for block in row.cidr_blocks:
            for other_id, other in by_instance[row.cen_id]:
                if ip_network(block).overlaps(ip_network(other)):
                    yield f"{row.cen_id}: {block} of {row.network_id} overlaps {other} of {other_id}"
            by_instance[row.cen_id].append((row.network_id, block))


def _routes(tx: Transaction) -> Iterator[str]:
    """What is published beyond the rule lies inside its network, and what is withdrawn is a block of it."""
    joined = select(route_publications, networks.c.cidr_blocks).join(
        networks, networks.c.id == route_publications.c.network_id
    )
    for row in tx.execute(joined):
        name = f"{row.cidr_block} of {row.network_id}"
        if not row.published and row.cidr_block not in row.cidr_blocks:
            yield f"{name} is withdrawn, but none of its blocks"
        if row.published and row.cidr_block in row.cidr_blocks:
            yield f"{name} is published without need: it is one of its blocks"
        if not any(IPv4Network(row.cidr_block).subnet_of(IPv4Network(block)) for block in row.cidr_blocks):
            yield f"{name} lies outside of the network"


def _foreign(tx: Transaction) -> Iterator[str]:
    """A network of another account than its instance's is attached only where it is granted."""
    granted = {(row.network_id, row.cen_id) for row in tx.execute(select(network_grants))}
    joined = (
        select(attachments.c.network_id, attachments.c.cen_id, networks.c.account_id, instances.c.account_id)
        .join(networks, networks.c.id == attachments.c.network_id)
        .join(instances, instances.c.id == attachments.c.cen_id)
    )
    for network_id, cen_id, owner_id, cen_owner_id in tx.execute(joined):
        if owner_id != cen_owner_id and (network_id, cen_id) not in granted:
            yield f"{network_id} of {owner_id} is attached to {cen_id} of {cen_owner_id}, which it is not granted to"


def _revisions(tx: Transaction) -> Iterator[str]:
    """No change is numbered above the latest revision, and regions with networks are marked as present."""
    revision = tx.execute(select(control.c.revision)).scalar_one()
    present = set()
    for row in tx.execute(select(region_instances)):
        if row.revision > revision:
            yield f"{row.region_id} is to follow revision {row.revision}, the latest is {revision}"
        if row.present:
            present.add((row.cen_id, row.region_id))
    attached = {(row.cen_id, row.region_id) for row in tx.execute(select(attachments))}
    for cen_id, region_id in attached ^ present:
        yield f"{cen_id} in {region_id}: attached networks and what gateways are told differ"


def _tags(tx: Transaction) -> Iterator[str]:
    """A tag is one of a thing that is there, and of the account that the thing belongs to."""
    owners: dict[tuple[str, str], str] = {}
    tables = ((Labelled.INSTANCE, instances), (Labelled.PACKAGE, bandwidth_packages), (Labelled.NETWORK, networks))
    for kind, table in (*tables, (Labelled.VSWITCH, vswitches)):
        owners |= {(kind.value, row.id): row.account_id for row in tx.execute(select(table.c.id, table.c.account_id))}
    of_instance = {row.id: row.account_id for row in tx.execute(select(instances.c.id, instances.c.account_id))}
    for row in tx.execute(select(transit_routers)):
        owners[Labelled.TRANSIT_ROUTER, f"{row.cen_id}:{row.region_id}"] = of_instance[row.cen_id]
    for row in tx.execute(select(attachments)):
        owners[Labelled.ATTACHMENT, row.network_id] = of_instance[row.cen_id]
    for row in tx.execute(select(region_connections)):
        name = f"{row.cen_id}:{row.region_a_id}:{row.region_b_id}"
        owners[Labelled.CONNECTION, name] = of_instance[row.cen_id]
    for row in tx.execute(select(tags)):
        if owners.get((row.resource_type, row.resource_id)) != row.account_id:
            yield f"tag {row.key}: {row.account_id} has no {row.resource_type} {row.resource_id}"


def _vswitches(tx: Transaction) -> Iterator[str]:
    """VSwitches lie inside of their network's blocks and apart from each other."""
    blocks = {row.id: tuple(map(IPv4Network, row.cidr_blocks)) for row in tx.execute(select(networks))}
    taken: dict[str, list[IPv4Network]] = defaultdict(list)
    for row in tx.execute(select(vswitches)):
        block = IPv4Network(row.cidr_block)
        if not any(block.subnet_of(outer) for outer in blocks[row.network_id]):
            yield f"{row.id}: {block} is outside of {row.network_id}"
        if any(block.overlaps(other) for other in taken[row.network_id]):
            yield f"{row.id}: {block} overlaps another vSwitch of {row.network_id}"
        taken[row.network_id].append(block)


def _capacities(tx: Transaction) -> Iterator[str]:
    """What is sold between two areas is the sum of the packages there, and does not exceed the capacity declared."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in tx.execute(select(bandwidth_packages)):
        sums[row.area_a_id, row.area_b_id] += row.bandwidth_mbps
    for row in tx.execute(select(area_capacities)):
        bought = sums[row.area_a_id, row.area_b_id]
        name = f"between {row.area_a_id} and {row.area_b_id}"
        if bought != row.sold_mbps:
            yield f"{name}: {row.sold_mbps} Mbit/s stored as sold, the packages sum to {bought}"
        if bought > row.capacity_mbps:
            yield f"{name}: packages sum to {bought} Mbit/s of {row.capacity_mbps}"


_CHECKS: tuple[Callable[[Transaction], Iterator[str]], ...] = (
    _sums,
    _bindings,
    _pairs,
    _links,
    _wire,
    _overlaps,
    _routes,
    _foreign,
    _revisions,
    _tags,
    _vswitches,
    _capacities,
)
NAMES = tuple((check.__doc__ or "").strip() for check in _CHECKS)


def broken(tx: Transaction) -> list[str]:
    """One sentence for each place where an invariant does not hold."""
    return [sentence for check in _CHECKS for sentence in check(tx)]
