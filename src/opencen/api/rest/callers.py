"""Who calls: HTTP Basic with an access key, Bearer with a session, or Bearer with a gateway's credential."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBasic, HTTPBearer

from opencen.domain.errors import InvalidValueError, ThrottledError, UnauthenticatedError
from opencen.domain.nouns import Actor
from opencen.services import gateway_credentials, identities, sessions
from opencen.services.context import Context
from opencen.store.gateways import GatewayRow
from opencen.store.records import Page

access_key_scheme = HTTPBasic(auto_error=False, description="access key id and secret")
session_scheme = HTTPBearer(
    scheme_name="Session", auto_error=False, description="a session from POST /v1/sessions, ses-…:token"
)
gateway_scheme = HTTPBearer(scheme_name="Gateway", auto_error=False, description="a gateway's credential, gw-…:token")


def get_context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


ContextOf = Annotated[Context, Depends(get_context)]


def source_address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _credentials(request: Request, scheme: str) -> tuple[str, str]:
    given_scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if given_scheme.lower() != scheme:
        raise UnauthenticatedError(f"this call needs {scheme.capitalize()} authentication")
    if scheme == "basic":
        try:
            rest = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UnauthenticatedError("the Authorization header cannot be read") from error
    identifier, _, secret = rest.partition(":")
    return identifier, secret


def _scheme(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[0].lower()


def bearer_identifier(request: Request) -> str | None:
    """The id of the session or gateway that calls; None for an access key."""
    return _credentials(request, "bearer")[0] if _scheme(request) == "bearer" else None


def get_actor(
    request: Request,
    context: ContextOf,
    _: Annotated[object, Depends(access_key_scheme)] = None,
    __: Annotated[object, Depends(session_scheme)] = None,
) -> Actor:
    if _scheme(request) == "bearer":
        session_id, token = _credentials(request, "bearer")
        request.state.actor = sessions.authenticate_session(
            context,
            session_id,
            token,
            source_address=source_address(request),
            request_id=request.state.request_id,
        )
    else:
        identifier, secret = _credentials(request, "basic")
        request.state.actor = identities.authenticate_key(
            context,
            identifier,
            secret,
            source_address=source_address(request),
            request_id=request.state.request_id,
        )
    actor = cast(Actor, request.state.actor)
    retry_after_s = context.request_pace.take(actor.access_key_id or f"user {actor.user_id}")
    if retry_after_s:
        raise ThrottledError(retry_after_s)
    return actor


def get_gateway(
    request: Request, context: ContextOf, _: Annotated[object, Depends(gateway_scheme)] = None
) -> GatewayRow:
    identifier, token = _credentials(request, "bearer")
    return gateway_credentials.authenticate(context, identifier, token)


ActorOf = Annotated[Actor, Depends(get_actor)]
GatewayOf = Annotated[GatewayRow, Depends(get_gateway)]


def get_page(
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1, page_size: Annotated[int, Query(ge=1, le=200)] = 50
) -> Page:
    return Page(page, page_size)


PageOf = Annotated[Page, Depends(get_page)]


def get_seen_version(
    if_match: Annotated[str | None, Header(description="the ETag last seen; 412 when it is another now")] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: it must not be there yet")] = None,
) -> int | None:
    """The version that the caller last saw: 0 for none, None when it does not say."""
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise InvalidValueError("If-None-Match takes * here", field="if-none-match", value=if_none_match)
        return 0
    if if_match is None or if_match.strip() == "*":
        return None
    try:
        return int(if_match.strip().strip('"'))
    except ValueError as error:
        raise InvalidValueError(
            'If-Match takes the ETag of an earlier answer, such as "3"', field="if-match", value=if_match
        ) from error


SeenVersion = Annotated[int | None, Depends(get_seen_version)]
