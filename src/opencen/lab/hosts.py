"""Which hosts a lab has: one per network of its regions. Pure: decides, makes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, ip_network

from opencen.lab.state import GatewayRecord, HostRecord, UncarriedRecord
from opencen.lab.topology import NetworkTopology, Topology

MAX_HOSTS_PER_REGION = 32
_SUFFIX_LENGTH = 6
_LAN_PREFIX = 24
_HOST_OFFSET = 10


@dataclass(frozen=True)
class CarriableNetwork:
    """A network as the control plane has it."""

    id: str
    name: str
    region_id: str
    cidr_blocks: tuple[str, ...]


@dataclass(frozen=True)
class HostPlan:
    hosts: tuple[HostRecord, ...]
    uncarried: tuple[UncarriedRecord, ...]


def interface_name(network_id: str) -> str:
    """The gateway's interface for a network: at most 15 characters, told apart by the random end of the id."""
    return f"lan-{network_id[-10:]}"


def lan_addresses(cidr_blocks: Sequence[str]) -> tuple[IPv4Interface, IPv4Interface] | None:
    """The gateway's and the host's address on the first IPv4 block; None when no block has room for both.

    The gateway is the block's first address + 1, the host + 10, or + 2 in a block too small for that.
    """
    for block in cidr_blocks:
        network = ip_network(block, strict=False)
        if not isinstance(network, IPv4Network) or network.prefixlen > 30:
            continue
        prefix = max(network.prefixlen, _LAN_PREFIX)
        offset = _HOST_OFFSET if network.num_addresses > _HOST_OFFSET + 1 else 2
        first = network.network_address
        return IPv4Interface(f"{first + 1}/{prefix}"), IPv4Interface(f"{first + offset}/{prefix}")
    return None


def _host(
    lab: str, gateway: GatewayRecord, network: CarriableNetwork, declared: NetworkTopology | None
) -> HostRecord | None:
    if declared:
        name = declared.host
        gateway_address = declared.gateway_address
        address = IPv4Interface(f"{declared.host_address}/{gateway_address.network.prefixlen}")
    else:
        name = f"host-{network.region_id}-{network.id[-_SUFFIX_LENGTH:]}"
        addresses = lan_addresses(network.cidr_blocks)
        if addresses is None:
            return None
        gateway_address, address = addresses
    return HostRecord(
        name=name,
        region_id=network.region_id,
        network_id=network.id,
        network_name=network.name,
        namespace=f"{lab}-{name}",
        gateway_namespace=gateway.namespace,
        interface=interface_name(network.id),
        address=address,
        gateway_address=gateway_address,
    )


def plan_hosts(
    lab: str,
    topology: Topology,
    gateways: Iterable[GatewayRecord],
    networks: Iterable[CarriableNetwork],
    hosted_ids: Collection[str],
) -> HostPlan:
    """The hosts that a lab should have, given the networks that there are.

    A network of the topology gets the host that the topology names, any other one a host named after its id. When a
    region has more than 32 networks, those that have a host already (`hosted_ids`) keep it. A region's first host is
    one that the topology names, if there is one.
    """
    declared = {(region.id, network.name): network for region, network in topology.networks}
    hosts: list[HostRecord] = []
    uncarried: list[UncarriedRecord] = []
    by_region = {gateway.region_id: gateway for gateway in gateways}
    for network in sorted(networks, key=lambda item: (item.id not in hosted_ids, item.id)):
        gateway = by_region.get(network.region_id)
        if gateway is None:
            continue
        host = _host(lab, gateway, network, declared.pop((network.region_id, network.name), None))
        if sum(item.region_id == network.region_id for item in hosts) >= MAX_HOSTS_PER_REGION:
            reason = f"the lab makes at most {MAX_HOSTS_PER_REGION} hosts in a region"
        elif host is None:
            reason = f"no IPv4 block with room for two addresses among {', '.join(network.cidr_blocks) or 'none'}"
        elif any(item.name == host.name or item.interface == host.interface for item in hosts):
            reason = f"another network has the host {host.name} or the interface {host.interface} already"
        else:
            hosts.append(host)
            continue
        uncarried.append(
            UncarriedRecord(
                network_id=network.id, network_name=network.name, region_id=network.region_id, reason=reason
            )
        )
    order = {region_id: place for place, region_id in enumerate(by_region)}
    named = {network.host for _, network in topology.networks}
    hosts.sort(key=lambda host: (order[host.region_id], host.name not in named, host.name))
    return HostPlan(tuple(hosts), tuple(uncarried))
