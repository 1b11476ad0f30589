"""Batches of usage as a gateway sends them, made by hand: the test says what passed, and when."""

from __future__ import annotations

from array import array
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

Link = tuple[str, str]
"""Instance and peer region."""
Passed = tuple[int, int, int, int]
"""Bytes, packets and drops of a link in a tick, and its backlog at the end."""


def roster_of(links: Sequence[Link]) -> tuple[str, list[dict[str, str]]]:
    return sha256(repr(list(links)).encode()).hexdigest(), [{"cen_id": c, "peer_region_id": p} for c, p in links]


def columns_of(of_links: Sequence[Passed]) -> tuple[bytes, bytes, bytes, bytes]:
    """The columns of a tick, a row a link."""
    sent, packets, drops, backlog = zip(*of_links, strict=True)
    narrow = [array("I", column).tobytes() for column in (packets, drops, backlog)]
    return array("Q", sent).tobytes(), narrow[0], narrow[1], narrow[2]


def tick(at_s: int, for_s: int, of_links: Sequence[Passed]) -> dict[str, Any]:
    """What passed in the `for_s` seconds before `at_s`, a row a link."""
    names = ("sent_bytes", "sent_packets", "dropped_packets", "backlog_bytes")
    columns = zip(names, columns_of(of_links), strict=True)
    return {"at_s": at_s, "for_s": for_s} | {name: b64encode(column).decode() for name, column in columns}


def batch(
    links: Sequence[Link],
    ticks: Sequence[dict[str, Any]],
    *,
    sequence: int,
    boot_s: float,
    boot_id: str = "boot-1",
    spool_id: str = "spool-1",
    wall_s: float = 0.0,
    with_roster: bool = True,
) -> dict[str, Any]:
    """A batch sent when the boot clock shows `boot_s`."""
    digest, roster = roster_of(links)
    return {
        "spool_id": spool_id,
        "sequence": sequence,
        "clock": {"boot_id": boot_id, "boot_s": boot_s, "wall_s": wall_s},
        "boot_id": boot_id,
        "boot_wall_s": wall_s - boot_s,
        "roster_sha256": digest,
        "roster": roster if with_roster else None,
        "ticks": list(ticks),
    }
