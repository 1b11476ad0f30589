"""The real kernel: reads and changes it through routing sockets kept open in each namespace."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from opencen.gateway.kernel import links, namespaces, ports, queues, wireguard
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.messages import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    KernelRefusedError,
    NetlinkSocket,
)
from opencen.gateway.kernel.model import (
    NO_TREE,
    Counters,
    Device,
    Front,
    HostNow,
    KernelNow,
    NamespaceNow,
    Tree,
    Tunnel,
    TunnelNow,
    WireGuard,
)
from opencen.gateway.kernel.sources import SourceCheck
from opencen.gateway.kernel.watch import Watch

_NEWLINK, _DELLINK, _GETLINK = links.NEWLINK, links.DELLINK, links.GETLINK
_GETADDR = links.GETADDR
_NEWROUTE, _DELROUTE, _GETROUTE = links.NEWROUTE, links.DELROUTE, links.GETROUTE
_NEWNEIGH, _GETNEIGH = 28, 30
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34
_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWTCLASS, _DELTCLASS, _GETTCLASS = 40, 41, 42
_NEWTFILTER, _DELTFILTER, _GETTFILTER = 44, 45, 46
_NEW: Final = NLM_F_CREATE | NLM_F_EXCL
_PUT: Final = NLM_F_CREATE | NLM_F_REPLACE


@dataclass
class _Rows:
    """One namespace's dumps, by interface."""

    links: list[links.LinkRow]
    addresses: dict[int, set[str]] = field(default_factory=dict)
    next_hops: dict[int, str] = field(default_factory=dict)
    routes: dict[int, set[str]] = field(default_factory=dict)
    port_routes: dict[int, ports.Routes] = field(default_factory=dict)
    paths: dict[int, int] = field(default_factory=dict)
    rules: dict[str, set[int]] = field(default_factory=dict)
    queues: dict[int, list[tuple[int, int, dict[int, bytes]]]] = field(default_factory=dict)


_WIREGUARD_NAME: Final = re.compile(r"wg[0-9a-f]{12}")


def _is_front(row: links.LinkRow) -> bool:
    return row.kind == "veth" and row.name.startswith("to-")


def _is_tunnel(row: links.LinkRow) -> bool:
    return row.device is not None or _is_front(row)


def _is_wireguard(row: links.LinkRow) -> bool:
    return row.kind in ("wireguard", "tun") and _WIREGUARD_NAME.fullmatch(row.name) is not None


def _is_ours(row: links.LinkRow) -> bool:
    """Whether the gateway made it: a tunnel, an end of a front, a WireGuard device."""
    return row.device is not None or (row.kind == "veth" and row.name.startswith(("to-", "by-"))) or _is_wireguard(row)


def _inner(row: links.LinkRow, rows: _Rows) -> links.LinkRow | None:
    """The other end of a front's veth pair, if it is up."""
    name = links.inner_name(row.name)
    return next((other for other in rows.links if other.name == name and other.up), None)


def _front(row: links.LinkRow, rows: _Rows) -> Front:
    """`table` is 0 unless both rules are there: then nothing of the pair can be relied on, and it is made anew."""
    name = links.inner_name(row.name)
    tables = rows.rules.get(name, set())
    inner_mac = next((other.mac for other in rows.links if other.name == name), "")
    complete = len(tables) == 2 and 0 in tables
    return Front(max(tables) if complete else 0, row.mac, inner_mac, row.mtu)


@dataclass(frozen=True)
class _Opened:
    """What stays open in a namespace: `inode` tells it from another one of the same name."""

    inode: int
    inside: ports.Inside

    def close(self) -> None:
        self.inside.routing.close()
        self.inside.control.close()


@dataclass
class _Progress:
    """An application under way."""

    refused: dict[ops.Scope, str] = field(default_factory=dict)
    trimmed_packets: dict[ops.Scope, int] = field(default_factory=dict)
    last_counters: dict[tuple[ops.Scope, int], Counters] = field(default_factory=dict)
    ifindexes: dict[ops.Scope, int] = field(default_factory=dict)


def _no_private_key(public_key: str) -> str:
    raise OSError(f"the private key of {public_key} is not here")


