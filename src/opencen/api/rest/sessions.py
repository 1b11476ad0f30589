"""Logging on and off with username and password."""

from __future__ import annotations

import asyncio
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Request

from opencen.api.rest.answers import whole
from opencen.api.rest.callers import (
    ActorOf,
    ContextOf,
    bearer_identifier,
    source_address,
)
from opencen.domain.errors import TooManyAttemptsError, UnauthenticatedError
from opencen.services import sessions
from opencen.services.context import Context
from opencen.services.pace import FailurePace
from opencen.store.sessions import SessionRow
from opencen.wire import rest as wire

router = APIRouter(tags=["sessions"])
_VERIFICATIONS_AT_ONCE = 2


class _Door:
    """Where everybody who logs on passes, at a bounded pace: argon2 is expensive on purpose."""

    def __init__(self) -> None:
        self.pace = FailurePace()
        self.places = asyncio.Semaphore(_VERIFICATIONS_AT_ONCE)


def get_door(request: Request) -> _Door:
    """One per server process."""
    state = request.app.state
    if not hasattr(state, "log_on_door"):
        state.log_on_door = _Door()
    door: _Door = state.log_on_door
    return door


def _session(row: SessionRow, current_id: str | None) -> wire.Session:
    return wire.Session(
        id=row.id,
        username=row.username,
        created_at=row.created_at,
        expires_at=row.expires_at,
        source_address=row.source_address,
        user_agent=row.user_agent,
        current=row.id == current_id,
    )


@router.post("/sessions", status_code=201)
async def log_on(
    body: wire.LogOn,
    request: Request,
    context: ContextOf,
    door: Annotated[_Door, Depends(get_door)],
    user_agent: Annotated[str, Header()] = "",
) -> wire.SessionToken:
    """Log on. Wrong passwords make the next answer slower, for this username from this address."""
    source = source_address(request)
    key = (body.username, source or "")
    wait_s = door.pace.turn(key)
    if wait_s is None:
        raise TooManyAttemptsError("too many attempts for this username are waiting already; try again in a moment")
    await asyncio.sleep(wait_s)
    async with door.places:
        try:
            row, token = await anyio.to_thread.run_sync(_log_on, context, body, request, source, user_agent)
        except UnauthenticatedError:
            door.pace.failed(key)
            raise
    door.pace.succeeded(key)
    return wire.SessionToken(session=_session(row, row.id), token=token)


def _log_on(
    context: Context, body: wire.LogOn, request: Request, source: str | None, user_agent: str
) -> tuple[SessionRow, str]:
    return sessions.log_on(
        context,
        body.username,
        body.password,
        source_address=source,
        request_id=request.state.request_id,
        user_agent=user_agent,
    )


@router.get("/sessions")
def list_sessions(request: Request, context: ContextOf, actor: ActorOf) -> wire.Page[wire.Session]:
    """The caller's sessions, the newest first."""
    current_id = bearer_identifier(request)
    return whole(wire.Session, sessions.find_own(context, actor), lambda row: _session(row, current_id))


@router.delete("/sessions/{session_id}", status_code=204)
def log_off(session_id: str, request: Request, context: ContextOf, actor: ActorOf) -> None:
    """Log off: `current` is the session that asks; another one of the caller's is revoked."""
    asked = bearer_identifier(request) if session_id == "current" else session_id
    sessions.log_off(context, actor, asked or session_id)
