"""Ports towards networks: interfaces taken from the host, VLANs of them, ends of veth pairs in its bridges or on it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import TypeVar

from opencen.gateway.kernel import links, namespaces, takeover
from opencen.gateway.kernel.links import LinkRow
from opencen.gateway.kernel.messages import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    KernelRefusedError,
    NetlinkSocket,
)
from opencen.gateway.kernel.model import HOST_HOP, MADE_PREFIX, HostEnd, Port, Vlan

_NEW = NLM_F_CREATE | NLM_F_EXCL
_PUT = NLM_F_CREATE | NLM_F_REPLACE

Routes = frozenset[tuple[str, str]]
Value = TypeVar("Value", str, tuple[str, str])


def is_made(row: LinkRow) -> bool:
    """Whether the gateway has made this port, rather than taken it."""
    return row.name.startswith(MADE_PREFIX) and row.kind in ("veth", "vlan")


def addresses_of(opened: NetlinkSocket) -> dict[int, frozenset[str]]:
    return _gathered(map(links.address_of, opened.dump(links.GETADDR, links.address_dump_body())))


def routes_of(messages: Iterable[bytes]) -> dict[int, Routes]:
    """Routes out of ports, by interface, in a dump of all routes."""
    found = filter(None, map(links.port_route_of, messages))
    return _gathered((ifindex, (block, next_hop)) for ifindex, block, next_hop in found)


def _gathered(pairs: Iterable[tuple[int, Value]]) -> dict[int, frozenset[Value]]:
    sets: dict[int, set[Value]] = {}
    for ifindex, value in pairs:
        sets.setdefault(ifindex, set()).add(value)
    return {ifindex: frozenset(values) for ifindex, values in sets.items()}


@dataclass(frozen=True)
class HostRows:
    """What the host has, by interface."""

    links: Mapping[int, LinkRow] = field(default_factory=dict)
    addresses: Mapping[int, frozenset[str]] = field(default_factory=dict)
    routes: Mapping[int, Routes] = field(default_factory=dict)


@dataclass(frozen=True)
class Inside:
    """A CEN instance's namespace."""

    path: Path
    routing: NetlinkSocket
    control: socket.socket

    def row(self, name: str) -> LinkRow | None:
        return _row(self.routing, name)


def _row(opened: NetlinkSocket, name: str) -> LinkRow | None:
    try:
        return links.link_of(opened.get(links.GETLINK, links.link_by_name_body(name)))
    except KernelRefusedError as refusal:
        if refusal.errno != errno.ENODEV:
            raise
        return None


