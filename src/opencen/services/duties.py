"""Background duties: what exactly one server process does, whichever of them is alive.

A duty is registered by putting it into `DUTIES` of `serve.py`:

    ROLL_UP = Duty("usage roll-up", every_s=60, work=roll_up)      # def roll_up(context: Context) -> None

One process holds the lease and beats; another takes over when it has seen no beat for `TAKE_OVER_S` of its own clock,
so clocks that differ or jump do no harm. The context that a duty is given refuses, with LeaseLostError, to change
anything once another process has the lease: in the database no duty is ever done by two. What a duty does beyond the
database (a message sent) may happen twice when its process stood still in between; it has to be harmless then.

A duty runs once when the process gets the lease, then `every_s` after each end. One that raises is logged, counted, and
run again in its turn; the others do not notice. A duty that takes long commits in parts.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from opencen.domain.errors import UnavailableError
from opencen.services.context import Context
from opencen.store import duty_lease
from opencen.store.database import Transaction
from opencen.store.duty_lease import Lease

BEAT_S = 2.0
TAKE_OVER_S = 6.0
_LEADS_WITHOUT_BEAT_S = 4.0
_JOIN_S = 2.0
_log = structlog.get_logger()


class LeaseLostError(Exception):
    """Another process does the duties now; what this one began was undone."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that recurs. `name` is what logs and metrics call it; `every_s` is from an end to the next start."""

    name: str
    every_s: float
    work: Callable[[Context], None]


Observer = Callable[[str, str], None]
"""Told the name of a duty and `done`, `failed` or `lost` after each run."""


class Leader:
    """Does the duties for as long as this process has the lease. One per server process."""

    def __init__(
        self,
        context: Context,
        duties: Sequence[Duty],
        *,
        observe: Observer = lambda _name, _outcome: None,
        beat_s: float = BEAT_S,
        take_over_s: float = TAKE_OVER_S,
        leads_without_beat_s: float = _LEADS_WITHOUT_BEAT_S,
    ) -> None:
        self.id = f"server-{uuid.uuid4().hex[:16]}"
        self._context = replace(context, database=context.database.guarded(self._check))
        self._database = context.database
        self._duties = duties
        self._observe = observe
        self._beat_s = beat_s
        self._take_over_s = take_over_s
        self._leads_without_beat_s = leads_without_beat_s
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._seen: tuple[Lease, float] | None = None
        self._leads_until_s = 0.0
        self._elected = threading.Event()

    @property
    def leading(self) -> bool:
        """Whether this process does the duties now."""
        return time.monotonic() < self._leads_until_s

    def start(self) -> None:
        """Begin to stand for the lease, and to do the duties when it is won."""
        targets: list[tuple[str, Callable[[], None]]] = [("opencen-lease", self._stand)]
        targets += [(f"opencen-duty-{duty.name}", lambda duty=duty: self._repeat(duty)) for duty in self._duties]  # type: ignore[misc]
        for name, target in targets:
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End after the duties under way, and leave the lease to the next at once."""
        self._stop.set()
        self._elected.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.leading and self._seen is not None:
            try:
                with self._database.write() as tx:
                    duty_lease.replace(tx, self._seen[0], None)
            except UnavailableError as error:
                _log.warning("could not hand over the background duties", error=str(error))
        self._leads_until_s = 0.0

    def beat(self) -> None:
        """Look at the lease once: keep it, take it, or wait on. Raises UnavailableError."""
        began_s = time.monotonic()
        with self._database.read() as tx:
            lease = duty_lease.read(tx)
        if lease.holder == self.id or lease.holder is None:
            self._try(lease, began_s)
        elif self._seen is None or self._seen[0] != lease:
            self._seen = (lease, began_s)
            self._leads_until_s = 0.0
        elif began_s - self._seen[1] >= self._take_over_s:
            _log.warning("the process that did the background duties is gone", holder=lease.holder)
            self._try(lease, began_s)

    def _try(self, lease: Lease, began_s: float) -> None:
        with self._database.write() as tx:
            mine = duty_lease.replace(tx, lease, self.id)
        if mine is None:
            self._leads_until_s = 0.0
            return
        if lease.holder != self.id:
            _log.info("this process does the background duties", holder=self.id)
        self._seen = (mine, began_s)
        self._leads_until_s = began_s + self._leads_without_beat_s
        self._elected.set()

    def _stand(self) -> None:
        while not self._stop.is_set():
            try:
                self.beat()
            except UnavailableError as error:
                _log.warning("no word from the database about the background duties", error=str(error))
            if not self.leading:
                self._elected.clear()
            self._stop.wait(self._beat_s)

    def _repeat(self, duty: Duty) -> None:
        while not self._stop.is_set():
            self._elected.wait()
            if self._stop.is_set():
                return
            if self.leading:
                self._do(duty)
            self._stop.wait(duty.every_s if self.leading else self._beat_s)

    def _do(self, duty: Duty) -> None:
        try:
            duty.work(self._context)
        except LeaseLostError:
            self._observe(duty.name, "lost")
        except Exception as error:
            _log.exception("a background duty failed", duty=duty.name, error=str(error))
            self._observe(duty.name, "failed")
        else:
            self._observe(duty.name, "done")

    def _check(self, tx: Transaction) -> None:
        if not duty_lease.held_by(tx, self.id):
            raise LeaseLostError
