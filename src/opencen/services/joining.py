"""Joining: an operator makes a token, and one host becomes a gateway with it.

The host makes its credential itself and sends its hash alone, so that an answer that was lost costs nothing: the same
host asks again with the same hash, and is given the same gateway. Times are the server's.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from opencen.domain import permissions
from opencen.domain.errors import ConflictError, InvalidValueError, JoinTokenRefusedError, NotFoundError
from opencen.domain.ids import new_id
from opencen.domain.joining import JoinToken, TokenState, checked_lifetime
from opencen.domain.nouns import Actor, Role
from opencen.services import gateways
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store import gateways as gateway_rows
from opencen.store import join_tokens, regions
from opencen.store.gateways import GatewayRow

HOST_USERNAME: Final = "joining host"
_KEPT_AFTER_EXPIRY: Final = timedelta(days=30)


def create_token(context: Context, actor: Actor, *, region_id: str, lifetime_s: int) -> tuple[JoinToken, str]:
    """A token with which one host may become a gateway of the region, and its secret, shown this once."""
    secret = secrets.token_urlsafe(32)
    with context.change(actor, "join_token.create", new_id("jt")) as work:
        if region_id not in regions.areas_of(work.tx, [region_id]):
            raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)
        expires_at = work.now + checked_lifetime(lifetime_s)
        token = JoinToken(work.resource, region_id, actor.account_id, actor.username, work.now, expires_at)
        join_tokens.forget(work.tx, work.now - _KEPT_AFTER_EXPIRY)
        join_tokens.add(work.tx, token, hash_token(secret))
        work.tell(None, {"region_id": region_id, "expires_at": expires_at})
    return token, secret


def find_tokens(context: Context, actor: Actor) -> list[tuple[JoinToken, TokenState]]:
    """All that are known, the newest first; 30 days after its expiry a token is forgotten."""
    permissions.check_read(actor, "join_token.list")
    now = context.clock()
    with context.database.read() as tx:
        return [(token, token.state(now)) for token in join_tokens.find_all(tx)]


def revoke_token(context: Context, actor: Actor, token_id: str) -> None:
    """No host can join with it from now on. Raises ConflictError when one has already."""
    with context.change(actor, "join_token.revoke", token_id) as work:
        work.revision()
        found = join_tokens.find(work.tx, token_id)
        if found is None:
            raise NotFoundError("join token", token_id, field="token_id")
        if found.token.state(work.now) is TokenState.USED:
            raise ConflictError(
                f"join token {token_id} {found.token.why_refused(work.now)}: remove that gateway instead",
                gateway_id=found.token.gateway_id,
            )
        join_tokens.revoke(work.tx, token_id, work.now)
        work.tell({"region_id": found.token.region_id}, None)


def join(
    context: Context,
    token_id: str,
    secret: str,
    *,
    name: str,
    credential_sha256: bytes,
    source_address: str | None,
    request_id: str | None,
) -> GatewayRow:
    """The gateway that the host with this credential is from now on.

    Raises JoinTokenRefusedError (audited, when the secret is right), GatewayExistsError.
    """
    with context.database.read() as tx:
        known = join_tokens.find(tx, token_id)
    if known is None or not hmac.compare_digest(known.secret_sha256, hash_token(secret)):
        raise JoinTokenRefusedError("this join token is not known here; was a part of it cut off?")
    actor = Actor(known.token.account_id, token_id, HOST_USERNAME, Role.OPERATOR, None, source_address, request_id)
    gateway_id = new_id("gw")
    again: GatewayRow | None = None
    with context.change(actor, "gateway.join", token_id) as work:
        work.revision()
        row = join_tokens.find(work.tx, token_id)
        if row is not None and row.credential_sha256 == credential_sha256 and row.token.gateway_id is not None:
            again = gateway_rows.find(work.tx, row.token.gateway_id)
        if again is not None:
            gateway_id = again.id
        else:
            _use(row.token if row else known.token, work.now)
            gateways.enlist(
                work,
                gateway_id,
                region_id=known.token.region_id,
                account_id=known.token.account_id,
                name=name,
                credential_sha256=credential_sha256,
            )
            join_tokens.use(work.tx, token_id, work.now, source_address, gateway_id, credential_sha256)
        joined = gateway_rows.find(work.tx, gateway_id)
        work.resource = gateway_id
        work.tell(None, {"token_id": token_id, "region_id": known.token.region_id, "name": name, "again": bool(again)})
    if joined is None:
        raise NotFoundError("gateway", gateway_id)
    return joined


def _use(token: JoinToken, now: datetime) -> None:
    if token.state(now) is not TokenState.OPEN:
        raise JoinTokenRefusedError(
            f"join token {token.id} {token.why_refused(now)}; ask an operator for a new one", token_id=token.id
        )
