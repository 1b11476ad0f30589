"""What the gateway has in the kernel, as values: the same words for what is there and for what is wanted.

Rates are bit/s of IP packets (layer 3). Class numbers are the minor part of `1:minor` in one tunnel's HTB tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PARENT_CLASS: Final = 0x1
PING_CLASS: Final = 0x2
REST_CLASS: Final = 0x3
SET_CLASS: Final = 0x10
COUNTED_CLASSES: Final = (PING_CLASS, REST_CLASS, SET_CLASS)

TEST_FILTER_PRIORITY: Final = 2
SET_FILTER_PRIORITY: Final = 1

NEXT_HOP: Final = "169.254.0.1"
"""The peer's address on every tunnel: a permanent neighbour, so that nothing is ever asked in the tunnel."""


@dataclass(frozen=True, slots=True)
class RootQueue:
    """The HTB root. `direct_packets` is how many packets may wait that no class takes: 0 drops them (fail closed)."""

    default_class: int
    overhead_bytes: int
    direct_packets: int


@dataclass(frozen=True, slots=True)
class HtbClass:
    """An HTB class. Bursts are in the kernel's ticks of 64 ns, as it stores them."""

    parent: int
    rate_bps: int
    ceil_bps: int
    burst_ticks: int
    ceil_burst_ticks: int
    quantum_bytes: int
    priority: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """The queue of a class. `limit` is in bytes for bfifo, in packets for pfifo, 0 where the queue knows best.

    `handle` tells two incarnations apart; which of them is there makes no difference to what is wanted.
    """

    kind: str
    limit: int
    handle: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Match:
    """32 bits of the packet, from its IP header on, under a mask."""

    mask: int
    value: int
    offset: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A u32 filter of the root queue. `protocol` is an Ethernet type (3: all)."""

    priority: int
    protocol: int
    matches: tuple[Match, ...]
    target: int


@dataclass(frozen=True)
class Tree:
    """All queueing of a tunnel. `root` is None when the device has no HTB: then nothing limits it."""

    root: RootQueue | None
    classes: Mapping[int, HtbClass] = field(default_factory=dict)
    leaves: Mapping[int, Leaf] = field(default_factory=dict)
    filters: frozenset[Filter] = frozenset()


NO_TREE: Final = Tree(root=None)


@dataclass(frozen=True, slots=True)
class Device:
    """A VXLAN device. What is in here cannot change while it lives, except `mtu`."""

    vni: int
    local: str
    remote: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Front:
    """The shaped end of a veth pair. What leaves the other end goes by `table` into a WireGuard device.

    So one shaper stands before all tunnels of a link, and the way behind it changes without touching a queue. `mtu` may
    change while it lives, nothing else.
    """

    table: int
    mac: str
    inner_mac: str
    mtu: int


@dataclass(frozen=True)
class Tunnel:
    """A link to a peer region. `next_hop_mac` is the permanent neighbour for NEXT_HOP, None when it is missing.

    `path` names the WireGuard device that a Front leads into, None while there is none.
    """

    device: Device | Front
    tree: Tree
    next_hop_mac: str | None
    routes: frozenset[str]
    up: bool
    path: str | None = None


KEEPALIVE_S: Final = 25


@dataclass(frozen=True, slots=True)
class WireGuard:
    """A WireGuard device: one peer, behind which is everything. Keys are in base64, as WireGuard's tools write them.

    `endpoint` is where the peer is said to be, `address:port`; None: its first packet tells.
    """

    public_key: str
    port: int
    peer_public_key: str
    preshared_key: str = field(repr=False)
    endpoint: str | None
    mtu: int
    up: bool = True


@dataclass(frozen=True, slots=True)
class WireGuardNow:
    """A WireGuard device as it is; its `endpoint` is the one that was learnt. No handshake yet: None."""

    device: WireGuard
    handshake_age_s: float | None
    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """Of one class, since it was made. Bytes are IP packets."""

    sent_bytes: int = 0
    sent_packets: int = 0
    dropped_packets: int = 0
    queued_packets: int = 0
    queued_bytes: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.sent_bytes + other.sent_bytes,
            self.sent_packets + other.sent_packets,
            self.dropped_packets + other.dropped_packets,
            self.queued_packets + other.queued_packets,
            self.queued_bytes + other.queued_bytes,
        )


@dataclass(frozen=True)
class TunnelNow:
    """A tunnel as the kernel has it, with what passes."""

    tunnel: Tunnel
    ifindex: int
    counters: Mapping[int, Counters] = field(default_factory=dict)


MADE_PREFIX: Final = "net-"
"""Begins the names of ports that the gateway makes, rather than takes from its host."""

HOST_HOP: Final = "169.254.0.2"
"""The instance's address towards a host that is a member of it."""


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN of an interface that stays with the host."""

    parent: str
    vlan_id: int


@dataclass(frozen=True, slots=True)
class HostEnd:
    """The host's end of a port: in a bridge, or with an address of the host's own and routes to what is elsewhere.

    `sealed`: the host passes nothing on that comes out of it, and nothing but its own address goes in.
    """

    name: str
    bridge: str | None = None
    address: str | None = None
    routes: frozenset[str] = frozenset()
    up: bool = True
    sealed: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """An interface towards a network's hosts. `segments` is false while GRO or LRO may glue packets together.

    `routes` are blocks behind it with their next hops ('': on the link itself). `outside` is what a port that the
    gateway has made hangs on; None: it is an interface of the host's that was taken.
    """

    addresses: frozenset[str]
    up: bool
    segments: bool
    routes: frozenset[tuple[str, str]] = frozenset()
    outside: Vlan | HostEnd | None = None


@dataclass(frozen=True)
class NamespaceNow:
    """The namespace of one CEN instance. `prepared`: forwarding on, reverse path filter off, loopback up."""

    prepared: bool
    tunnels: Mapping[str, TunnelNow] = field(default_factory=dict)
    ports: Mapping[str, Port] = field(default_factory=dict)
    wireguards: Mapping[str, WireGuardNow] = field(default_factory=dict)


@dataclass(frozen=True)
class HostNow:
    """The namespace that the gateway runs in. `underlay_mtu` is None when no interface has the endpoint address.

    `sources` are the addresses from which tunnelled packets are taken; None: from any.
    """

    interfaces: frozenset[str]
    underlay_mtu: int | None
    bridges: frozenset[str] = frozenset()
    underlay_interfaces: frozenset[str] = frozenset()
    sources: frozenset[str] | None = None


@dataclass(frozen=True)
class KernelNow:
    """`at_s`: when it was read, in seconds since the epoch."""

    host: HostNow
    namespaces: Mapping[str, NamespaceNow] = field(default_factory=dict)
    at_s: float = 0.0


@dataclass(frozen=True)
class WantedNamespace:
    tunnels: Mapping[str, Tunnel] = field(default_factory=dict)
    ports: Mapping[str, Port] = field(default_factory=dict)
    wireguards: Mapping[str, WireGuard] = field(default_factory=dict)
    retiring: frozenset[str] = frozenset()
    """WireGuard devices that both ends have ceased to send by: what is still under way may arrive."""


Wanted = Mapping[str, WantedNamespace]
"""By name of the namespace."""
