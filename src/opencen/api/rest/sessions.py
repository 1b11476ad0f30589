"""Logging on and off with username and password."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request

from opencen.api.rest.answers import whole
from opencen.api.rest.callers import (
    ActorOf,
    ContextOf,
    bearer_identifier,
    source_address,
)
from opencen.domain.errors import TooManyAttemptsError, TotpRequiredError, UnauthenticatedError
from opencen.domain.nouns import Actor
from opencen.services import sessions, totp
from opencen.services.context import Context
from opencen.services.pace import FailurePace
from opencen.services.sessions import Visitor
from opencen.store.sessions import SessionRow
from opencen.wire import rest as wire

router = APIRouter(tags=["sessions"])
_VERIFICATIONS_AT_ONCE = 2
_MOST_WAITING = 64
_MOST_WAITING_PER_SOURCE = 8


class _Door:
    """Where everybody who logs on passes, at a bounded pace: argon2 is expensive on purpose.

    Wrong passwords slow down one username at one address, so nobody is locked out by others. Wrong codes slow down the
    user wherever he is: they come from somebody who has the password already.
    """

    def __init__(self) -> None:
        self.pace = FailurePace()
        self.code_pace = FailurePace()
        self._places = asyncio.Semaphore(_VERIFICATIONS_AT_ONCE)
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, source: str) -> AsyncIterator[None]:
        """One of the few places in which a password is checked. Raises TooManyAttemptsError when too many wait."""
        if self._waiting[source] >= _MOST_WAITING_PER_SOURCE or self._waiting.total() >= _MOST_WAITING:
            raise TooManyAttemptsError("too many log on at once; try again in a moment")
        self._waiting[source] += 1
        try:
            async with self._places:
                yield
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]

    async def wait(self, pace: FailurePace, key: tuple[str, str]) -> None:
        """Until it is the turn of this attempt. Raises TooManyAttemptsError."""
        wait_s = pace.turn(key)
        if wait_s is None:
            raise TooManyAttemptsError("too many attempts for this username are waiting already; try again in a moment")
        await asyncio.sleep(wait_s)


def get_door(request: Request) -> _Door:
    """One per server process."""
    state = request.app.state
    if not hasattr(state, "log_on_door"):
        state.log_on_door = _Door()
    door: _Door = state.log_on_door
    return door


DoorOf = Annotated[_Door, Depends(get_door)]


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
    door: DoorOf,
    user_agent: Annotated[str, Header()] = "",
) -> wire.SessionToken:
    """Log on. Wrong passwords make the next answer slower, for this username from this address."""
    visitor = Visitor(body.username, source_address(request), request.state.request_id, user_agent)
    source = visitor.source_address or ""
    await door.wait(door.pace, (body.username, source))
    async with door.place(source):
        try:
            user, asks_for_code = await to_thread.run_sync(sessions.check_password, context, visitor, body.password)
        except UnauthenticatedError:
            door.pace.failed((body.username, source))
            raise
    door.pace.succeeded((body.username, source))
    if asks_for_code and body.totp_code is None:
        raise TotpRequiredError("a code of the second factor is needed too", field="totp_code")
    code = body.totp_code if asks_for_code else None
    if code is not None:
        await door.wait(door.code_pace, (user.id, ""))
    try:
        row, token = await to_thread.run_sync(sessions.open_session, context, visitor, user, code)
    except UnauthenticatedError:
        door.code_pace.failed((user.id, ""))
        raise
    door.code_pace.succeeded((user.id, ""))
    return wire.SessionToken(session=_session(row, row.id), token=token)


@router.get("/me/totp")
def get_totp(context: ContextOf, actor: ActorOf) -> wire.TotpState:
    """Whether a code is asked for when the caller logs on."""
    return wire.TotpState(confirmed_at=totp.find(context, actor))


@router.post("/me/totp", status_code=201)
async def begin_totp(
    body: wire.TotpBegin, request: Request, context: ContextOf, actor: ActorOf, door: DoorOf
) -> wire.TotpSecret:
    """Begin to use a second factor (sessions only). It is asked for once a code has confirmed it."""
    key = (actor.username, source_address(request) or "")
    await door.wait(door.pace, key)
    async with door.place(key[1]):
        try:
            secret, uri = await to_thread.run_sync(totp.begin, context, actor, body.password)
        except UnauthenticatedError:
            door.pace.failed(key)
            raise
    return wire.TotpSecret(secret=secret, uri=uri)


@router.post("/me/totp/confirmation", status_code=204)
async def confirm_totp(body: wire.TotpCode, context: ContextOf, actor: ActorOf, door: DoorOf) -> None:
    """Ask the caller for codes from now on (sessions only)."""
    await _with_code(door, totp.confirm, context, actor, body.totp_code)


@router.post("/me/totp/removal", status_code=204)
async def remove_totp(body: wire.TotpCode, context: ContextOf, actor: ActorOf, door: DoorOf) -> None:
    """Ask the caller for codes no more (sessions only)."""
    await _with_code(door, totp.remove, context, actor, body.totp_code)


async def _with_code(
    door: _Door, do: Callable[[Context, Actor, str], None], context: Context, actor: Actor, code: str
) -> None:
    await door.wait(door.code_pace, (actor.user_id, ""))
    try:
        await to_thread.run_sync(do, context, actor, code)
    except UnauthenticatedError:
        door.code_pace.failed((actor.user_id, ""))
        raise
    door.code_pace.succeeded((actor.user_id, ""))


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
