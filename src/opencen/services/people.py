"""Accounts, their users, and the access keys of those: what administrators manage."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from ipaddress import ip_network

from opencen.domain import permissions
from opencen.domain.errors import ConflictError, InvalidValueError, NotFoundError
from opencen.domain.ids import new_id
from opencen.domain.names import checked_name
from opencen.domain.nouns import Account, Actor, KeyEntry, Role, User
from opencen.services import passwords
from opencen.services.context import Context
from opencen.store import identities, people, totp
from opencen.store.database import Transaction
from opencen.store.identities import UserRow

_FIRST_NUMBER = 1_000_000_000_000_000


def create_account(context: Context, actor: Actor, name: str) -> Account:
    """Another account: what belongs to it does not exist for the others."""
    account = Account(new_id("acc"), _FIRST_NUMBER + secrets.randbelow(10**15), checked_name(name), context.clock())
    with context.change(actor, "account.create", account.id) as work:
        identities.add_account(work.tx, account)
        work.tell(None, account)
    return account


def find_users(context: Context, actor: Actor) -> list[User]:
    permissions.check_read(actor, "user.list")
    with context.database.read() as tx:
        return people.find_users(tx)


def create_user(context: Context, actor: Actor, *, account_id: str, username: str, role: Role) -> tuple[User, str]:
    """A user of an account, and its password, shown this once. Raises NotFoundError, ConflictError."""
    user = User(new_id("usr"), account_id, username, role, context.clock())
    password, password_hash = _new_password(actor, "user.create")
    with context.change(actor, "user.create", user.id) as work:
        work.revision()  # so that two who add the same name come one after the other
        if identities.find_account(work.tx, account_id) is None:
            raise NotFoundError("account", account_id, field="account_id")
        if not username.strip() or checked_name(username) != username:
            raise InvalidValueError("a username is no blank", field="username", value=username)
        if identities.find_user(work.tx, username) is not None:
            raise ConflictError(f"there is a user {username!r} already", field="username", value=username)
        row = UserRow(user.id, account_id, username, password_hash, role.value, user.created_at)
        identities.add_user(work.tx, row)
        work.tell(None, user)
    return user, password


def _new_password(actor: Actor, action: str) -> tuple[str, str]:
    """A password and its hash, which is slow to make on purpose: only for those who may ask for it."""
    password = secrets.token_urlsafe(15)
    return password, passwords.hash_of(password) if actor.role is Role.ADMINISTRATOR else ""


def modify_user(
    context: Context,
    actor: Actor,
    user_id: str,
    *,
    role: Role | None = None,
    disabled: bool | None = None,
    reset_password: bool = False,
    reset_totp: bool = False,
) -> tuple[User, str | None]:
    """Another role, disabled or enabled, a new password (shown this once), no second factor any more.

    All but a role end the user's sessions.

    Raises NotFoundError, and ConflictError for the last administrator.
    """
    password, password_hash = _new_password(actor, "user.modify") if reset_password else (None, "")
    with context.change(actor, "user.modify", user_id) as work:
        work.revision()
        before = _require_user(work.tx, user_id)
        disabled_at = before.disabled_at
        if disabled is not None:
            disabled_at = (before.disabled_at or work.now) if disabled else None
        people.change_user(work.tx, user_id, role or before.role, disabled_at)
        _keep_an_administrator(work.tx, user_id)
        if password is not None:
            people.set_password(work.tx, user_id, password_hash)
        if reset_totp:
            totp.remove(work.tx, user_id)
        if password is not None or reset_totp or disabled_at is not None:
            people.end_sessions(work.tx, user_id)
        after = _require_user(work.tx, user_id)
        work.tell(before, after)
    context.access_keys.clear()
    return after, password


def delete_user(context: Context, actor: Actor, user_id: str) -> None:
    """With its sessions and access keys. Raises NotFoundError, and ConflictError for the last administrator."""
    with context.change(actor, "user.delete", user_id) as work:
        work.revision()
        before = _require_user(work.tx, user_id)
        people.remove_user(work.tx, user_id)
        _keep_an_administrator(work.tx, user_id)
        work.tell(before, None)
    context.access_keys.clear()


def _keep_an_administrator(tx: Transaction, user_id: str) -> None:
    if people.count_administrators(tx) == 0:
        raise ConflictError(
            f"{user_id} is the last administrator; make another one first", field="user_id", user_id=user_id
        )


def _require_user(tx: Transaction, user_id: str) -> User:
    user = people.find_user(tx, user_id)
    if user is None:
        raise NotFoundError("user", user_id, field="user_id")
    return user


def find_keys(context: Context, actor: Actor) -> list[KeyEntry]:
    permissions.check_read(actor, "access_key.list")
    with context.database.read() as tx:
        return people.find_keys(tx)


def create_key(
    context: Context,
    actor: Actor,
    *,
    user_id: str,
    name: str = "",
    role: Role | None = None,
    source_networks: Iterable[str] = (),
) -> tuple[KeyEntry, str]:
    """An access key of a user, limited if wanted, and its secret, shown this once. Raises NotFoundError."""
    key_id, secret = "OCEN" + secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
    with context.change(actor, "access_key.create", key_id) as work:
        user = _require_user(work.tx, user_id)
        key = KeyEntry(
            id=key_id,
            user_id=user_id,
            username=user.username,
            account_id=user.account_id,
            name=checked_name(name),
            role=permissions.lesser(user.role, role or user.role),
            source_networks=_checked_networks(source_networks),
            active=True,
            created_at=work.now,
            last_used_at=None,
        )
        people.add_key(work.tx, key, context.vault.seal(secret, key_id))
        work.tell(None, key)
    return key, secret


def _checked_networks(blocks: Iterable[str]) -> tuple[str, ...]:
    checked = []
    for block in blocks:
        try:
            checked.append(str(ip_network(block)))
        except ValueError as error:
            raise InvalidValueError(
                f"a source network is an address block such as 192.0.2.0/24, not {block[:80]!r}",
                field="source_networks",
                value=block[:80],
            ) from error
    return tuple(checked)


def switch_key(context: Context, actor: Actor, key_id: str, *, active: bool) -> KeyEntry:
    """Disable or enable a key: other server processes follow within a second. Raises NotFoundError."""
    with context.change(actor, "access_key.switch", key_id) as work:
        before = _require_key(work.tx, key_id)
        people.switch_key(work.tx, key_id, active)
        after = _require_key(work.tx, key_id)
        work.tell(before, after)
    context.access_keys.pop(key_id, None)
    return after


def delete_key(context: Context, actor: Actor, key_id: str) -> None:
    """Raises NotFoundError."""
    with context.change(actor, "access_key.delete", key_id) as work:
        before = _require_key(work.tx, key_id)
        people.remove_key(work.tx, key_id)
        work.tell(before, None)
    context.access_keys.pop(key_id, None)


def _require_key(tx: Transaction, key_id: str) -> KeyEntry:
    key = people.find_key(tx, key_id)
    if key is None:
        raise NotFoundError("access key", key_id, field="access_key_id")
    return key
