"""From what the kernel has to what is wanted, as an ordered list of operations. Pure.

The order keeps the limit at every step: what goes away and what shrinks comes first, what grows comes last; a tunnel
is set up only when its queues are complete; a set rate's filter is added after its class and removed before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opencen.gateway import shaping
from opencen.gateway.encryption import shakes_hands
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import (
    NO_TREE,
    PING_CLASS,
    REST_CLASS,
    SET_CLASS,
    Counters,
    Filter,
    Front,
    KernelNow,
    Leaf,
    NamespaceNow,
    Tree,
    Tunnel,
    TunnelNow,
    Wanted,
    WantedNamespace,
    WireGuard,
    WireGuardNow,
)
from opencen.wire.gateway import TEST_RATE_BPS

_NOTHING = NamespaceNow(prepared=False)


def diff(now: KernelNow, wanted: Wanted) -> list[ops.Operation]:
    """The operations that make `now` what is wanted; none when it is."""
    removals: list[ops.Operation] = [
        ops.DeleteNamespace(ops.Scope(name)) for name in now.namespaces if name not in wanted
    ]
    preparations: list[ops.Operation] = []
    shrinks: list[ops.Operation] = []
    paths: list[ops.Operation] = []
    grows: list[ops.Operation] = []
    retirements: list[ops.Operation] = []
    for name, namespace in wanted.items():
        before = now.namespaces.get(name, _NOTHING)
        if not before.prepared:
            preparations.append(ops.CreateNamespace(ops.Scope(name)))
        removals += _remove_extra(name, before, namespace)
        preparations += _attach_ports(name, before, namespace)
        preparations += _prepare_wireguards(name, before, namespace)
        retirements += [
            ops.DeleteWireGuard(ops.Scope(name, device))
            for device in before.wireguards
            if device not in namespace.wireguards
        ]
        for tunnel_name, tunnel in namespace.tunnels.items():
            scope = ops.Scope(name, tunnel_name)
            there = before.tunnels.get(tunnel_name)
            if there is not None and _is_another(there, tunnel):
                removals.append(ops.DeleteTunnel(scope))
                there = None
            elif there is not None:
                paths += _path(scope, there, tunnel, before, namespace)
            (grows if _grows(there, tunnel) else shrinks).extend(_tunnel(scope, there, tunnel))
    return [*removals, *shrinks, *preparations, *paths, *grows, *retirements]


def diff_sources(now: frozenset[str] | None, wanted: frozenset[str] | None) -> list[ops.Operation]:
    """From whom tunnelled packets are taken; `wanted` None: this host cannot tell them apart."""
    return [] if wanted is None or now == wanted else [ops.SetSources(ops.HOST, wanted)]


def _remove_extra(name: str, before: NamespaceNow, wanted: WantedNamespace) -> list[ops.Operation]:
    tunnels: list[ops.Operation] = [
        ops.DeleteTunnel(ops.Scope(name, tunnel)) for tunnel in before.tunnels if tunnel not in wanted.tunnels
    ]
    # what every namespace has of its own, such as tunl0, is down and has no address: nobody attached it
    return tunnels + [
        ops.DetachPort(ops.Scope(name, interface))
        for interface, port in before.ports.items()
        if interface not in wanted.ports and (port.up or port.addresses or port.outside)
    ]


def _attach_ports(name: str, before: NamespaceNow, wanted: WantedNamespace) -> list[ops.Operation]:
    return [
        ops.AttachPort(ops.Scope(name, interface), port)
        for interface, port in wanted.ports.items()
        if before.ports.get(interface) != port
    ]


def _is_another(there: TunnelNow, wanted: Tunnel) -> bool:
    """Whether the device must be made anew: of all that it is, only its MTU can change."""
    before = there.tunnel.device
    return type(before) is not type(wanted.device) or replace(before, mtu=wanted.device.mtu) != wanted.device


def _is_same_end(there: WireGuard, wanted: WireGuard) -> bool:
    def identity(device: WireGuard) -> tuple[str, int, str]:
        return device.public_key, device.port, device.peer_public_key

    return identity(there) == identity(wanted)


def _prepare_wireguards(name: str, before: NamespaceNow, wanted: WantedNamespace) -> list[ops.Operation]:
    changes: list[ops.Operation] = []
    for device_name, device in wanted.wireguards.items():
        scope = ops.Scope(name, device_name)
        there = before.wireguards.get(device_name)
        if there is None or not _is_same_end(there.device, device):
            if there is not None:
                changes.append(ops.DeleteWireGuard(scope))
            changes += [ops.CreateWireGuard(scope, device), ops.SetUp(scope)]
        else:
            changes += _change_wireguard(scope, there, device)
    return changes


def _change_wireguard(scope: ops.Scope, there: WireGuardNow, wanted: WireGuard) -> list[ops.Operation]:
    changes: list[ops.Operation] = []
    if there.device.preshared_key != wanted.preshared_key:
        changes.append(ops.SetPresharedKey(scope, wanted.peer_public_key, wanted.preshared_key))
    if wanted.endpoint is not None and _must_be_called_elsewhere(there, wanted.endpoint):
        changes.append(ops.SetPeerEndpoint(scope, wanted.peer_public_key, wanted.endpoint))
    if there.device.mtu != wanted.mtu:
        changes.append(ops.SetMtu(scope, wanted.mtu))
    if not there.device.up:
        changes.append(ops.SetUp(scope))
    return changes


def _must_be_called_elsewhere(there: WireGuardNow, endpoint: str) -> bool:
    """What WireGuard has learnt from a peer that answers stays: it may be behind NAT, or on its way."""
    if there.device.endpoint is None:
        return True
    return there.device.endpoint != endpoint and not shakes_hands(there)


def _path(
    scope: ops.Scope, there: TunnelNow, wanted: Tunnel, before: NamespaceNow, namespace: WantedNamespace
) -> list[ops.Operation]:
    """Lead a front into another WireGuard device, or into one that is made anew under its name."""
    if wanted.path is None or not isinstance(wanted.device, Front):
        return []
    device_there, device = before.wireguards.get(wanted.path), namespace.wireguards[wanted.path]
    made_anew = device_there is None or not _is_same_end(device_there.device, device)
    if there.tunnel.path == wanted.path and not made_anew:
        return []
    return [ops.SetPath(scope, wanted.path, wanted.device.table)]


def _grows(there: TunnelNow | None, wanted: Tunnel) -> bool:
    if there is None or not there.tunnel.up:
        return True
    before, after = shaping.rate_in(there.tunnel.tree), shaping.rate_in(wanted.tree)
    return before is not None and after is not None and after > before


def _tunnel(scope: ops.Scope, there: TunnelNow | None, wanted: Tunnel) -> list[ops.Operation]:
    if there is None:
        return _build(scope, wanted)
    tunnel = there.tunnel
    changes: list[ops.Operation] = []
    if tunnel.up and not wanted.up:
        changes.append(ops.SetDown(scope))
        tunnel = replace(tunnel, up=False, routes=frozenset(), next_hop_mac=None)
    if tunnel.device.mtu != wanted.device.mtu:
        changes.append(ops.SetMtu(scope, wanted.device.mtu))
    changes += _tree(scope, tunnel.tree, wanted.tree, there.counters)
    return changes + _reach(scope, tunnel, wanted)


def _build(scope: ops.Scope, wanted: Tunnel) -> list[ops.Operation]:
    blank = replace(wanted, tree=NO_TREE, next_hop_mac=None, routes=frozenset(), up=False)
    path: list[ops.Operation] = []
    if wanted.path is not None and isinstance(wanted.device, Front):
        path.append(ops.SetPath(scope, wanted.path, wanted.device.table))
    return [
        ops.CreateTunnel(scope, wanted.device),
        *path,
        *_tree(scope, blank.tree, wanted.tree, {}),
        *_reach(scope, blank, wanted),
    ]


def _reach(scope: ops.Scope, tunnel: Tunnel, wanted: Tunnel) -> list[ops.Operation]:
    """Neighbour, link state and routes: after the queues, so that nothing passes before they are complete."""
    changes: list[ops.Operation] = []
    if wanted.next_hop_mac and tunnel.next_hop_mac != wanted.next_hop_mac:
        changes.append(ops.SetNextHop(scope, wanted.next_hop_mac))
    if not wanted.up:
        return changes
    if not tunnel.up:
        changes.append(ops.SetUp(scope))
    changes += [ops.DeleteRoute(scope, block) for block in sorted(tunnel.routes - wanted.routes)]
    return changes + [ops.AddRoute(scope, block) for block in sorted(wanted.routes - tunnel.routes)]


def _tree(scope: ops.Scope, before: Tree, wanted: Tree, counters: Mapping[int, Counters]) -> list[ops.Operation]:
    changes: list[ops.Operation] = []
    if before.root != wanted.root and wanted.root:
        if before.root is not None:
            changes.append(ops.DeleteRoot(scope))
        changes.append(ops.PutRoot(scope, wanted.root))
        before = Tree(wanted.root)
        counters = {}
    if _misplaced(before, wanted):
        changes += [ops.DeleteRoot(scope), ops.PutRoot(scope, wanted.root or shaping.ROOT)]
        before = Tree(wanted.root)
    was_set, becomes_set = SET_CLASS in before.classes, SET_CLASS in wanted.classes
    if was_set and shaping.rate_in(before) == TEST_RATE_BPS:
        # left by an interruption, or without its filter: nothing passes in it, and its token debt may be old
        changes += _remove_filters(scope, before, only_to=SET_CLASS)
        changes.append(ops.DeleteClass(scope, SET_CLASS))
        before = _without_set(before)
        was_set = False
    if was_set and not becomes_set:
        changes += _fresh_test_leaves(scope, before, wanted)
    changes += _remove_wrong_filters(scope, before, wanted)
    changes += [
        ops.DeleteClass(scope, minor) for minor in sorted(before.classes, reverse=True) if minor not in wanted.classes
    ]
    changes += _classes(scope, before, wanted, counters)
    changes += [ops.AddFilter(scope, item) for item in _missing_filters(before, wanted)]
    if becomes_set and not was_set and before.leaves:
        changes += _fresh_test_leaves(scope, before, wanted)
    return changes


def _misplaced(before: Tree, wanted: Tree) -> bool:
    return any(
        minor in wanted.classes and htb.parent != wanted.classes[minor].parent for minor, htb in before.classes.items()
    )


def _without_set(tree: Tree) -> Tree:
    return Tree(
        tree.root,
        {minor: htb for minor, htb in tree.classes.items() if minor != SET_CLASS},
        {minor: leaf for minor, leaf in tree.leaves.items() if minor != SET_CLASS},
        frozenset(item for item in tree.filters if item.target != SET_CLASS),
    )


def _classes(scope: ops.Scope, before: Tree, wanted: Tree, counters: Mapping[int, Counters]) -> list[ops.Operation]:
    changes: list[ops.Operation] = []
    for minor, htb in sorted(wanted.classes.items()):
        there = before.classes.get(minor)
        if there is None:
            changes.append(ops.AddClass(scope, minor, htb))
        elif there != htb:
            changes.append(ops.ChangeClass(scope, minor, htb))
        leaf = wanted.leaves.get(minor)
        if leaf is None:
            continue
        old = before.leaves.get(minor) if there else None
        shrinks = there is not None and htb.rate_bps < there.rate_bps
        queued_bytes = counters.get(minor, Counters()).queued_bytes
        if old is None or old.kind != leaf.kind or (shrinks and shaping.must_trim(queued_bytes, htb.rate_bps)):
            changes.append(_put_leaf(scope, minor, old, leaf))
        elif old != leaf:
            changes.append(ops.ChangeLeaf(scope, minor, replace(leaf, handle=old.handle)))
    return changes


def _put_leaf(scope: ops.Scope, minor: int, old: Leaf | None, wanted: Leaf) -> ops.PutLeaf:
    """Under another handle than the old one: only then does the kernel make a new queue instead of changing it."""
    first = minor << 4
    handle = first + 1 if old is not None and old.handle == first else first
    return ops.PutLeaf(scope, minor, replace(wanted, handle=handle))


def _fresh_test_leaves(scope: ops.Scope, before: Tree, wanted: Tree) -> list[ops.Operation]:
    return [
        _put_leaf(scope, minor, before.leaves[minor], wanted.leaves[minor])
        for minor in (PING_CLASS, REST_CLASS)
        if minor in before.leaves and minor in before.classes
    ]


def _remove_filters(scope: ops.Scope, before: Tree, only_to: int) -> list[ops.Operation]:
    groups = {(item.priority, item.protocol) for item in before.filters if item.target == only_to}
    return [ops.DeleteFilters(scope, priority, protocol) for priority, protocol in sorted(groups)]


def _wrong_groups(before: Tree, wanted: Tree) -> set[tuple[int, int]]:
    return {(item.priority, item.protocol) for item in before.filters - wanted.filters}


def _remove_wrong_filters(scope: ops.Scope, before: Tree, wanted: Tree) -> list[ops.Operation]:
    groups = sorted(_wrong_groups(before, wanted))
    return [ops.DeleteFilters(scope, priority, protocol) for priority, protocol in groups]


def _missing_filters(before: Tree, wanted: Tree) -> list[Filter]:
    wrong = _wrong_groups(before, wanted)
    kept = {item for item in before.filters if (item.priority, item.protocol) not in wrong}
    return sorted(wanted.filters - kept, key=lambda item: item.priority, reverse=True)
