"""Tags and resource groups: how people sort their things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from opencen.domain.errors import InvalidValueError

MOST_TAGS = 20
_MAX_KEY = 128
_MAX_VALUE = 128
_RESERVED_PREFIXES = ("aliyun", "acs:", "http://", "https://")


class Labelled(StrEnum):
    """The kinds of things that carry tags."""

    INSTANCE = "instance"
    PACKAGE = "package"
    NETWORK = "network"
    VSWITCH = "vswitch"
    TRANSIT_ROUTER = "transit_router"
    """By `cen:region`."""
    ATTACHMENT = "attachment"
    """By the id of its network."""
    CONNECTION = "connection"
    """By `cen:regionA:regionB`, sorted."""


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Labels:
    """What a thing gets when it is made; no group is the account's default group."""

    tags: tuple[Tag, ...] = ()
    resource_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class WantedLabels:
    """What is looked for: all of these tags (a value of None is any value), and this group."""

    tags: tuple[tuple[str, str | None], ...] = ()
    resource_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaggedResource:
    """One tag of one thing, as lists of tags have them."""

    kind: Labelled
    resource_id: str
    key: str
    value: str


NO_LABELS = Labels()
ANY_LABELS = WantedLabels()


def default_group_id(account_id: str) -> str:
    """The id of the group that every account has."""
    return f"rg-{account_id.partition('-')[2]}"


def checked_tags(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """`tags`, when a thing may carry them. Raises InvalidValueError for the field `tag_key` or `tag_value`."""
    checked = tuple(tags)
    for tag in checked:
        if not tag.key or len(tag.key) > _MAX_KEY or tag.key.lower().startswith(_RESERVED_PREFIXES):
            raise InvalidValueError(
                f"a tag's key has 1 to {_MAX_KEY} characters and starts with none of {', '.join(_RESERVED_PREFIXES)}",
                field="tag_key",
                value=tag.key[:_MAX_KEY],
            )
        if len(tag.value) > _MAX_VALUE or tag.value.lower().startswith(("http://", "https://")):
            raise InvalidValueError(
                f"a tag's value has at most {_MAX_VALUE} characters and is no address of a web page",
                field="tag_value",
                value=tag.value[:_MAX_VALUE],
            )
    keys = [tag.key for tag in checked]
    for key in keys:
        if keys.count(key) > 1:
            raise InvalidValueError(f"the tag {key!r} is given twice", field="tag_key", value=key)
    if len(checked) > MOST_TAGS:
        raise InvalidValueError(
            f"{len(checked)} tags are given, a thing has at most {MOST_TAGS}", field="tag_key", value=len(checked)
        )
    return checked
