"""Batches on their way to the control plane, on disk until it has them; and what metering goes on from after a restart.

A folder with a file a batch, and `tracks`, which is replaced at once. A batch is written as `.tmp` first; replacing
`tracks`, which names the last batch, is what makes both count; then the batch gets its name. So a batch and the tracks
that it left are one: after a kill at any moment, what passed is in a batch or still to be put into one, never in both.
Nothing waits for the disk: a power cut may cost the last moments.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
import zlib
from array import array
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from opencen.gateway.usage.tracks import Passed, Tracks

Link = tuple[str, str]
"""Instance and peer region."""

MAX_SPOOL_BYTES: Final = 256 << 20
_TRACKS: Final = "tracks"
_ID: Final = "id"
_MOST_TICKS: Final = 60
_KEPT_IN_MEMORY: Final = 4
_MOST_32: Final = (1 << 32) - 1


@dataclass(slots=True)
class Draft:
    """Ticks of the same links, not yet on disk: (begin, end, rows) each."""

    links: tuple[Link, ...]
    ticks: list[tuple[int, int, Sequence[Passed]]]

    def body(self, boot_id: str, boot_wall_s: float) -> dict[str, Any]:
        """All of a `UsageBatch` but who sends it when."""
        roster = [{"cen_id": cen_id, "peer_region_id": peer} for cen_id, peer in self.links]
        return {
            "boot_id": boot_id,
            "boot_wall_s": boot_wall_s,
            "roster_sha256": sha256(json.dumps(self.links).encode()).hexdigest(),
            "roster": roster,
            "ticks": [_tick(begin_s, end_s, rows) for begin_s, end_s, rows in self.ticks],
        }


def _tick(begin_s: int, end_s: int, rows: Sequence[Passed]) -> dict[str, Any]:
    _, sent_bytes, sent_packets, drops, backlog = zip(*rows, strict=True)
    columns = {
        "sent_bytes": array("Q", sent_bytes),
        "sent_packets": array("I", [min(value, _MOST_32) for value in sent_packets]),
        "dropped_packets": array("I", [min(value, _MOST_32) for value in drops]),
        "backlog_bytes": array("I", [min(value, _MOST_32) for value in backlog]),
    }
    encoded = {name: b64encode(column.tobytes()).decode() for name, column in columns.items()}
    return {"at_s": end_s, "for_s": end_s - begin_s, **encoded}


class Spool:
    """`directory` is made. `max_bytes` bounds the batches on disk; the oldest go first, and `lost_batches` counts them.

    One thread commits, another sends.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_SPOOL_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._sizes: dict[int, int] = {}
        self._newest: dict[int, dict[str, Any]] = {}
        self._next = 1
        self._lock = threading.RLock()
        self.lost_batches = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.id = self._own_id()

    def _own_id(self) -> str:
        path = self._directory / _ID
        if not path.exists():
            _replace(path, uuid.uuid4().hex.encode())
        return path.read_text()

    def load(self, boot_id: str) -> Tracks:
        """What metering goes on from: the tracks of this boot, or what is true of a new one, or nothing."""
        saved: dict[str, Any] = {}
        try:
            saved = json.loads(zlib.decompress((self._directory / _TRACKS).read_bytes()))
            tracks = Tracks.restored(saved["tracks"]) if saved["boot_id"] == boot_id else Tracks.after_boot()
            committed = int(saved["sequence"])
        except (OSError, ValueError, TypeError, KeyError, zlib.error):
            tracks, committed = Tracks(), 0
        for path in self._directory.glob("*.tmp"):
            if path.stem.isdigit() and int(path.stem) <= committed:
                path.rename(path.with_suffix(".batch"))
            else:
                path.unlink()
        self._sizes = {int(path.stem): path.stat().st_size for path in sorted(self._directory.glob("*.batch"))}
        self._next = max([committed, *self._sizes]) + 1
        return tracks

    def commit(self, bodies: Sequence[dict[str, Any]], tracks: Tracks, boot_id: str) -> None:
        """Keep batches together with the tracks that they left. Raises OSError, and then keeps neither."""
        written: list[tuple[int, Path, int]] = []
        for sequence, body in enumerate(bodies, self._next):
            path = self._directory / f"{sequence:016d}.tmp"
            content = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)
            path.write_bytes(content)
            written.append((sequence, path, len(content)))
        last = self._next + len(bodies) - 1
        saved = {"boot_id": boot_id, "sequence": last, "tracks": tracks.saved()}
        _replace(self._directory / _TRACKS, zlib.compress(json.dumps(saved, separators=(",", ":")).encode(), 1))
        for _, path, _ in written:
            path.rename(path.with_suffix(".batch"))
        self._next = last + 1
        with self._lock:
            for (sequence, _, size), body in zip(written, bodies, strict=True):
                self._sizes[sequence] = size
                self._newest[sequence] = body
            while len(self._newest) > _KEPT_IN_MEMORY:
                del self._newest[min(self._newest)]
            while len(self._sizes) > 1 and self.waiting_bytes > self._max_bytes:
                self.give_up(min(self._sizes))

    @property
    def waiting(self) -> int:
        """Batches that the control plane does not have yet."""
        return len(self._sizes)

    @property
    def waiting_bytes(self) -> int:
        with self._lock:
            return sum(self._sizes.values())

    def oldest(self) -> tuple[int, dict[str, Any]] | None:
        """The batch to be sent next, and its number; one that cannot be read is given up."""
        while True:
            with self._lock:
                if not self._sizes:
                    return None
                sequence = min(self._sizes)
                if sequence in self._newest:
                    return sequence, self._newest[sequence]
            try:
                content = (self._directory / f"{sequence:016d}.batch").read_bytes()
                body = json.loads(zlib.decompress(content))
                if isinstance(body, dict):
                    return sequence, body
            except (OSError, ValueError, zlib.error):
                pass
            self.give_up(sequence)

    def give_up(self, sequence: int) -> None:
        """It cannot be sent."""
        with self._lock:
            self.remove(sequence)
            self.lost_batches += 1

    def remove(self, sequence: int) -> None:
        """The control plane has it, or it is given up."""
        with self._lock:
            self._sizes.pop(sequence, None)
            self._newest.pop(sequence, None)
        (self._directory / f"{sequence:016d}.batch").unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)  # noqa: PTH105  one call, and it says what it does


def drafted(drafts: Mapping[tuple[Link, ...], Draft], boot_id: str, boot_wall_s: float) -> list[dict[str, Any]]:
    """Bodies of batches, none with more ticks than the control plane takes at once."""
    parts = [
        Draft(draft.links, draft.ticks[start : start + _MOST_TICKS])
        for draft in drafts.values()
        for start in range(0, len(draft.ticks), _MOST_TICKS)
    ]
    return [part.body(boot_id, boot_wall_s) for part in parts]
