"""Rows of tags and resource groups, and the conditions by which things are found through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, exists, func, select, tuple_, update

from opencen.domain.labels import Labelled, Tag, TaggedResource, WantedLabels, default_group_id
from opencen.domain.nouns import ResourceGroup
from opencen.store.database import Transaction
from opencen.store.schema import bandwidth_packages, instances, networks, resource_groups, tags, vswitches
from opencen.store.upsert import insert_new, upsert

_TABLES: dict[Labelled, Table] = {
    Labelled.INSTANCE: instances,
    Labelled.PACKAGE: bandwidth_packages,
    Labelled.NETWORK: networks,
    Labelled.VSWITCH: vswitches,
}
_GROUPED = (Labelled.INSTANCE, Labelled.PACKAGE, Labelled.NETWORK)


def owned(tx: Transaction, account_id: str, kind: Labelled, resource_ids: Sequence[str]) -> set[str]:
    """Which of these are things of that kind and of this account."""
    table = _TABLES[kind]
    statement = select(table.c.id).where(table.c.id.in_(resource_ids), table.c.account_id == account_id)
    return set(tx.execute(statement).scalars())


def add_tags(tx: Transaction, account_id: str, kind: Labelled, resource_id: str, given: Iterable[Tag]) -> None:
    """Set tags; a key that is there already gets the new value."""
    rows = [
        {
            "resource_type": kind.value,
            "resource_id": resource_id,
            "key": tag.key,
            "value": tag.value,
            "account_id": account_id,
        }
        for tag in given
    ]
    if rows:
        upsert(tx, tags, rows)


def remove_tags(tx: Transaction, kind: Labelled, resource_ids: Sequence[str], keys: Sequence[str] | None) -> None:
    """Take tags with these keys, or all (None), off these things."""
    statement = delete(tags).where(tags.c.resource_type == kind.value, tags.c.resource_id.in_(resource_ids))
    tx.execute(statement if keys is None else statement.where(tags.c.key.in_(keys)))


def remove_tags_of_parts(tx: Transaction, kind: Labelled, resource_id: str) -> None:
    """Take all tags off what is named as a part of a thing: `cen:region` of `cen`."""
    part = tags.c.resource_id.startswith(f"{resource_id}:", autoescape=True)
    tx.execute(delete(tags).where(tags.c.resource_type == kind.value, part))


def tags_of(tx: Transaction, kind: Labelled, resource_ids: Sequence[str]) -> dict[str, tuple[Tag, ...]]:
    """The tags of each of these things that has any, by key."""
    if not resource_ids:
        return {}
    statement = (
        select(tags.c.resource_id, tags.c.key, tags.c.value)
        .where(tags.c.resource_type == kind.value, tags.c.resource_id.in_(resource_ids))
        .order_by(tags.c.resource_id, tags.c.key)
    )
    found: dict[str, list[Tag]] = {}
    for row in tx.execute(statement):
        found.setdefault(row.resource_id, []).append(Tag(row.key, row.value))
    return {resource_id: tuple(own) for resource_id, own in found.items()}


def search_tags(
    tx: Transaction,
    account_id: str,
    kind: Labelled,
    *,
    resource_ids: Sequence[str] | None,
    wanted: Sequence[tuple[str, str | None]],
    after: tuple[str, str] | None,
    size: int,
) -> list[TaggedResource]:
    """Tags of things that carry all of `wanted`, by thing and key, from the one that follows `after` on."""
    statement = select(tags).where(tags.c.account_id == account_id, tags.c.resource_type == kind.value)
    if resource_ids is not None:
        statement = statement.where(tags.c.resource_id.in_(resource_ids))
    statement = statement.where(*_tagged(tags.c.resource_id, kind, wanted))
    if after is not None:
        statement = statement.where(tuple_(tags.c.resource_id, tags.c.key) > tuple_(*after))
    rows = tx.execute(statement.order_by(tags.c.resource_id, tags.c.key).limit(size))
    return [TaggedResource(kind, row.resource_id, row.key, row.value) for row in rows]


def conditions(table: Table, kind: Labelled, account_id: str, wanted: WantedLabels) -> list[ColumnElement[bool]]:
    """What restricts a search of `table` to what is labelled so."""
    found = _tagged(table.c.id, kind, wanted.tags)
    if wanted.resource_group_id is not None and kind in _GROUPED:
        group = table.c.resource_group_id
        default = wanted.resource_group_id == default_group_id(account_id)
        found.append(group.is_(None) if default else group == wanted.resource_group_id)
    return found


def _tagged(
    identifier: ColumnElement[Any], kind: Labelled, wanted: Sequence[tuple[str, str | None]]
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for key, value in wanted:
        tag = tags.alias()
        condition = (tag.c.resource_type == kind.value) & (tag.c.resource_id == identifier) & (tag.c.key == key)
        found.append(exists().where(condition if value is None else condition & (tag.c.value == value)))
    return found


def add_group(tx: Transaction, group: ResourceGroup) -> bool:
    """False when the account has a group of that name already."""
    return insert_new(
        tx,
        resource_groups,
        {
            "id": group.id,
            "account_id": group.account_id,
            "name": group.name,
            "display_name": group.display_name,
            "created_at": group.created_at,
        },
    )


def find_groups(tx: Transaction, account_id: str) -> list[ResourceGroup]:
    """The groups that the account has made, in the order of their creation; the default group is not among them."""
    statement = select(resource_groups).where(resource_groups.c.account_id == account_id)
    rows = tx.execute(statement.order_by(resource_groups.c.created_at, resource_groups.c.id))
    return [ResourceGroup(**row._mapping) for row in rows]


def has_group(tx: Transaction, account_id: str, group_id: str) -> bool:
    """Whether the account has made that group; it stays there until this transaction ends."""
    statement = select(resource_groups.c.id).where(
        resource_groups.c.id == group_id, resource_groups.c.account_id == account_id
    )
    return tx.execute(statement.with_for_update(read=True)).first() is not None


def count_members(tx: Transaction, group_id: str) -> int:
    """How many things are in a group."""
    counts = (
        select(func.count()).select_from(_TABLES[kind]).where(_TABLES[kind].c.resource_group_id == group_id)
        for kind in _GROUPED
    )
    return sum(tx.execute(statement).scalar_one() for statement in counts)


def remove_group(tx: Transaction, group_id: str) -> None:
    tx.execute(delete(resource_groups).where(resource_groups.c.id == group_id))


def lock_group(tx: Transaction, group_id: str) -> None:
    """Nothing joins the group until this transaction ends."""
    tx.execute(select(resource_groups.c.id).where(resource_groups.c.id == group_id).with_for_update())


def move(tx: Transaction, kind: Labelled, resource_id: str, group_id: str | None) -> None:
    """Put a thing into a group; None is the default group."""
    table = _TABLES[kind]
    tx.execute(update(table).where(table.c.id == resource_id).values(resource_group_id=group_id))
