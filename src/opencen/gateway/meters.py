"""From the kernel's counters, which vanish with their class, to totals that never go backwards, and rates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opencen.gateway.kernel.model import COUNTED_CLASSES, Counters


def in_all(counters: Mapping[int, Counters]) -> Counters:
    """What a tunnel's classes count together; a parent class counts what its children do, so it is left out."""
    return sum((counters[minor] for minor in COUNTED_CLASSES if minor in counters), start=Counters())


@dataclass
class LinkMeter:
    """Totals of one link since the agent first saw it. `trimmed_packets` grows by what changes dropped."""

    trimmed_packets: int = 0
    _gone: Counters = field(default_factory=Counters)
    _last: dict[int, Counters] = field(default_factory=dict)
    _reported: tuple[float, int] | None = None

    def observe(self, now: Mapping[int, Counters]) -> None:
        """Take in what the kernel counts now, by class. A class that counts less than before is another one."""
        for minor in COUNTED_CLASSES:
            last, current = self._last.get(minor), now.get(minor)
            if last and (current is None or current.sent_bytes < last.sent_bytes):
                self._retire(minor, last)
        self._last = {minor: now[minor] for minor in COUNTED_CLASSES if minor in now}

    def removed(self, minor: int, last: Counters) -> None:
        """A class was removed by a change, having counted `last`."""
        if minor in COUNTED_CLASSES:
            self._retire(minor, last)

    def _retire(self, minor: int, last: Counters) -> None:
        counted = Counters(last.sent_bytes, last.sent_packets, last.dropped_packets)
        self._gone += counted
        self._last.pop(minor, None)

    @property
    def totals(self) -> Counters:
        """What was sent and dropped in all, and what is queued now."""
        return sum(self._last.values(), start=self._gone)

    def measured_bps(self, at_s: float) -> float | None:
        """The rate sent since this was last asked; None the first time."""
        sent_bytes = self.totals.sent_bytes
        before = self._reported
        self._reported = (at_s, sent_bytes)
        if before is None or at_s <= before[0]:
            return None
        return (sent_bytes - before[1]) * 8 / (at_s - before[0])
