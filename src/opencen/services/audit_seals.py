"""Sealing the audit log in the background, and finding what was done to it.

Whoever changes something waits for no seal: an event is sealed some seconds after it was committed. Until then removing
it goes unnoticed; how many there are is a metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from opencen.domain import audit_chain, permissions
from opencen.domain.audit_chain import NO_SEAL, Seal
from opencen.domain.errors import UnavailableError
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import audit_seals
from opencen.store.database import Transaction

SEAL_EVERY_S = 5.0
HEAD_EVERY_S = 3600.0
_MOST_EVENTS = 1000
_BEFORE_ALL = -(1 << 63)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the log is sealed. `head` is None before the first seal."""

    head: Seal | None
    sealed_events: int
    unsealed_events: int


def seal(context: Context) -> None:
    """Seal every event that is committed."""
    try:
        with context.database.write() as tx:
            up_to_id = audit_seals.settled_id(tx)
    except UnavailableError:
        return  # a long transaction is under way: next time
    while _seal_batch(context, up_to_id) == _MOST_EVENTS:
        pass


def _seal_batch(context: Context, up_to_id: int) -> int:
    with context.database.read() as tx:
        last = audit_seals.last(tx)
        lines = audit_seals.lines(tx, last.last_id if last else 0, up_to_id, _MOST_EVENTS)
    if not lines:
        return 0
    number, sealed_at = (last.number if last else 0) + 1, context.clock()
    digests = audit_chain.pack({identifier: audit_chain.digest(line) for identifier, line in lines})
    sha256 = audit_chain.seal_hash(number, sealed_at, last.sha256 if last else NO_SEAL, digests)
    with context.database.write() as tx:
        tag = context.vault.tag(sha256)
        audit_seals.add(tx, Seal(number, lines[-1][0], len(lines), sealed_at, digests, sha256, tag))
    return len(lines)


def log_head(context: Context) -> None:
    """Write the head into the server's log, which is often kept elsewhere than the database."""
    with context.database.read() as tx:
        last = audit_seals.last(tx)
    if last is not None:
        _log.info("audit log sealed", head=last.head)


def count_unsealed(context: Context) -> int:
    with context.database.read() as tx:
        return audit_seals.unsealed_count(tx)


def find_chain(context: Context, actor: Actor) -> Chain:
    """How far the log is sealed, for administrators."""
    permissions.check_read(actor, "audit.seal")
    with context.database.read() as tx:
        return chain_of(tx)


def chain_of(tx: Transaction) -> Chain:
    events = sum(seal.event_count for seal in audit_seals.every(tx))
    return Chain(audit_seals.last(tx), events, audit_seals.unsealed_count(tx))


def amiss(tx: Transaction, vault: Vault, kept_head: str | None = None) -> Iterator[str]:
    """The audit log is what was sealed: no event was removed, altered or inserted.

    `kept_head`: a head that was written down earlier. Without one, a log that was cut at its end, seals and all, looks
    like one that was never longer.
    """
    yield from audit_chain.amiss_in_chain(audit_seals.every(tx))
    after_id, last, heads = _BEFORE_ALL, None, False
    for last in audit_seals.every(tx):
        yield from audit_chain.amiss_in_events(last, audit_seals.digests(tx, after_id, last.last_id))
        after_id, heads = last.last_id, heads or last.head == kept_head
    if last is not None and not vault.made_tag(last.tag, last.sha256):
        yield f"seal {last.number} was not made with this installation's key: the chain was made anew, or the key lost"
    if kept_head is not None and not heads:
        yield f"the head {kept_head} is not in the chain: the log was cut at its end, or made anew"


def export(tx: Transaction) -> Iterator[str]:
    """The log as lines of JSON: the events as they were hashed, and after each batch its seal."""
    after_id, previous = 0, NO_SEAL
    for seal in audit_seals.every(tx):
        for _, line in audit_seals.lines(tx, after_id, seal.last_id):
            yield line
        yield (
            f'{{"seal":{seal.number},"sealed_at":"{seal.sealed_at.isoformat()}","event_count":{seal.event_count},'
            f'"previous_sha256":"{previous.hex()}","sha256":"{seal.sha256.hex()}"}}'
        )
        after_id, previous = seal.last_id, seal.sha256
    for _, line in audit_seals.lines(tx, after_id, (1 << 63) - 1):
        yield line
