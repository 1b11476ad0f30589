"""Devices, addresses, neighbours and routes as netlink messages, encoded and decoded.

Layouts: linux/if_link.h, linux/rtnetlink.h, linux/neighbour.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6
from typing import Final

from opencen.gateway.kernel.messages import attribute, attributes, nested, text, text_of, u32, u32_of
from opencen.gateway.kernel.model import NEXT_HOP, Device, Front

IFF_UP: Final = 0x1
IFF_NOARP: Final = 0x80
VXLAN_PORT: Final = 4789
NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26

_IFLA_LINK, _IFLA_MASTER, _VLAN_ID = 5, 10, 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_NET_NS_FD, _IFLA_EXT_MASK = 1, 3, 4, 18, 28, 29
_IFLA_IFALIAS = 20
_IFLA_TXQLEN = 13
_WIREGUARD_QUEUE_PACKETS = 10_000
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_ID, _VXLAN_GROUP, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT = 1, 2, 4, 7, 15
_VXLAN_GROUP6, _VXLAN_LOCAL6 = 16, 17
_VXLAN_TOS, _TOS_INHERIT = 5, 1
_VETH_PEER = 1
_SKIP_STATISTICS = 1 << 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_PERMANENT = 0x80
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_TABLE_MAIN, _PROTOCOL_STATIC, _TYPE_UNICAST, _ONLINK = 254, 4, 1, 4

_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_FRA_IIFNAME, _FRA_PRIORITY, _FRA_TABLE = 3, 6, 15
_RULE_TO_TABLE, _RULE_BLACKHOLE = 1, 6
_RULE_PRIORITY = 1_000
_NEXT_HOP: Final = ip_address(NEXT_HOP).packed

_LINK = struct.Struct("=BxHiII")
_RULE = struct.Struct("=BBBBBBBBI")
_ADDRESS = struct.Struct("=BBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A device in a dump. `device` is filled for a VXLAN device; `kind` is '' for hardware."""

    ifindex: int
    name: str
    up: bool
    no_arp: bool
    mtu: int
    device: Device | None
    kind: str = ""
    mac: str = ""
    alias: str = ""
    lower: int = 0
    """The index of the interface that it hangs on: a VLAN's parent, or the other end of a veth pair."""
    bridge: int = 0
    vlan_id: int = 0


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _mac_text(packed: bytes) -> str:
    return packed.hex(":")


@lru_cache(maxsize=1 << 16)
def _address_text(packed: bytes) -> str:
    return str(ip_address(packed))


def link_dump_body() -> bytes:
    return _LINK.pack(0, 0, 0, 0, 0) + u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)


def link_by_name_body(name: str) -> bytes:
    return link_dump_body() + text(_IFLA_IFNAME, name)


def link_by_index_body(ifindex: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, 0, 0) + u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)


def link_delete_body(ifindex: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, 0, 0)


def link_up_body(ifindex: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, IFF_UP, IFF_UP)


def link_down_body(ifindex: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, 0, IFF_UP)


def wireguard_settings_body(ifindex: int, mtu: int) -> bytes:
    """A queue long enough for a process that is kept waiting: what is in it has passed the shaper."""
    return _LINK.pack(0, 0, ifindex, 0, 0) + u32(_IFLA_MTU, mtu) + u32(_IFLA_TXQLEN, _WIREGUARD_QUEUE_PACKETS)


def link_mtu_body(ifindex: int, mtu: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, 0, 0) + u32(_IFLA_MTU, mtu)


def link_alias_body(ifindex: int, alias: str) -> bytes:
    """An empty alias removes it."""
    return _LINK.pack(0, 0, ifindex, 0, 0) + attribute(_IFLA_IFALIAS, alias.encode())


def link_move_body(ifindex: int, namespace_descriptor: int) -> bytes:
    return _LINK.pack(0, 0, ifindex, 0, 0) + u32(_IFLA_NET_NS_FD, namespace_descriptor)


