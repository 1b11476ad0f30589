"""INSERT … ON CONFLICT DO UPDATE, which SQLite and PostgreSQL spell alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from opencen.store.database import Transaction
from opencen.store.plain import PlainStatement


@cache
def _upsert(table: Table, dialect: str) -> Executable:
    statement = sqlite_insert(table) if dialect == "sqlite" else postgresql_insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


@cache
def _insert_new(table: Table, dialect: str) -> Executable:
    statement = sqlite_insert(table) if dialect == "sqlite" else postgresql_insert(table)
    return statement.on_conflict_do_nothing()


@cache
def _plain_upsert(table: Table, dialect: str) -> PlainStatement:
    return PlainStatement(_upsert(table, dialect))


@cache
def _plain_insert_new(table: Table, dialect: str) -> PlainStatement:
    return PlainStatement(_insert_new(table, dialect))


def plain_upsert(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """`upsert` for a table of text, whole numbers and truth, on the hot path."""
    for row in rows:
        _plain_upsert(table, tx.dialect.name).run(tx, row)


def plain_insert_new(tx: Transaction, table: Table, row: dict[str, Any]) -> bool:
    """`insert_new` for a table of text and whole numbers, on the hot path."""
    return _plain_insert_new(table, tx.dialect.name).run(tx, row) == 1


def upsert(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert whole rows; where the primary key is there already, overwrite the other columns."""
    tx.execute(_upsert(table, tx.dialect.name), list(rows))


def insert_all_new(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows in one go, but for those whose key is there already."""
    tx.execute(_insert_new(table, tx.dialect.name), list(rows))


def insert_new(tx: Transaction, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key is there already; True when it was inserted."""
    options = {"preserve_rowcount": True}  # psycopg forgets it for an INSERT otherwise
    return tx.execute(_insert_new(table, tx.dialect.name), row, execution_options=options).rowcount == 1
