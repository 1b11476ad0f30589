"""People log on with a password and get a session: a random token that expires and can be revoked."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from opencen.domain.errors import DomainError, NotFoundError, UnauthenticatedError
from opencen.domain.ids import new_id
from opencen.domain.nouns import Actor, Role
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store import audit, identities, sessions
from opencen.store.database import Transaction
from opencen.store.sessions import SessionRow

PREFIX = "ses"
LIFETIME = timedelta(hours=24)
_MAX_SHOWN = 120
_hasher = PasswordHasher()
_NOBODYS_HASH = _hasher.hash(secrets.token_urlsafe(16))
"""Checked for unknown users too, so that the time of an answer does not tell who exists."""


def log_on(
    context: Context,
    username: str,
    password: str,
    *,
    source_address: str | None,
    request_id: str | None,
    user_agent: str = "",
) -> tuple[SessionRow, str]:
    """A session for the user of this name and password, and its token, shown this once.

    Takes about 50 ms of CPU (argon2id). Raises UnauthenticatedError, the same for an unknown user and a wrong password.
    """
    with context.database.read() as tx:
        user = identities.find_user(tx, username)
        accounts = identities.find_accounts(tx)
    right = _verify(user.password_hash if user else _NOBODYS_HASH, password)
    now = context.clock()
    if user is None or not right or user.disabled_at is not None:
        refusal = UnauthenticatedError("the username or the password is wrong", field="password")
        account_id = user.account_id if user else accounts[0].id
        actor = Actor(account_id, "", username[:_MAX_SHOWN], Role.VIEWER, None, source_address, request_id)
        context.record_refusal(actor, "session.log_on", username[:_MAX_SHOWN], refusal)
        raise refusal
    session_id, token = new_id(PREFIX), secrets.token_urlsafe(32)
    expires_at = now + LIFETIME
    actor = Actor(user.account_id, user.id, user.username, Role(user.role), None, source_address, request_id)
    with context.database.write() as tx:
        sessions.forget_expired(tx, now)
        agent = user_agent[:_MAX_SHOWN]
        sessions.add(tx, session_id, user.id, hash_token(token), now, expires_at, source_address, agent)
        audit.append(tx, now, actor, "session.log_on", session_id, "done", None, {"expires_at": expires_at.isoformat()})
        row = _require(tx, actor, session_id)
    return row, token


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def authenticate_session(
    context: Context, session_id: str, token: str, *, source_address: str | None, request_id: str | None
) -> Actor:
    """Who has this session. Raises UnauthenticatedError when it is unknown, revoked or has expired."""
    with context.database.read() as tx:
        row = sessions.find(tx, session_id)
    if row is None or not hmac.compare_digest(row.token_sha256, hash_token(token)) or row.expires_at <= context.clock():
        raise UnauthenticatedError("this session is unknown, has expired or was revoked")
    return Actor(row.account_id, row.user_id, row.username, Role(row.role), None, source_address, request_id)


def find_own(context: Context, actor: Actor) -> list[SessionRow]:
    """The caller's sessions that have not expired, the newest first."""
    with context.database.read() as tx:
        return sessions.of_user(tx, actor.user_id, context.clock())


def log_off(context: Context, actor: Actor, session_id: str) -> None:
    """End a session of the caller's: its token is refused from now on. Raises NotFoundError."""
    try:
        with context.database.write() as tx:
            _require(tx, actor, session_id)
            sessions.remove(tx, session_id)
            audit.append(tx, context.clock(), actor, "session.log_off", session_id, "done", None, None)
    except DomainError as refusal:
        context.record_refusal(actor, "session.log_off", session_id, refusal)
        raise


def _require(tx: Transaction, actor: Actor, session_id: str) -> SessionRow:
    row = sessions.find(tx, session_id)
    if row is None or row.user_id != actor.user_id:
        raise NotFoundError("session", session_id, field="session_id")
    return replace(row, token_sha256=b"")