def vxlan_body(name: str, device: Device, namespace_descriptor: int) -> bytes:
    """A VXLAN device born in another namespace: its outer socket stays in the one that asks."""
    local, remote = ip_address(device.local), ip_address(device.remote)
    version_4 = isinstance(remote, IPv4Address)
    settings = nested(
        _INFO_DATA,
        u32(_VXLAN_ID, device.vni),
        attribute(_VXLAN_LOCAL if version_4 else _VXLAN_LOCAL6, local.packed),
        attribute(_VXLAN_GROUP if version_4 else _VXLAN_GROUP6, remote.packed),
        attribute(_VXLAN_TOS, bytes([_TOS_INHERIT])),
        attribute(_VXLAN_LEARNING, b"\0"),
        attribute(_VXLAN_PORT, struct.pack(">H", VXLAN_PORT)),
    )
    return (
        _LINK.pack(0, 0, 0, IFF_NOARP, IFF_NOARP)
        + text(_IFLA_IFNAME, name)
        + u32(_IFLA_MTU, device.mtu)
        + attribute(_IFLA_ADDRESS, _mac_bytes(device.mac))
        + u32(_IFLA_NET_NS_FD, namespace_descriptor)
        + nested(_IFLA_LINKINFO, text(_INFO_KIND, "vxlan"), settings)
    )


def _vxlan_of(mac: bytes, mtu: int, settings: dict[int, bytes]) -> Device:
    local = settings.get(_VXLAN_LOCAL) or settings.get(_VXLAN_LOCAL6)
    remote = settings.get(_VXLAN_GROUP) or settings.get(_VXLAN_GROUP6)
    return Device(
        vni=u32_of(settings.get(_VXLAN_ID, b"\0\0\0\0")),
        local=_address_text(local) if local else "",
        remote=_address_text(remote) if remote else "",
        mac=_mac_text(mac),
        mtu=mtu,
    )


def inner_name(name: str) -> str:
    """The other end of the veth pair of a front."""
    return f"by-{name.removeprefix('to-')}"


def front_body(name: str, front: Front) -> bytes:
    """A veth pair in the namespace that asks; no ARP in it."""
    header = _LINK.pack(0, 0, 0, IFF_NOARP, IFF_NOARP)

    def end(end_name: str, mac: str) -> bytes:
        return text(_IFLA_IFNAME, end_name) + u32(_IFLA_MTU, front.mtu) + attribute(_IFLA_ADDRESS, _mac_bytes(mac))

    peer = nested(_VETH_PEER, header + end(inner_name(name), front.inner_mac))
    pair = nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, peer))
    return header + end(name, front.mac) + pair


def wireguard_body(name: str, namespace_descriptor: int) -> bytes:
    """A WireGuard device born in another namespace: its outer socket stays in the one that asks."""
    kind = nested(_IFLA_LINKINFO, text(_INFO_KIND, "wireguard"))
    return _LINK.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, name) + u32(_IFLA_NET_NS_FD, namespace_descriptor) + kind


def link_of(message: bytes) -> LinkRow:
    _, _, ifindex, flags, _ = _LINK.unpack_from(message)
    found = attributes(message[_LINK.size :])
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    mtu = u32_of(found[_IFLA_MTU])
    device = None
    kind, mac = text_of(info.get(_INFO_KIND, b"")), found.get(_IFLA_ADDRESS, b"")
    if kind == "vxlan":
        device = _vxlan_of(mac, mtu, attributes(info.get(_INFO_DATA, b"")))
    name = text_of(found[_IFLA_IFNAME])
    return LinkRow(
        ifindex,
        name,
        bool(flags & IFF_UP),
        bool(flags & IFF_NOARP),
        mtu,
        device,
        kind,
        _mac_text(mac),
        alias=text_of(found.get(_IFLA_IFALIAS, b"")),
        lower=u32_of(found.get(_IFLA_LINK, b"\0\0\0\0")),
        bridge=u32_of(found.get(_IFLA_MASTER, b"\0\0\0\0")),
        vlan_id=_vlan_id(info) if kind == "vlan" else 0,
    )


def _vlan_id(info: dict[int, bytes]) -> int:
    packed = attributes(info.get(_INFO_DATA, b"")).get(_VLAN_ID, b"\0\0")
    return int(struct.unpack_from("=H", packed)[0])


