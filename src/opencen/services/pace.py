"""Slowing down whoever asks too much.

`RequestPace` bounds the requests a second of each access key or session. `FailurePace` slows down whoever guesses
passwords, without locking anybody out.

Failures are counted per (username, source): guessing from one address never delays the same user at another one. Each
failure doubles the wait before the next answer, up to MAX_DELAY_S; attempts of one key wait in a line, so asking in
parallel gains nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_DELAY_S = 0.25
MAX_DELAY_S = 4.0
MAX_LINE_S = 12.0
FORGET_AFTER_S = 900.0
_MAX_KEYS = 10_000

Key = tuple[str, str]


@dataclass(slots=True)
class _Record:
    failures: int = 0
    free_at_s: float = 0.0
    touched_s: float = 0.0


class FailurePace:
    """How long an attempt has to wait. One per server process; bounded in size."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._records: OrderedDict[Key, _Record] = OrderedDict()

    def turn(self, key: Key) -> float | None:
        """Seconds until this attempt may be looked at; None when the line of this key is too long to join."""
        now = self._now_s()
        record = self._records.get(key)
        if record is None or now - record.touched_s > FORGET_AFTER_S:
            return 0.0
        start = max(now, record.free_at_s) + _delay_s(record.failures)
        if start - now > MAX_LINE_S:
            return None
        record.free_at_s = start
        return start - now

    def failed(self, key: Key) -> None:
        """The attempt was wrong."""
        now = self._now_s()
        record = self._records.setdefault(key, _Record())
        if now - record.touched_s > FORGET_AFTER_S:
            record.failures = 0
        record.failures += 1
        record.touched_s = now
        self._records.move_to_end(key)
        while len(self._records) > _MAX_KEYS:
            self._records.popitem(last=False)

    def succeeded(self, key: Key) -> None:
        """The attempt was right: nothing is held against this key any more."""
        self._records.pop(key, None)


def _delay_s(failures: int) -> float:
    return 0.0 if failures == 0 else float(min(FIRST_DELAY_S * 2 ** min(failures - 1, 10), MAX_DELAY_S))


REQUESTS_PER_S = 500.0
"""The default for each access key or session; twice as many at once."""


class RequestPace:
    """Requests a second of each access key or session, counted once it has proven who it is: nobody uses up another's.

    One per server process; bounded in size.
    """

    def __init__(self, per_s: float = REQUESTS_PER_S, now_s: Callable[[], float] = time.monotonic) -> None:
        """`per_s` 0: no bound."""
        self._per_s = per_s
        self._burst = per_s * 2
        self._now_s = now_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, identity: str) -> float:
        """0 when a request may be answered; otherwise the seconds after which the next one may be."""
        if not self._per_s:
            return 0.0
        now = self._now_s()
        level, at = self._buckets.pop(identity, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_s)
        allowed = level >= 1
        self._buckets[identity] = (level - 1 if allowed else level, now)
        if len(self._buckets) > _MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self._per_s