@dataclass(frozen=True)
class Host:
    """The namespace that the gateway runs in, where interfaces come from. Its methods raise OSError."""

    path: Path
    routing: NetlinkSocket
    control: socket.socket

    # reading

    def rows(self) -> HostRows:
        rows = [links.link_of(message) for message in self.routing.dump(links.GETLINK, links.link_dump_body())]
        routes = self.routing.dump(links.GETROUTE, links.route_dump_body())
        return HostRows({row.ifindex: row for row in rows}, addresses_of(self.routing), routes_of(routes))

    def port(self, inside: Inside, row: LinkRow, addresses: frozenset[str], routes: Routes, there: HostRows) -> Port:
        """A port as it is."""
        outside = self._outside(inside, row, there) if is_made(row) else None
        segments = not namespaces.glues(inside.control, row.name)
        if isinstance(outside, Vlan):  # packets are glued where they come in, before the VLAN sees them
            segments = segments and not namespaces.glues(self.control, outside.parent)
        return Port(addresses, row.up, segments, routes, outside)

    def _outside(self, inside: Inside, row: LinkRow, there: HostRows) -> Vlan | HostEnd | None:
        lower = there.links.get(row.lower)
        if row.kind == "vlan":
            return Vlan(lower.name if lower else "", row.vlan_id)
        if lower is None:
            return HostEnd("")
        if lower.bridge:
            bridge = there.links.get(lower.bridge)
            return HostEnd(lower.name, bridge=bridge.name if bridge else "", up=lower.up)
        address = next(iter(sorted(there.addresses.get(lower.ifindex, ()))), None)
        return HostEnd(
            lower.name,
            address=address,
            routes=frozenset(block for block, _ in there.routes.get(lower.ifindex, ())),
            up=lower.up,
            sealed=self._is_sealed(inside, row.name, lower.name),
        )

    def _is_sealed(self, inside: Inside, name: str, end: str) -> bool:
        try:
            return (
                namespaces.read_setting(self.path, f"ipv4/conf/{end}/forwarding") == "0"
                and namespaces.read_setting(inside.path, f"ipv4/conf/{name}/rp_filter") == "1"
            )
        except OSError:
            return False

    # changing

    def attach(self, inside: Inside, name: str, wanted: Port) -> None:
        """Make the port as it should be; what is right already is left alone."""
        row = inside.row(name)
        if row is not None and is_made(row) and not self._is_same(row, wanted):
            inside.routing.request(links.DELLINK, 0, links.link_delete_body(row.ifindex))
            row = None
        if row is None:
            self._bring(inside, name, wanted)
            row = links.link_of(inside.routing.get(links.GETLINK, links.link_by_name_body(name)))
        _set_addresses(inside.routing, row.ifindex, wanted.addresses)
        namespaces.stop_gluing(inside.control, name)
        if isinstance(wanted.outside, Vlan):
            namespaces.stop_gluing(self.control, wanted.outside.parent)
        if isinstance(wanted.outside, HostEnd):
            self._set_end(inside, name, row.lower, wanted.outside)
        inside.routing.request(links.NEWLINK, 0, links.link_up_body(row.ifindex))
        _set_routes(inside.routing, row.ifindex, wanted.routes)

    def _is_same(self, row: LinkRow, wanted: Port) -> bool:
        lower = next((other for other in self.rows().links.values() if other.ifindex == row.lower), None)
        if lower is None:
            return False
        if isinstance(wanted.outside, Vlan):
            return row.kind == "vlan" and (lower.name, row.vlan_id) == (wanted.outside.parent, wanted.outside.vlan_id)
        return row.kind == "veth" and wanted.outside is not None and lower.name == wanted.outside.name

    def _bring(self, inside: Inside, name: str, wanted: Port) -> None:
        with inside.path.open("rb") as target:
            descriptor = target.fileno()
            match wanted.outside:
                case Vlan(parent, vlan_id):
                    self._make_vlan(links.vlan_body(name, self._index(parent), vlan_id, descriptor))
                case HostEnd(end):
                    self.routing.request(links.NEWLINK, _NEW, links.pair_body(end, name, descriptor))
                case _:
                    self._take(name, descriptor)

    def _take(self, name: str, descriptor: int) -> None:
        row = links.link_of(self.routing.get(links.GETLINK, links.link_by_name_body(name)))
        if takeover.before_of(row.alias) is None:
            kept = takeover.note(self._as_it_is(row))
            self.routing.request(links.NEWLINK, 0, links.link_alias_body(row.ifindex, kept))
        self.routing.request(links.NEWLINK, 0, links.link_move_body(row.ifindex, descriptor))

    def _as_it_is(self, row: LinkRow) -> takeover.Before:
        addresses = tuple(
            address
            for ifindex, address in map(links.address_of, self.routing.dump(links.GETADDR, links.address_dump_body(0)))
            if ifindex == row.ifindex and not ip_interface(address).is_link_local
        )
        return takeover.Before(addresses, row.up, namespaces.has_gro(self.control, row.name), row.alias)

    def _make_vlan(self, body: bytes) -> None:
        try:
            self.routing.request(links.NEWLINK, _NEW, body)
        except KernelRefusedError as refusal:
            if refusal.errno != errno.EOPNOTSUPP:
                raise
            raise OSError(refusal.errno, "this kernel lacks VLANs (8021q): modprobe 8021q") from refusal

    def _index(self, name: str) -> int:
        return links.link_of(self.routing.get(links.GETLINK, links.link_by_name_body(name))).ifindex

    def _set_end(self, inside: Inside, name: str, ifindex: int, end: HostEnd) -> None:
        namespaces.send_segments(self.control, end.name)
        if end.bridge is not None:
            self.routing.request(links.NEWLINK, 0, links.link_bridge_body(ifindex, self._index(end.bridge)))
        else:
            namespaces.write_setting(self.path, f"ipv4/conf/{end.name}/forwarding", "0")
            namespaces.write_setting(inside.path, f"ipv4/conf/{name}/rp_filter", "1")
            _set_addresses(self.routing, ifindex, frozenset({end.address} if end.address else ()))
        self.routing.request(links.NEWLINK, 0, links.link_up_body(ifindex))
        if end.address is not None:
            routes = frozenset((block, HOST_HOP) for block in end.routes)
            _set_routes(self.routing, ifindex, routes, source=end.address.split("/")[0])

    def give_back(self, inside: Inside, row: LinkRow) -> None:
        """To the host, as it was before it was taken; a port that the gateway has made is removed instead."""
        if is_made(row):
            inside.routing.request(links.DELLINK, 0, links.link_delete_body(row.ifindex))
            return
        with self.path.open("rb") as own:
            inside.routing.request(links.NEWLINK, 0, links.link_move_body(row.ifindex, own.fileno()))
        before = takeover.before_of(row.alias)
        if before is None:
            return
        there = self._index(row.name)
        if before.gro:
            namespaces.glue_again(self.control, row.name)
        if before.up:
            self.routing.request(links.NEWLINK, 0, links.link_up_body(there))
        for address in before.addresses:
            self.routing.request(links.NEWADDR, _PUT, links.address_body(there, address))
        self.routing.request(links.NEWLINK, 0, links.link_alias_body(there, before.alias))


def _set_addresses(opened: NetlinkSocket, ifindex: int, wanted: frozenset[str]) -> None:
    present = addresses_of(opened).get(ifindex, frozenset())
    for address in sorted(present - wanted):
        opened.request(links.DELADDR, 0, links.address_body(ifindex, address))
    for address in sorted(wanted - present):
        opened.request(links.NEWADDR, _PUT, links.address_body(ifindex, address))


def _set_routes(opened: NetlinkSocket, ifindex: int, wanted: Routes, source: str = "") -> None:
    present = routes_of(opened.dump(links.GETROUTE, links.route_dump_body())).get(ifindex, frozenset())
    for block, next_hop in _on_link_first(present - wanted):
        opened.request(links.DELROUTE, 0, links.port_route_body(ifindex, block, next_hop))
    for block, next_hop in _on_link_first(wanted - present):
        try:
            opened.request(links.NEWROUTE, _NEW, links.port_route_body(ifindex, block, next_hop, source))
        except KernelRefusedError as refusal:
            if refusal.errno != errno.EEXIST:
                raise
            raise OSError(refusal.errno, f"{block} is routed otherwise already") from refusal


def _on_link_first(routes: Routes) -> Sequence[tuple[str, str]]:
    return sorted(routes, key=lambda route: (bool(route[1]), route))
