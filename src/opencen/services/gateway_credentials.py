"""A gateway's own credential: who calls, and the change to a new one without a moment in which none is valid.

The gateway makes the next credential and offers its hash; both are accepted until the next one is first used, which
ends the present one. Whoever dies on the way, a credential that the host has on disk is one that the server accepts.
"""

from __future__ import annotations

import hmac

from opencen.domain.errors import InvalidValueError, NotFoundError, UnauthenticatedError
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.services.pairs import as_actor
from opencen.store import gateways
from opencen.store.gateways import GatewayRow

_HASH_BYTES = 32


def authenticate(context: Context, gateway_id: str, secret: str) -> GatewayRow:
    """The gateway of this credential; its next one takes the place of the present one. Raises UnauthenticatedError."""
    with context.database.read() as tx:
        row = gateways.find(tx, gateway_id)
    given = hash_token(secret)
    if row is not None and hmac.compare_digest(row.token_sha256, given):
        return row
    if row is not None and row.next_token_sha256 is not None and hmac.compare_digest(row.next_token_sha256, given):
        return _begin_to_use(context, row, given)
    raise UnauthenticatedError("this gateway's credential is unknown or was revoked")


def _begin_to_use(context: Context, row: GatewayRow, given: bytes) -> GatewayRow:
    with context.change(as_actor(row), "gateway.rotate_credential", row.id) as work:
        work.revision()
        gateways.take_next_token(work.tx, row.id, given, work.now)
        now = gateways.find(work.tx, row.id)
        work.tell({"credential_since": row.credential_since}, {"credential_since": work.now})
    if now is None or now.token_sha256 != given:
        raise UnauthenticatedError("this gateway's credential is unknown or was revoked")
    return now


def offer_next(context: Context, row: GatewayRow, credential_sha256: bytes) -> None:
    """The gateway has made its next credential. A later offer replaces an earlier one that was never used."""
    if credential_sha256 in (row.token_sha256, row.next_token_sha256):
        return
    with context.change(as_actor(row), "gateway.offer_credential", row.id, audited=False) as work:
        work.revision()
        gateways.set_next_token(work.tx, row.id, credential_sha256)


def ask_rotation(context: Context, actor: Actor, gateway_id: str) -> None:
    """The gateway makes itself a new credential when it next reports."""
    with context.change(actor, "gateway.ask_rotation", gateway_id) as work:
        work.revision()
        if gateways.find(work.tx, gateway_id) is None:
            raise NotFoundError("gateway", gateway_id, field="gateway_id")
        gateways.want_rotation(work.tx, gateway_id)


def hash_of(text: str) -> bytes:
    """A hash as it is sent, 64 hexadecimal digits. Raises InvalidValueError."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != _HASH_BYTES:
        raise InvalidValueError(
            "a credential's hash is its SHA-256 in hexadecimal digits", field="credential_sha256", value=text[:80]
        )
    return value
