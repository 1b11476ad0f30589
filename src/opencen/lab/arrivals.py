"""Counts what one host receives from another, as IP bytes at its interface.

The interface's own counters would add up all senders: a host that three regions send to at once would show the sum.
So a netfilter counter on the interface's input counts one sender; like design rule 5, it counts IP headers and no
Ethernet header. It is read over netlink: starting `nft` takes tens of milliseconds on a busy machine, too
much of a measured second.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from opencen.lab.commands import NAMESPACES, run, within
from opencen.lab.errors import TransferError

_COUNTER = "arrived"
_READS = 10
_TIGHT_S = 0.001
_RECEIVE_BYTES = 8192
_RECEIVE_TIMEOUT_S = 5.0
_CLONE_NEWNET = 0x40000000
_NETLINK_NETFILTER = 12
_NFNL_SUBSYS_NFTABLES = 10
_NFT_MSG_GETOBJ = 19
_NFT_OBJECT_COUNTER = 1
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NFTA_OBJ_TABLE, _NFTA_OBJ_NAME, _NFTA_OBJ_TYPE, _NFTA_OBJ_DATA = 1, 2, 3, 4
_NFTA_COUNTER_BYTES, _NFTA_COUNTER_PACKETS = 1, 2
_ATTRIBUTE_TYPE_MASK = 0x3FFF
_numbers = itertools.count()


@dataclass(frozen=True)
class Arrived:
    """How much had arrived at a moment of the monotonic clock; the moment is known to `within_s`."""

    bytes: int
    packets: int
    at_s: float
    within_s: float


def rate_bps(start: Arrived, end: Arrived) -> float:
    """The rate between two readings in bit/s of IP packets."""
    return (end.bytes - start.bytes) * 8 / (end.at_s - start.at_s)


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def counter_request(table: str, sequence: int) -> bytes:
    """The netlink message that asks for the counter of an `ip` table (include/uapi/linux/netfilter/nf_tables.h)."""
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += _attribute(_NFTA_OBJ_TABLE, table.encode() + b"\0")
    body += _attribute(_NFTA_OBJ_NAME, _COUNTER.encode() + b"\0")
    body += _attribute(_NFTA_OBJ_TYPE, struct.pack(">I", _NFT_OBJECT_COUNTER))
    kind = _NFNL_SUBSYS_NFTABLES << 8 | _NFT_MSG_GETOBJ
    return struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST, sequence, 0) + body


def _attributes(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & _ATTRIBUTE_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)
    return found


def parse_counter(message: bytes) -> tuple[int, int]:
    """The bytes and packets in the answer. Raises TransferError when the kernel refuses."""
    length, kind = struct.unpack_from("=IH", message)
    if kind == _NLMSG_ERROR:
        error_number = -struct.unpack_from("=i", message, 16)[0]
        raise TransferError(f"the kernel does not tell what arrived: {os.strerror(error_number)}")
    counter = _attributes(_attributes(message[20:length])[_NFTA_OBJ_DATA])
    number = struct.Struct(">Q")
    return number.unpack(counter[_NFTA_COUNTER_BYTES])[0], number.unpack(counter[_NFTA_COUNTER_PACKETS])[0]


def _netfilter_socket(namespace: str) -> socket.socket:
    """A netlink socket of another network namespace. Entering that is a matter of one thread, which ends here."""
    made: list[socket.socket] = []
    failures: list[OSError] = []

    def make() -> None:
        try:
            descriptor = os.open(NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(descriptor)
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if failures:
        raise TransferError(f"cannot look into namespace {namespace}: {failures[0]}")
    made[0].settimeout(_RECEIVE_TIMEOUT_S)
    return made[0]


@dataclass(frozen=True)
class ArrivalCounter:
    netlink: socket.socket
    table: str

    def _read_once(self) -> Arrived:
        request = counter_request(self.table, next(_numbers))
        before_s = time.monotonic()
        self.netlink.send(request)
        message = self.netlink.recv(_RECEIVE_BYTES)
        after_s = time.monotonic()
        received_bytes, received_packets = parse_counter(message)
        return Arrived(received_bytes, received_packets, (before_s + after_s) / 2, after_s - before_s)

    def read(self) -> Arrived:
        """A reading whose moment is known well: on a busy machine the quickest of ten. Raises TransferError."""
        best = self._read_once()
        for _ in range(_READS - 1):
            if best.within_s <= _TIGHT_S:
                break
            best = min(best, self._read_once(), key=lambda reading: reading.within_s)
        return best


@contextmanager
def counting_arrivals(namespace: str, source: IPv4Address, destination: IPv4Address) -> Iterator[ArrivalCounter]:
    """A counter of what comes in at eth0 from `source` to `destination`, removed afterwards.

    Raises CommandError, TransferError.
    """
    table = f"opencen_traffic_{os.getpid()}_{next(_numbers)}"
    rules = (
        f"table ip {table} {{ counter {_COUNTER} {{}}\n"
        f"chain arrive {{ type filter hook prerouting priority raw;\n"
        f'iifname "eth0" ip saddr {source} ip daddr {destination} counter name {_COUNTER}\n}}\n}}\n'
    )
    run(within(namespace, ["nft", "-f", "-"]), rules)
    try:
        with _netfilter_socket(namespace) as netlink:
            yield ArrivalCounter(netlink, table)
    finally:
        run(within(namespace, ["nft", "delete", "table", "ip", table]))
