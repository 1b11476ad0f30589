"""The arithmetic of a limit: from a rate to the HTB tree that enforces it. Pure.

Every tunnel always has the classes of the test rate, and what no filter takes falls to them. A set rate is one class
beside them with a filter that takes everything. So a lost filter or class means too little, never too much.
"""

from __future__ import annotations

from typing import Final

from opencen.gateway.kernel.model import (
    PARENT_CLASS,
    PING_CLASS,
    REST_CLASS,
    SET_CLASS,
    SET_FILTER_PRIORITY,
    TEST_FILTER_PRIORITY,
    Filter,
    HtbClass,
    Leaf,
    Match,
    RootQueue,
    Tree,
)
from opencen.wire.gateway import TEST_RATE_BPS

FULL_PACKET_BYTES: Final = 1_500
LEAF_DELAY_S: Final = 0.1
TRIM_DELAY_S: Final = 0.5
_TICK_NS: Final = 64
_BURST_S: Final = 0.002
_BURST_MAX_BYTES: Final = 1 << 20
_LIMIT_MAX_BYTES: Final = (1 << 31) - 1
_ETHERTYPE_ALL: Final = 3
_ETHERTYPE_IPV4: Final = 0x0800

# The kernel counts the tunnel's inner Ethernet header; the limit is for IP packets. What finds no class is dropped.
ROOT: Final = RootQueue(default_class=REST_CLASS, overhead_bytes=-14, direct_packets=0)


def _ticks(size_bytes: int, rate_bps: int) -> int:
    return size_bytes * 8 * 1_000_000_000 // (rate_bps * _TICK_NS)


def _htb(parent: int, rate_bps: int, ceil_bps: int, burst_bytes: int, priority: int = 0) -> HtbClass:
    return HtbClass(
        parent=parent,
        rate_bps=rate_bps,
        ceil_bps=ceil_bps,
        burst_ticks=_ticks(burst_bytes, rate_bps),
        ceil_burst_ticks=_ticks(burst_bytes, ceil_bps),
        quantum_bytes=min(max(rate_bps // 80, 1_500), 60_000),
        priority=priority,
    )


# 960 bit/s in all. A ping a second is 84 bytes each: 92 B/s of their own, ahead of everything else. The other 28 B/s
# pay for a full packet within a minute, and HTB forgives no debt older than that. Over any 60 s: 7,200 bytes, one full
# packet of the parent's debt and one of the class's, and the bursts: under 60 kbit plus two full packets.
_TEST_CEIL_BPS: Final = 960
TEST_CLASSES: Final = {
    PARENT_CLASS: _htb(0, _TEST_CEIL_BPS, _TEST_CEIL_BPS, burst_bytes=128),
    PING_CLASS: _htb(PARENT_CLASS, 92 * 8, _TEST_CEIL_BPS, burst_bytes=256),
    REST_CLASS: _htb(PARENT_CLASS, 28 * 8, _TEST_CEIL_BPS, burst_bytes=16, priority=1),
}
_TEST_LEAF: Final = Leaf("pfifo", limit=4)
# echo requests and replies (types 8 and 0) below 128 bytes, with an IP header of 20: errors, which a flood to a closed
# port causes, must not take the ping's place
_SMALL_ECHO: Final = Filter(
    priority=TEST_FILTER_PRIORITY,
    protocol=_ETHERTYPE_IPV4,
    matches=(Match(0x00FF0000, 0x00010000, 8), Match(0x0F00FF80, 0x05000000, 0), Match(0xF7000000, 0, 20)),
    target=PING_CLASS,
)
_EVERYTHING: Final = Filter(
    priority=SET_FILTER_PRIORITY, protocol=_ETHERTYPE_ALL, matches=(Match(0, 0, 0),), target=SET_CLASS
)


def is_set(rate_bps: int) -> bool:
    """Whether a connection is set, rather than the test rate."""
    return rate_bps > TEST_RATE_BPS


def burst_bytes(rate_bps: int) -> int:
    """2 ms of the rate, at least two full packets: 1.5 ms cost 1 % at 1 Gbit/s, more lets bursts through."""
    return max(2 * FULL_PACKET_BYTES, min(int(rate_bps / 8 * _BURST_S), _BURST_MAX_BYTES))


def _set_leaf(rate_bps: int, kind: str) -> Leaf:
    if kind != "bfifo":
        return Leaf(kind, limit=0)
    limit_bytes = max(10 * FULL_PACKET_BYTES, int(rate_bps / 8 * LEAF_DELAY_S))
    return Leaf(kind, min(limit_bytes, _LIMIT_MAX_BYTES))


def tree_for(rate_bps: int, leaf_kind: str) -> Tree:
    """The whole tree that lets IP packets of `rate_bps` through. `leaf_kind`: cake, fq_codel or bfifo."""
    classes = dict(TEST_CLASSES)
    leaves = {PING_CLASS: _TEST_LEAF, REST_CLASS: _TEST_LEAF}
    if not is_set(rate_bps):
        return Tree(ROOT, classes, leaves, frozenset({_SMALL_ECHO}))
    classes[SET_CLASS] = _htb(0, rate_bps // 8 * 8, rate_bps // 8 * 8, burst_bytes(rate_bps))
    leaves[SET_CLASS] = _set_leaf(rate_bps, leaf_kind)
    return Tree(ROOT, classes, leaves, frozenset({_SMALL_ECHO, _EVERYTHING}))


def rate_in(tree: Tree) -> int | None:
    """The rate that a tree enforces: TEST_RATE_BPS unless the set class and its filter are there; None: no limit."""
    if tree.root is None:
        return None
    if SET_CLASS in tree.classes and _EVERYTHING in tree.filters:
        return tree.classes[SET_CLASS].ceil_bps
    return TEST_RATE_BPS


def must_trim(queued_bytes: int, new_rate_bps: int) -> bool:
    """Whether what is queued would wait too long at the new rate."""
    return queued_bytes * 8 > new_rate_bps * TRIM_DELAY_S
