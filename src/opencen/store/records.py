"""Rows become domain values here. Every function takes the transaction that it works in; none begins or ends one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.sql.elements import ColumnElement

from opencen.store.database import Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `number` from 1, `size` rows."""

    number: int = 1
    size: int = 50


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A part of a list, and how long the whole is."""

    items: tuple[T, ...]
    total: int


def fetch_page(
    tx: Transaction, statement: Select[Any], page: Page, order_by: Sequence[ColumnElement[Any]]
) -> tuple[Sequence[Any], int]:
    """The rows of `page` of `statement`, and how many rows it has in all."""
    total = tx.execute(select(func.count()).select_from(statement.order_by(None).subquery())).scalar_one()
    rows = tx.execute(statement.order_by(*order_by).limit(page.size).offset((page.number - 1) * page.size)).all()
    return rows, total


def matching(column: Any, values: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """`column` is one of `values`; no condition when None."""
    return [] if values is None else [column.in_(list(values))]
