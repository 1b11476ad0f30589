"""Statements of the hot path, run on the driver's own cursor.

SQLAlchemy takes four times as long around a statement as SQLite takes for it, and a set makes fifteen. So these are
written as SQLAlchemy statements, compiled once per dialect, and run without it. Only for statements whose parameters
and results the driver understands as they are (text, whole numbers, truth): nothing is converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement

from opencen.store.database import Transaction

_POSITIONAL = "qmark"


class PlainStatement:
    """A statement with named parameters; `rows` are tuples in the order of its columns."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def _for(self, tx: Transaction) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        dialect = tx.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            assert isinstance(self._statement, ClauseElement)
            compiled: Any = self._statement.compile(dialect=dialect)
            order = tuple(compiled.positiontup) if dialect.paramstyle == _POSITIONAL else None
            found = (str(compiled), order, dict(compiled.params))
            self._compiled[dialect.name] = found
        return found

    def _cursor(self, tx: Transaction, parameters: Mapping[str, Any]) -> Any:
        text, order, constants = self._for(tx)
        given = {**constants, **parameters}
        if not tx.in_transaction():
            tx.begin()
        cursor = tx.connection.cursor()
        try:
            cursor.execute(text, given if order is None else [given[name] for name in order])
        except Exception as error:
            failure = tx.dialect.loaded_dbapi.Error
            raise DBAPIError.instance(text, None, error, failure, dialect=tx.dialect) from error
        return cursor

    def rows(self, tx: Transaction, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """All rows of the answer."""
        cursor = self._cursor(tx, parameters)
        found: Sequence[tuple[Any, ...]] = cursor.fetchall()
        cursor.close()
        return found

    def run(self, tx: Transaction, parameters: Mapping[str, Any]) -> int:
        """The number of rows that it changed."""
        cursor = self._cursor(tx, parameters)
        count: int = cursor.rowcount
        cursor.close()
        return count
