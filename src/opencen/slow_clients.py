"""HTTP connections that nobody holds open for nothing: requests arrive in time and bounded, answers are taken.

uvicorn bounds neither how long a request takes to arrive, nor the size of its head, nor how long an answer may wait for
a client that does not read.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 15.0
"""From the opening of a connection, or the first byte of a further request, to the end of the request's head."""
BODY_S = 60.0
"""From the end of the head to the end of the body."""
TAKE_S = 60.0
"""How long a client may leave an answer unread that does not fit into the socket's buffer."""
HEAD_BYTES = 1 << 18
_log = structlog.get_logger()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with these bounds; a connection beyond one is closed."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._arriving: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self._cancel_leaving()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._arriving is None and (self.cycle is None or self.cycle.response_complete):
            self._expect(HEAD_S)
        if self._in_head or self._head_bytes == 0:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self._close("the head of a request is too long")

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._expect(BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._expect(None)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._leaving is None:
            self._leaving = self.loop.call_later(TAKE_S, self._close, "a client does not read its answer")

    def resume_writing(self) -> None:
        self._cancel_leaving()
        super().resume_writing()

    def _cancel_leaving(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _expect(self, within_s: float | None) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
        self._arriving = None
        if within_s is not None:
            self._arriving = self.loop.call_later(within_s, self._close, "a request takes too long to arrive")

    def _close(self, why: str) -> None:
        _log.info("connection closed", reason=why, client=self.client[0] if self.client else None)
        if not self.transport.is_closing():
            self.transport.abort()
