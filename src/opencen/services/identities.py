"""Who is calling: access keys, used nonces, and the first start's accounts and keys."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

from opencen.domain import geography, permissions
from opencen.domain.errors import UnauthenticatedError, UnavailableError
from opencen.domain.ids import new_id
from opencen.domain.nouns import AccessKey, Account, Actor, Role
from opencen.services import passwords
from opencen.services.context import Context
from opencen.services.vault import write_private
from opencen.store import identities, people, regions
from opencen.store.identities import UserRow

GATEWAY_USERNAME = "gateway"
_FIRST_ACCOUNT_NUMBER = 1_000_000_000_000_000
_NONCE_SWEEP_CHANCE = 1000
_REMEMBER_KEY_S = 1.0
_NOTE_USE_S = 60.0


def find_access_key(context: Context, access_key_id: str) -> AccessKey | None:
    """The key pair of this id, whether active or not; None when unknown.

    A key is remembered for a second: one that was disabled is refused that much later at the most.
    """
    remembered = context.access_keys.get(access_key_id)
    now_s = time.monotonic()
    if remembered is not None and now_s < remembered[1]:
        return remembered[0]
    with context.database.read() as tx:
        row = identities.find_access_key(tx, access_key_id)
    if row is None:
        return None
    key = AccessKey(
        access_key_id=row.id,
        secret=context.vault.open(row.secret_sealed, row.id),
        account_id=row.account_id,
        user_id=row.user_id,
        username=row.username,
        role=permissions.lesser(Role(row.role), Role(row.key_role or row.role)),
        active=row.active and row.disabled_at is None,
        source_networks=tuple(row.source_networks or ()),
    )
    context.access_keys[access_key_id] = (key, now_s + _REMEMBER_KEY_S)
    return key


def actor_of_key(key: AccessKey, *, source_address: str | None, request_id: str | None) -> Actor:
    """The actor that a call signed with this key is."""
    return Actor(key.account_id, key.user_id, key.username, key.role, key.access_key_id, source_address, request_id)


def authenticate_key(
    context: Context, access_key_id: str, secret: str, *, source_address: str | None, request_id: str | None
) -> Actor:
    """Who has this key pair. Raises UnauthenticatedError: one for an unknown key, a wrong secret, a disabled key."""
    key = find_access_key(context, access_key_id)
    expected = key.secret if key else secrets.token_urlsafe(16)
    if not hmac.compare_digest(expected.encode(), secret.encode()) or key is None or not key.active:
        raise UnauthenticatedError("the access key id or its secret is wrong, or the key is disabled")
    if not usable_from(key, source_address):
        raise UnauthenticatedError(f"this access key may not be used from {source_address or 'here'}")
    note_use(context, key)
    return actor_of_key(key, source_address=source_address, request_id=request_id)


def usable_from(key: AccessKey, source_address: str | None) -> bool:
    """Whether a key may be used from this address; one limited to networks never from an unknown one."""
    if not key.source_networks:
        return True
    try:
        address = ip_address(source_address or "")
    except ValueError:
        return False
    return any(address in ip_network(block) for block in key.source_networks)


def note_use(context: Context, key: AccessKey) -> None:
    """Write down that a key is in use; to the minute, so that reads stay reads."""
    now_s = time.monotonic()
    if now_s - context.key_uses.get(key.access_key_id, -_NOTE_USE_S) < _NOTE_USE_S:
        return
    context.key_uses[key.access_key_id] = now_s
    with suppress(UnavailableError), context.database.write() as tx:  # a note is no reason to refuse a call
        people.note_use(tx, key.access_key_id, context.clock())


def hash_token(token: str) -> bytes:
    """Tokens are 256 random bits: a plain hash keeps them as well as a slow one."""
    return hashlib.sha256(token.encode()).digest()


def remember_nonce(context: Context, access_key_id: str, nonce: str, expires_at_s: int) -> bool:
    """False when this key has used this nonce before, at this or at any other server."""
    with context.database.volatile() as tx:
        if secrets.randbelow(_NONCE_SWEEP_CHANCE) == 0:
            identities.forget_nonces(tx, int(time.time()))
        return identities.remember_nonce(tx, access_key_id, nonce, expires_at_s)


def find_accounts(context: Context) -> list[Account]:
    with context.database.read() as tx:
        return identities.find_accounts(tx)


def find_account(context: Context, account_id: str) -> Account:
    with context.database.read() as tx:
        account = identities.find_account(tx, account_id)
    if account is None:
        raise UnauthenticatedError("this account is gone")
    return account


def bootstrap(context: Context, admin_file: Path) -> bool:
    """On an empty database: make the first account, its administrator and an access key, and write `admin_file`.

    Values in OPENCEN_ADMIN_… environment variables are taken instead of random ones. True when it was the first start.
    """
    with context.database.read() as tx:
        if identities.count_accounts(tx):
            return False
    given = os.environ.get
    admin = {
        "access_key_id": given("OPENCEN_ADMIN_ACCESS_KEY_ID") or "OCEN" + secrets.token_hex(10).upper(),
        "access_key_secret": given("OPENCEN_ADMIN_ACCESS_KEY_SECRET") or secrets.token_urlsafe(30),
        "username": given("OPENCEN_ADMIN_USERNAME") or "admin",
        "password": given("OPENCEN_ADMIN_PASSWORD") or secrets.token_urlsafe(15),
    }
    now = context.clock()
    password_hash = passwords.hash_of(admin["password"])
    with context.database.write() as tx:
        if identities.count_accounts(tx):
            return False
        write_private(admin_file, json.dumps(admin, indent=2) + "\n")
        account = Account(new_id("acc"), _FIRST_ACCOUNT_NUMBER + secrets.randbelow(10**15), "default", now)
        identities.add_account(tx, account)
        user = UserRow(new_id("usr"), account.id, admin["username"], password_hash, Role.ADMINISTRATOR.value, now)
        identities.add_user(tx, user)
        key_id = admin["access_key_id"]
        identities.add_access_key(tx, key_id, user.id, context.vault.seal(admin["access_key_secret"], key_id), now)
        for area in geography.AREAS:
            regions.add_area(tx, area)
        for region in geography.REGIONS:
            regions.add_region(tx, region)
    return True


class WrongKeyError(Exception):
    """The database's secrets are sealed with another key than this data directory's."""


def check_vault(context: Context, key_file: Path) -> None:
    """Every server of a database needs the same key. Raises WrongKeyError."""
    with context.database.read() as tx:
        sealed = identities.some_sealed_secret(tx)
    if sealed is not None and not context.vault.opens(sealed[1], sealed[0]):
        raise WrongKeyError(
            f"{key_file} is not the key of this database: its access keys cannot be read. Copy secrets.key from the "
            "data directory of the server that made the database, and start again"
        )
