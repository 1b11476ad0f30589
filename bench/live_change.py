"""A flow paced below the new limit, while the limit changes: packets lost and reordered."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Result
from bench.site import running_site

A, B = "us-west-1", "cn-hangzhou"
PROBE = str(Path(__file__).parents[1] / "tests" / "netns" / "udp_probe.py")
CHANGES = 40
PACKETS_PER_S = 400
PAYLOAD_BYTES = 972


def run() -> Result:
    """Counts over `CHANGES` changes between 4 and 20 Mbit/s under a flow of 3.2 Mbit/s."""
    seconds = CHANGES * 0.25 + 1
    with running_site() as site:
        site.set(A, B, 10)
        receive = [sys.executable, PROBE, "receive", str(seconds + 3)]
        receiver = subprocess.Popen(site.lab.command(f"host-{B}", receive), stdout=subprocess.PIPE)
        assert receiver.stdout is not None
        receiver.stdout.readline()
        send = [sys.executable, PROBE, "send", "10.2.0.10", str(PAYLOAD_BYTES), str(PACKETS_PER_S), str(seconds)]
        sender = subprocess.Popen(site.lab.command(f"host-{A}", send), stdout=subprocess.PIPE)
        for number in range(CHANGES):
            site.set(A, B, (5, 8, 4, 20)[number % 4])
            time.sleep(0.2)
        sent = json.loads(sender.communicate(timeout=60)[0])["sent"]
        result = json.loads(receiver.communicate(timeout=60)[0])
    lost, reordered = sent - result["distinct"], result["reordered"]
    return Result(
        name="live_change",
        title="A live change under a flow paced below the new limit",
        promise="0 packets lost or reordered",
        columns=("changes", "packets sent", "lost", "reordered"),
        rows=[(f"{CHANGES}", f"{sent}", f"{lost}", f"{reordered}")],
        met=lost == 0 and reordered == 0,
    )
