"""What an encrypted link lets through against its limit, as a receiver counts it."""

from __future__ import annotations

import time

from bench.key_rotation import A, B, link_state
from bench.report import Result
from bench.site import running_site

MBPS = (10, 100)


def run() -> Result:
    """Receiver's IP bytes over 10 s, of an unpaced TCP flow and of small UDP packets."""
    rows, ratios = [], []
    with running_site(encryption="wireguard") as site:
        assert link_state(site)["encryption"] == "wireguard"
        for mbps in MBPS:
            site.set(A, B, mbps)
            time.sleep(1)
            for transport, length in (("tcp", None), ("udp", 172)):
                measured = site.lab.traffic(A, B, transport=transport, length=length)  # type: ignore[arg-type]
                ratio = measured.measured_bps / (mbps * 1_000_000)
                ratios.append(ratio)
                what = "TCP in bulk" if length is None else f"UDP of {length + 28} bytes"
                rows.append((f"{mbps}", what, f"{measured.measured_bps / 1e6:.2f}", f"{ratio:.3f}"))
    return Result(
        name="encrypted",
        title="Encrypted links (wireguard-go) against their limit",
        promise="0.95 to 1.01 of the limit, inner IP packets counted",
        columns=("limit Mbit/s", "traffic", "received Mbit/s", "of the limit"),
        rows=rows,
        met=all(0.95 <= ratio <= 1.01 for ratio in ratios),
    )
