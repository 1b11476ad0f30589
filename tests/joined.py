"""Gateways that have joined, for tests that are about something else."""

from __future__ import annotations

import secrets

from opencen.client import Client, Credential
from opencen.domain.joining import JoinToken
from opencen.domain.nouns import Actor
from opencen.services import joining
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store.gateways import GatewayRow
from opencen.wire.join_token import hash_of_secret


def join_over_http(admin: Client, region_id: str, name: str = "") -> Credential:
    """The credential of a new gateway of the region."""
    token = admin.post("/v1/join-tokens", {"region_id": region_id})["text"]
    secret = secrets.token_urlsafe(32)
    body = {"token": token, "credential_sha256": hash_of_secret(secret), "name": name}
    with Client(admin.server) as nobody:
        return Credential(nobody.post("/v1/gateway/join", body)["gateway_id"], secret, bearer=True)


def join(context: Context, actor: Actor, region_id: str) -> GatewayRow:
    """A new gateway of the region, without HTTP."""
    return join_with(context, *joining.create_token(context, actor, region_id=region_id, lifetime_s=600))


def join_with(context: Context, token: JoinToken, secret: str) -> GatewayRow:
    """A host with a credential of its own uses this token."""
    return joining.join(
        context,
        token.id,
        secret,
        name="",
        credential_sha256=hash_token(secrets.token_urlsafe(32)),
        source_address=None,
        request_id=None,
    )
