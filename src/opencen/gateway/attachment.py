"""Networks at interfaces of this gateway: which interface carries which network, and how its port looks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import Final

from opencen.gateway.kernel.model import HOST_HOP, MADE_PREFIX, HostEnd, KernelNow, Port, Vlan
from opencen.wire.gateway import InstanceState, NetworkReport, NetworkState
from opencen.wire.interfaces import Interface, InterfaceKind

Claim = tuple[str, int | None]
"""An interface, or a VLAN of it: what carries one network and no other."""

_ON_LINK: Final = ""


@dataclass(frozen=True, slots=True)
class DeclaredNetwork:
    """A word that this network (id or name) is at this interface, where the gateway has this address.

    `prefixes` are blocks behind routers of the network, each with the router's address.
    """

    network: str
    interface: str
    address: str
    kind: InterfaceKind = "physical"
    vlan_id: int | None = None
    prefixes: tuple[tuple[str, str], ...] = ()

    @property
    def claim(self) -> Claim:
        return self.interface, self.vlan_id

    def __str__(self) -> str:
        names = {
            "physical": self.interface,
            "vlan": f"{self.interface} VLAN {self.vlan_id}",
            "bridge": f"bridge {self.interface}",
            "host": f"{self.interface} on the host",
        }
        return names[self.kind]


def declared(network: str, interface: Interface) -> DeclaredNetwork:
    prefixes = tuple((prefix.cidr_block, prefix.next_hop) for prefix in interface.prefixes)
    return DeclaredNetwork(network, interface.interface, interface.address, interface.kind, interface.vlan_id, prefixes)


def declaration_of(network: NetworkState, by_operator: Sequence[DeclaredNetwork]) -> DeclaredNetwork | None:
    """Where a network is: the word of the host's operator counts before the control plane's."""
    for item in by_operator:
        if item.network in (network.network_id, network.name):
            return item
    return declared(network.network_id, network.interface) if network.interface else None


def claims(instances: Iterable[InstanceState], by_operator: Sequence[DeclaredNetwork]) -> dict[Claim, str]:
    """Which network each interface carries: the first that is declared there, in the order of instances."""
    held: dict[Claim, str] = {}
    for instance in sorted(instances, key=lambda item: item.cen_id):
        for network in instance.networks:
            found = declaration_of(network, by_operator)
            if found is not None:
                held.setdefault(found.claim, network.network_id)
    return held


def port_name(network_id: str, found: DeclaredNetwork) -> str:
    """The name in the instance's namespace: an interface keeps its own, one that the gateway makes has ours."""
    if found.kind == "physical":
        return found.interface
    return f"{MADE_PREFIX}{sha256(network_id.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Attaching:
    """What decides whether networks of one instance can be carried: where interfaces are, and who holds them."""

    namespace: str
    now: KernelNow
    by_operator: Sequence[DeclaredNetwork]
    held: Mapping[Claim, str]

    def carry(self, network: NetworkState, instance: InstanceState) -> tuple[NetworkReport, str, Port | None]:
        """What is to be said of the network, the name of its port, and the port; None when it is not carried."""
        found = declaration_of(network, self.by_operator)
        if found is None:
            return _not_carried(network, None, "no interface is declared for it on this gateway"), "", None
        reason = self._unfit(network, found) or self._missing(network, found)
        name = port_name(network.network_id, found)
        if reason:
            return _not_carried(network, found, reason), name, None
        report = NetworkReport(network_id=network.network_id, carried=True, interface=str(found))
        return report, name, _port(name, found, _elsewhere(network, instance))

    def _unfit(self, network: NetworkState, found: DeclaredNetwork) -> str | None:
        """What is wrong with the declaration itself."""
        blocks = [ip_network(block, strict=False) for block in network.cidr_blocks]
        named = ", ".join(network.cidr_blocks)
        if not any(ip_interface(found.address).ip in block for block in blocks):
            return f"{found.address} on {found.interface} is not within {named}"
        for cidr_block, _ in found.prefixes:
            behind = ip_network(cidr_block)
            if not any(behind.version == block.version and behind.subnet_of(block) for block in blocks):  # type: ignore[arg-type]
                return f"{cidr_block} behind {found.interface} is not within {named}"
        carrying = self.held.get(found.claim, network.network_id)
        return None if carrying == network.network_id else f"{found} already carries {carrying}"

    def _missing(self, network: NetworkState, found: DeclaredNetwork) -> str | None:
        """What the host lacks for it."""
        host = self.now.host
        there = self.now.namespaces.get(self.namespace)
        ports = there.ports if there else {}
        name = port_name(network.network_id, found)
        if found.kind == "host":
            present = ports.get(name)
            is_ours = (
                present is not None
                and isinstance(present.outside, HostEnd)
                and (present.outside.name == found.interface)
            )
            return (
                f"{found.interface} exists on the host already"
                if found.interface in host.interfaces and (not is_ours)
                else None
            )
        elsewhere = [n.ports for n in self.now.namespaces.values()]
        if found.interface not in host.interfaces and (
            found.kind != "physical" or not any(found.interface in other for other in elsewhere)
        ):
            return f"there is no interface {found.interface} on this gateway"
        if found.kind == "bridge" and found.interface not in host.bridges:
            return f"{found.interface} is no bridge"
        if found.kind == "physical" and found.interface in host.bridges:
            return f'{found.interface} is a bridge: declare it with kind = "bridge"'
        if found.kind == "physical" and found.interface in host.underlay_interfaces:
            return f"{found.interface} has this gateway's underlay address: without it no tunnel would be left"
        return None


def _elsewhere(network: NetworkState, instance: InstanceState) -> frozenset[str]:
    """All blocks of the instance that are reached through the gateway from this network."""
    local = [block for other in instance.networks if other is not network for block in other.cidr_blocks]
    remote = [block for link in instance.links for block in link.remote_cidr_blocks]
    blocks = [ip_network(block, strict=False) for block in (*local, *remote)]
    return frozenset(str(block) for block in blocks if isinstance(block, IPv4Network))


def _port(name: str, found: DeclaredNetwork, elsewhere: frozenset[str]) -> Port:
    match found.kind:
        case "host":
            host_address = str(ip_interface(found.address).ip)
            return Port(
                frozenset({f"{HOST_HOP}/32"}),
                up=True,
                segments=True,
                routes=frozenset({(f"{host_address}/32", _ON_LINK)}),
                outside=HostEnd(found.interface, address=f"{host_address}/32", routes=elsewhere),
            )
        case "bridge":
            outside: Vlan | HostEnd | None = HostEnd(name, bridge=found.interface)
        case "vlan":
            outside = Vlan(found.interface, found.vlan_id or 0)
        case _:
            outside = None
    return Port(frozenset({found.address}), up=True, segments=True, routes=frozenset(found.prefixes), outside=outside)


def _not_carried(network: NetworkState, found: DeclaredNetwork | None, reason: str) -> NetworkReport:
    interface = str(found) if found else None
    return NetworkReport(network_id=network.network_id, carried=False, interface=interface, reason=reason)
