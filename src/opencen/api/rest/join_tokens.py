"""Tokens with which hosts join as gateways: made, listed and revoked by administrators."""

from __future__ import annotations

from fastapi import APIRouter

from opencen.api.rest.answers import whole
from opencen.api.rest.callers import ActorOf, ContextOf
from opencen.domain.joining import JoinToken, TokenState
from opencen.services import joining
from opencen.wire import rest as wire
from opencen.wire.join_token import JoinTokenText

router = APIRouter(prefix="/join-tokens", tags=["installation"])


def _told(token: JoinToken, state: TokenState) -> wire.JoinToken:
    return wire.JoinToken(
        id=token.id,
        region_id=token.region_id,
        state=state.value,
        created_by=token.created_by,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        used_at=token.used_at,
        used_from=token.used_from,
        gateway_id=token.gateway_id,
    )


@router.post("", status_code=201)
def create_join_token(body: wire.JoinTokenCreate, context: ContextOf, actor: ActorOf) -> wire.JoinTokenMade:
    """Let one host become a gateway of a region; the token's text is shown this once (administrators)."""
    token, secret = joining.create_token(context, actor, region_id=body.region_id, lifetime_s=body.lifetime_s)
    pin = context.authority.pin if context.authority else None
    return wire.JoinTokenMade(
        token=_told(token, TokenState.OPEN), text=str(JoinTokenText(token.id, secret, pin)), pinned=pin is not None
    )


@router.get("")
def list_join_tokens(context: ContextOf, actor: ActorOf) -> wire.Page[wire.JoinToken]:
    """Tokens and what became of them, the newest first, until 30 days after their expiry (administrators)."""
    return whole(wire.JoinToken, joining.find_tokens(context, actor), lambda found: _told(*found))


@router.delete("/{token_id}", status_code=204)
def revoke_join_token(token_id: str, context: ContextOf, actor: ActorOf) -> None:
    """No host can join with it any more (administrators)."""
    joining.revoke_token(context, actor, token_id)