def vlan_body(name: str, parent: int, vlan_id: int, namespace_descriptor: int) -> bytes:
    """A VLAN of an interface, born in another namespace."""
    settings = nested(_INFO_DATA, attribute(_VLAN_ID, struct.pack("=H", vlan_id)))
    return (
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, name)
        + u32(_IFLA_LINK, parent)
        + u32(_IFLA_NET_NS_FD, namespace_descriptor)
        + nested(_IFLA_LINKINFO, text(_INFO_KIND, "vlan"), settings)
    )


def pair_body(name: str, peer_name: str, peer_namespace_descriptor: int) -> bytes:
    """A veth pair with its second end in another namespace."""
    peer = text(_IFLA_IFNAME, peer_name) + u32(_IFLA_NET_NS_FD, peer_namespace_descriptor)
    settings = nested(_INFO_DATA, nested(_VETH_PEER, _LINK.pack(0, 0, 0, 0, 0) + peer))
    return (
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, name)
        + nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), settings)
    )


def link_bridge_body(ifindex: int, bridge: int) -> bytes:
    """Make an interface a port of a bridge; 0: of none."""
    return _LINK.pack(0, 0, ifindex, 0, 0) + u32(_IFLA_MASTER, bridge)


def address_dump_body(family: int = AF_INET) -> bytes:
    """`family` 0: addresses of IPv4 and IPv6."""
    return _ADDRESS.pack(family, 0, 0, 0, 0)


def address_body(ifindex: int, address: str) -> bytes:
    interface = ip_interface(address)
    packed = interface.ip.packed
    family = AF_INET if interface.version == 4 else AF_INET6
    header = _ADDRESS.pack(family, interface.network.prefixlen, 0, 0, ifindex)
    return header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)


def address_of(message: bytes) -> tuple[int, str]:
    """ifindex and address, like 10.1.0.1/24."""
    _, prefix_bits, _, _, ifindex = _ADDRESS.unpack_from(message)
    found = attributes(message[_ADDRESS.size :])
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b"\0\0\0\0"
    return ifindex, f"{_address_text(packed)}/{prefix_bits}"


def neighbour_dump_body() -> bytes:
    return _NEIGHBOUR.pack(AF_INET, 0, 0, 0, 0)


def next_hop_body(ifindex: int, mac: str) -> bytes:
    header = _NEIGHBOUR.pack(AF_INET, ifindex, _NUD_PERMANENT, 0, 0)
    return header + attribute(_NDA_DST, _NEXT_HOP) + attribute(_NDA_LLADDR, _mac_bytes(mac))


def next_hop_of(message: bytes) -> tuple[int, str] | None:
    """ifindex and MAC address of a permanent neighbour NEXT_HOP; None for any other neighbour."""
    _, ifindex, state, _, _ = _NEIGHBOUR.unpack_from(message)
    found = attributes(message[_NEIGHBOUR.size :])
    if not state & _NUD_PERMANENT or found.get(_NDA_DST) != _NEXT_HOP:
        return None
    return ifindex, _mac_text(found.get(_NDA_LLADDR, b""))


def route_dump_body() -> bytes:
    return _ROUTE.pack(AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)


def route_body(ifindex: int, cidr_block: str) -> bytes:
    network = ip_network(cidr_block)
    flags = (_TABLE_MAIN, _PROTOCOL_STATIC, 0, _TYPE_UNICAST, _ONLINK)
    return (
        _ROUTE.pack(AF_INET, network.prefixlen, 0, 0, *flags)
        + attribute(_RTA_DST, network.network_address.packed)
        + attribute(_RTA_GATEWAY, _NEXT_HOP)
        + u32(_RTA_OIF, ifindex)
    )


def route_of(message: bytes) -> tuple[int, str] | None:
    """ifindex and destination of a route through NEXT_HOP; None for any other route."""
    family, prefix_bits, _, _, table, _, _, _, _ = _ROUTE.unpack_from(message)
    found = attributes(message[_ROUTE.size :])
    if family == AF_INET6 or table != _TABLE_MAIN or found.get(_RTA_GATEWAY) != _NEXT_HOP:
        return None
    return u32_of(found[_RTA_OIF]), f"{_address_text(found.get(_RTA_DST, bytes(4)))}/{prefix_bits}"