class NetlinkKernel:
    """The `Kernel` of this machine, seen from the network namespace that holds the underlay.

    `prefix` begins the names of this gateway's namespaces; `endpoint` is its underlay address; `underlay` names the
    namespace with that address, None being the one that the process runs in. `private_key` finds the private key of a
    public one, and raises OSError. Not for use by two threads at once.
    """

    def __init__(
        self,
        prefix: str,
        endpoint: str,
        underlay: str | None = None,
        private_key: Callable[[str], str] = _no_private_key,
    ) -> None:
        self._prefix = prefix
        self._endpoint = endpoint
        self._private_key = private_key
        self._underlay = namespaces.path_of(underlay) if underlay else namespaces.OWN
        self._host = NetlinkSocket(self._underlay if underlay else None)
        self._outside = ports.Host(self._underlay, self._host, namespaces.control_socket(self._underlay))
        self._watch = Watch(self._host, self._underlay)
        self._changed: set[str] = set()
        self._all_changed = False
        self._opened: dict[str, _Opened] = {}
        self._looked_at: set[str] = set()
        self._source_check = SourceCheck(prefix, endpoint, self._underlay if underlay else None)
        self._sources: frozenset[str] | None = None

    def forget_sources(self) -> None:
        """Take tunnelled packets from anywhere again: the gateway leaves this host. Raises OSError."""
        if self._source_check.read() is not None:
            self._source_check.remove()

    def close(self) -> None:
        self._host.close()
        self._outside.control.close()
        self._watch.close()
        for opened in self._opened.values():
            opened.close()
        self._opened.clear()

    def _open(self, namespace: str) -> _Opened:
        """What is open in a namespace. Whether it is still the same one is looked at once a reading or application."""
        known = self._opened.get(namespace)
        if known and namespace in self._looked_at:
            return known
        # a namespace made anew under the same name has another inode; the old socket would keep the old one alive
        path = namespaces.path_of(namespace)
        inode = path.stat().st_ino
        self._looked_at.add(namespace)
        if known and known.inode == inode:
            return known
        self._forget(namespace)
        opened = _Opened(inode, ports.Inside(path, NetlinkSocket(path), namespaces.control_socket(path)))
        self._opened[namespace] = opened
        self._watch.add(namespace, path)
        return opened

    def _socket(self, namespace: str) -> NetlinkSocket:
        return self._open(namespace).inside.routing

    def _forget(self, namespace: str) -> None:
        known = self._opened.pop(namespace, None)
        if known:
            known.close()

    # reading

    def changed(self) -> set[str] | None:
        self._take_in_changes()
        gone = self._opened.keys() - set(namespaces.those_of(list(self._opened)))
        return None if self._all_changed else self._changed | gone

    def _take_in_changes(self) -> None:
        own_ports = {self._host.port, *(opened.inside.routing.port for opened in self._opened.values())}
        changed, lost = self._watch.drain(own_ports)
        self._changed |= changed
        self._all_changed = self._all_changed or lost

    def read(self, names: Sequence[str] | None = None) -> KernelNow:
        self._looked_at.clear()
        there = namespaces.names(self._prefix) if names is None else namespaces.those_of(names)
        if names is None:
            self._sources = self._source_check.read()  # 10 ms: a change of some instances relies on what it last was
        self._take_in_changes()
        self._changed -= set(there)
        self._all_changed = self._all_changed and names is not None
        rows = self._outside.rows()
        found = {name: self._read_namespace(name, rows) for name in there}
        return KernelNow(self._read_host(rows), found, time.time())

    def _read_host(self, there: ports.HostRows) -> HostNow:
        rows = there.links.values()
        owners = {
            ifindex
            for ifindex, address in map(links.address_of, self._host.dump(_GETADDR, links.address_dump_body(family=0)))
            if address.split("/")[0] == self._endpoint
        }
        mtus = [row.mtu for row in rows if row.ifindex in owners]
        return HostNow(
            interfaces=frozenset(row.name for row in rows),
            underlay_mtu=min(mtus, default=None),
            bridges=frozenset(row.name for row in rows if row.kind == "bridge"),
            underlay_interfaces=frozenset(row.name for row in rows if row.ifindex in owners),
            sources=self._sources,
        )

    def _read_namespace(self, name: str, there: ports.HostRows) -> NamespaceNow:
        inside = self._open(name).inside
        opened = inside.routing
        rows = self._read_rows(opened)
        loopback_up = any(row.name == "lo" and row.up for row in rows.links)
        others = [row for row in rows.links if row.name != "lo" and not _is_ours(row)]
        return NamespaceNow(
            prepared=loopback_up and namespaces.is_prepared(name),
            tunnels={
                row.name: self._read_tunnel(opened, row, rows) for row in rows.links if row.device or _is_front(row)
            },
            ports={
                row.name: self._outside.port(
                    inside,
                    row,
                    frozenset(rows.addresses.get(row.ifindex, ())),
                    rows.port_routes.get(row.ifindex, frozenset()),
                    there,
                )
                for row in others
            },
            wireguards={
                row.name: wireguard.read(row.name, namespaces.path_of(name), row.mtu, up=row.up, at_s=time.time())
                for row in rows.links
                if _is_wireguard(row)
            },
        )

    def _read_rows(self, opened: NetlinkSocket) -> _Rows:
        rows = _Rows([links.link_of(message) for message in opened.dump(_GETLINK, links.link_dump_body())])
        for ifindex, address in map(links.address_of, opened.dump(_GETADDR, links.address_dump_body())):
            rows.addresses.setdefault(ifindex, set()).add(address)
        for hop in map(links.next_hop_of, opened.dump(_GETNEIGH, links.neighbour_dump_body())):
            if hop:
                rows.next_hops[hop[0]] = hop[1]
        messages = opened.dump(_GETROUTE, links.route_dump_body())
        rows.port_routes = ports.routes_of(messages)
        for message in messages:
            route, path = links.route_of(message), links.path_of(message)
            if route:
                rows.routes.setdefault(route[0], set()).add(route[1])
            elif path:
                rows.paths[path[0]] = path[1]
        if any(_is_front(row) for row in rows.links):
            for interface, table in map(links.rule_of, opened.dump(_GETRULE, links.rule_dump_body())):
                rows.rules.setdefault(interface, set()).add(table)
        for message in opened.dump(_GETQDISC, queues.tc_body(0)):
            ifindex, handle, parent, _ = queues.tc_header(message)
            rows.queues.setdefault(ifindex, []).append((handle, parent, queues.tc_attributes(message)))
        return rows

    def _read_tunnel(self, opened: NetlinkSocket, row: links.LinkRow, rows: _Rows) -> TunnelNow:
        tree, counters = self._read_tree(opened, row.ifindex, rows.queues.get(row.ifindex, []))
        device = row.device or _front(row, rows)
        path = rows.paths.get(device.table) if isinstance(device, Front) else None
        tunnel = Tunnel(
            device=device,
            tree=tree,
            next_hop_mac=rows.next_hops.get(row.ifindex),
            routes=frozenset(rows.routes.get(row.ifindex, ())),
            up=row.up and (row.device is not None or _inner(row, rows) is not None),
            path=next((other.name for other in rows.links if other.ifindex == path), None),
        )
        return TunnelNow(tunnel, row.ifindex, counters)

    def _read_tree(
        self, opened: NetlinkSocket, ifindex: int, rows: list[tuple[int, int, dict[int, bytes]]]
    ) -> tuple[Tree, dict[int, Counters]]:
        roots = [
            found
            for handle, parent, found in rows
            if parent == queues.TC_H_ROOT and handle == queues.ROOT_HANDLE and queues.kind_of(found) == "htb"
        ]
        if not roots:
            return NO_TREE, {}
        leaves = {
            parent & 0xFFFF: queues.leaf_of(handle, found)
            for handle, parent, found in rows
            if parent != queues.TC_H_ROOT and parent >> 16 == queues.ROOT_HANDLE >> 16
        }
        classes, counters = {}, {}
        for message in opened.dump(_GETTCLASS, queues.tc_body(ifindex)):
            _, handle, parent, _ = queues.tc_header(message)
            found = queues.tc_attributes(message)
            classes[handle & 0xFFFF] = queues.class_of(parent, found)
            counters[handle & 0xFFFF] = queues.counters_of(found)
        filters = set()
        for message in opened.dump(_GETTFILTER, queues.tc_body(ifindex, parent=queues.ROOT_HANDLE)):
            item = queues.filter_of(queues.tc_header(message)[3], queues.tc_attributes(message))
            if item:
                filters.add(item)
        return Tree(queues.root_of(roots[0]), classes, leaves, frozenset(filters)), counters

    # changing

    def apply(self, operations: Sequence[ops.Operation]) -> ops.Outcome:
        progress = _Progress()
        self._looked_at.clear()
        for operation in operations:
            scope = operation.scope
            if scope in progress.refused or ops.Scope(scope.namespace) in progress.refused:
                continue
            try:
                self._apply(operation, progress)
            except (OSError, TimeoutError) as refusal:
                reason = refusal.strerror or str(refusal)
                progress.refused[scope] = f"{type(operation).__name__}: {reason}"
        return ops.Outcome(progress.refused, progress.trimmed_packets, progress.last_counters)

    def _apply(self, operation: ops.Operation, progress: _Progress) -> None:
        match operation:
            case ops.SetSources(_, addresses):
                self._source_check.write(addresses)
                self._sources = self._source_check.read()
            case ops.CreateNamespace(scope):
                self._create_namespace(scope.namespace)
            case ops.DeleteNamespace(scope):
                self._delete_namespace(scope.namespace)
            case ops.AttachPort(scope, port):
                self._outside.attach(self._open(scope.namespace).inside, scope.part, port)
            case ops.DetachPort(scope):
                inside = self._open(scope.namespace).inside
                row = inside.row(scope.part)
                if row is not None:
                    self._outside.give_back(inside, row)
            case ops.CreateTunnel(scope, Front() as front):
                self._create_front(scope, front)
            case ops.CreateTunnel(scope, Device() as device):
                with namespaces.path_of(scope.namespace).open("rb") as target:
                    self._host.request(_NEWLINK, _NEW, links.vxlan_body(scope.part, device, target.fileno()))
                namespaces.stop_gluing(self._open(scope.namespace).inside.control, scope.part)
            case ops.CreateWireGuard(scope, device):
                self._create_wireguard(scope, device)
            case ops.DeleteTunnel(scope) | ops.DeleteWireGuard(scope):
                ifindex = self._ifindex(scope, progress)
                self._socket(scope.namespace).request(_DELLINK, 0, links.link_delete_body(ifindex))
                del progress.ifindexes[scope]
                self._drop_rules(scope)
            case _:
                ifindex = self._ifindex(operation.scope, progress)
                self._apply_to_device(operation, ifindex)
                self._apply_to_queues(operation, ifindex, progress)

    def _apply_to_device(self, operation: ops.Operation, ifindex: int) -> None:
        request = self._socket(operation.scope.namespace).request
        match operation:
            case ops.SetMtu(scope, mtu):
                for index in [*self._inner_ifindexes(scope), ifindex]:
                    request(_NEWLINK, 0, links.link_mtu_body(index, mtu))
            case ops.SetUp(scope):
                for index in [*self._inner_ifindexes(scope), ifindex]:
                    request(_NEWLINK, 0, links.link_up_body(index))
            case ops.SetDown():
                request(_NEWLINK, 0, links.link_down_body(ifindex))
            case ops.SetPath(scope, device, table):
                found = self._socket(scope.namespace).get(_GETLINK, links.link_by_name_body(device))
                request(_NEWROUTE, _PUT, links.path_body(table, links.link_of(found).ifindex))
            case ops.SetPresharedKey(scope, peer_public_key, preshared_key):
                path = namespaces.path_of(scope.namespace)
                wireguard.set_preshared_key(scope.part, path, peer_public_key, preshared_key)
            case ops.SetPeerEndpoint(scope, peer_public_key, endpoint):
                path = namespaces.path_of(scope.namespace)
                wireguard.set_endpoint(scope.part, path, peer_public_key, endpoint)
            case ops.SetNextHop(_, mac):
                request(_NEWNEIGH, _PUT, links.next_hop_body(ifindex, mac))
            case ops.AddRoute(_, cidr_block):
                request(_NEWROUTE, _PUT, links.route_body(ifindex, cidr_block))
            case ops.DeleteRoute(_, cidr_block):
                request(_DELROUTE, 0, links.route_body(ifindex, cidr_block))

    def _apply_to_queues(self, operation: ops.Operation, ifindex: int, progress: _Progress) -> None:
        request = self._socket(operation.scope.namespace).request
        match operation:
            case ops.PutRoot(_, root):
                request(_NEWQDISC, _PUT, queues.root_body(ifindex, root))
            case ops.DeleteRoot():
                request(_DELQDISC, 0, queues.tc_body(ifindex, queues.ROOT_HANDLE, queues.TC_H_ROOT))
            case ops.AddClass(_, minor, htb):
                request(_NEWTCLASS, _NEW, queues.class_body(ifindex, minor, htb))
            case ops.ChangeClass(_, minor, htb):
                request(_NEWTCLASS, 0, queues.class_body(ifindex, minor, htb))
            case ops.DeleteClass(scope, minor):
                last = self._count_trimmed(scope, minor, ifindex, progress)
                request(_DELTCLASS, 0, queues.tc_body(ifindex, queues.class_id(minor)))
                progress.last_counters[scope, minor] = last
            case ops.PutLeaf(scope, minor, leaf):
                self._count_trimmed(scope, minor, ifindex, progress)
                request(_NEWQDISC, _PUT, queues.leaf_body(ifindex, minor, leaf))
            case ops.ChangeLeaf(_, minor, leaf):
                request(_NEWQDISC, 0, queues.leaf_body(ifindex, minor, leaf))
            case ops.AddFilter(_, item):
                request(_NEWTFILTER, _NEW, queues.filter_body(ifindex, item))
            case ops.DeleteFilters(_, priority, protocol):
                info = queues.filter_info(priority, protocol)
                request(_DELTFILTER, 0, queues.tc_body(ifindex, 0, queues.ROOT_HANDLE, info))

    def _ifindex(self, scope: ops.Scope, progress: _Progress) -> int:
        if scope not in progress.ifindexes:
            found = self._socket(scope.namespace).get(_GETLINK, links.link_by_name_body(scope.part))
            progress.ifindexes[scope] = links.link_of(found).ifindex
        return progress.ifindexes[scope]

    def _count_trimmed(self, scope: ops.Scope, minor: int, ifindex: int, progress: _Progress) -> Counters:
        """What a class holds at the last moment before it is emptied; the kernel does not tell afterwards."""
        message = self._socket(scope.namespace).get(_GETTCLASS, queues.tc_body(ifindex, queues.class_id(minor)))
        last = queues.counters_of(queues.tc_attributes(message))
        progress.trimmed_packets[scope] = progress.trimmed_packets.get(scope, 0) + last.queued_packets
        return last

    def _inner_ifindexes(self, scope: ops.Scope) -> list[int]:
        """The other end of a front's veth pair; nothing for other devices."""
        if not scope.part.startswith("to-"):
            return []
        try:
            message = self._socket(scope.namespace).get(_GETLINK, links.link_by_name_body(links.inner_name(scope.part)))
        except KernelRefusedError as refusal:
            if refusal.errno != errno.ENODEV:
                raise
            return []
        return [links.link_of(message).ifindex]

    def _create_front(self, scope: ops.Scope, front: Front) -> None:
        """Rules first, then their devices: nothing that comes out of the pair ever meets the routes into it."""
        opened = self._socket(scope.namespace)
        inner = links.inner_name(scope.part)
        self._drop_rules(scope)
        for body in links.rule_bodies(inner, front.table):
            opened.request(_NEWRULE, _NEW, body)
        opened.request(_NEWLINK, _NEW, links.front_body(scope.part, front))
        for name in (scope.part, inner):
            namespaces.stop_gluing(self._open(scope.namespace).inside.control, name)

    def _drop_rules(self, scope: ops.Scope) -> None:
        opened = self._socket(scope.namespace)
        inner = links.inner_name(scope.part)
        for message in opened.dump(_GETRULE, links.rule_dump_body()):
            if links.rule_of(message)[0] == inner:
                opened.request(_DELRULE, 0, message)

    def _create_wireguard(self, scope: ops.Scope, device: WireGuard) -> None:
        """With the kernel's own WireGuard, or, where there is none, with a process."""
        private_key = self._private_key(device.public_key)
        path = namespaces.path_of(scope.namespace)
        with path.open("rb") as target:
            try:
                self._host.request(_NEWLINK, _NEW, links.wireguard_body(scope.part, target.fileno()))
            except KernelRefusedError as refusal:
                if refusal.errno != errno.EOPNOTSUPP:
                    raise
                wireguard.start_userspace(scope.part, self._underlay)
                row = links.link_of(self._host.get(_GETLINK, links.link_by_name_body(scope.part)))
                self._host.request(_NEWLINK, 0, links.link_move_body(row.ifindex, target.fileno()))
        wireguard.configure(scope.part, path, device, private_key)
        opened = self._socket(scope.namespace)
        row = links.link_of(opened.get(_GETLINK, links.link_by_name_body(scope.part)))
        opened.request(_NEWLINK, 0, links.wireguard_settings_body(row.ifindex, device.mtu))

    def _create_namespace(self, name: str) -> None:
        namespaces.create(name)
        namespaces.prepare(name)
        opened = self._socket(name)
        loopback = links.link_of(opened.get(_GETLINK, links.link_by_name_body("lo")))
        opened.request(_NEWLINK, 0, links.link_up_body(loopback.ifindex))

    def _delete_namespace(self, name: str) -> None:
        inside = self._open(name).inside
        opened = inside.routing
        for row in map(links.link_of, opened.dump(_GETLINK, links.link_dump_body())):
            if _is_tunnel(row) or _is_wireguard(row):
                opened.request(_DELLINK, 0, links.link_delete_body(row.ifindex))
            elif row.name != "lo" and not _is_ours(row):
                self._give_back_if_movable(inside, row)
        self._forget(name)
        namespaces.remove(name)

    def _give_back_if_movable(self, inside: ports.Inside, row: links.LinkRow) -> None:
        # devices that every namespace gets of its own (tunl0, sit0) refuse to move with EINVAL
        try:
            self._outside.give_back(inside, row)
        except KernelRefusedError as refusal:
            if refusal.errno != errno.EINVAL:
                raise
