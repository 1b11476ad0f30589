"""Rows of the seals over the audit log, and its events as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, String, Text, cast, func, insert, literal, select, text, type_coerce, update

from opencen.domain.audit_chain import FIELDS, Seal, digest, line_of
from opencen.store.database import Transaction
from opencen.store.schema import audit_events, audit_seals

_LOCK_TIMEOUT = "100ms"
"""Writers wait behind who waits for this lock, so it must not be waited for long."""


def settled_id(tx: Transaction) -> int:
    """The id up to which no event can be added any more; 0 for none. Raises UnavailableError through the database.

    PostgreSQL gives out ids before their events are committed: for a moment nobody may be between the two. SQLite has
    one writer.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        tx.execute(text("LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE"))
    return int(tx.execute(select(func.coalesce(func.max(audit_events.c.id), 0))).scalar_one())


def last(tx: Transaction) -> Seal | None:
    row = tx.execute(select(audit_seals).order_by(audit_seals.c.number.desc()).limit(1)).first()
    return None if row is None else Seal(**row._mapping)


def every(tx: Transaction, chunk: int = 100) -> Iterator[Seal]:
    """All seals in their order."""
    after = 0
    while True:
        statement = select(audit_seals).where(audit_seals.c.number > after).order_by(audit_seals.c.number).limit(chunk)
        seals = [Seal(**row._mapping) for row in tx.execute(statement)]
        yield from seals
        if not seals:
            return
        after = seals[-1].number


def last_sealed_id(tx: Transaction) -> int:
    """The id of the last event that is sealed; 0 for none."""
    return int(tx.execute(select(func.coalesce(func.max(audit_seals.c.last_id), 0))).scalar_one())


def unsealed_count(tx: Transaction) -> int:
    statement = select(func.count()).select_from(audit_events).where(audit_events.c.id > last_sealed_id(tx))
    return int(tx.execute(statement).scalar_one())


def add(tx: Transaction, seal: Seal) -> None:
    tx.execute(
        insert(audit_seals).values(
            number=seal.number,
            last_id=seal.last_id,
            event_count=seal.event_count,
            sealed_at=seal.sealed_at,
            digests=seal.digests,
            sha256=seal.sha256,
            tag=seal.tag,
        )
    )


def retag(tx: Transaction, number: int, tag: bytes) -> None:
    tx.execute(update(audit_seals).where(audit_seals.c.number == number).values(tag=tag))


def lines(tx: Transaction, after_id: int, up_to_id: int, limit: int | None = None) -> list[tuple[int, str]]:
    """(id, line) of the events after one id up to another, in the order of their ids."""
    in_range = (audit_events.c.id > after_id, audit_events.c.id <= up_to_id)
    statement = select(*_columns(tx)).where(*in_range).order_by(audit_events.c.id).limit(limit)
    return [(row[0], line_of(row)) for row in tx.execute(statement)]


def digests(tx: Transaction, after_id: int, up_to_id: int) -> dict[int, bytes]:
    return {identifier: digest(line) for identifier, line in lines(tx, after_id, up_to_id)}


def _columns(tx: Transaction) -> list[ColumnElement[Any]]:
    """The fields of a line as the database has them: text is not parsed and written again."""
    sqlite = tx.dialect.name == "sqlite"
    at = audit_events.c.at
    utc = func.to_char(func.timezone("UTC", at), literal("YYYY-MM-DD HH24:MI:SS.US"))
    as_text: dict[str, ColumnElement[Any]] = {
        "at": type_coerce(at, String) if sqlite else utc,
        "before": cast(audit_events.c.before, Text),
        "after": cast(audit_events.c.after, Text),
    }
    return [as_text.get(name, audit_events.c[name]) for name in FIELDS]
