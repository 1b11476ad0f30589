"""Several changes in one transaction: all of them are on disk together, or none is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from opencen.changes.feed import Change, ChangeFeed
from opencen.domain.errors import DomainError
from opencen.domain.nouns import Actor
from opencen.services.context import Context, Work
from opencen.store.database import Database, Transaction


class _PendingFeed(ChangeFeed):
    """Keeps changes until they are committed."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []

    def publish(self, change: Change) -> None:
        self.changes.append(change)


class Joined(Context):
    """A context whose changes take part in a transaction that is under way."""

    __slots__ = ("changes", "refusals")

    def __init__(self, context: Context, database: Database) -> None:
        feed = _PendingFeed()
        values = {field.name: getattr(context, field.name) for field in fields(Context)}
        super().__init__(**{**values, "database": database, "feed": feed})
        self.changes = feed.changes
        self.refusals: list[tuple[Actor, str, str, DomainError]] = []

    def record_refusal(self, actor: Actor, action: str, resource: str, refusal: DomainError) -> None:
        """Written later: a refusal rolls this transaction back."""
        self.refusals.append((actor, action, resource, refusal))


@contextmanager
def joined_transaction(context: Context) -> Iterator[tuple[Context, Transaction]]:
    """A context whose changes are committed together when the block ends, and the transaction they take part in.

    Gateways are woken after the commit. Refusals are written to the audit log also when the block raises.
    """
    joined: Joined | None = None
    try:
        with context.database.write() as tx:
            joined = Joined(context, context.database.joined(tx))
            yield joined, tx
    finally:
        for refused in joined.refusals if joined else ():
            context.record_refusal(*refused)
    for change in joined.changes if joined else ():
        context.feed.publish(change)


@contextmanager
def joined_change(context: Context, actor: Actor, action: str, resource: str) -> Iterator[tuple[Work, Context]]:
    """One change made of several: `Context.change`, and a context whose changes take part in it.

    What refuses one of them refuses the whole, and is written to the audit log once, as a refusal of the whole.
    """
    with context.change(actor, action, resource) as work:
        joined = Joined(context, context.database.joined(work.tx))
        yield work, joined
    for change in joined.changes:
        context.feed.publish(change)
