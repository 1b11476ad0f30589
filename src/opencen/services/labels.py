"""Tags and resource groups."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from opencen.domain.errors import ConflictError, InvalidValueError, NotFoundError
from opencen.domain.ids import new_id
from opencen.domain.labels import (
    MOST_TAGS,
    Labelled,
    Labels,
    Tag,
    TaggedResource,
    checked_tags,
    default_group_id,
)
from opencen.domain.names import checked_name
from opencen.domain.nouns import Actor, ResourceGroup
from opencen.services.context import Context
from opencen.store import connections, identities, instances, labels, transit
from opencen.store.database import Transaction

_WORDS = {
    Labelled.INSTANCE: "CEN instance",
    Labelled.PACKAGE: "bandwidth package",
    Labelled.NETWORK: "network",
    Labelled.VSWITCH: "vSwitch",
    Labelled.TRANSIT_ROUTER: "transit router",
    Labelled.ATTACHMENT: "attachment",
    Labelled.CONNECTION: "region connection",
}
_DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class TagPage:
    """A part of a list of tags; `next_token` asks for the one that follows, empty at the end."""

    items: tuple[TaggedResource, ...]
    next_token: str


def set_tags(context: Context, actor: Actor, kind: Labelled, resource_ids: Sequence[str], tags: Sequence[Tag]) -> None:
    """Tag all of these things, or none. Raises NotFoundError, InvalidValueError."""
    checked = checked_tags(tags)
    with context.change(actor, "tags.set", ",".join(resource_ids)) as work:
        _require(work.tx, actor, kind, resource_ids)
        if kind is Labelled.TRANSIT_ROUTER:
            _keep_routers(work.tx, actor, resource_ids)
        before = labels.tags_of(work.tx, kind, resource_ids)
        for resource_id in resource_ids:
            _check_count(resource_id, before.get(resource_id, ()), checked)
            labels.add_tags(work.tx, actor.account_id, kind, resource_id, checked)
        work.tell(before, labels.tags_of(work.tx, kind, resource_ids))


def _check_count(resource_id: str, before: Sequence[Tag], added: Sequence[Tag]) -> None:
    count = len({tag.key for tag in (*before, *added)})
    if count > MOST_TAGS:
        raise InvalidValueError(
            f"{resource_id} would have {count} tags, a thing has at most {MOST_TAGS}", field="tag_key", value=count
        )


def remove_tags(
    context: Context, actor: Actor, kind: Labelled, resource_ids: Sequence[str], keys: Sequence[str] | None
) -> None:
    """Take tags with these keys, or all (None), off these things. A key that a thing lacks is no error."""
    with context.change(actor, "tags.remove", ",".join(resource_ids)) as work:
        _require(work.tx, actor, kind, resource_ids)
        before = labels.tags_of(work.tx, kind, resource_ids)
        labels.remove_tags(work.tx, kind, resource_ids, keys)
        work.tell(before, labels.tags_of(work.tx, kind, resource_ids))


def _require(tx: Transaction, actor: Actor, kind: Labelled, resource_ids: Sequence[str]) -> None:
    owned = _owned(tx, actor.account_id, kind, resource_ids)
    for resource_id in resource_ids:
        if resource_id not in owned:
            raise NotFoundError(_WORDS[kind], resource_id, field="resource_id")


def _owned(tx: Transaction, account_id: str, kind: Labelled, resource_ids: Sequence[str]) -> set[str]:
    match kind:
        case Labelled.TRANSIT_ROUTER:
            return {f"{router.cen_id}:{router.region_id}" for router in transit.routers(tx, account_id)}
        case Labelled.ATTACHMENT:
            return {attachment.network_id for attachment, _ in transit.attachments_with_notes(tx, account_id, None)}
        case Labelled.CONNECTION:
            found = (connections.find(tx, *resource_id.split(":")) for resource_id in resource_ids)
            return {item.id for item in found if item and instances.exists(tx, account_id, item.cen_id)}
    return labels.owned(tx, account_id, kind, resource_ids)


def _keep_routers(tx: Transaction, actor: Actor, resource_ids: Sequence[str]) -> None:
    """A router with tags is one that somebody cares for: it stays until it is deleted, like one with a name."""
    for router in transit.routers(tx, actor.account_id):
        if f"{router.cen_id}:{router.region_id}" in resource_ids:
            transit.save_router(tx, router)


def tags_of(context: Context, kind: Labelled, resource_ids: Sequence[str]) -> dict[str, tuple[Tag, ...]]:
    """The tags of each of these things, which the caller was allowed to see."""
    if not resource_ids:
        return {}
    with context.database.read() as tx:
        return labels.tags_of(tx, kind, resource_ids)


def search_tags(
    context: Context,
    actor: Actor,
    kind: Labelled,
    *,
    resource_ids: Sequence[str] | None,
    wanted: Sequence[tuple[str, str | None]],
    next_token: str,
    size: int,
) -> TagPage:
    """Tags of the account's things of a kind. Raises InvalidValueError for a token that nobody was given."""
    after = _read_token(next_token) if next_token else None
    with context.database.read() as tx:
        found = labels.search_tags(
            tx, actor.account_id, kind, resource_ids=resource_ids, wanted=wanted, after=after, size=size + 1
        )
    page = tuple(found[:size])
    return TagPage(page, _token(page[-1]) if len(found) > size else "")


