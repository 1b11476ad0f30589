"""Named network namespaces (the ones `ip netns` shows), their settings, and offloads of interfaces in them."""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opencen.gateway.kernel.messages import in_namespace

FOLDER: Final = Path("/run/netns")
OWN: Final = Path("/proc/self/ns/net")

_SETTINGS: Final = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # what the gateway itself sends, an ICMP error perhaps, comes out of a front with an address of its own
    "ipv4/conf/all/accept_local": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
_WITHOUT_IPV6: Final = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}

_SIOCETHTOOL = 0x8946
_GET_GRO, _SET_GRO, _GET_FLAGS, _SET_FLAGS = 0x2B, 0x2C, 0x25, 0x26
_FLAG_LRO = 1 << 15


def path_of(name: str) -> Path:
    return FOLDER / name


def _is_mounted(path: Path) -> bool:
    """Whether the name stands for a namespace; an interrupted `ip netns add` leaves a plain file."""
    return path.exists() and path.stat().st_dev != FOLDER.stat().st_dev


def names(prefix: str) -> list[str]:
    """The namespaces whose names begin so."""
    return sorted(entry.name for entry in FOLDER.glob(prefix + "*") if _is_mounted(entry)) if FOLDER.is_dir() else []


def create(name: str) -> None:
    """Raises OSError with what `ip` said."""
    if not _is_mounted(path_of(name)):
        path_of(name).unlink(missing_ok=True)
        _ip("add", name)


def remove(name: str) -> None:
    _ip("delete", name)


def _ip(verb: str, name: str) -> None:
    done = subprocess.run(["ip", "netns", verb, name], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or f"ip netns {verb} {name} failed")


def _settings() -> dict[Path, str]:
    folder = Path("/proc/sys/net")
    wanted = {folder / name: value for name, value in _SETTINGS.items()}
    if (folder / "ipv6").is_dir():
        wanted |= {folder / name: value for name, value in _WITHOUT_IPV6.items()}
    return wanted


def prepare(name: str) -> None:
    """Forwarding on, reverse path filter and redirects off, no IPv6 (so no neighbour discovery) on what comes in."""

    def write() -> None:
        for path, value in _settings().items():
            path.write_text(value)

    in_namespace(path_of(name), write)


@dataclass(frozen=True, slots=True)
class Insight:
    """What only a thread inside a namespace can see: its settings, and which interfaces leave packets as they came."""

    prepared: bool
    segments: Mapping[str, bool]


def look(name: str, interfaces: Sequence[str]) -> Insight:
    def see() -> Insight:
        prepared = all(path.read_text().strip() == value for path, value in _settings().items())
        return Insight(prepared, {interface: not _glues(interface) for interface in interfaces})

    return in_namespace(path_of(name), see)


def _ethtool(interface: str, command: int, value: int = 0) -> int:
    buffer = array("I", (command, value))
    request = struct.pack("16sP", interface.encode(), buffer.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)
    return buffer[1]


def stop_gluing(name: str, interface: str) -> None:
    """GRO and LRO off: a packet glued from several has one IP header where the limit must count each."""

    def switch_off() -> None:
        _ethtool(interface, _SET_GRO, 0)
        with suppress(OSError):
            flags = _ethtool(interface, _GET_FLAGS)
            if flags & _FLAG_LRO:
                _ethtool(interface, _SET_FLAGS, flags & ~_FLAG_LRO)

    in_namespace(path_of(name), switch_off)


def _glues(interface: str) -> bool:
    with suppress(OSError):
        return bool(_ethtool(interface, _GET_GRO)) or bool(_ethtool(interface, _GET_FLAGS) & _FLAG_LRO)
    return False
