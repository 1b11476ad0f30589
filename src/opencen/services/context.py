"""What a service function works with, and the one way to change something."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from opencen.changes.feed import Change, ChangeFeed
from opencen.domain import permissions
from opencen.domain.errors import DomainError, UnavailableError
from opencen.domain.nouns import AccessKey, Actor
from opencen.pinning import ServerAuthority
from opencen.services.notifying.settings import NotifyingSettings
from opencen.services.pace import RequestPace
from opencen.services.vault import Vault
from opencen.store import audit, control, networks, regions
from opencen.store.database import Database, Transaction

WATCHED_FOR_S = 15


def utc_now() -> datetime:
    return datetime.now(UTC)


class RehearsedError(Exception):
    """A rehearsed change would have been carried out; nothing was changed."""


@dataclass(slots=True)
class _Watch:
    """Until when (monotonic seconds) somebody looks at live figures; shared by all contexts of a process."""

    until_s: float = 0.0


@dataclass(slots=True)
class Context:
    """One per server process."""

    database: Database
    feed: ChangeFeed
    vault: Vault
    clock: Callable[[], datetime] = utc_now
    access_keys: dict[str, tuple[AccessKey, float]] = field(default_factory=dict)
    """Keys that were looked up lately, and until when (monotonic seconds) they may be used without looking again."""
    key_uses: dict[str, float] = field(default_factory=dict)
    """When (monotonic seconds) the last use of a key was last written down."""
    authority: ServerAuthority | None = None
    """Who vouches for this server's certificate; None when it serves no HTTPS."""
    request_pace: RequestPace = field(default_factory=RequestPace)
    rehearses: bool = False
    watched_connections: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """Connections (instance, sorted regions) whose live figures somebody looks at, until when (monotonic seconds)."""
    _watch: _Watch = field(default_factory=_Watch)
    notifying: NotifyingSettings = field(default_factory=NotifyingSettings)
    """How alarms reach people, as the server's operator has configured it."""
    _area_of: dict[str, str] = field(default_factory=dict)

    def watch(self) -> None:
        """Somebody looks at live figures: gateways are asked to report every second for a while."""
        self._watch.until_s = time.monotonic() + WATCHED_FOR_S

    def watch_connection(self, cen_id: str, region_a_id: str, region_b_id: str) -> None:
        """Somebody looks at this connection: it is metered every second for a while, however many there are."""
        self.watch()
        now = time.monotonic()
        for key in [key for key, until_s in self.watched_connections.items() if until_s < now]:
            self.watched_connections.pop(key, None)
        self.watched_connections[cen_id, region_a_id, region_b_id] = now + WATCHED_FOR_S

    @property
    def watched(self) -> bool:
        return time.monotonic() < self._watch.until_s

    def rehearsal(self) -> Context:
        """The same, but each change ends with RehearsedError where it would have been committed."""
        return replace(self, rehearses=True)

    def areas_of(self, tx: Transaction, region_ids: Iterable[str]) -> dict[str, str]:
        """The area of each of these regions; unknown ones are missing. A region never changes its area."""
        wanted = list(region_ids)
        if any(region_id not in self._area_of for region_id in wanted):
            self._area_of.update(regions.areas_of(tx, wanted))
        return {region_id: self._area_of[region_id] for region_id in wanted if region_id in self._area_of}

    @contextmanager
    def change(self, actor: Actor, action: str, resource: str, *, audited: bool = True) -> Iterator[Work]:
        """One transaction that changes something.

        When the block ends, the work is committed together with its audit event and a new revision, and gateways that
        have something to do are woken. When it raises, nothing has changed; a refusal is written to the audit log.
        What gateways acknowledge is not `audited`: it is no decision of anybody's.
        """
        work = Work(actor=actor, action=action, resource=resource, now=self.clock())
        revision = 0
        try:
            permissions.check_change(actor, action)
            with self.database.write() as tx:
                work.tx = tx
                yield work
                revision = work.finish(audited=audited)
                if self.rehearses:
                    raise RehearsedError
                announcement = Change(revision, frozenset(work.touched_regions))
                self.database.notify(tx, announcement.to_json())
        except DomainError as refusal:
            if not isinstance(refusal, UnavailableError):
                self.record_refusal(actor, action, work.resource, refusal)
            raise
        self.feed.publish(announcement)

    def record_refusal(self, actor: Actor, action: str, resource: str, refusal: DomainError) -> None:
        """Write a refusal of an authenticated caller to the audit log, with the numbers that caused it."""
        reason = {"code": refusal.code, "message": refusal.message, **plain(refusal.numbers)}
        with self.database.write() as tx:
            audit.append(tx, self.clock(), actor, action, resource, "refused", None, reason)
        refusal.audited = True


@dataclass(slots=True)
class Work:
    """A transaction under way: what it does, and what must be told when it is committed."""

    actor: Actor
    action: str
    resource: str
    now: datetime
    tx: Transaction = field(init=False)
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    _touched: dict[str, set[str]] = field(default_factory=dict)
    _attached: dict[str, frozenset[str]] = field(default_factory=dict)
    _revision: int = 0

    def revision(self) -> int:
        """This change's number. Taking it makes other writers wait, so take it late."""
        if not self._revision:
            self._revision = control.next_revision(self.tx)
        return self._revision

    def touch(self, cen_id: str, region_ids: Iterable[str]) -> None:
        """Gateways of these regions have something new to do for this instance."""
        self._touched.setdefault(cen_id, set()).update(region_ids)

    def attached_regions(self, cen_id: str) -> frozenset[str]:
        """The regions in which an instance has a network; read once, so not for changes of that.

        Read under the revision's lock: who attaches or detaches at the same time has committed, or comes later.
        """
        if cen_id not in self._attached:
            self.revision()
            self._attached[cen_id] = networks.attached_regions(self.tx, cen_id)
        return self._attached[cen_id]

    @property
    def touched_regions(self) -> set[str]:
        return {region_id for regions in self._touched.values() for region_id in regions}

    def tell(self, before: object | None, after: object | None) -> None:
        """What the audit log says of the change."""
        self.before = plain(before)
        self.after = plain(after)

    def finish(self, *, audited: bool) -> int:
        """Number the change, mark what gateways must do, and write the audit event."""
        revision = self.revision()
        for cen_id, region_ids in sorted(self._touched.items()):
            control.mark(self.tx, cen_id, region_ids, self.attached_regions(cen_id), revision)
        if audited:
            audit.append(self.tx, self.now, self.actor, self.action, self.resource, "done", self.before, self.after)
        return revision


_JSON_TYPES = frozenset({str, int, float, bool})


def plain(value: Any) -> Any:
    """`value` as JSON can say it; half a character, which no encoding has, as `\\ud800`."""
    if value is None or type(value) in _JSON_TYPES:
        return value.encode(errors="backslashreplace").decode() if type(value) is str else value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else str(value)
