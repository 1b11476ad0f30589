"""What others change in our namespaces, told by the kernel: one socket hears all of them (NETLINK_LISTEN_ALL_NSID)."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from opencen.gateway.kernel.messages import NetlinkSocket, attribute, in_namespace, messages_of, u32, u32_of
from opencen.gateway.kernel.messages import attributes as attributes_of
from opencen.gateway.kernel.model import NEXT_HOP

_NEWNSID, _GETNSID = 88, 90
_NSID, _NSID_FD = 1, 3
_UNASSIGNED: Final = 0xFFFFFFFF
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP, _LISTEN_ALL_NSID = 1, 8
_GROUPS: Final = {"link": 1, "neighbour": 3, "queues": 4, "address": 5, "route": 7, "settings": 24}
_NEIGHBOUR_KINDS: Final = (28, 29)
_NDA_DST: Final = 1
_NEXT_HOP: Final = ip_address(NEXT_HOP).packed
_SO_RCVBUFFORCE: Final = 33
_BUFFER_BYTES: Final = 1 << 23
_DATAGRAM_BYTES: Final = 1 << 16


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    opened.bind((0, 0))
    opened.setsockopt(_SOL_NETLINK, _LISTEN_ALL_NSID, 1)
    for group in _GROUPS.values():
        opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    opened.setblocking(False)
    return opened


class Watch:
    """Remembers in which namespaces something has been changed by somebody else.

    A namespace is heard from the moment that it is added. When more happens than the kernel can keep for us, `drain`
    says that anything may have changed. Not for use by two threads at once.
    """

    def __init__(self, host: NetlinkSocket, path: Path) -> None:
        self._host = host
        self._socket = in_namespace(path, _open)
        self._names: dict[int, str] = {}

    def close(self) -> None:
        self._socket.close()

    def add(self, name: str, path: Path) -> None:
        """Hear this namespace from now on, under this name. Raises OSError."""
        with path.open("rb") as namespace:
            wanted = u32(_NSID_FD, namespace.fileno())
            number = self._number(wanted)
            if number == _UNASSIGNED:
                body = bytes(4) + wanted + attribute(_NSID, struct.pack("=i", -1))
                self._host.request(_NEWNSID, 0, body)
                number = self._number(wanted)
        self._names = {known: other for known, other in self._names.items() if other != name}
        self._names[number] = name

    def _number(self, wanted: bytes) -> int:
        return u32_of(attributes_of(self._host.get(_GETNSID, bytes(4) + wanted)[4:])[_NSID])

    def drain(self, own_ports: Collection[int]) -> tuple[set[str], bool]:
        """Where others have changed something since the last time, and whether more was lost."""
        changed: set[str] = set()
        lost = False
        while True:
            try:
                datagram, ancillary, _, _ = self._socket.recvmsg(_DATAGRAM_BYTES, socket.CMSG_SPACE(4))
            except BlockingIOError:
                return changed, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            name = next((self._names.get(u32_of(packed)) for _, _, packed in ancillary), None)
            if name is not None and name not in changed and _is_others(datagram, own_ports):
                changed.add(name)


def _is_others(datagram: bytes, own_ports: Collection[int]) -> bool:
    return any(
        port not in own_ports and not _is_passing(kind, payload) for kind, _, _, port, payload in messages_of(datagram)
    )


def _is_passing(kind: int, payload: bytes) -> bool:
    """A neighbour that the kernel itself learns and forgets: any but the peer of a tunnel."""
    return kind in _NEIGHBOUR_KINDS and attributes_of(payload[12:]).get(_NDA_DST) != _NEXT_HOP