def port_route_body(ifindex: int, cidr_block: str, next_hop: str, source: str = "") -> bytes:
    """A route out of a port: by a router there, or to the link itself when `next_hop` is ''."""
    network = ip_network(cidr_block)
    scope = _SCOPE_UNIVERSE if next_hop else _SCOPE_LINK
    flags = (_TABLE_MAIN, _PROTOCOL_STATIC, scope, _TYPE_UNICAST, _ONLINK if next_hop else 0)
    return (
        _ROUTE.pack(AF_INET, network.prefixlen, 0, 0, *flags)
        + attribute(_RTA_DST, network.network_address.packed)
        + (attribute(_RTA_GATEWAY, ip_address(next_hop).packed) if next_hop else b"")
        + (attribute(_RTA_PREFSRC, ip_address(source).packed) if source else b"")
        + u32(_RTA_OIF, ifindex)
    )


def port_route_of(message: bytes) -> tuple[int, str, str] | None:
    """ifindex, destination and next hop of a route as `port_route_body` makes them; None for any other."""
    family, prefix_bits, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(message)
    if family != AF_INET or table != _TABLE_MAIN or protocol != _PROTOCOL_STATIC or kind != _TYPE_UNICAST:
        return None
    found = attributes(message[_ROUTE.size :])
    gateway = found.get(_RTA_GATEWAY)
    if gateway == _NEXT_HOP or _RTA_OIF not in found:
        return None
    destination = f"{_address_text(found.get(_RTA_DST, bytes(4)))}/{prefix_bits}"
    return u32_of(found[_RTA_OIF]), destination, _address_text(gateway) if gateway else ""


def path_body(table: int, ifindex: int) -> bytes:
    """Everything that is looked up in a table goes out by a device."""
    header = _ROUTE.pack(AF_INET, 0, 0, 0, 0, _PROTOCOL_STATIC, _SCOPE_LINK, _TYPE_UNICAST, 0)
    return header + u32(_RTA_TABLE, table) + u32(_RTA_OIF, ifindex)


def path_of(message: bytes) -> tuple[int, int] | None:
    """Table and ifindex of a default route without a gateway; None for any other route."""
    family, prefix_bits, _, _, _, _, _, kind, _ = _ROUTE.unpack_from(message)
    found = attributes(message[_ROUTE.size :])
    if family != AF_INET or prefix_bits or kind != _TYPE_UNICAST or _RTA_GATEWAY in found or _RTA_OIF not in found:
        return None
    return u32_of(found.get(_RTA_TABLE, b"\0\0\0\0")), u32_of(found[_RTA_OIF])


def rule_dump_body() -> bytes:
    return _RULE.pack(AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)


def rule_bodies(interface: str, table: int) -> list[bytes]:
    """What comes in by an interface is looked up in a table, and goes nowhere else."""
    lookup = _RULE.pack(AF_INET, 0, 0, 0, 0, 0, 0, _RULE_TO_TABLE, 0) + u32(_FRA_TABLE, table)
    drop = _RULE.pack(AF_INET, 0, 0, 0, 0, 0, 0, _RULE_BLACKHOLE, 0)
    return [
        body + text(_FRA_IIFNAME, interface) + u32(_FRA_PRIORITY, priority)
        for body, priority in ((lookup, _RULE_PRIORITY), (drop, _RULE_PRIORITY + 1))
    ]


def rule_of(message: bytes) -> tuple[str, int]:
    """The interface that a rule is for ('': any) and its table (0: what matches is dropped)."""
    *_, action, _ = _RULE.unpack_from(message)
    found = attributes(message[_RULE.size :])
    table = u32_of(found[_FRA_TABLE]) if action == _RULE_TO_TABLE and _FRA_TABLE in found else 0
    return text_of(found.get(_FRA_IIFNAME, b"")), table
