"""Shapes that all answers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fastapi import Response
from pydantic import BaseModel

from opencen.store.records import Listing, Page
from opencen.wire import rest as wire

G = TypeVar("G", bound=BaseModel)


def page_of(
    model: type[G], listing: Listing[Any], page: Page, convert: Callable[[Any], G] | None = None
) -> wire.Page[G]:
    """A page of values, each converted to its wire type."""
    make = convert or model.model_validate
    return wire.Page[model](  # type: ignore[valid-type]
        items=[make(item) for item in listing.items], total=listing.total, page=page.number, page_size=page.size
    )


def whole(model: type[G], items: Iterable[Any], convert: Callable[[Any], G] | None = None) -> wire.Page[G]:
    """A list that is always short, as one page."""
    found = tuple(items)
    return page_of(model, Listing(found, len(found)), Page(1, max(len(found), 1)), convert)


def tagged(response: Response, value: G) -> G:
    """`value`, with its version as the answer's ETag."""
    response.headers["etag"] = f'"{value.version}"'  # type: ignore[attr-defined]
    return value
