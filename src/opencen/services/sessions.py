"""People log on with a password and get a session: a random token that expires and can be revoked."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from opencen.domain.errors import DomainError, NotFoundError, UnauthenticatedError
from opencen.domain.ids import new_id
from opencen.domain.nouns import Actor, Role
from opencen.services import passwords, totp
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store import audit, identities, sessions
from opencen.store import totp as totp_rows
from opencen.store.database import Transaction
from opencen.store.identities import UserRow
from opencen.store.sessions import SessionRow

PREFIX = "ses"
LIFETIME = timedelta(hours=24)
_MAX_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to log on, and from where."""

    username: str
    source_address: str | None
    request_id: str | None
    user_agent: str = ""

    def actor(self, account_id: str, user_id: str, role: Role) -> Actor:
        return Actor(account_id, user_id, self.username, role, None, self.source_address, self.request_id)


def check_password(context: Context, visitor: Visitor, password: str) -> tuple[UserRow, bool]:
    """The user of this name and password, and whether a code is asked for too.

    Takes about 50 ms of CPU (argon2id). Raises UnauthenticatedError, the same for an unknown user and a wrong password.
    """
    with context.database.read() as tx:
        user = identities.find_user(tx, visitor.username)
        accounts = identities.find_accounts(tx)
        second = totp_rows.find(tx, user.id) if user else None
    right = passwords.verify(user.password_hash if user else passwords.nobodys_hash(), password)
    if user is None or not right or user.disabled_at is not None:
        refusal = UnauthenticatedError("the username or the password is wrong", field="password")
        shown = replace(visitor, username=visitor.username[:_MAX_SHOWN])
        actor = shown.actor(user.account_id if user else accounts[0].id, "", Role.VIEWER)
        context.record_refusal(actor, "session.log_on", shown.username, refusal)
        raise refusal
    return user, second is not None and second.confirmed_at is not None


def open_session(context: Context, visitor: Visitor, user: UserRow, code: str | None) -> tuple[SessionRow, str]:
    """A session for a user whose password was right, and its token, shown this once.

    `code`: of the second factor, None when none is asked for. Raises UnauthenticatedError for a wrong one.
    """
    session_id, token, now = new_id(PREFIX), secrets.token_urlsafe(32), context.clock()
    actor = visitor.actor(user.account_id, user.id, Role(user.role))
    try:
        with context.database.write() as tx:
            if code is not None:
                totp.check(context, tx, user.id, code)
            sessions.forget_expired(tx, now)
            row = SessionRow(
                id=session_id,
                user_id=user.id,
                token_sha256=hash_token(token),
                created_at=now,
                expires_at=now + LIFETIME,
                source_address=visitor.source_address,
                user_agent=visitor.user_agent[:_MAX_SHOWN],
                account_id=user.account_id,
                username=user.username,
                role=user.role,
            )
            sessions.add(tx, row)
            told = {"expires_at": row.expires_at.isoformat()}
            audit.append(tx, now, actor, "session.log_on", session_id, "done", None, told)
    except UnauthenticatedError as refusal:
        context.record_refusal(actor, "session.log_on", user.username, refusal)
        raise
    return replace(row, token_sha256=b""), token


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
