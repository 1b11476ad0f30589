"""What the control plane wants, as kernel objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Final

from opencen.gateway.attachment import Attaching, Claim, DeclaredNetwork, claims
from opencen.gateway.encryption import LinkEnd, inner_mtu, path
from opencen.gateway.kernel.model import Device, Front, KernelNow, Port, Tunnel, WantedNamespace, WireGuard
from opencen.gateway.keys import KeyId, LocalKey
from opencen.gateway.shaping import tree_for
from opencen.wire.gateway import GatewayState, InstanceState, LinkState, NetworkReport

# it becomes the name of a file
_CEN_ID: Final = re.compile(r"cen-[A-Za-z0-9_-]{1,128}")
_NAME_MAX: Final = 15
_VXLAN_OVERHEAD_BYTES: Final = {4: 50, 6: 70}
_FIRST_TABLE: Final = 1 << 24
_TUNNEL_MTU: Final = 1_500
_UNDERLAY_MTU_UNKNOWN: Final = 1_500
_MIN_MTU: Final = 576


@dataclass(frozen=True)
class Site:
    """What the gateway is and has, apart from what it is told.

    `endpoint` is where peers call it, `local_address` its own address in the underlay when that is another: it is
    behind NAT then. `keys` are its ends of encrypted links.
    """

    gateway_id: str
    endpoint: str
    networks: Sequence[DeclaredNetwork]
    leaf_queue: str
    local_address: str | None = None
    behind_nat: bool = False
    keys: Mapping[KeyId, LocalKey] = field(default_factory=dict, repr=False)
    checks_sources: bool = False

    @property
    def underlay_address(self) -> str:
        return self.local_address or self.endpoint


@dataclass(frozen=True)
class Plan:
    """Wanted namespaces by name, and what is to be said of networks and links that cannot be carried."""

    namespaces: Mapping[str, WantedNamespace]
    networks: Mapping[str, Sequence[NetworkReport]] = field(default_factory=dict)
    port_names: Mapping[str, str] = field(default_factory=dict)
    """By network id: the name of its port in the instance's namespace."""
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


def plan(state: GatewayState, site: Site, now: KernelNow, held: Mapping[Claim, str] | None = None) -> Plan:
    """What the kernel should have for `state`. `now` tells which interfaces there are, and the underlay's MTU.

    `held` says which networks hold interfaces, when `state` is a part of what is wanted. Raises ValueError for a state
    that makes no sense: an address or id that is none.
    """
    held = claims(state.instances, site.networks) if held is None else held
    port_names: dict[str, str] = {}
    wanted: dict[str, WantedNamespace] = {}
    networks: dict[str, list[NetworkReport]] = {}
    link_errors: dict[tuple[str, str], str] = {}
    for instance in sorted(state.instances, key=lambda item: item.cen_id):
        if not _CEN_ID.fullmatch(instance.cen_id):
            raise ValueError(f"{instance.cen_id!r} is no id of a CEN instance")
        name = namespace_name(site.gateway_id, instance.cen_id)
        ports: dict[str, Port] = {}
        networks[instance.cen_id] = []
        attaching = Attaching(name, now, site.networks, held)
        for network in instance.networks:
            report, port_name, port = attaching.carry(network, instance)
            networks[instance.cen_id].append(report)
            if port is not None:
                ports[port_name] = port
                port_names[network.network_id] = port_name
        tunnels, wireguards = _tunnels(state.region_id, instance, site, now)
        retiring = _retiring(state.region_id, instance, site)
        wanted[name] = WantedNamespace(tunnels, ports, wireguards, retiring)
        for link in instance.links:
            error = _link_error(instance.cen_id, link, site, now)
            if error:
                link_errors[instance.cen_id, link.peer_region_id] = error
    return Plan(wanted, networks, port_names, link_errors)


def standing_by(wanted: Plan) -> Plan:
    """The same for a standby: all is there, but tunnels are down, and no port has an address. So nothing passes."""
    namespaces = {
        name: replace(
            namespace,
            tunnels={
                device: replace(tunnel, up=False, routes=frozenset(), next_hop_mac=None)
                for device, tunnel in namespace.tunnels.items()
            },
            ports={
                interface: replace(port, addresses=frozenset(), routes=frozenset())
                for interface, port in namespace.ports.items()
            },
        )
        for name, namespace in wanted.namespaces.items()
    }
    return replace(wanted, namespaces=namespaces)


def sources(state: GatewayState, site: Site) -> frozenset[str] | None:
    """The addresses from which tunnelled packets are to be taken: the endpoints that peers have now."""
    if not site.checks_sources:
        return None
    plain = [link for instance in state.instances for link in instance.links if link.wireguard is None]
    return frozenset(str(ip_address(link.peer_endpoint)) for link in plain if link.peer_endpoint is not None)


