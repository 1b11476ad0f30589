"""The changes that the gateway makes to the kernel, one value each, and the interface of what makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from opencen.gateway.kernel.model import (
    Counters,
    Device,
    Filter,
    Front,
    HtbClass,
    KernelNow,
    Leaf,
    Port,
    RootQueue,
    WireGuard,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an operation belongs to: a whole namespace, or one tunnel or port of it (`part`).

    When an operation fails, the rest of its scope is skipped, and no other scope is.
    """

    namespace: str
    part: str = ""


HOST: Final = Scope("", "host")
"""What belongs to the gateway's host as a whole."""


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    """Make the namespace if it is missing, and prepare it: forwarding, no reverse path filter, no IPv6, loopback up."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class DeleteNamespace:
    """Give every interface that is not ours back, then remove the namespace with its tunnels."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class AttachPort:
    """Make the port as it should be: taken from the host or made, with its addresses and routes, up, GRO and LRO off.

    Only what differs is changed.
    """

    scope: Scope
    port: Port


@dataclass(frozen=True, slots=True)
class DetachPort:
    """Give the interface back to the host; remove it if the gateway has made it."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class CreateTunnel:
    """Make the VXLAN device or the veth pair, down, with GRO off.

    So what arrives at a host are the packets that were sent and counted.
    """

    scope: Scope
    device: Device | Front


@dataclass(frozen=True, slots=True)
class DeleteTunnel:
    scope: Scope


@dataclass(frozen=True, slots=True)
class SetPath:
    """Send what passed the shaper of a Front into this WireGuard device from now on. One step, for every packet."""

    scope: Scope
    wireguard: str
    table: int


@dataclass(frozen=True, slots=True)
class CreateWireGuard:
    """Make a WireGuard device with its outer socket in the gateway's namespace, and its peer; down."""

    scope: Scope
    device: WireGuard


@dataclass(frozen=True, slots=True)
class DeleteWireGuard:
    """Remove the device, its peer and its keys, and the process that runs it."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class SetPresharedKey:
    """Use another pre-shared key from the next handshake on; sessions go on."""

    scope: Scope
    peer_public_key: str
    preshared_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetPeerEndpoint:
    scope: Scope
    peer_public_key: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class SetMtu:
    scope: Scope
    mtu: int


@dataclass(frozen=True, slots=True)
class PutRoot:
    """Make the HTB root; whatever queue the device had goes with its classes."""

    scope: Scope
    root: RootQueue


@dataclass(frozen=True, slots=True)
class DeleteRoot:
    scope: Scope


@dataclass(frozen=True, slots=True)
class AddClass:
    scope: Scope
    minor: int
    htb: HtbClass


@dataclass(frozen=True, slots=True)
class ChangeClass:
    """Change rates and bursts in place: what is queued stays, in order."""

    scope: Scope
    minor: int
    htb: HtbClass


@dataclass(frozen=True, slots=True)
class DeleteClass:
    """Remove a class; what it held is dropped, and counted as trimmed."""

    scope: Scope
    minor: int


@dataclass(frozen=True, slots=True)
class PutLeaf:
    """Give a class a new queue under `leaf.handle`; what an old one held is dropped, and counted as trimmed."""

    scope: Scope
    minor: int
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class ChangeLeaf:
    """Change a queue's limit in place."""

    scope: Scope
    minor: int
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class AddFilter:
    scope: Scope
    filter: Filter


@dataclass(frozen=True, slots=True)
class DeleteFilters:
    """Remove all filters of a priority and protocol."""

    scope: Scope
    priority: int
    protocol: int


@dataclass(frozen=True, slots=True)
class SetNextHop:
    """Make the permanent neighbour NEXT_HOP, or give it another MAC address."""

    scope: Scope
    mac: str


@dataclass(frozen=True, slots=True)
class SetUp:
    scope: Scope


@dataclass(frozen=True, slots=True)
class SetDown:
    """Nothing passes any more; the kernel forgets the tunnel's routes and its neighbour."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class SetSources:
    """Take tunnelled packets from these addresses and drop others. The scope is HOST."""

    scope: Scope
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class AddRoute:
    scope: Scope
    cidr_block: str


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    scope: Scope
    cidr_block: str


Operation = (
    CreateNamespace
    | DeleteNamespace
    | AttachPort
    | DetachPort
    | CreateTunnel
    | DeleteTunnel
    | SetPath
    | CreateWireGuard
    | DeleteWireGuard
    | SetPresharedKey
    | SetPeerEndpoint
    | SetMtu
    | PutRoot
    | DeleteRoot
    | AddClass
    | ChangeClass
    | DeleteClass
    | PutLeaf
    | ChangeLeaf
    | AddFilter
    | DeleteFilters
    | SetNextHop
    | SetUp
    | SetDown
    | SetSources
    | AddRoute
    | DeleteRoute
)

ROUTINE = (SetPath, SetPresharedKey, SetPeerEndpoint, DeleteWireGuard)
"""What encrypted links need now and then although nobody changed anything: it is no repair."""


@dataclass(frozen=True)
class Outcome:
    """What became of a list of operations.

    `refused` says why, by scope. `trimmed_packets` counts what changes dropped. `last_counters` are what a class
    had counted when it was removed, by scope and class.
    """

    refused: Mapping[Scope, str] = field(default_factory=dict)
    trimmed_packets: Mapping[Scope, int] = field(default_factory=dict)
    last_counters: Mapping[tuple[Scope, int], Counters] = field(default_factory=dict)


class Kernel(Protocol):
    """The kernel, as far as a gateway needs it. Implementations: `netlink`, and `fake` for tests."""

    def read(self, namespaces: Sequence[str] | None = None) -> KernelNow:
        """What is there: of all of this gateway's namespaces, or of the named ones that exist."""
        ...

    def apply(self, operations: Sequence[Operation]) -> Outcome:
        """Carry the operations out in order. A refusal is in the outcome; nothing is raised for it."""
        ...

    def changed(self) -> set[str] | None:
        """The namespaces in which somebody else has changed something since they were last read; None: any, perhaps."""
        ...

    def close(self) -> None: ...
