"""Usage as gateways would have metered it, put into a server: what passed is a function of time."""

from __future__ import annotations

import itertools
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from opencen.client import Client, Credential
from usage_batches import Passed, batch, tick

Rate = Callable[[int, str], tuple[float, int] | None]
"""(second, peer region) -> bit/s and dropped packets a second; None: nobody metered then."""
_PACKET_BYTES = 1200
_numbers = itertools.count(1)


def metered(
    server: str,
    credential: Credential,
    cen_id: str,
    peers: Sequence[str],
    rate: Rate,
    *,
    seconds: int,
    fine_s: int = 900,
) -> int:
    """Send the last `seconds` as one gateway: 10-second ticks, and 1-second ones for the last `fine_s`; the end."""
    now = int(time.time())
    spool_id = f"spool-{next(_numbers)}"
    ticks = [made for end, length in _ends(now, seconds, fine_s) if (made := _tick(end, length, peers, rate))]
    links = [(cen_id, peer) for peer in peers]
    with Client(server, credential) as client:
        for sequence, start in enumerate(range(0, len(ticks), 100)):
            body = batch(
                links, ticks[start : start + 100], sequence=sequence, boot_s=now, spool_id=spool_id, wall_s=now
            )
            client.post("/v1/gateway/usage", body)
    return now


def set_long_ago(data: Path, seconds: int) -> None:
    """As if every connection had been set so long ago: no API can say so, so it is written into the server's rows."""
    with closing(sqlite3.connect(data / "opencen.db", timeout=10)) as database, database:
        database.execute("UPDATE connection_tenures SET since_s = since_s - ?", (seconds,))


def _ends(now: int, seconds: int, fine_s: int) -> Iterator[tuple[int, int]]:
    fine_from = (now - fine_s) // 10 * 10
    for end in range((now - seconds) // 10 * 10 + 10, fine_from + 1, 10):
        yield end, 10
    for end in range(fine_from + 1, now + 1):
        yield end, 1


def _tick(end: int, length: int, peers: Sequence[str], rate: Rate) -> dict[str, object] | None:
    rows: list[Passed] = []
    for peer in peers:
        passed = rate(end, peer)
        if passed is None:
            return None
        bps, drops = passed
        rows.append((int(bps * length / 8), int(bps * length / 8 / _PACKET_BYTES), drops * length, 0))
    return tick(end, length, rows)


def day(limit_mbps: float, *, part: float = 0.6, phase: float = 0.0) -> Callable[[int], tuple[float, int]]:
    """A rate that looks like people at work, clipped by a limit that then drops."""

    def at(second: int) -> tuple[float, int]:
        wave = 0.5 + 0.3 * math.sin(second / 3000 + phase) + 0.16 * math.sin(second / 410 + 2 * phase)
        noise = 0.10 * math.sin(second * 12.9898 + phase) * math.sin(second * 0.78)
        wanted = max(0.02, (wave + noise) * part * 2) * limit_mbps * 1e6
        most = limit_mbps * 1e6
        return min(wanted, most * 0.998), int(max(wanted - most, 0) / 8 / _PACKET_BYTES)

    return at
