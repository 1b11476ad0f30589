"""What arrives at a gateway through VXLAN tunnels, captured on the underlay: IP bytes of inner packets, in windows."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_VXLAN_PORT = 4789
_ETHERNET, _OUTER = 14, 20 + 8 + 8 + 14
_FILE_HEADER, _PACKET_HEADER = 24, 16
_START_TIMEOUT_S = 10


@dataclass
class Capture:
    """Filled when its block ends: (seconds, inner IP bytes) of each packet."""

    packets: list[tuple[float, int]] = field(default_factory=list)

    def most_bits(self, window_s: float) -> int:
        """The most inner bits in any window of this length, windows beginning at each tenth of it."""
        step_s = window_s / 10
        steps: Counter[int] = Counter()
        for at_s, size_bytes in self.packets:
            steps[int(at_s / step_s)] += size_bytes * 8
        first, last = min(steps), max(steps)
        return max(sum(steps[begin + offset] for offset in range(10)) for begin in range(first, last + 1))


@contextmanager
def arriving(namespace: str, address: str) -> Iterator[Capture]:
    """Captures what is sent to `address` for the length of the block."""
    links = json.loads(subprocess.check_output(["ip", "-n", namespace, "-j", "addr"]))
    interface = next(link["ifname"] for link in links if any(a["local"] == address for a in link["addr_info"]))
    capture = Capture()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "underlay.pcap"
        argv = ["ip", "netns", "exec", namespace, "tcpdump", "-i", interface, "-s", "64", "-U", "-B", "8192"]
        argv += ["-w", str(path), "--time-stamp-precision=nano", f"udp dst port {_VXLAN_PORT} and dst host {address}"]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tcpdump:
            try:
                assert tcpdump.stderr is not None
                said = tcpdump.stderr.readline()
                assert "listening on" in said, said
                yield capture
            finally:
                tcpdump.send_signal(signal.SIGINT)
                tcpdump.wait(_START_TIMEOUT_S)
        capture.packets = list(_packets(path.read_bytes()))


def _packets(raw: bytes) -> Iterator[tuple[float, int]]:
    offset = _FILE_HEADER
    while offset + _PACKET_HEADER <= len(raw):
        seconds, nanoseconds, kept, _ = struct.unpack_from("<IIII", raw, offset)
        offset += _PACKET_HEADER
        (outer_bytes,) = struct.unpack_from(">H", raw, offset + _ETHERNET + 2)
        yield seconds + nanoseconds / 1e9, outer_bytes - _OUTER
        offset += kept
