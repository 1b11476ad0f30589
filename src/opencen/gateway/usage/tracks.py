"""From readings of counters, which come when they come and begin anew, to amounts between whole seconds. Pure.

A reading is taken a little after the second that it is for, sometimes much later. What passed between two readings is
taken to have passed evenly, and is cut at the second. So a late reading makes no dip and no spike, and every byte that
the kernel counted is in exactly one tick: none twice, none lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from opencen.gateway.kernel.counters import Reading

Device = tuple[str, str]
"""A link's namespace and device."""
COARSE_S: Final = 10
FINE_S: Final = 1
_WRAP: Final = 1 << 32


@dataclass(slots=True)
class Track:
    """One link: the last reading and when (microseconds), what no tick has yet, and up to when there are ticks."""

    ifindex: int
    counted: tuple[int, int, int]
    at_us: int
    until_s: int
    pending: tuple[int, int, int] = (0, 0, 0)
    trimmed_packets: int = 0
    """Dropped by a change of the limit, and still to be taken off what the kernel says the limit dropped."""


class Passed(NamedTuple):
    """What passed a link in a tick, and what waited at its end."""

    device: Device
    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    backlog_bytes: int


@dataclass(slots=True)
class Tracks:
    """All links of a gateway. Times are of the boot clock; `align_s` shifts where its tens of seconds are.

    `since_us` is when all links were last looked at: a link that is met for the first time later was made since then,
    and all that it counts has passed since. None: never, so a first reading is where counting begins.
    """

    of_device: dict[Device, Track] = field(default_factory=dict)
    align_s: int = 0
    since_us: int | None = None

    def observe(
        self,
        at_us: int,
        readings: Mapping[Device, Reading],
        is_fine: Callable[[Device], bool],
        *,
        complete: bool,
        unread: Collection[Device] = (),
    ) -> dict[tuple[int, int], list[Passed]]:
        """Take in readings made at `at_us`; ticks that ended by then, by (begin, end) in seconds.

        `complete`: these are all links that there are, but for `unread`; others are gone.
        """
        ticks: dict[tuple[int, int], list[Passed]] = {}
        coarse_s, fine_s = self._boundary(at_us, COARSE_S), self._boundary(at_us, FINE_S)
        for device, reading in readings.items():
            end_s = fine_s if is_fine(device) else coarse_s
            track = self.of_device.get(device)
            if track is None:
                track = self.of_device[device] = self._first(reading, at_us)
            self._take(track, device, reading, at_us, end_s, ticks)
        if complete:
            for device in self.of_device.keys() - readings.keys() - set(unread):
                self._end(device, fine_s, ticks)
            self.since_us = at_us
        return ticks

    def _boundary(self, at_us: int, step_s: int) -> int:
        at_s = at_us // 1_000_000
        return at_s - (at_s + self.align_s) % step_s

    def begin(self, device: Device, reading: Reading, at_us: int) -> None:
        """A link that was there before metering was: what it counted until then is nobody's."""
        self.of_device.setdefault(device, Track(reading.ifindex, reading[1:4], at_us, self._boundary(at_us, FINE_S)))

    def _first(self, reading: Reading, at_us: int) -> Track:
        since_us = at_us if self.since_us is None else self.since_us
        counted = reading[1:4] if self.since_us is None else (0, 0, 0)
        return Track(reading.ifindex, counted, since_us, self._boundary(since_us, FINE_S))

    def _take(
        self,
        track: Track,
        device: Device,
        reading: Reading,
        at_us: int,
        end_s: int,
        ticks: dict[tuple[int, int], list[Passed]],
    ) -> None:
        sent_bytes, sent_packets, drops = _since(track, reading)
        if track.trimmed_packets:
            taken = min(track.trimmed_packets, drops)
            track.trimmed_packets -= taken
            drops -= taken
        before = track.pending
        if end_s > track.until_s:
            done_us, whole_us = end_s * 1_000_000 - track.at_us, at_us - track.at_us
            if done_us <= 0 or whole_us <= 0:
                passed, rest = before, (sent_bytes, sent_packets, drops)
            else:
                first = sent_bytes * done_us // whole_us
                second = sent_packets * done_us // whole_us
                third = drops * done_us // whole_us
                passed = (before[0] + first, before[1] + second, before[2] + third)
                rest = (sent_bytes - first, sent_packets - second, drops - third)
            row = Passed(device, *passed, reading.backlog_bytes)
            ticks.setdefault((track.until_s, end_s), []).append(row)
            track.pending, track.until_s = rest, end_s
        else:
            track.pending = (before[0] + sent_bytes, before[1] + sent_packets, before[2] + drops)
        track.ifindex, track.counted, track.at_us = reading.ifindex, reading[1:4], at_us

    def _end(self, device: Device, end_s: int, ticks: dict[tuple[int, int], list[Passed]]) -> None:
        """A link that is gone: what no tick has yet is in its last one."""
        track = self.of_device[device]
        if any(track.pending):
            if end_s <= track.until_s:
                return
            ticks.setdefault((track.until_s, end_s), []).append(Passed(device, *track.pending, 0))
        del self.of_device[device]

    def trimmed(self, device: Device, packets: int) -> None:
        """A change of the limit dropped these, which the kernel counts as drops of the queue."""
        if device in self.of_device:
            self.of_device[device].trimmed_packets += packets

    def saved(self) -> dict[str, Any]:
        """As plain values, for `restored`."""
        rows = [
            (*device, t.ifindex, *t.counted, t.at_us, t.until_s, *t.pending, t.trimmed_packets)
            for device, t in self.of_device.items()
        ]
        return {"align_s": self.align_s, "since_us": self.since_us, "devices": rows}

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Tracks:
        """Raises ValueError, TypeError or KeyError for what `saved` did not make."""
        tracks = {
            (str(namespace), str(name)): Track(
                int(ifindex), (counted[0], counted[1], counted[2]), at_us, until_s, (rest[0], rest[1], rest[2]), rest[3]
            )
            for namespace, name, ifindex, *counted, at_us, until_s, rest in map(_split, saved["devices"])
        }
        since_us = saved["since_us"]
        return cls(tracks, int(saved["align_s"]), None if since_us is None else int(since_us))

    @classmethod
    def after_boot(cls) -> Tracks:
        """Of a host that has been booted since they were saved: all that there is was made after that."""
        return cls(since_us=0)


def _split(row: Iterable[Any]) -> list[Any]:
    namespace, name, *numbers = row
    if len(numbers) != 10:
        raise ValueError("a saved link has 10 numbers")
    return [namespace, name, *numbers[:6], numbers[6:]]


def _since(track: Track, reading: Reading) -> tuple[int, int, int]:
    """What a link counted since its last reading: all, when it counts anew."""
    _, sent_bytes, sent_packets, drops, _ = reading
    last_bytes, last_packets, last_drops = track.counted
    if reading.ifindex != track.ifindex or sent_bytes < last_bytes or sent_packets < last_packets:
        return sent_bytes, sent_packets, drops
    new_drops = (drops - last_drops) % _WRAP
    return sent_bytes - last_bytes, sent_packets - last_packets, new_drops if new_drops < _WRAP // 2 else drops
