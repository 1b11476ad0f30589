"""What the active gateway of a pair says on its networks, and what its partner makes of it.

Twice a second, on each port, a gratuitous ARP, so that hosts and switches send to this gateway; and a beacon for the
partner: who hears one of a later change of places than its own is the active gateway no more, whether or not it can
hear the control plane. Beacons are sealed with a key that only the two gateways of a region have.
"""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, ip_interface
from typing import Final

from opencen.gateway.kernel import namespaces
from opencen.gateway.kernel.messages import in_namespace
from opencen.gateway.kernel.model import WantedNamespace
from opencen.wire.gateway import GatewayState

IN_USE_S: Final = 15.0
"""A host that is refused for so long, because another is this gateway, is the wrong one: a reboot takes less."""
ETHERTYPE: Final = 0x88B5
"""IEEE 802: for local experiments."""
_ARP: Final = 0x0806
_BROADCAST: Final = b"\xff" * 6
_MAGIC: Final = b"OpenCEN pair 1\0\0"
_BODY: Final = struct.Struct("!16sQ32s")
_HEADER_BYTES: Final = 14


def beacon(key: bytes, gateway_id: str, since: int) -> bytes:
    """I, this gateway, am the active one since this revision."""
    body = _BODY.pack(_MAGIC, since, sha256(gateway_id.encode()).digest())
    return body + hmac.digest(key, body, "sha256")


def heard_since(key: bytes, gateway_id: str, payload: bytes) -> int | None:
    """The revision since which the partner is active; None for a beacon of our own, of strangers, or broken."""
    body, seal = payload[: _BODY.size], payload[_BODY.size : _BODY.size + 32]
    if len(body) != _BODY.size or not hmac.compare_digest(seal, hmac.digest(key, body, "sha256")):
        return None
    magic, since, sender = _BODY.unpack(body)
    if magic != _MAGIC or sender == sha256(gateway_id.encode()).digest():
        return None
    return int(since)


def gratuitous_arp(mac: bytes, address: str) -> bytes:
    """An Ethernet frame: `address`, like 10.1.0.1, is at `mac`."""
    packed = IPv4Address(address).packed
    request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, packed, b"\0" * 6, packed)
    return _BROADCAST + mac + struct.pack("!H", _ARP) + request


@dataclass
class Fence:
    """Why this gateway must pass nothing, although the control plane last said that it is the active one."""

    _partner_since: int | None = None
    _in_use_since_s: float | None = None
    _is_in_use: bool = False

    def around(self, state: GatewayState) -> GatewayState:
        """The state as it may be carried out."""
        fenced = self._is_in_use or self._partner_since is not None
        return state.model_copy(update={"standby": True}) if fenced else state

    def partner_is_active(self, since: int) -> None:
        self._partner_since = since

    def refused(self, *, in_use: bool, at_s: float) -> bool:
        """The control plane gave no orders, because another host is this gateway or not. Whether the fence goes up."""
        if not in_use:
            self._in_use_since_s = None
            return False
        if self._in_use_since_s is None:
            self._in_use_since_s = at_s
        goes_up = not self._is_in_use and at_s - self._in_use_since_s >= IN_USE_S
        self._is_in_use = self._is_in_use or goes_up
        return goes_up

    def take_down(self, role_since: int) -> bool:
        """The control plane gave orders, of a change of places at `role_since`. Whether a fence was there."""
        self._in_use_since_s = None
        was_up = self._is_in_use
        self._is_in_use = False
        if self._partner_since is not None and role_since >= self._partner_since:
            self._partner_since = None
            was_up = True
        return was_up


@dataclass(frozen=True, slots=True)
class PortAt:
    """An interface in an instance's namespace, with this gateway's addresses there."""

    namespace: str
    interface: str
    addresses: tuple[str, ...]


def ports_of(wanted: Mapping[str, WantedNamespace]) -> frozenset[PortAt]:
    """The ports of a plan."""
    return frozenset(
        PortAt(namespace, interface, tuple(sorted(port.addresses)))
        for namespace, there in wanted.items()
        for interface, port in there.ports.items()
    )


@dataclass
class Announcer:
    """The raw sockets on the ports. Not for use by two threads at once."""

    _opened: dict[tuple[str, str], tuple[int, socket.socket]] = field(default_factory=dict)

    def close(self) -> None:
        for _, opened in self._opened.values():
            opened.close()
        self._opened.clear()

    def keep(self, ports: Iterable[PortAt]) -> None:
        """Listen on these ports and on no others. One that is not there is tried again next time."""
        wanted = {(port.namespace, port.interface) for port in ports}
        for gone in self._opened.keys() - wanted:
            self._opened.pop(gone)[1].close()
        for namespace, interface in wanted:
            with suppress(OSError):
                self._open(namespace, interface)

    def _open(self, namespace: str, interface: str) -> socket.socket:
        path = namespaces.path_of(namespace)
        inode = path.stat().st_ino
        known = self._opened.get((namespace, interface))
        if known is not None and known[0] == inode:
            return known[1]
        if known is not None:
            known[1].close()

        def listen() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
            made.bind((interface, ETHERTYPE))
            made.setblocking(False)
            return made

        made = in_namespace(path, listen)
        self._opened[namespace, interface] = (inode, made)
        return made

    def announce(self, ports: Iterable[PortAt], message: bytes) -> None:
        """To hosts and switches: the addresses are here. To the partner: `message`."""
        for port in ports:
            known = self._opened.get((port.namespace, port.interface))
            if known is None:
                continue
            with suppress(OSError):
                mac = known[1].getsockname()[4]
                for address in port.addresses:
                    known[1].send(gratuitous_arp(mac, str(ip_interface(address).ip)))
                known[1].send(_BROADCAST + mac + struct.pack("!H", ETHERTYPE) + message)

    def hear(self, read: Callable[[bytes], int | None]) -> int | None:
        """The latest change of places that was heard of on any port since this was last asked."""
        latest: int | None = None
        for _, opened in self._opened.values():
            with suppress(OSError):
                while True:
                    since = read(opened.recv(2_048)[_HEADER_BYTES:])
                    if since is not None:
                        latest = since if latest is None else max(latest, since)
        return latest
