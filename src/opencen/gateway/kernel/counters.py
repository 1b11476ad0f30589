"""What the kernel counts for each link, read without the rest: one netlink dump a namespace, on sockets of its own.

The root queue of a link counts what all its classes do together, and goes on when a change of the limit replaces a
class. So it is the root that is read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from opencen.gateway.kernel import links, namespaces, queues
from opencen.gateway.kernel.messages import NetlinkSocket

_GETLINK, _GETQDISC = 18, 38
_TCA_STATS2 = 7
_BASIC, _QUEUE, _PACKETS_64 = 1, 3, 8
_ATTRIBUTE: Final = struct.Struct("=HH")
_HEAD: Final = struct.Struct("=4xiII")
_BODY_AT: Final = 20
_BUFFER_BYTES: Final = 1 << 16
_U64: Final = struct.Struct("=Q")
_BASIC_STATS: Final = struct.Struct("=QI")
_QUEUE_STATS: Final = struct.Struct("=IIIII")
_DUMP_ALL: Final = queues.tc_body(0)


class Reading(NamedTuple):
    """What a link's root queue counts since it was made. Another `ifindex` is another device under the same name.

    `dropped_packets` wraps around at 2^32, as the kernel's counter does.
    """

    ifindex: int
    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    backlog_bytes: int


@dataclass(slots=True)
class Look:
    """Readings by namespace and device; `failed` namespaces could not be read, which says nothing of their links."""

    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class CounterReader:
    """Reads the links of a gateway, whose namespaces' names begin with `prefix`. For one thread."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._sockets: dict[str, tuple[int, NetlinkSocket]] = {}
        self._names: dict[str, dict[int, str]] = {}
        self._buffer = bytearray(_BUFFER_BYTES)

    def close(self) -> None:
        for _, opened in self._sockets.values():
            opened.close()
        self._sockets.clear()

    def there(self) -> dict[str, int]:
        """The namespaces that there are, with their inodes: one made anew under the same name has another."""
        folder = namespaces.FOLDER
        if not folder.is_dir():
            return {}
        plain, found = folder.stat().st_dev, {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(self._prefix):
                    status = entry.stat()
                    if status.st_dev != plain:
                        found[entry.name] = status.st_ino
        return found

    def read(self, present: Mapping[str, int], only: Collection[str] | None = None) -> Look:
        """Read these namespaces (see `there`), or of them `only` some."""
        look = Look()
        for gone in self._sockets.keys() - present.keys():
            self._forget(gone)
        for name in present if only is None else [name for name in only if name in present]:
            try:
                self._read(name, present[name], look.readings)
            except (OSError, TimeoutError) as error:
                look.failed[name] = error.strerror or str(error)
                self._forget(name)
        return look

    def _read(self, name: str, inode: int, into: dict[tuple[str, str], Reading]) -> None:
        known = self._sockets.get(name)
        if known is None or known[0] != inode:
            self._forget(name)
            known = self._sockets[name] = (inode, NetlinkSocket(namespaces.path_of(name)))
        names = self._names.setdefault(name, {})
        buffer, unknown = self._buffer, {}
        for at, end in known[1].scan(_GETQDISC, _DUMP_ALL, buffer):
            ifindex, handle, parent = _HEAD.unpack_from(buffer, at)
            if handle != queues.ROOT_HANDLE or parent != queues.TC_H_ROOT:
                continue
            reading = reading_of(ifindex, buffer, at, end)
            if ifindex in names:
                into[name, names[ifindex]] = reading
            else:
                unknown[ifindex] = reading
        if unknown:
            names = self._names[name] = self._read_names(known[1])
            into.update({(name, names[ifindex]): read for ifindex, read in unknown.items() if ifindex in names})

    def _read_names(self, opened: NetlinkSocket) -> dict[int, str]:
        rows = [links.link_of(message) for message in opened.dump(_GETLINK, links.link_dump_body())]
        return {row.ifindex: row.name for row in rows}

    def _forget(self, name: str) -> None:
        self._names.pop(name, None)
        known = self._sockets.pop(name, None)
        if known:
            known[1].close()


def reading_of(ifindex: int, message: bytes | bytearray, at: int, end: int) -> Reading:
    """The figures in a queue's message, which begins and ends there; found without taking the rest of it apart."""
    sent_bytes = sent_packets = dropped = backlog = 0
    at += _BODY_AT
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < 4:
            break
        if kind & 0x3FFF == _TCA_STATS2:
            inner, stop = at + 4, at + length
            while inner + 4 <= stop:
                size, what = _ATTRIBUTE.unpack_from(message, inner)
                if size < 4:
                    break
                if what == _BASIC:
                    sent_bytes, low = _BASIC_STATS.unpack_from(message, inner + 4)
                    sent_packets = sent_packets or low
                elif what == _QUEUE:
                    _, backlog, dropped, _, _ = _QUEUE_STATS.unpack_from(message, inner + 4)
                elif what == _PACKETS_64:
                    (sent_packets,) = _U64.unpack_from(message, inner + 4)
                inner += (size + 3) & ~3
            break
        at += (length + 3) & ~3
    return Reading(ifindex, sent_bytes, sent_packets, dropped, backlog)
