"""A sender and a receiver that need nothing but the flow itself.

iperf3 has a control connection beside its data, which does not get through a pair of regions at 1 kbit/s, or one
that something else has filled. Run as `python -m opencen.lab.flow receive PORT` and
`python -m opencen.lab.flow send tcp|udp ADDRESS PORT LENGTH MSS`; ended by a signal. MSS is the largest TCP segment, 0
for the system's choice.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time

_DRAIN_BYTES = 1 << 20
_RETRY_S = 1.0


def _drain(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while connection.recv(_DRAIN_BYTES):
            pass


def receive(port: int) -> None:
    """Takes TCP connections and reads them; UDP is only bound, so that no ICMP goes back: the kernel drops it."""
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.create_server(("", port), backlog=16) as listener:
        datagrams.bind(("", port))
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_drain, args=(connection,), daemon=True).start()


def send_tcp(address: str, port: int, length: int, segment_bytes: int) -> None:
    """Sends as fast as TCP lets it, and connects again when a connection breaks."""
    chunk = bytes(length)
    while True:
        try:
            with socket.socket() as connection:
                if segment_bytes:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
                connection.connect((address, port))
                while True:
                    connection.sendall(chunk)
        except OSError:
            time.sleep(_RETRY_S)


def send_udp(address: str, port: int, length: int) -> None:
    """Sends datagrams without a pause."""
    datagram = bytes(length)
    with socket.socket(type=socket.SOCK_DGRAM) as out:
        out.connect((address, port))
        while True:
            with contextlib.suppress(OSError):
                out.send(datagram)


def main(argv: list[str]) -> None:
    match argv:
        case ["receive", port]:
            receive(int(port))
        case ["send", "tcp", address, port, length, segment_bytes]:
            send_tcp(address, int(port), int(length), int(segment_bytes))
        case ["send", "udp", address, port, length, _]:
            send_udp(address, int(port), int(length))
        case _:
            sys.exit(f"not a flow: {argv}")


if __name__ == "__main__":
    main(sys.argv[1:])
