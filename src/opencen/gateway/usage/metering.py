"""Metering at work: a thread that reads the kernel every second or ten, and a task that sends what it wrote down."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from opencen.gateway.follow import Condition, ControlPlaneError, NotTakenError, backoff_s
from opencen.gateway.kernel.counters import Look
from opencen.gateway.kernel.operations import Scope
from opencen.gateway.plan import namespace_name, tunnel_name
from opencen.gateway.usage.spool import Draft, Link, Spool, drafted
from opencen.gateway.usage.tracks import COARSE_S, FINE_S, Device, Passed
from opencen.wire.gateway import GatewayState
from opencen.wire.usage import UsageAnswer

FINE_LINKS: Final = 1_000
"""With no more links than this, every one is read every second."""
FLUSH_S: Final = 10
_LIVE_FLUSH_S: Final = 1
_NICE: Final = 5
log = structlog.get_logger()


class Reader(Protocol):
    """What metering needs of the kernel."""

    def there(self) -> dict[str, int]: ...

    def read(self, present: Mapping[str, int], only: Collection[str] | None = None) -> Look: ...

    def close(self) -> None: ...


class UsageControlPlane(Protocol):
    """What metering needs of the control plane. Raises ControlPlaneError."""

    async def usage(self, body: dict[str, Any]) -> UsageAnswer: ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """`boot_s` goes on through suspends and is never set; `wall_s` is what the host takes for the time."""

    boot_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    wall_s: Callable[[], float] = time.time
    boot_id: Callable[[], str] = lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Metering:
    """Composes reader, tracks and spool. `state` is what the gateway was last told, `live` whether somebody looks."""

    def __init__(
        self,
        gateway_id: str,
        reader: Reader,
        control_plane: UsageControlPlane,
        directory: Path,
        *,
        state: Callable[[], GatewayState | None],
        live: Callable[[], bool] = lambda: False,
        clocks: Clocks | None = None,
        fine_links: int = FINE_LINKS,
    ) -> None:
        self._gateway_id = gateway_id
        self._reader = reader
        self._control_plane = control_plane
        self._state = state
        self._live = live
        self._clocks = clocks or Clocks()
        self._fine_links = fine_links
        self._boot_id = self._clocks.boot_id()
        self.spool = Spool(directory)
        self._tracks = self.spool.load(self._boot_id)
        self._drafts: dict[tuple[Link, ...], Draft] = {}
        self._names: dict[Device, Link] = {}
        self._named_state: GatewayState | None = None
        self._wanted_links = 0
        self._watched: frozenset[Link] = frozenset()
        self._align_s = self._tracks.align_s
        self._flushed_us = 0
        self._next_coarse_s = 0
        self._lock = threading.Lock()
        self._reading = Condition("usage counters")
        self._writing = Condition("usage spool")

    async def run(self, stop: asyncio.Event) -> None:
        """Meter and send until `stop`; what was metered by then is on disk when this ends."""
        stopping, written = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(written.set)

        thread = threading.Thread(target=self._meter, args=(stopping, tell), name="usage", daemon=True)
        thread.start()
        sender = asyncio.create_task(self._send(written))
        try:
            await stop.wait()
        finally:
            stopping.set()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            await asyncio.to_thread(thread.join)
            self._reader.close()

    # metering

    def begin(self) -> None:
        """See what is there already, unless it is known from before: metering begins with what it counts now."""
        if self._tracks.since_us is not None:
            return
        at_us = int(self._clocks.boot_s() * 1_000_000)
        look = self._reader.read(self._reader.there())
        if look.failed:
            raise OSError(next(iter(look.failed.values())))
        for device, reading in look.readings.items():
            self._tracks.begin(device, reading, at_us)
        self._tracks.since_us = at_us
        self.spool.commit([], self._tracks, self._boot_id)

    def _meter(self, stopping: threading.Event, tell: Callable[[], None]) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            self.begin()
        except OSError as error:
            self._reading.trouble("metering cannot begin with what is there", str(error))
        while True:
            now_s = self._clocks.boot_s()
            if stopping.wait(int(now_s) + FINE_S - now_s):
                break
            if self.sample():
                tell()
        self.flush()

    def sample(self) -> bool:
        """Read what is due now; True when a batch was written."""
        at_us = int(self._clocks.boot_s() * 1_000_000)
        self._tracks.align_s = self._align_s
        names, links = self._links()
        everything_is_fine = links <= self._fine_links
        watched = self._watched
        is_due = at_us // 1_000_000 >= self._next_coarse_s
        if everything_is_fine or is_due:
            self._next_coarse_s = self._coarse_end_s(at_us) + COARSE_S
            self._observe(at_us, names, None, lambda device: everything_is_fine or names[device] in watched)
        elif watched:
            only = {namespace_name(self._gateway_id, cen_id) for cen_id, _ in watched}
            self._observe(at_us, names, only, lambda device: names[device] in watched)
        flush_s = _LIVE_FLUSH_S if self._live() and (everything_is_fine or watched) else FLUSH_S
        if at_us - self._flushed_us >= flush_s * 1_000_000 - 500_000:
            return self.flush()
        return False

    def _coarse_end_s(self, at_us: int) -> int:
        at_s = at_us // 1_000_000
        return at_s - (at_s + self._tracks.align_s) % COARSE_S

    def _links(self) -> tuple[dict[Device, Link], int]:
        """Which link each device is, and how many links there are; links that are no longer wanted stay known."""
        state = self._state()
        if state is not None and state is not self._named_state:
            self._named_state = state
            for instance in state.instances:
                namespace = namespace_name(self._gateway_id, instance.cen_id)
                for link in instance.links:
                    peer = link.peer_region_id
                    self._names[namespace, tunnel_name(peer)] = (instance.cen_id, peer)
            self._wanted_links = sum(len(instance.links) for instance in state.instances)
        return self._names, max(self._wanted_links, len(self._tracks.of_device))

    def _observe(
        self,
        at_us: int,
        names: Mapping[Device, Link],
        only: Collection[str] | None,
        is_fine: Callable[[Device], bool],
    ) -> None:
        try:
            present = self._reader.there()
        except OSError as error:
            self._reading.trouble("namespaces cannot be listed", str(error))
            return
        look = self._reader.read(present, only)
        if look.failed:
            self._reading.trouble("some counters cannot be read", next(iter(look.failed.values())))
        else:
            self._reading.fine()
        readings = {
            device: reading
            for device, reading in look.readings.items()
            if device in names and (only is None or is_fine(device))
        }
        unread = [device for device in self._tracks.of_device if device[0] in look.failed or device not in names]
        with self._lock:
            if names:
                ticks = self._tracks.observe(at_us, readings, is_fine, complete=only is None, unread=unread)
                for (begin_s, end_s), rows in ticks.items():
                    self._draft(begin_s, end_s, [row for row in rows if row.device in names])

    def _draft(self, begin_s: int, end_s: int, rows: list[Passed]) -> None:
        links = tuple([self._names[row.device] for row in rows])
        draft = self._drafts.get(links)
        if draft is None:
            draft = self._drafts[links] = Draft(links, [])
        draft.ticks.append((begin_s, end_s, rows))

    def flush(self) -> bool:
        """Write down what was metered since the last time; True when there was something."""
        self._flushed_us = int(self._clocks.boot_s() * 1_000_000)
        if not self._drafts:
            return False
        boot_wall_s, lost = self._clocks.wall_s() - self._clocks.boot_s(), self.spool.lost_batches
        try:
            with self._lock:
                self.spool.commit(drafted(self._drafts, self._boot_id, boot_wall_s), self._tracks, self._boot_id)
        except OSError as error:
            self._writing.trouble("usage cannot be written down, it waits in memory", str(error))
            return False
        self._writing.fine()
        if self.spool.lost_batches > lost:
            log.error("usage has filled its share of the disk: the oldest is given up", batches=self.spool.lost_batches)
        self._drafts.clear()
        return True

    def trimmed(self, scope: Scope, packets: int) -> None:
        """A change of the limit dropped these: they are no drops by the limit."""
        with self._lock:
            self._tracks.trimmed((scope.namespace, scope.part), packets)

    # sending

    async def _send(self, written: asyncio.Event) -> None:
        condition, failures = Condition("usage"), 0
        with_roster: set[str] = set()
        while True:
            next_one = self.spool.oldest()
            if next_one is None:
                written.clear()
                if self.spool.oldest() is None:
                    await written.wait()
                continue
            sequence, body = next_one
            try:
                answer = await self._control_plane.usage(self._addressed(sequence, body, with_roster))
            except NotTakenError as error:
                log.error("the control plane refused a batch of usage: given up", reason=str(error))  # noqa: TRY400
                self.spool.give_up(sequence)
                continue
            except ControlPlaneError as error:
                failures += 1
                condition.trouble("usage is not taken, it waits on disk", str(error))
                await asyncio.sleep(backoff_s(failures))
                continue
            failures = 0
            condition.fine()
            digest = str(body["roster_sha256"])
            if answer.wants_roster and digest not in with_roster:
                with_roster.add(digest)
                continue
            with_roster.discard(digest)
            self.spool.remove(sequence)
            self._align_s = answer.align_s
            self._watched = frozenset((link.cen_id, link.peer_region_id) for link in answer.watched)

    def _addressed(self, sequence: int, body: dict[str, Any], with_roster: Collection[str]) -> dict[str, Any]:
        clock = {"boot_id": self._boot_id, "boot_s": self._clocks.boot_s(), "wall_s": self._clocks.wall_s()}
        roster = body["roster"] if body["roster_sha256"] in with_roster else None
        return {
            **body,
            "roster": roster,
            "spool_id": self.spool.id,
            "sequence": sequence,
            "clock": clock,
        }