def _token(last: TaggedResource) -> str:
    return base64.urlsafe_b64encode(f"{last.resource_id}\n{last.key}".encode()).decode()


def _read_token(text: str) -> tuple[str, str]:
    try:
        resource_id, newline, key = base64.b64decode(text.encode(), b"-_", validate=True).decode().partition("\n")
    except (binascii.Error, UnicodeError) as error:
        raise InvalidValueError("this is no token of a next page", field="next_token", value=text[:64]) from error
    if not newline or "\0" in resource_id + key:
        raise InvalidValueError("this is no token of a next page", field="next_token", value=text[:64])
    return resource_id, key


def apply(tx: Transaction, actor: Actor, kind: Labelled, resource_id: str, given: Labels) -> None:
    """Write the tags of a thing that is being made in this transaction."""
    labels.add_tags(tx, actor.account_id, kind, resource_id, checked_tags(given.tags))


def stored_group(tx: Transaction, actor: Actor, group_id: str | None) -> str | None:
    """What is stored for a group: None for the default one. Raises NotFoundError."""
    if group_id is None or group_id == default_group_id(actor.account_id):
        return None
    if not labels.has_group(tx, actor.account_id, group_id):
        raise NotFoundError("resource group", group_id, field="resource_group_id")
    return group_id


def find_groups(context: Context, actor: Actor) -> list[ResourceGroup]:
    """The account's groups, the default group first."""
    with context.database.read() as tx:
        return _groups(tx, actor)


def _groups(tx: Transaction, actor: Actor) -> list[ResourceGroup]:
    account = identities.find_account(tx, actor.account_id)
    assert account is not None, "an actor's account exists"
    default_id = default_group_id(account.id)
    default = ResourceGroup(default_id, account.id, _DEFAULT_NAME, _DEFAULT_NAME, account.created_at)
    return [default, *labels.find_groups(tx, account.id)]


def get_group(context: Context, actor: Actor, group_id: str) -> ResourceGroup:
    """Raises NotFoundError."""
    for group in find_groups(context, actor):
        if group.id == group_id:
            return group
    raise NotFoundError("resource group", group_id, field="resource_group_id")


def create_group(context: Context, actor: Actor, *, name: str, display_name: str) -> ResourceGroup:
    """Raises ConflictError for a name that the account has already, InvalidValueError."""
    group_id = new_id("rg")
    with context.change(actor, "resource_group.create", group_id) as work:
        if not name or not all(
            character.isascii() and (character.isalnum() or character in "-_") for character in name
        ):
            raise InvalidValueError(
                f"a group's name has letters, digits, - and _, not {name!r}", field="name", value=name
            )
        group = ResourceGroup(
            group_id, actor.account_id, checked_name(name), checked_name(display_name) or name, work.now
        )
        if name == _DEFAULT_NAME or not labels.add_group(work.tx, group):
            raise ConflictError(f"there is a resource group {name!r} already", field="name", value=name)
        work.tell(None, group)
    return group


def delete_group(context: Context, actor: Actor, group_id: str) -> ResourceGroup:
    """Raises ConflictError while something is in it, and for the default group."""
    with context.change(actor, "resource_group.delete", group_id) as work:
        group = next((group for group in _groups(work.tx, actor) if group.id == group_id), None)
        if group is None:
            raise NotFoundError("resource group", group_id, field="resource_group_id")
        if group_id == default_group_id(actor.account_id):
            raise ConflictError("the default group stays", field="resource_group_id", value=group_id)
        labels.lock_group(work.tx, group_id)
        members = labels.count_members(work.tx, group_id)
        if members:
            raise ConflictError(
                f"{members} things are in resource group {group_id}; move them first",
                field="resource_group_id",
                value=group_id,
                members=members,
            )
        labels.remove_group(work.tx, group_id)
        work.tell(group, None)
    return group


def check_move(context: Context, actor: Actor, kind: Labelled, resource_id: str, group_id: str) -> None:
    """Raises what `move` would raise, and moves nothing."""
    with context.database.read() as tx:
        _require(tx, actor, kind, [resource_id])
        stored_group(tx, actor, group_id)


def move(context: Context, actor: Actor, kind: Labelled, resource_id: str, group_id: str) -> None:
    """Put a thing into another group. Raises NotFoundError for either."""
    with context.change(actor, "resource_group.move", resource_id) as work:
        _require(work.tx, actor, kind, [resource_id])
        labels.move(work.tx, kind, resource_id, stored_group(work.tx, actor, group_id))
        work.tell(None, {"resource_group_id": group_id})