def _tunnels(
    region_id: str, instance: InstanceState, site: Site, now: KernelNow
) -> tuple[dict[str, Tunnel], dict[str, WireGuard]]:
    tunnels: dict[str, Tunnel] = {}
    wireguards: dict[str, WireGuard] = {}
    for link in instance.links:
        if link.peer_endpoint is None or link.refusal is not None:
            continue
        if link.wireguard is None:
            tunnels[tunnel_name(link.peer_region_id)] = _plain(region_id, instance, link, site, now)
            continue
        tunnel, devices = _encrypted(region_id, instance, link, site, now)
        wireguards |= devices
        if tunnel is not None:
            tunnels[tunnel_name(link.peer_region_id)] = tunnel
    return tunnels, wireguards


def _plain(region_id: str, instance: InstanceState, link: LinkState, site: Site, now: KernelNow) -> Tunnel:
    local, remote = site.underlay_address, link.peer_endpoint or ""
    overhead_bytes = _VXLAN_OVERHEAD_BYTES[ip_address(remote).version]
    device = Device(
        vni=link.vni,
        local=local,
        remote=remote,
        mac=tunnel_mac(instance.cen_id, region_id),
        mtu=max(_MIN_MTU, min(_TUNNEL_MTU, _underlay_mtu(now) - overhead_bytes)),
    )
    return _tunnel(device, tunnel_mac(instance.cen_id, link.peer_region_id), link, site)


def _encrypted(
    region_id: str, instance: InstanceState, link: LinkState, site: Site, now: KernelNow
) -> tuple[Tunnel | None, dict[str, WireGuard]]:
    """The front and the WireGuard devices behind it; no front while there is no device to lead it into."""
    there = now.namespaces.get(namespace_name(site.gateway_id, instance.cen_id))
    end = link_end(region_id, instance.cen_id, link, site)
    mtu = inner_mtu(_underlay_mtu(now), site.underlay_address if site.behind_nat else link.peer_endpoint or "")
    devices = end.devices(mtu, there, now.at_s)
    present = there.tunnels.get(tunnel_name(link.peer_region_id)) if there else None
    leads_into = path(list(devices), there, present.tunnel.path if present else None)
    if leads_into is None:
        return None, {}
    peer_mac = tunnel_mac(instance.cen_id, link.peer_region_id)
    front = Front(
        table=_FIRST_TABLE + link.vni, mac=tunnel_mac(instance.cen_id, region_id), inner_mac=peer_mac, mtu=mtu
    )
    return replace(_tunnel(front, peer_mac, link, site), path=leads_into), devices


def link_end(region_id: str, cen_id: str, link: LinkState, site: Site) -> LinkEnd:
    return LinkEnd(site.gateway_id, cen_id, link, site.keys, first=region_id < link.peer_region_id)


def _tunnel(device: Device | Front, next_hop_mac: str, link: LinkState, site: Site) -> Tunnel:
    return Tunnel(
        device=device,
        tree=tree_for(link.rate_bps, site.leaf_queue),
        next_hop_mac=next_hop_mac,
        routes=frozenset(_version_4(link.remote_cidr_blocks)),
        up=True,
    )


def _retiring(region_id: str, instance: InstanceState, site: Site) -> frozenset[str]:
    """The last generation's devices of links that are wanted; of a link that is dropped, nothing may stay."""
    wanted = [link for link in instance.links if link.peer_endpoint is not None and link.refusal is None]
    names = (link_end(region_id, instance.cen_id, link, site).retiring() for link in wanted)
    return frozenset(name for name in names if name is not None)


def _underlay_mtu(now: KernelNow) -> int:
    return now.host.underlay_mtu or _UNDERLAY_MTU_UNKNOWN


def _version_4(cidr_blocks: Sequence[str]) -> list[str]:
    networks = [ip_network(block, strict=False) for block in cidr_blocks]
    return [str(network) for network in networks if isinstance(network, IPv4Network)]


def _link_error(cen_id: str, link: LinkState, site: Site, now: KernelNow) -> str | None:
    if link.refusal is not None:
        return link.refusal
    if link.wireguard is not None and link.peer_endpoint is not None:
        served = {key_id[:2] for key_id in site.keys}
        if (cen_id, link.peer_region_id) not in served:
            return f"this gateway carries {len(served)} encrypted links already, which is its maximum"
    carried = set(_version_4(link.remote_cidr_blocks))
    refused = [block for block in link.remote_cidr_blocks if str(ip_network(block, strict=False)) not in carried]
    if refused:
        return f"IPv6 is not carried: {', '.join(refused)}"
    if link.peer_endpoint is not None and now.host.underlay_mtu is None:
        return f"no interface of this gateway has its underlay address {site.underlay_address}"
    return None
