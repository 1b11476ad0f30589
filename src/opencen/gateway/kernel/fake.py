"""A kernel in memory: carry out what the program produced, then ask where a packet would go and at what rate.

It refuses what the real one refuses: a class without its parent, a filter to no class, a class that a filter uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_interface, ip_network
from typing import TypeVar

from opencen.gateway import shaping
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import (
    NO_TREE,
    SET_CLASS,
    Counters,
    Front,
    HostNow,
    HtbClass,
    KernelNow,
    Leaf,
    NamespaceNow,
    Port,
    Tree,
    Tunnel,
    TunnelNow,
    WireGuardNow,
)

Key = TypeVar("Key")
Value = TypeVar("Value")
Refuse = Callable[[ops.Operation], str | None]


class _RefusedError(Exception):
    """As the kernel would."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a packet goes: a tunnel with the rate that limits it (None: nothing does), or a port."""

    device: str
    rate_bps: int | None


@dataclass
class FakeKernel:
    """The `Kernel` for tests. `refuse` may give a reason to refuse an operation."""

    interfaces: set[str] = field(default_factory=set)
    bridges: set[str] = field(default_factory=set)
    underlay_mtu: int | None = 1_600
    sources: frozenset[str] | None = None
    at_s: float = 0.0
    refuse: Refuse = lambda operation: None
    namespaces: dict[str, NamespaceNow] = field(default_factory=dict)
    applied: list[ops.Operation] = field(default_factory=list)
    _next_ifindex: int = 100

    def close(self) -> None:
        """Nothing is open."""

    def changed(self) -> set[str] | None:
        """Nobody tells a fake kernel that its dictionaries were changed."""
        return None

    def read(self, namespaces: Sequence[str] | None = None) -> KernelNow:
        there = (
            self.namespaces
            if namespaces is None
            else {n: self.namespaces[n] for n in namespaces if n in self.namespaces}
        )
        host = HostNow(frozenset(self.interfaces), self.underlay_mtu, frozenset(self.bridges), sources=self.sources)
        return KernelNow(host, dict(there), self.at_s)

    def apply(self, operations: Sequence[ops.Operation]) -> ops.Outcome:
        refused: dict[ops.Scope, str] = {}
        trimmed: dict[ops.Scope, int] = {}
        last: dict[tuple[ops.Scope, int], Counters] = {}
        for operation in operations:
            scope = operation.scope
            if scope in refused or ops.Scope(scope.namespace) in refused:
                continue
            try:
                reason = self.refuse(operation)
                if reason:
                    raise _RefusedError(reason)
                self._note_losses(operation, trimmed, last)
                self._apply(operation)
                self.applied.append(operation)
            except _RefusedError as refusal:
                refused[scope] = f"{type(operation).__name__}: {refusal}"
        return ops.Outcome(refused, trimmed, last)

    def answer(self, namespace: str, destination: str) -> Delivery | None:
        """Where a packet that enters the namespace goes; None: it is dropped."""
        there = self.namespaces.get(namespace)
        if there is None or not there.prepared:
            return None
        ip = IPv4Address(destination)
        for name, port in there.ports.items():
            if port.up and any(ip in ip_interface(address).network for address in port.addresses):
                return Delivery(name, None)
        for name, now in there.tunnels.items():
            tunnel = now.tunnel
            leads_on = not isinstance(tunnel.device, Front) or tunnel.path in there.wireguards
            if (
                leads_on
                and tunnel.up
                and tunnel.next_hop_mac
                and any(ip in ip_network(block) for block in tunnel.routes)
            ):
                return Delivery(name, self._passes(tunnel.tree))
        return None

    @staticmethod
    def _passes(tree: Tree) -> int | None:
        if tree.root is None:
            return None
        taken = [
            item.target
            for item in sorted(tree.filters, key=lambda i: i.priority)
            if not any(m.mask for m in item.matches)
        ]
        target = taken[0] if taken else tree.root.default_class
        if target == SET_CLASS:
            return tree.classes[SET_CLASS].ceil_bps
        return shaping.rate_in(tree) if target in tree.classes else 0

    def queue(self, namespace: str, tunnel: str, minor: int, counters: Counters) -> None:
        """Pretend that this passed and waits in a class."""
        there = self.namespaces[namespace]
        now = there.tunnels[tunnel]
        changed = replace(now, counters={**now.counters, minor: counters})
        self.namespaces[namespace] = replace(there, tunnels={**there.tunnels, tunnel: changed})

    def _note_losses(
        self, operation: ops.Operation, trimmed: dict[ops.Scope, int], last: dict[tuple[ops.Scope, int], Counters]
    ) -> None:
        if not isinstance(operation, ops.DeleteClass | ops.PutLeaf):
            return
        scope, minor = operation.scope, operation.minor
        counters = self._tunnel(scope).counters.get(minor, Counters())
        trimmed[scope] = trimmed.get(scope, 0) + counters.queued_packets
        if isinstance(operation, ops.DeleteClass):
            last[scope, minor] = counters

    def _apply(self, operation: ops.Operation) -> None:
        name = operation.scope.namespace
        match operation:
            case ops.SetSources(_, addresses):
                self.sources = addresses
            case ops.CreateNamespace():
                there = self.namespaces.get(name, NamespaceNow(prepared=False))
                self.namespaces[name] = replace(there, prepared=True)
            case ops.DeleteNamespace():
                ports = self._namespace(name).ports
                self.interfaces |= {interface for interface, port in ports.items() if port.outside is None}
                del self.namespaces[name]
            case ops.AttachPort(scope, port):
                self._attach(scope, port)
            case ops.DetachPort(scope):
                there = self._namespace(name)
                if scope.part not in there.ports:
                    raise _RefusedError("No such device")
                if there.ports[scope.part].outside is None:
                    self.interfaces.add(scope.part)
                self.namespaces[name] = replace(there, ports=_without(there.ports, scope.part))
            case ops.CreateTunnel(scope, device):
                if scope.part in self._namespace(name).tunnels:
                    raise _RefusedError("File exists")
                self._next_ifindex += 1
                blank = Tunnel(device, NO_TREE, next_hop_mac=None, routes=frozenset(), up=False)
                self._store(scope, TunnelNow(blank, self._next_ifindex))
            case ops.DeleteTunnel(scope):
                self._tunnel(scope)
                there = self._namespace(name)
                self.namespaces[name] = replace(there, tunnels=_without(there.tunnels, scope.part))
            case _:
                self._apply_to_link(operation)

    def _apply_to_link(self, operation: ops.Operation) -> None:
        there = self._namespace(operation.scope.namespace)
        match operation:
            case ops.CreateWireGuard(scope, device):
                if scope.part in there.wireguards:
                    raise _RefusedError("File exists")
                self._store_wireguard(scope, WireGuardNow(replace(device, up=False), None))
            case ops.DeleteWireGuard(scope):
                self._delete_wireguard(scope)
            case _ if operation.scope.part in there.wireguards:
                self._change_wireguard(operation)
            case _:
                self._change_tunnel(operation)

    def shake_hands(self, namespace: str, device: str, age_s: float | None = 0.0) -> None:
        """Pretend that the peer of a WireGuard device has answered so long ago; None: that it never has."""
        now = self.namespaces[namespace].wireguards[device]
        self._store_wireguard(ops.Scope(namespace, device), replace(now, handshake_age_s=age_s))

    def _store_wireguard(self, scope: ops.Scope, now: WireGuardNow) -> None:
        there = self._namespace(scope.namespace)
        self.namespaces[scope.namespace] = replace(there, wireguards={**there.wireguards, scope.part: now})

    def _delete_wireguard(self, scope: ops.Scope) -> None:
        """Routes into a device go with it."""
        there = self._namespace(scope.namespace)
        if scope.part not in there.wireguards:
            raise _RefusedError("No such device")
        tunnels = {
            name: replace(now, tunnel=replace(now.tunnel, path=None)) if now.tunnel.path == scope.part else now
            for name, now in there.tunnels.items()
        }
        self.namespaces[scope.namespace] = replace(
            there, tunnels=tunnels, wireguards=_without(there.wireguards, scope.part)
        )

    def _change_wireguard(self, operation: ops.Operation) -> None:
        now = self._namespace(operation.scope.namespace).wireguards[operation.scope.part]
        device = now.device
        match operation:
            case ops.SetPresharedKey(_, _, preshared_key):
                device = replace(device, preshared_key=preshared_key)
            case ops.SetPeerEndpoint(_, _, endpoint):
                device = replace(device, endpoint=endpoint)
            case ops.SetMtu(_, mtu):
                device = replace(device, mtu=mtu)
            case ops.SetUp():
                device = replace(device, up=True)
        self._store_wireguard(operation.scope, replace(now, device=device))

    def _attach(self, scope: ops.Scope, port: Port) -> None:
        there = self._namespace(scope.namespace)
        if port.outside is None:
            if scope.part not in there.ports and scope.part not in self.interfaces:
                raise _RefusedError("No such device")
            self.interfaces.discard(scope.part)
        self.namespaces[scope.namespace] = replace(there, ports={**there.ports, scope.part: port})

    def _change_tunnel(self, operation: ops.Operation) -> None:
        now = self._tunnel(operation.scope)
        tunnel = now.tunnel
        counters = dict(now.counters)
        match operation:
            case ops.SetMtu(_, mtu):
                tunnel = replace(tunnel, device=replace(tunnel.device, mtu=mtu))
            case ops.SetUp():
                tunnel = replace(tunnel, up=True)
            case ops.SetDown():
                tunnel = replace(tunnel, up=False, routes=frozenset(), next_hop_mac=None)
            case ops.SetPath(scope, wireguard, _):
                if wireguard not in self._namespace(scope.namespace).wireguards:
                    raise _RefusedError("No such device")
                tunnel = replace(tunnel, path=wireguard)
            case ops.SetNextHop(_, mac):
                tunnel = replace(tunnel, next_hop_mac=mac)
            case ops.AddRoute(_, cidr_block):
                if not tunnel.up:
                    raise _RefusedError("Network is down")
                tunnel = replace(tunnel, routes=tunnel.routes | {cidr_block})
            case ops.DeleteRoute(_, cidr_block):
                if cidr_block not in tunnel.routes:
                    raise _RefusedError("No such process")
                tunnel = replace(tunnel, routes=tunnel.routes - {cidr_block})
            case _:
                tunnel = replace(tunnel, tree=_changed(tunnel.tree, operation, counters))
        self._store(operation.scope, replace(now, tunnel=tunnel, counters=counters))

    def _namespace(self, name: str) -> NamespaceNow:
        if name not in self.namespaces:
            raise _RefusedError("No such namespace")
        return self.namespaces[name]

    def _tunnel(self, scope: ops.Scope) -> TunnelNow:
        tunnels = self._namespace(scope.namespace).tunnels
        if scope.part not in tunnels:
            raise _RefusedError("No such device")
        return tunnels[scope.part]

    def _store(self, scope: ops.Scope, now: TunnelNow) -> None:
        there = self._namespace(scope.namespace)
        self.namespaces[scope.namespace] = replace(there, tunnels={**there.tunnels, scope.part: now})


