"""A whole database as lines of text, and back: what backups are made of, and the way from SQLite to PostgreSQL.

The first line says what it is and of which schema. A line `{"table": …, "columns": [[name, kind], …]}` begins a table;
each of its rows is a line with a list. The last line has the SHA-256 of all lines before it and their number. Kinds:
`time` (ISO 8601), `bytes` (base64), `json`, `plain`. What is volatile (used nonces, what gateways last reported) is not
in it.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    LargeBinary,
    MetaData,
    Table,
    column,
    delete,
    func,
    insert,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.sql.expression import TableClause
from sqlalchemy.types import NullType

from opencen.store import gateway_schema, schema, usage_schema
from opencen.store.database import Database, Transaction
from opencen.store.postgres import take_all_the_time_it_needs
from opencen.store.types import UtcDateTime

FORMAT = "opencen-backup"
_VERSION = 1
_BATCH = 500
_TYPES: dict[str, Callable[[], Any]] = {"time": UtcDateTime, "bytes": LargeBinary, "json": JSON, "plain": NullType}


class BadCopyError(Exception):
    """It is no copy of a database, or not a whole one."""


class NotEmptyError(Exception):
    """A database that holds something is never written over."""


def lines_of(database: Database, at: datetime) -> Iterator[str]:
    """All of a database as it is at one moment, while others go on writing."""
    digest, count = hashlib.sha256(), 0
    for line in itertools.chain(_main_lines(database, at), _usage_lines(database)):
        digest.update(line.encode() + b"\n")
        count += 1
        yield line
    yield json.dumps({"sha256": digest.hexdigest(), "lines": count})


def checked(lines: Iterable[str]) -> dict[str, Any]:
    """The first line of a copy that is whole and unchanged. Raises BadCopyError."""
    digest, count, header, last = hashlib.sha256(), 0, None, ""
    for line in lines:
        if header is None:
            header = _header(line)
        else:
            digest.update(last.encode() + b"\n")
            count += 1
        last = line
    try:
        end = json.loads(last)
    except ValueError:
        end = None
    if header is None or not isinstance(end, dict) or "sha256" not in end:
        raise BadCopyError("the backup is cut off: its last line, with the checksum, is missing")
    if (end["sha256"], end["lines"]) != (digest.hexdigest(), count):
        raise BadCopyError("the backup is damaged: its checksum is another one")
    return header


def load(database: Database, read: Callable[[], Iterator[str]]) -> int:
    """Fill an empty database with a copy that was `checked`, and is read twice; the number of rows.

    The database has the schema of the copy first, and that of this version afterwards. Raises NotEmptyError, and
    SchemaTooNewError for a copy of a later version.
    """
    header = _header(next(read()))
    _check_empty(database)
    database.upgrade_to(header["schema"])
    with database.write() as tx:
        rows = _fill(tx, gateway_schema.WHOLE, read(), usage=False)
    database.upgrade()
    with database.usage_write() as tx:
        rows += _fill(tx, usage_schema.usage, read(), usage=True)
    return rows


def _header(line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BadCopyError("this is no backup of OpenCEN")
    if header["version"] > _VERSION:
        raise BadCopyError(f"a newer OpenCEN wrote this backup (format {header['version']})")
    return header


def _main_lines(database: Database, at: datetime) -> Iterator[str]:
    with database.read() as tx:
        if not database.is_sqlite:
            take_all_the_time_it_needs(tx)
        revision = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        yield json.dumps({"format": FORMAT, "version": _VERSION, "schema": revision, "made_at": at.isoformat()})
        yield from _tables(tx, gateway_schema.WHOLE)


def _usage_lines(database: Database) -> Iterator[str]:
    with database.usage_read() as tx:
        if not database.is_sqlite:
            take_all_the_time_it_needs(tx)
        yield from _tables(tx, usage_schema.usage)


def _tables(tx: Transaction, metadata: MetaData) -> Iterator[str]:
    for present in metadata.sorted_tables:
        kinds = [_kind(item) for item in present.c]
        usage = metadata is usage_schema.usage
        columns = list(zip((item.name for item in present.c), kinds, strict=True))
        yield json.dumps({"table": present.name, "usage": usage, "columns": columns})
        for row in tx.execution_options(yield_per=_BATCH).execute(select(present)):
            yield json.dumps([_said(value, kind) for value, kind in zip(row, kinds, strict=True)], ensure_ascii=False)


def _kind(item: Column[Any]) -> str:
    return next((kind for kind in ("time", "bytes", "json") if isinstance(item.type, _TYPES[kind])), "plain")  # type: ignore[arg-type]


def _said(value: Any, kind: str) -> Any:
    if value is None or kind in {"json", "plain"}:
        return value
    return value.isoformat() if kind == "time" else base64.b64encode(value).decode()


def _heard(value: Any, kind: str) -> Any:
    if value is None or kind in {"json", "plain"}:
        return value
    return datetime.fromisoformat(value).astimezone(UTC) if kind == "time" else base64.b64decode(value)


def _check_empty(database: Database) -> None:
    with database.read() as tx:
        there = inspect(tx).has_table("accounts")
        count = tx.execute(select(func.count()).select_from(schema.accounts)).scalar_one() if there else 0
    if count:
        raise NotEmptyError(f"the database holds {count} accounts already; restore into an empty one")


def _fill(tx: Transaction, metadata: MetaData, lines: Iterator[str], *, usage: bool) -> int:
    if tx.dialect.name != "sqlite":
        take_all_the_time_it_needs(tx)
    present = set(inspect(tx).get_table_names())
    for known in reversed(metadata.sorted_tables):
        if known.name in present and tx.execute(select(func.count()).select_from(known)).scalar_one():
            tx.execute(delete(known))  # what migrations have put into it; of an empty log nothing may be deleted
    count = 0
    current: tuple[TableClause, list[str], list[str]] | None = None
    for batch in _batches(lines):
        if isinstance(batch, dict):
            current = _target(batch) if batch.get("usage") is usage else None
        elif current is not None:
            target, names, kinds = current
            heard = [{n: _heard(v, k) for n, v, k in zip(names, row, kinds, strict=True)} for row in batch]
            tx.execute(insert(target), heard)
            count += len(heard)
    if tx.dialect.name != "sqlite":
        for known in metadata.sorted_tables:
            _go_on_counting(tx, known)
    return count


def _batches(lines: Iterator[str]) -> Iterator[dict[str, Any] | list[list[Any]]]:
    """The lines that begin tables, and the rows between them in portions."""
    rows: list[list[Any]] = []
    for line in lines:
        value = json.loads(line)
        if isinstance(value, list):
            rows.append(value)
        if rows and (len(rows) == _BATCH or isinstance(value, dict)):
            yield rows
            rows = []
        if isinstance(value, dict) and "table" in value:
            yield value
    if rows:
        yield rows


def _target(header: dict[str, Any]) -> tuple[TableClause, list[str], list[str]]:
    names, kinds = [name for name, _ in header["columns"]], [kind for _, kind in header["columns"]]
    columns = [column(name, _TYPES[kind]()) for name, kind in zip(names, kinds, strict=True)]
    return table(header["table"], *columns), names, kinds


def _go_on_counting(tx: Transaction, known: Table) -> None:
    """PostgreSQL counts ids in a sequence of its own: go on after the greatest."""
    for key in known.primary_key.columns:
        if known.autoincrement_column is key and key.type.python_type is int:
            sequence = tx.execute(select(func.pg_get_serial_sequence(known.name, key.name))).scalar()
            if sequence is not None:
                greatest = func.greatest(select(func.max(key)).scalar_subquery(), 1)
                tx.execute(select(func.setval(sequence, greatest)))
