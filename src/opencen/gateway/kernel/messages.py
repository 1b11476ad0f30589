"""Netlink messages: attributes and headers, encoded and decoded; and a socket that speaks them in any namespace.

pyroute2 is not used here: its 0.9 sockets run an event loop of their own (they cannot be called from a running one),
and it has no codec for `stab`, bfifo or the packet counters.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
_NLM_F_ECHO: Final = 0x8
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
_NLM_F_DUMP_INTR: Final = 0x10
_NLM_F_CAPPED: Final = 0x100
_NLM_F_ACK_TLVS: Final = 0x200
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NESTED: Final = 0x8000
_TYPE_MASK: Final = 0x3FFF
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_CLONE_NEWNET: Final = 0x40000000
_RECEIVE_BYTES: Final = 1 << 18
_ANSWER_TIMEOUT_S: Final = 10.0
_DUMP_TRIES: Final = 5

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LIBC = ctypes.CDLL(None, use_errno=True)
_THREAD_NAMESPACE: Final = Path("/proc/thread-self/ns/net")

Result = TypeVar("Result")


class KernelRefusedError(OSError):
    """The kernel said no. `errno` is its code; the text is its own where it gave one."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(payload: bytes) -> dict[int, bytes]:
    """The attributes in a payload, by kind."""
    found: dict[int, bytes] = {}
    offset, unpack, header_bytes = 0, _ATTRIBUTE.unpack_from, _ATTRIBUTE.size
    last = len(payload) - header_bytes
    while offset <= last:
        length, kind = unpack(payload, offset)
        if length < header_bytes:
            break
        found[kind & _TYPE_MASK] = payload[offset + header_bytes : offset + length]
        offset += (length + 3) & ~3
    return found


def text_of(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")


def u32_of(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "little" if struct.pack("=H", 1) == b"\x01\x00" else "big")


def messages_of(datagram: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Kind, flags, sequence, port of who asked, and payload of each message."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, port = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, port, datagram[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _raise_if_refused(flags: int, payload: bytes) -> None:
    code = -struct.unpack_from("=i", payload)[0]
    if code == 0:
        return
    reason = ""
    if flags & _NLM_F_ACK_TLVS:
        request_bytes = 16 if flags & _NLM_F_CAPPED else struct.unpack_from("=I", payload, 4)[0]
        reason = text_of(attributes(payload[4 + request_bytes :]).get(1, b""))
    raise KernelRefusedError(code, f"{os.strerror(code)}: {reason}" if reason else os.strerror(code))


def enter(namespace: BinaryIO) -> None:
    """Bring this thread into a network namespace. Raises OSError."""
    if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace.name}")


def abroad(work: Callable[[], Result]) -> Result:
    """Do something in the thread that goes from namespace to namespace, and bring that thread home again."""

    def go_and_return() -> Result:
        with _THREAD_NAMESPACE.open("rb") as home:
            try:
                return work()
            finally:
                enter(home)

    return _traveller().submit(go_and_return).result()


@cache
def _traveller() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="namespaces")


os.register_at_fork(after_in_child=_traveller.cache_clear)  # a child has none of its parent's threads


def in_namespace(path: Path | None, work: Callable[[], Result]) -> Result:
    """Do something in a network namespace. None: in our own."""
    if path is None:
        return work()

    def enter_and_work() -> Result:
        with path.open("rb") as namespace:
            enter(namespace)
        return work()

    return abroad(enter_and_work)


def _open_socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    opened.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.settimeout(_ANSWER_TIMEOUT_S)
    opened.bind((0, 0))
    return opened


class NetlinkSocket:
    """A routing socket that stays in one network namespace. Not for use by two threads at once."""

    def __init__(self, namespace: Path | None) -> None:
        self._socket = in_namespace(namespace, _open_socket)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """What tells our changes from those of others."""
        return int(self._socket.getsockname()[0])

    def request(self, kind: int, flags: int, body: bytes) -> None:
        """Ask for a change and wait for the kernel's answer. Raises KernelRefusedError."""
        sequence = self._send(kind, flags | NLM_F_ACK, body)
        while True:
            for answer, answer_flags, answer_sequence, _, payload in messages_of(self._socket.recv(_RECEIVE_BYTES)):
                if answer_sequence == sequence and answer == _NLMSG_ERROR:
                    _raise_if_refused(answer_flags, payload)
                    return

    def get(self, kind: int, body: bytes) -> bytes:
        """Ask for one object. Raises KernelRefusedError, with ENOENT or ENODEV if there is none."""
        # a traffic class is answered by multicast, to the asker only if it wants the echo
        sequence = self._send(kind, _NLM_F_ECHO, body)
        while True:
            for answer, flags, answer_sequence, _, payload in messages_of(self._socket.recv(_RECEIVE_BYTES)):
                if answer_sequence != sequence:
                    continue
                if answer == _NLMSG_ERROR:
                    _raise_if_refused(flags, payload)
                return payload

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Ask for all objects of a kind; asks again when they changed meanwhile."""
        for _ in range(_DUMP_TRIES):
            found, interrupted = self._dump_once(kind, body)
            if not interrupted:
                break
        return found

    def _dump_once(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        sequence = self._send(kind, NLM_F_DUMP, body)
        found: list[bytes] = []
        interrupted = False
        while True:
            for answer, flags, answer_sequence, _, payload in messages_of(self._socket.recv(_RECEIVE_BYTES)):
                if answer_sequence != sequence:
                    continue
                interrupted |= bool(flags & _NLM_F_DUMP_INTR)
                if answer == _NLMSG_ERROR:
                    _raise_if_refused(flags, payload)
                if answer == _NLMSG_DONE:
                    return found, interrupted
                found.append(payload)

    def scan(self, kind: int, body: bytes, buffer: bytearray) -> Iterator[tuple[int, int]]:
        """Like `dump`, for what is read often: where in `buffer` each object begins and ends, until the next is taken.

        A dump that was interrupted by a change is given as it is.
        """
        sequence, fd, size = self._send(kind, NLM_F_DUMP, body), self._socket.fileno(), _HEADER.size
        while True:
            try:
                end = os.readv(fd, [buffer])
            except BlockingIOError:
                if not select.select([fd], [], [], _ANSWER_TIMEOUT_S)[0]:
                    raise TimeoutError("the kernel does not answer") from None
                continue
            at = 0
            while at + size <= end:
                length, answer, flags, answer_sequence, _ = _HEADER.unpack_from(buffer, at)
                if length < size:
                    break
                if answer_sequence == sequence:
                    if answer == _NLMSG_DONE:
                        return
                    if answer == _NLMSG_ERROR:
                        _raise_if_refused(flags, bytes(buffer[at + size : at + length]))
                    yield at + size, at + length
                at += (length + 3) & ~3

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        return self._sequence
