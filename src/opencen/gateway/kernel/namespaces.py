"""Named network namespaces (the ones `ip netns` shows), their settings, and offloads of interfaces in them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from array import array
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from opencen.gateway.kernel import clamping
from opencen.gateway.kernel.messages import abroad, in_namespace

FOLDER: Final = Path("/run/netns")
OWN: Final = Path("/proc/self/ns/net")

_NET_SETTINGS: Final = Path("/proc/sys/net")
_SETTINGS: Final = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # what the gateway itself sends, an ICMP error perhaps, comes out of a front with an address of its own
    "ipv4/conf/all/accept_local": "1",
    # hosts learn at once that the gateway's address has come to another interface
    "ipv4/conf/all/arp_notify": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
_WITHOUT_IPV6: Final = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MNT_DETACH = 4096, 2
_LIBC = ctypes.CDLL(None, use_errno=True)

_SIOCETHTOOL = 0x8946
_SET_TSO, _SET_GSO = 0x1F, 0x24
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


def those_of(wanted: Sequence[str]) -> list[str]:
    """Those of these names that stand for a namespace."""
    return [name for name in wanted if _is_mounted(path_of(name))]


def create(name: str) -> None:
    """Make a named namespace, as `ip netns add` does. Raises OSError."""
    path = path_of(name)
    if _is_mounted(path):
        return
    path.unlink(missing_ok=True)
    if not FOLDER.is_mount():  # the first of this machine: ip makes the folder that all programs share
        done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.strip() or f"ip netns add {name} failed")
        return
    path.touch(mode=0o444, exist_ok=False)
    try:
        abroad(lambda: _unshare_and_keep(path))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _unshare_and_keep(path: Path) -> None:
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        raise _libc_error("unshare")
    if _LIBC.mount(b"/proc/thread-self/ns/net", os.fsencode(path), b"none", _MS_BIND, None) != 0:
        raise _libc_error(f"mount {path}")


def remove(name: str) -> None:
    """Remove a named namespace; it lives on while somebody is in it. Raises OSError."""
    path = path_of(name)
    if _LIBC.umount2(os.fsencode(path), _MNT_DETACH) != 0:
        raise _libc_error(f"umount {path}")
    path.unlink()


def _libc_error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")


@cache
def _settings() -> dict[Path, str]:
    folder = _NET_SETTINGS
    wanted = {folder / name: value for name, value in _SETTINGS.items()}
    if (folder / "ipv6").is_dir():
        wanted |= {folder / name: value for name, value in _WITHOUT_IPV6.items()}
    return wanted


def prepare(name: str) -> None:
    """Forwarding on, reverse path filter and redirects off, no IPv6 (so no neighbour discovery), MSS clamped."""

    def write() -> None:
        for path, value in _settings().items():
            path.write_text(value)
        clamping.clamp()

    in_namespace(path_of(name), write)


def is_prepared(name: str) -> bool:
    """Whether the settings that `prepare` makes are in force."""

    def look() -> bool:
        settings = _settings().items()
        return all(path.read_text().strip() == value for path, value in settings) and clamping.is_clamped()

    return in_namespace(path_of(name), look)


def write_setting(path: Path, setting: str, value: str) -> None:
    """Write below /proc/sys/net, in the namespace at `path`. Raises OSError."""
    in_namespace(path, lambda: (_NET_SETTINGS / setting).write_text(value))


def read_setting(path: Path, setting: str) -> str:
    """Read below /proc/sys/net, in the namespace at `path`. Raises OSError."""
    return in_namespace(path, lambda: (_NET_SETTINGS / setting).read_text().strip())


def control_socket(path: Path) -> socket.socket:
    """A socket through which the interfaces of a namespace can be asked and set, from anywhere."""
    return in_namespace(path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def _ethtool(control: socket.socket, interface: str, command: int, value: int = 0) -> int:
    buffer = array("I", (command, value))
    request = struct.pack("16sP", interface.encode(), buffer.buffer_info()[0])
    fcntl.ioctl(control, _SIOCETHTOOL, request)
    return buffer[1]


def stop_gluing(control: socket.socket, interface: str) -> None:
    """GRO and LRO off: a packet glued from several has one IP header where the limit must count each."""
    _ethtool(control, interface, _SET_GRO, 0)
    with suppress(OSError):
        flags = _ethtool(control, interface, _GET_FLAGS)
        if flags & _FLAG_LRO:
            _ethtool(control, interface, _SET_FLAGS, flags & ~_FLAG_LRO)


def has_gro(control: socket.socket, interface: str) -> bool:
    with suppress(OSError):
        return bool(_ethtool(control, interface, _GET_GRO))
    return False


def glue_again(control: socket.socket, interface: str) -> None:
    """GRO on, as a host has it by default."""
    _ethtool(control, interface, _SET_GRO, 1)


def send_segments(control: socket.socket, interface: str) -> None:
    """What leaves an interface is cut into packets before: where it arrives, the limit must count each."""
    for command in (_SET_TSO, _SET_GSO):
        _ethtool(control, interface, command, 0)


def glues(control: socket.socket, interface: str) -> bool:
    """Whether GRO or LRO may glue packets together that come in there."""
    with suppress(OSError):
        return bool(_ethtool(control, interface, _GET_GRO)) or bool(
            _ethtool(control, interface, _GET_FLAGS) & _FLAG_LRO
        )
    return False
