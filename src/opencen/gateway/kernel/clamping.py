"""TCP on both sides of a tunnel is told, as it begins, how large a segment fits: the MSS clamp of a namespace.

One nftables table, put in with libnftables, as `nft` does, without a process for each namespace. A host without it goes
without the clamp: its senders learn what fits from ICMP, if their networks let that through.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from functools import cache
from typing import Final

from opencen.gateway.kernel.messages import attribute

_TABLE: Final = "opencen"
_RULES: Final = f"""
table ip {_TABLE}
delete table ip {_TABLE}
table ip {_TABLE} {{
  chain forward {{
    type filter hook forward priority mangle; policy accept;
    oifname "to-*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
  }}
}}
"""
_NETLINK_NETFILTER: Final = 12
_GET_TABLE: Final = 10 << 8 | 1
_REQUEST: Final = 1
_ERROR: Final = 2
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def clamp() -> None:
    """Put the table into the namespace of the calling thread. Raises OSError with what the kernel said."""
    library = _library()
    if library is None:
        return
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, _RULES.encode()) != 0:
            said = library.nft_ctx_get_error_buffer(context).decode(errors="replace").strip()
            raise OSError(f"nftables: {said.splitlines()[0] if said else 'refused'}")
    finally:
        library.nft_ctx_free(context)


def is_clamped() -> bool:
    """Whether the table is in the namespace of the calling thread; True also where there can be none."""
    if _library() is None:
        return True
    body = _FAMILY.pack(socket.AF_INET, 0, 0) + attribute(1, _TABLE.encode() + b"\0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as asked:
        asked.settimeout(5)
        asked.send(_HEADER.pack(_HEADER.size + len(body), _GET_TABLE, _REQUEST, 1, 0) + body)
        _, kind, _, _, _ = _HEADER.unpack_from(asked.recv(8_192))
        return bool(kind != _ERROR)