def _without(mapping: Mapping[Key, Value], key: Key) -> dict[Key, Value]:
    return {name: value for name, value in mapping.items() if name != key}


def _changed(tree: Tree, operation: ops.Operation, counters: dict[int, Counters]) -> Tree:
    """The tree after an operation on it. Counters of what it empties are emptied."""
    match operation:
        case ops.PutRoot(_, root):
            if tree.root is not None:
                raise _RefusedError("Operation not supported")
            counters.clear()
            return Tree(root)
        case ops.DeleteRoot():
            _need(tree.root is not None, "No such file or directory")
            counters.clear()
            return NO_TREE
        case ops.AddFilter(_, item):
            _need(item.target in tree.classes, "no such class")
            return replace(tree, filters=tree.filters | {item})
        case ops.DeleteFilters(_, priority, protocol):
            kept = {item for item in tree.filters if (item.priority, item.protocol) != (priority, protocol)}
            _need(len(kept) < len(tree.filters), "No such filter")
            return replace(tree, filters=frozenset(kept))
    return replace(
        tree,
        leaves=_changed_leaves(tree, operation, counters),
        classes=_changed_classes(tree, operation, counters),
    )


def _changed_leaves(tree: Tree, operation: ops.Operation, counters: dict[int, Counters]) -> dict[int, Leaf]:
    leaves = dict(tree.leaves)
    match operation:
        case ops.PutLeaf(_, minor, leaf):
            _need(minor in tree.classes, "no such class")
            old = leaves.get(minor)
            _need(old is None or old.handle != leaf.handle, "the queue would only be changed")
            counters[minor] = replace(counters.get(minor, Counters()), queued_packets=0, queued_bytes=0)
            leaves[minor] = leaf
        case ops.ChangeLeaf(_, minor, leaf):
            old = leaves.get(minor)
            _need(old is not None and (old.handle, old.kind) == (leaf.handle, leaf.kind), "Qdisc not found")
            leaves[minor] = leaf
        case ops.DeleteClass(_, minor):
            leaves.pop(minor, None)
    return leaves


def _changed_classes(tree: Tree, operation: ops.Operation, counters: dict[int, Counters]) -> dict[int, HtbClass]:
    classes = dict(tree.classes)
    match operation:
        case ops.AddClass(_, minor, htb):
            _need(tree.root is not None, "Failed to find specified qdisc")
            _need(minor not in classes, "File exists")
            _need(htb.parent == 0 or htb.parent in classes, "parent not found")
            classes[minor] = htb
        case ops.ChangeClass(_, minor, htb):
            _need(minor in classes and classes[minor].parent == htb.parent, "no such class")
            classes[minor] = htb
        case ops.DeleteClass(_, minor):
            _need(minor in classes, "No such file or directory")
            used = any(item.target == minor for item in tree.filters) or any(
                c.parent == minor for c in classes.values()
            )
            _need(not used, "Device or resource busy")
            del classes[minor]
            counters.pop(minor, None)
    return classes


def _need(condition: bool, refusal: str) -> None:
    if not condition:
        raise _RefusedError(refusal)
