"""Pieces that several answers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from opencen.api.cbn.protocol.errors import RpcError
from opencen.api.cbn.protocol.parameters import Filter, Paging, Rule, TagFilter
from opencen.api.cbn.protocol.parameters import Tag as WireTag
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.labels import Labels, Tag, WantedLabels, default_group_id
from opencen.domain.nouns import Instance, Network, Package
from opencen.store.records import Listing, Page

T = TypeVar("T")
GivenTags = Annotated[tuple[WireTag, ...], Rule(code="InvalidTagKey")]
WantedTags = Annotated[tuple[TagFilter, ...], Rule(code="InvalidTagKey")]
ClientToken = str
"""A call that is repeated with the same token within 24 hours is answered as the first was, and does nothing."""


def minute(at: datetime) -> str:
    """A UTC time as Cbn writes it."""
    return at.strftime("%Y-%m-%dT%H:%MZ")


def second(at: datetime) -> str:
    """A UTC time as the VPC API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def group_of(thing: Instance | Network | Package) -> str:
    """The id of the resource group that a thing is in."""
    return thing.resource_group_id or default_group_id(thing.account_id)


def labels(tags: Iterable[WireTag], resource_group_id: str = "") -> Labels:
    """What a thing is to be labelled with."""
    return Labels(tuple(Tag(tag.key, tag.value) for tag in tags), resource_group_id or None)


def wanted_labels(tags: Iterable[TagFilter], resource_group_id: str | None = None) -> WantedLabels:
    """What is looked for."""
    return WantedLabels(tuple((tag.key, tag.value) for tag in tags), resource_group_id or None)


def plain_tags(tags: Iterable[Tag]) -> list[dict[str, str]]:
    """The same, as the newer answers write them."""
    return [{"Key": tag.key, "Value": tag.value} for tag in tags]


def carries(tags: Iterable[Tag], wanted: Iterable[TagFilter]) -> bool:
    """Whether what has these tags is looked for."""
    values = {tag.key: tag.value for tag in tags}
    return all(tag.key in values and tag.value in (None, values[tag.key]) for tag in wanted)


def tag_list(tags: Iterable[Tag]) -> dict[str, list[object]]:
    """A thing's tags as answers write them."""
    return wrapped("Tag", [{"Key": tag.key, "Value": tag.value} for tag in tags])


def page_of(given: Paging) -> Page:
    return Page(given.page_number, given.page_size)


def paged(
    given: Paging, listing: Listing[T], outer: str, inner: str, shape: Callable[[T], object]
) -> dict[str, object]:
    """A list by pages as the older operations answer it: wrapped twice, with the page's numbers beside it."""
    return {
        "TotalCount": listing.total,
        "PageNumber": given.page_number,
        "PageSize": given.page_size,
        outer: wrapped(inner, map(shape, listing.items)),
    }


def sliced(given: Paging, items: Sequence[T]) -> Listing[T]:
    """The asked page of a list that is here in full."""
    start = (given.page_number - 1) * given.page_size
    return Listing(tuple(items[start : start + given.page_size]), len(items))


def filter_values(filters: Iterable[Filter], known: Sequence[str], *, any_of: bool = False) -> dict[str, list[str]]:
    """The wanted values by filter key. Raises RpcError `FilterKey.NotSupport`.

    Values of one filter are alternatives. A key given twice must fulfil both, or with `any_of` one of them.
    """
    wanted: dict[str, list[str]] = {}
    for given in filters:
        if given.key not in known:
            raise RpcError(
                "FilterKey.NotSupport",
                400,
                f"The filter key {given.key[:64]!r} is not supported; {', '.join(known)} are.",
            )
        if not given.value:
            continue
        before = wanted.get(given.key)
        if before is None:
            wanted[given.key] = list(given.value)
        elif any_of:
            before.extend(given.value)
        else:
            wanted[given.key] = [value for value in before if value in given.value]
    return wanted
