"""HTB trees as netlink messages: qdiscs, classes and u32 filters, encoded and decoded.

Layouts: linux/pkt_sched.h, linux/pkt_cls.h.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from opencen.gateway.kernel.messages import attribute, attributes, nested, text, text_of, u32, u32_of
from opencen.gateway.kernel.model import Counters, Filter, HtbClass, Leaf, Match, RootQueue

ROOT_HANDLE: Final = 0x10000
TC_H_ROOT: Final = 0xFFFFFFFF

_TCA_KIND, _TCA_OPTIONS, _TCA_STATS2, _TCA_STAB = 1, 2, 7, 8
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 1, 3, 8
_TCA_STAB_BASE = 1
_HTB_PARMS, _HTB_INIT, _HTB_DIRECT_QLEN, _HTB_RATE64, _HTB_CEIL64 = 1, 2, 5, 6, 7
_HTB_VERSION, _HTB_R2Q = 3, 10
_U32_CLASSID, _U32_SEL, _U32_TERMINAL = 1, 5, 1
_LINKLAYER_ETHERNET = 1
_RATE32_MAX = 0xFFFFFFFF

_TCMSG = struct.Struct("=BxxxiIII")
_SIZESPEC = struct.Struct("=BBhiIIII")
_RATESPEC = struct.Struct("=BBHhHI")
_HTB_TAIL = struct.Struct("=IIIII")
_HTB_GLOBAL = struct.Struct("=IIIII")
_SELECTOR = struct.Struct("=BBBxHHhhI")
_KEY = struct.Struct(">II")
_KEY_OFFSETS = struct.Struct("=ii")
_BASIC = struct.Struct("=QI")
_QUEUE = struct.Struct("=IIIII")


def class_id(minor: int) -> int:
    return ROOT_HANDLE | minor


def tc_body(ifindex: int, handle: int = 0, parent: int = 0, info: int = 0) -> bytes:
    return _TCMSG.pack(0, ifindex, handle, parent, info)


def tc_header(message: bytes) -> tuple[int, int, int, int]:
    """ifindex, handle, parent and info of a message."""
    _, ifindex, handle, parent, info = _TCMSG.unpack_from(message)
    return ifindex, handle, parent, info


def tc_attributes(message: bytes) -> dict[int, bytes]:
    return attributes(message[_TCMSG.size :])


def kind_of(found: dict[int, bytes]) -> str:
    return text_of(found.get(_TCA_KIND, b""))


def root_body(ifindex: int, root: RootQueue) -> bytes:
    size = _SIZESPEC.pack(0, 0, 0, root.overhead_bytes, _LINKLAYER_ETHERNET, 0, 0, 0)
    options = nested(
        _TCA_OPTIONS,
        attribute(_HTB_INIT, _HTB_GLOBAL.pack(_HTB_VERSION, _HTB_R2Q, root.default_class, 0, 0)),
        u32(_HTB_DIRECT_QLEN, root.direct_packets),
    )
    stab = nested(_TCA_STAB, attribute(_TCA_STAB_BASE, size))
    return tc_body(ifindex, ROOT_HANDLE, TC_H_ROOT) + text(_TCA_KIND, "htb") + options + stab


def root_of(found: dict[int, bytes]) -> RootQueue:
    options = attributes(found.get(_TCA_OPTIONS, b""))
    overhead_bytes = 0
    if _TCA_STAB in found:
        overhead_bytes = _SIZESPEC.unpack_from(attributes(found[_TCA_STAB])[_TCA_STAB_BASE])[3]
    default_class = _HTB_GLOBAL.unpack_from(options[_HTB_INIT])[2]
    return RootQueue(default_class, overhead_bytes, u32_of(options[_HTB_DIRECT_QLEN]))


def class_body(ifindex: int, minor: int, htb: HtbClass) -> bytes:
    rate, ceil = htb.rate_bps // 8, htb.ceil_bps // 8
    parameters = (
        _RATESPEC.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, min(rate, _RATE32_MAX))
        + _RATESPEC.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, min(ceil, _RATE32_MAX))
        + _HTB_TAIL.pack(htb.burst_ticks, htb.ceil_burst_ticks, htb.quantum_bytes, 0, htb.priority)
    )
    options = [attribute(_HTB_PARMS, parameters)]
    if rate > _RATE32_MAX:
        options.append(attribute(_HTB_RATE64, struct.pack("=Q", rate)))
    if ceil > _RATE32_MAX:
        options.append(attribute(_HTB_CEIL64, struct.pack("=Q", ceil)))
    parent = class_id(htb.parent)
    return tc_body(ifindex, class_id(minor), parent) + text(_TCA_KIND, "htb") + nested(_TCA_OPTIONS, *options)


def class_of(parent: int, found: dict[int, bytes]) -> HtbClass:
    return _class_of(parent, found[_TCA_OPTIONS])


@lru_cache(maxsize=4096)  # most links have the same few rates
def _class_of(parent: int, packed: bytes) -> HtbClass:
    options = attributes(packed)
    parameters = options[_HTB_PARMS]
    rate = _RATESPEC.unpack_from(parameters)[5]
    ceil = _RATESPEC.unpack_from(parameters, _RATESPEC.size)[5]
    if _HTB_RATE64 in options:
        rate = struct.unpack("=Q", options[_HTB_RATE64])[0]
    if _HTB_CEIL64 in options:
        ceil = struct.unpack("=Q", options[_HTB_CEIL64])[0]
    burst, ceil_burst, quantum, _, priority = _HTB_TAIL.unpack_from(parameters, 2 * _RATESPEC.size)
    return HtbClass(
        parent=0 if parent == TC_H_ROOT else parent & 0xFFFF,
        rate_bps=rate * 8,
        ceil_bps=ceil * 8,
        burst_ticks=burst,
        ceil_burst_ticks=ceil_burst,
        quantum_bytes=quantum,
        priority=priority,
    )


def counters_of(found: dict[int, bytes]) -> Counters:
    statistics = attributes(found.get(_TCA_STATS2, b""))
    if _TCA_STATS_BASIC not in statistics or _TCA_STATS_QUEUE not in statistics:
        return Counters()
    sent_bytes, sent_packets = _BASIC.unpack_from(statistics[_TCA_STATS_BASIC])
    if _TCA_STATS_PKT64 in statistics:
        sent_packets = struct.unpack("=Q", statistics[_TCA_STATS_PKT64])[0]
    queued_packets, queued_bytes, dropped, _, _ = _QUEUE.unpack_from(statistics[_TCA_STATS_QUEUE])
    return Counters(sent_bytes, sent_packets, dropped, queued_packets, queued_bytes)


def leaf_body(ifindex: int, minor: int, leaf: Leaf) -> bytes:
    # fq_codel and cake size themselves; a FIFO has one option, its limit
    options = attribute(_TCA_OPTIONS, struct.pack("=I", leaf.limit)) if leaf.limit else b""
    return tc_body(ifindex, leaf.handle << 16, class_id(minor)) + text(_TCA_KIND, leaf.kind) + options


def leaf_of(handle: int, found: dict[int, bytes]) -> Leaf:
    kind = kind_of(found)
    limit = u32_of(found[_TCA_OPTIONS]) if kind in ("bfifo", "pfifo") and _TCA_OPTIONS in found else 0
    return Leaf(kind, limit, handle >> 16)


def filter_info(priority: int, protocol: int) -> int:
    return (priority << 16) | int.from_bytes(struct.pack(">H", protocol), "little")


def filter_body(ifindex: int, item: Filter) -> bytes:
    selector = _SELECTOR.pack(_U32_TERMINAL, 0, len(item.matches), 0, 0, 0, 0, 0)
    keys = b"".join(_KEY.pack(m.mask, m.value) + _KEY_OFFSETS.pack(m.offset, 0) for m in item.matches)
    options = nested(_TCA_OPTIONS, u32(_U32_CLASSID, class_id(item.target)), attribute(_U32_SEL, selector + keys))
    info = filter_info(item.priority, item.protocol)
    return tc_body(ifindex, 0, ROOT_HANDLE, info) + text(_TCA_KIND, "u32") + options


def filter_of(info: int, found: dict[int, bytes]) -> Filter | None:
    """A filter; None for the hash tables that a dump of u32 lists beside them."""
    options = attributes(found.get(_TCA_OPTIONS, b""))
    if _U32_SEL not in options or _U32_CLASSID not in options:
        return None
    return _filter_of(info, options[_U32_SEL], options[_U32_CLASSID])


@lru_cache(maxsize=4096)
def _filter_of(info: int, selector: bytes, target: bytes) -> Filter:
    matches = []
    for position in range(_SELECTOR.unpack_from(selector)[2]):
        start = _SELECTOR.size + position * 16
        mask, value = _KEY.unpack_from(selector, start)
        matches.append(Match(mask, value, _KEY_OFFSETS.unpack_from(selector, start + 8)[0]))
    protocol = int.from_bytes((info & 0xFFFF).to_bytes(2, "little"), "big")
    return Filter(info >> 16, protocol, tuple(matches), u32_of(target) & 0xFFFF)
