"""What the control plane wants, as kernel objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import Final

from opencen.gateway.kernel.model import Device, KernelNow, Port, Tunnel, WantedNamespace
from opencen.gateway.shaping import tree_for
from opencen.wire.gateway import GatewayState, InstanceState, LinkState, NetworkReport, NetworkState

# it becomes the name of a file
_CEN_ID: Final = re.compile(r"cen-[A-Za-z0-9_-]{1,128}")
_NAME_MAX: Final = 15
_VXLAN_OVERHEAD_BYTES: Final = 50
_TUNNEL_MTU: Final = 1_500
_UNDERLAY_MTU_UNKNOWN: Final = 1_500
_MIN_MTU: Final = 576


@dataclass(frozen=True, slots=True)
class DeclaredNetwork:
    """An operator's word: this network (id or name) is behind this interface, where the gateway has this address."""

    network: str
    interface: str
    address: str


@dataclass(frozen=True)
class Site:
    """What the gateway is and has, apart from what it is told."""

    gateway_id: str
    endpoint: str
    networks: Sequence[DeclaredNetwork]
    leaf_queue: str


@dataclass(frozen=True)
class Plan:
    """Wanted namespaces by name, and what is to be said of networks and links that cannot be carried."""

    namespaces: Mapping[str, WantedNamespace]
    networks: Mapping[str, Sequence[NetworkReport]] = field(default_factory=dict)
    link_errors: Mapping[tuple[str, str], str] = field(default_factory=dict)


def namespace_prefix(gateway_id: str) -> str:
    """What the names of a gateway's namespaces begin with; ids of CEN instances begin with `cen-`."""
    return f"{gateway_id}-cen-"


def namespace_name(gateway_id: str, cen_id: str) -> str:
    return f"{gateway_id}-{cen_id}"


def tunnel_name(peer_region_id: str) -> str:
    """A device name for a region: at most 15 characters, as the kernel wants."""
    name = f"to-{peer_region_id}"
    if len(name) <= _NAME_MAX:
        return name
    return f"{name[:8]}-{sha256(peer_region_id.encode()).hexdigest()[:6]}"


def tunnel_mac(cen_id: str, region_id: str) -> str:
    """The MAC address of a region's end of its tunnels: both ends can tell it without asking."""
    digest = sha256(f"{cen_id}/{region_id}".encode()).digest()
    return (b"\x02" + digest[:5]).hex(":")


def plan(state: GatewayState, site: Site, now: KernelNow) -> Plan:
    """What the kernel should have for `state`. `now` tells which interfaces there are, and the underlay's MTU.

    Raises ValueError for a state that makes no sense: an address or id that is none.
    """
    places = _interface_places(now)
    taken: dict[str, str] = {}
    wanted: dict[str, WantedNamespace] = {}
    networks: dict[str, list[NetworkReport]] = {}
    link_errors: dict[tuple[str, str], str] = {}
    for instance in sorted(state.instances, key=lambda item: item.cen_id):
        if not _CEN_ID.fullmatch(instance.cen_id):
            raise ValueError(f"{instance.cen_id!r} is no id of a CEN instance")
        name = namespace_name(site.gateway_id, instance.cen_id)
        ports: dict[str, Port] = {}
        networks[instance.cen_id] = []
        for network in instance.networks:
            report, port = _carry(network, name, site, places, taken)
            networks[instance.cen_id].append(report)
            if port and report.interface:
                ports[report.interface] = port
        wanted[name] = WantedNamespace(_tunnels(state.region_id, instance, site, now), ports)
        for link in instance.links:
            error = _link_error(link, site, now)
            if error:
                link_errors[instance.cen_id, link.peer_region_id] = error
    return Plan(wanted, networks, link_errors)


def _interface_places(now: KernelNow) -> dict[str, str]:
    """Where each interface is: the name of a namespace, or '' for the host's own."""
    places = dict.fromkeys(now.host.interfaces, "")
    for name, namespace in now.namespaces.items():
        places |= dict.fromkeys(namespace.ports, name)
    return places


def _carry(
    network: NetworkState, namespace: str, site: Site, places: Mapping[str, str], taken: dict[str, str]
) -> tuple[NetworkReport, Port | None]:
    declared = next((d for d in site.networks if d.network in (network.network_id, network.name)), None)
    if declared is None:
        return _not_carried(network, None, "no interface is declared for it on this gateway"), None
    interface = declared.interface
    if not _is_inside(declared.address, network.cidr_blocks):
        blocks = ", ".join(network.cidr_blocks)
        return _not_carried(network, interface, f"{declared.address} on {interface} is not within {blocks}"), None
    if interface not in places:
        return _not_carried(network, interface, f"there is no interface {interface} on this gateway"), None
    if interface in taken:
        return _not_carried(network, interface, f"{interface} already carries {taken[interface]}"), None
    taken[interface] = network.network_id
    port = Port(frozenset({declared.address}), up=True, segments=True)
    return NetworkReport(network_id=network.network_id, carried=True, interface=interface), port


def _not_carried(network: NetworkState, interface: str | None, reason: str) -> NetworkReport:
    return NetworkReport(network_id=network.network_id, carried=False, interface=interface, reason=reason)


def _is_inside(address: str, cidr_blocks: Sequence[str]) -> bool:
    ip = ip_interface(address).ip
    return any(ip in ip_network(block, strict=False) for block in cidr_blocks)


def _tunnels(region_id: str, instance: InstanceState, site: Site, now: KernelNow) -> dict[str, Tunnel]:
    underlay_mtu = now.host.underlay_mtu or _UNDERLAY_MTU_UNKNOWN
    mtu = max(_MIN_MTU, min(_TUNNEL_MTU, underlay_mtu - _VXLAN_OVERHEAD_BYTES))
    return {
        tunnel_name(link.peer_region_id): Tunnel(
            device=Device(
                vni=link.vni,
                local=site.endpoint,
                remote=link.peer_endpoint,
                mac=tunnel_mac(instance.cen_id, region_id),
                mtu=mtu,
            ),
            tree=tree_for(link.rate_bps, site.leaf_queue),
            next_hop_mac=tunnel_mac(instance.cen_id, link.peer_region_id),
            routes=frozenset(_version_4(link.remote_cidr_blocks)),
            up=True,
        )
        for link in instance.links
        if link.peer_endpoint is not None
    }


def _version_4(cidr_blocks: Sequence[str]) -> list[str]:
    networks = [ip_network(block, strict=False) for block in cidr_blocks]
    return [str(network) for network in networks if isinstance(network, IPv4Network)]


def _link_error(link: LinkState, site: Site, now: KernelNow) -> str | None:
    carried = set(_version_4(link.remote_cidr_blocks))
    refused = [block for block in link.remote_cidr_blocks if str(ip_network(block, strict=False)) not in carried]
    if refused:
        return f"IPv6 is not carried: {', '.join(refused)}"
    if link.peer_endpoint is not None and now.host.underlay_mtu is None:
        return f"no interface of this gateway has its endpoint address {site.endpoint}"
    return None
