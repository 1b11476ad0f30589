"""Who waits for a change of a region is woken when one is committed.

Publishing is cheap and may happen on any thread; waiting belongs to an event loop. Only those whose region changed
are woken. The feed carries no contents: the woken read the database, so a missed wake-up costs time, never truth.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A committed revision and the regions whose gateways have something new to do (none: nothing for gateways)."""

    revision: int
    region_ids: frozenset[str]

    def to_json(self) -> str:
        return json.dumps({"revision": self.revision, "region_ids": sorted(self.region_ids)})

    @classmethod
    def from_json(cls, text: str) -> Change:
        values = json.loads(text)
        return cls(int(values["revision"]), frozenset(values["region_ids"]))


ANY_REGION = "*"
"""Waits for every change."""


Waiter = tuple[asyncio.AbstractEventLoop, asyncio.Event]


def _wake(waiters: Iterable[Waiter]) -> None:
    for loop, event in waiters:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)


class ChangeFeed:
    """One per server process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, int] = {}
        self._waiting: dict[str, set[Waiter]] = defaultdict(set)

    def publish(self, change: Change) -> None:
        """Wake those who wait for one of the change's regions, or for anything."""
        with self._lock:
            woken: list[Waiter] = []
            for region_id in (*change.region_ids, ANY_REGION):
                self._latest[region_id] = max(change.revision, self._latest.get(region_id, 0))
                woken.extend(self._waiting.pop(region_id, ()))
        _wake(woken)

    def wake_all(self) -> None:
        """After notifications may have been missed: let everybody look."""
        with self._lock:
            woken = [waiter for waiters in self._waiting.values() for waiter in waiters]
            self._waiting.clear()
        _wake(woken)

    def latest(self, region_id: str) -> int:
        """The latest revision published for a region, by this process's knowledge."""
        with self._lock:
            return self._latest.get(region_id, 0)

    async def wait(self, region_id: str, after: int, timeout_s: float) -> bool:
        """Return True once a change of `region_id` past revision `after` was published, False after `timeout_s`."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._latest.get(region_id, 0) > after:
                return True
            self._waiting[region_id].add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                waiters = self._waiting.get(region_id)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiting[region_id]
        return True
