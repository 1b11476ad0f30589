"""What passed in one direction of a region connection, as points in time, and how points become coarser ones. Pure.

A direction is what one region sends to another within a CEN instance; the gateways of the sending region meter it.
Times are whole seconds since 1970 of the control plane's clock. A point at `t` with step `s` covers [t, t + s).

Every figure is a whole number, so that the same points give the same figures however late, often or disordered what
they are made of arrived: amounts add up, `max_bps` and `backlog_bytes` are the greatest, and time metered is capped.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
LIVE_STEP_S: Final = 1
BASE_STEP_S: Final = 10
"""The finest points that every connection has; percentiles are of their means."""
BILLED_STEP_S: Final = 300
"""Monthly percentiles are of 5-minute means, as carriers bill."""
LIVE_KEPT_S: Final = 15 * MINUTE_S
LATEST_S: Final = DAY_S
"""What is reported later than this after it happened is not taken: the points that it belongs to are gone."""
_PERCENT: Final = 95


@dataclass(frozen=True, slots=True)
class Layer:
    """Points of one step. They are stored `block_s` at a time, and go `kept_s` after they were made."""

    step_s: int
    block_s: int
    kept_s: int

    @property
    def length(self) -> int:
        """Points in a block."""
        return self.block_s // self.step_s


BASE: Final = Layer(BASE_STEP_S, HOUR_S, DAY_S)
MINUTES: Final = Layer(MINUTE_S, HOUR_S, 30 * DAY_S)
BILLED: Final = Layer(BILLED_STEP_S, DAY_S, 100 * DAY_S)
HOURS: Final = Layer(HOUR_S, DAY_S, 731 * DAY_S)
LAYERS: Final = (BASE, MINUTES, BILLED, HOURS)
CHARTED: Final = (BASE, MINUTES, HOURS)
"""The layers that points are answered from; the billed one holds amounts only."""

COLUMNS: Final = (
    "sent_bytes",
    "sent_packets",
    "dropped_packets",
    "metered_s",
    "max_bps",
    "p95_bps",
    "backlog_bytes",
)
_BYTES, _PACKETS, _DROPS, _METERED, _MAX, _P95, _BACKLOG = range(7)
_ADDED: Final = (_BYTES, _PACKETS, _DROPS)
_GREATEST: Final = (_MAX, _BACKLOG)
_WIDTHS: Final = (("B", 0xFF), ("H", 0xFFFF), ("I", 0xFFFF_FFFF), ("Q", 0xFFFF_FFFF_FFFF_FFFF))


@dataclass(slots=True)
class Points:
    """Consecutive points from `start_s` on, one list a column, as COLUMNS has them. `metered_s` 0: nothing known."""

    start_s: int
    step_s: int
    columns: list[list[int]]

    @classmethod
    def none(cls, start_s: int, step_s: int, length: int) -> Points:
        return cls(start_s, step_s, [[0] * length for _ in COLUMNS])

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def end_s(self) -> int:
        return self.start_s + self.step_s * len(self)

    @property
    def sent_bytes(self) -> list[int]:
        return self.columns[_BYTES]

    @property
    def sent_packets(self) -> list[int]:
        return self.columns[_PACKETS]

    @property
    def dropped_packets(self) -> list[int]:
        return self.columns[_DROPS]

    @property
    def metered_s(self) -> list[int]:
        return self.columns[_METERED]

    @property
    def max_bps(self) -> list[int]:
        return self.columns[_MAX]

    @property
    def p95_bps(self) -> list[int]:
        """Of points finer than a minute: their mean, for they have no parts."""
        return self.columns[_P95] if self.step_s >= MINUTE_S else [mean or 0 for mean in self.mean_bps()]

    @property
    def backlog_bytes(self) -> list[int]:
        return self.columns[_BACKLOG]

    def mean_bps(self) -> list[int | None]:
        """Over the time that was metered; None where none was."""
        return [
            amount * 8 // metered if metered else None
            for amount, metered in zip(self.sent_bytes, self.metered_s, strict=True)
        ]

    def add(self, other: Points) -> None:
        """Take in points of the same step; those beyond this one's range are left out."""
        first = (other.start_s - self.start_s) // self.step_s
        low, high = max(0, first), min(len(self), first + len(other))
        if low >= high:
            return
        part = slice(low, high)
        theirs = slice(low - first, high - first)
        if not any(self.columns[_METERED][part]):
            for mine, given in zip(self.columns, other.columns, strict=True):
                mine[part] = given[theirs]
            return
        for index in _ADDED:
            mine, given = self.columns[index], other.columns[index]
            mine[part] = [a + b for a, b in zip(mine[part], given[theirs], strict=True)]
        for index in (*_GREATEST, _P95):
            mine, given = self.columns[index], other.columns[index]
            mine[part] = list(map(max, mine[part], given[theirs]))
        mine, given = self.columns[_METERED], other.columns[_METERED]
        mine[part] = [min(self.step_s, a + b) for a, b in zip(mine[part], given[theirs], strict=True)]

    def put(self, other: Points) -> None:
        """Overwrite with points of the same step, all of which lie in this one's range."""
        first = (other.start_s - self.start_s) // self.step_s
        for mine, given in zip(self.columns, other.columns, strict=True):
            mine[first : first + len(other)] = given

    def between(self, from_s: int, to_s: int) -> Points:
        """The points that lie in [from_s, to_s), which are multiples of the step."""
        low = max(0, (from_s - self.start_s) // self.step_s)
        high = max(low, min(len(self), (to_s - self.start_s) // self.step_s))
        return Points(self.start_s + low * self.step_s, self.step_s, [column[low:high] for column in self.columns])


def coarser(points: Points, step_s: int) -> Points:
    """Points of a step that is a multiple of these points' one, from a multiple of it on.

    The 95th percentile is by nearest rank, of the means of points below a minute, and of the percentiles of others:
    exact for a minute and an hour out of 10-second points, an estimate beyond.
    """
    factor = step_s // points.step_s
    count = len(points) // factor
    if not any(points.metered_s):
        return Points.none(points.start_s, step_s, count)
    columns = list(points.columns)
    for index in (*_ADDED, _METERED):
        columns[index] = list(map(sum, _groups(points.columns[index], factor)))
    for index in _GREATEST:
        columns[index] = list(map(max, _groups(points.columns[index], factor)))
    ranked = _groups(points.p95_bps, factor)
    if all(points.metered_s):
        rank = _rank_95(factor)
        columns[_P95] = [sorted(group)[rank] for group in ranked]
    else:
        columns[_P95] = [
            percentile_95([rate for rate, known in zip(group, metered, strict=True) if known])
            for group, metered in zip(ranked, _groups(points.metered_s, factor), strict=True)
        ]
    return Points(points.start_s, step_s, columns)


def _groups(column: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """So many at a time; what is left at the end is left out."""
    return zip(*[iter(column)] * size, strict=False)


def amounts(points: Points, step_s: int) -> Points:
    """The same, of bytes and time metered alone."""
    bare = Points.none(points.start_s, points.step_s, len(points))
    bare.columns[_BYTES], bare.columns[_METERED] = points.sent_bytes, points.metered_s
    merged = coarser(bare, step_s)
    merged.columns[_P95] = [0] * len(merged)
    return merged


def percentile_95(values: Sequence[int]) -> int:
    """By nearest rank: the least of the values that at least 95 % of them do not exceed. 0 of none."""
    return sorted(values)[_rank_95(len(values))] if values else 0


def _rank_95(count: int) -> int:
    """Which of so many sorted values, from 0, is their 95th percentile."""
    return (_PERCENT * count + 99) // 100 - 1


def monthly_95_bps(sent_bytes: Iterable[int], intervals: int) -> int:
    """The 95th percentile of the 5-minute means of `intervals` intervals; those without bytes count as 0 bit/s."""
    busy = [amount for amount in sent_bytes if amount]
    idle = max(0, intervals - len(busy))
    rank = (_PERCENT * (idle + len(busy)) + 99) // 100
    return sorted(busy)[rank - idle - 1] * 8 // BILLED_STEP_S if rank > idle else 0


def spread(amount: int, pieces: Sequence[int]) -> list[int]:
    """`amount` in shares that go as `pieces` do and sum to it exactly."""
    whole, given, so_far = sum(pieces), 0, 0
    shares = []
    for piece in pieces:
        so_far += piece
        upto = amount * so_far // whole
        shares.append(upto - given)
        given = upto
    return shares


def pieces_of(from_s: int, to_s: int, step_s: int) -> list[tuple[int, int]]:
    """(start of the point, seconds in it) of each point that [from_s, to_s) touches."""
    found = []
    at = from_s
    while at < to_s:
        start = at - at % step_s
        end = min(to_s, start + step_s)
        found.append((start, end - at))
        at = end
    return found


def pack(points: Points) -> bytes:
    """A block as it is stored: how wide each column's numbers are (0: all are zero), then all of them, deflated."""
    head, parts = bytearray(), []
    for column in points.columns:
        most = max(column)
        if most == 0:
            head.append(0)
            continue
        code = next(code for code, limit in _WIDTHS if most <= limit)
        head.append(ord(code))
        parts.append(array(code, column).tobytes())
    return bytes(head) + zlib.compress(b"".join(parts), 1)


def unpack(start_s: int, layer: Layer, body: bytes) -> Points:
    """A block out of what `pack` made. Raises ValueError for anything else."""
    count = layer.length
    try:
        raw, offset = zlib.decompress(body[len(COLUMNS) :]), 0
        columns = []
        for width in body[: len(COLUMNS)]:
            if not width:
                columns.append([0] * count)
                continue
            size = struct.calcsize(chr(width)) * count
            columns.append(array(chr(width), raw[offset : offset + size]).tolist())
            offset += size
    except (zlib.error, struct.error, TypeError) as error:
        raise ValueError(f"no block of usage: {error}") from error
    if any(len(column) != count for column in columns):
        raise ValueError("no block of usage: it ends early")
    return Points(start_s, layer.step_s, columns)


def layer_for(from_s: int, now_s: int, step_s: int) -> Layer | None:
    """The coarsest layer whose points make points of `step_s` and are still kept at `from_s`; None: no such one.

    The coarsest, because it is the fewest rows. Points of a second are no layer: see LIVE_STEP_S.
    """
    usable = [
        layer for layer in CHARTED if step_s % layer.step_s == 0 and from_s >= now_s - layer.kept_s - layer.block_s
    ]
    return usable[-1] if usable else None


_NICE_STEPS: Final = (1, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400)


def step_for(from_s: int, to_s: int, now_s: int, most_points: int) -> int:
    """The finest step for a chart of [from_s, to_s) of at most `most_points` points that are still kept."""
    for step_s in _NICE_STEPS:
        if step_s == LIVE_STEP_S:
            kept = from_s >= now_s - LIVE_KEPT_S - BASE_STEP_S
        else:
            kept = layer_for(from_s, now_s, step_s) is not None
        if kept and (to_s - from_s) <= step_s * most_points:
            return step_s
    return _NICE_STEPS[-1]


def month_bounds(month: str) -> tuple[int, int]:
    """The first second of a calendar month (UTC, `2026-11`) and of the next. Raises ValueError."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()), int(following.timestamp())


def month_of(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m")
