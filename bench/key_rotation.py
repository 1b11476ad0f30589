"""A TCP flow on an encrypted link and numbered UDP packets beside it, while all keys of the link are rotated."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.report import Result
from bench.site import Site, running_site

A, B = "us-west-1", "cn-hangzhou"
PROBE = str(Path(__file__).parents[1] / "tests" / "netns" / "udp_probe.py")
PACKETS_PER_S = 1_000
PAYLOAD_BYTES = 172
LIMIT_MBPS = 20
ROTATIONS = 2
_ROTATION_TIMEOUT_S = 40.0
_UDP_SHARE = (PAYLOAD_BYTES + 28) * 8 * PACKETS_PER_S / 1_000_000 / LIMIT_MBPS


def link_state(site: Site) -> dict[str, Any]:
    """The link as the control plane shows it."""
    items = site.client.get(f"/v1/instances/{site.cen_id}/encryption")["items"]
    return dict(next(item for item in items if {item["region_a_id"], item["region_b_id"]} == {A, B}))


def rotate(site: Site) -> float:
    """Rotate all keys, static and pre-shared, and wait until both ends use the new ones. Seconds that it took."""
    gateway = next(item for item in site.lab.state().gateways if item.region_id == A)
    began_s = time.monotonic()
    site.client.post(f"/v1/gateways/{gateway.gateway_id}/rotate-keys")
    while link_state(site)["rotates"]:
        if time.monotonic() - began_s > _ROTATION_TIMEOUT_S:
            raise RuntimeError(f"the keys were not rotated: {link_state(site)}")
        time.sleep(0.1)
    return time.monotonic() - began_s


def start(site: Site, host: str, argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(site.lab.command(host, argv), stdout=subprocess.PIPE)


def measure(site: Site, rotations: int) -> dict[str, Any]:
    """Counts of a UDP stream beside a TCP flow over so many rotations, and the highest rate of any second."""
    seconds = 4 + 22.0 * rotations
    site.set(A, B, LIMIT_MBPS)
    receiver = start(site, f"host-{B}", [sys.executable, PROBE, "receive", str(seconds + 2)])
    assert receiver.stdout is not None
    receiver.stdout.readline()
    sender = start(
        site,
        f"host-{A}",
        [sys.executable, PROBE, "send", "10.2.0.10", str(PAYLOAD_BYTES), str(PACKETS_PER_S), str(seconds)],
    )
    sink = start(site, f"host-{B}", ["iperf3", "-s", "-1", "-p", "7800"])
    time.sleep(0.5)
    # paced, so that the queue stays short and what is lost was lost by the rotation
    pace = f"{LIMIT_MBPS * (0.9 - _UDP_SHARE):.1f}M"
    argv = ["iperf3", "-c", "10.2.0.10", "-p", "7800", "-t", str(round(seconds - 2)), "-b", pace, "-J", "-i", "1"]
    flow = start(site, f"host-{A}", argv)
    time.sleep(1)
    took_s = [rotate(site) for _ in range(rotations)]
    tcp = json.loads(flow.communicate(timeout=120)[0])
    sent = json.loads(sender.communicate(timeout=120)[0])["sent"]
    result = json.loads(receiver.communicate(timeout=120)[0])
    sink.communicate(timeout=20)
    return {
        "took_s": took_s,
        "sent": sent,
        "lost": sent - result["distinct"],
        "reordered": result["reordered"],
        "tcp_retransmits": tcp["end"]["sum_sent"]["retransmits"],
        "tcp_bytes": tcp["end"]["sum_received"]["bytes"],
    }


def run() -> Result:
    """Counts over `ROTATIONS` rotations of every key of a link of 20 Mbit/s."""
    with running_site(encryption="wireguard") as site:
        counted = measure(site, ROTATIONS)
    took = ", ".join(f"{seconds:.1f}" for seconds in counted["took_s"])
    clean = counted["lost"] == counted["reordered"] == counted["tcp_retransmits"] == 0
    return Result(
        name="key_rotation",
        title="Keys of an encrypted link rotated under a TCP flow and 1,000 numbered UDP packets a second",
        promise="0 packets lost or reordered, 0 TCP segments sent again",
        columns=("rotations", "each took s", "UDP packets sent", "lost", "reordered", "TCP bytes", "sent again"),
        rows=[
            (
                f"{ROTATIONS}",
                took,
                f"{counted['sent']}",
                f"{counted['lost']}",
                f"{counted['reordered']}",
                f"{counted['tcp_bytes']}",
                f"{counted['tcp_retransmits']}",
            )
        ],
        met=clean,
    )
