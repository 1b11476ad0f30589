"""A second factor for logging on: time-based codes (RFC 6238: SHA-1, 6 digits, 30 s) of an app that the user has.

Only a session can set one up, and only with the password: neither a stolen key nor a stolen session locks its user out.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from opencen.domain.errors import ConflictError, DomainError, ForbiddenError, NotFoundError, UnauthenticatedError
from opencen.domain.nouns import Actor
from opencen.services import passwords
from opencen.services.context import Context
from opencen.store import audit, identities, totp
from opencen.store.database import Transaction
from opencen.store.sealed import totp_label
from opencen.store.totp import TotpRow

STEP_S = 30
_SECRET_BYTES = 20
_DIGITS = 6
_SLACK_STEPS = 1


def _generator(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), _DIGITS, SHA1(), STEP_S)  # noqa: S303  # nosec B303  what every such app speaks


def find(context: Context, actor: Actor) -> datetime | None:
    """Since when the caller is asked for codes; None: not at all."""
    with context.database.read() as tx:
        row = totp.find(tx, actor.user_id)
    return row.confirmed_at if row else None


def begin(context: Context, actor: Actor, password: str) -> tuple[str, str]:
    """A new secret (base32), and the same as an otpauth:// address; it counts once it is confirmed by a code.

    Raises ConflictError while one counts, UnauthenticatedError for a wrong password, ForbiddenError for an access key.
    """
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    with _own(context, actor, "totp.begin") as tx:
        user = identities.find_user(tx, actor.username)
        if user is None or not passwords.verify(user.password_hash, password):
            raise UnauthenticatedError("the password is wrong", field="password")
        row = totp.find(tx, actor.user_id)
        if row is not None and row.confirmed_at is not None:
            raise ConflictError("codes are asked for already; remove them first")
        totp.put(tx, TotpRow(actor.user_id, context.vault.seal(secret, totp_label(actor.user_id)), None, 0))
    return secret, _generator(secret).get_provisioning_uri(actor.username, "OpenCEN")


def confirm(context: Context, actor: Actor, code: str) -> None:
    """Ask for codes from now on. Raises NotFoundError without `begin`, UnauthenticatedError for a wrong code."""
    with _own(context, actor, "totp.confirm") as tx:
        if totp.find(tx, actor.user_id) is None:
            raise NotFoundError("second factor", actor.username)
        check(context, tx, actor.user_id, code)
        totp.confirm(tx, actor.user_id, context.clock())


def remove(context: Context, actor: Actor, code: str) -> None:
    """Ask for codes no more; one is needed for that. Raises NotFoundError, UnauthenticatedError."""
    with _own(context, actor, "totp.remove") as tx:
        if totp.find(tx, actor.user_id) is None:
            raise NotFoundError("second factor", actor.username)
        check(context, tx, actor.user_id, code)
        totp.remove(tx, actor.user_id)


def check(context: Context, tx: Transaction, user_id: str, code: str) -> None:
    """Take a code, which works once. Raises UnauthenticatedError."""
    row = totp.find(tx, user_id)
    if row is not None:
        generator = _generator(context.vault.open(row.secret_sealed, totp_label(user_id)))
        now_step = int(context.clock().timestamp()) // STEP_S
        for step in range(now_step - _SLACK_STEPS, now_step + _SLACK_STEPS + 1):
            try:
                generator.verify(code.encode(), step * STEP_S)
            except InvalidToken:
                continue
            if totp.use_step(tx, user_id, step):
                return
            break
    raise UnauthenticatedError("the code is wrong, or was used already", field="totp_code")


@contextmanager
def _own(context: Context, actor: Actor, action: str) -> Iterator[Transaction]:
    """A change of the caller's own second factor, which a viewer may make too."""
    try:
        if actor.access_key_id is not None:
            raise ForbiddenError("only who has logged on may do this, not an access key", action=action)
        with context.database.write() as tx:
            yield tx
            audit.append(tx, context.clock(), actor, action, actor.user_id, "done", None, None)
    except DomainError as refusal:
        context.record_refusal(actor, action, actor.user_id, refusal)
        raise
