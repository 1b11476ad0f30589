"""Connections to PostgreSQL, none of which waits forever.

The server ends a statement, or a transaction that does nothing, after a time. A server that stands still ends nothing,
so a connection that was taken for longer than `MOST_TAKEN_S` is cut here: who uses it is told that the database does
not answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from opencen.store.json_text import to_json

LISTENS = "opencen_listens"
"""Connections with this in their `info` wait for news, for as long as it takes."""
MOST_TAKEN_S = 20.0
_CONNECT_TIMEOUT_S = 3
_POOL_TIMEOUT_S = 5
_LOOK_EVERY_S = 2.0
_TRUSTED_S = 0.5
_RETURNED_S = "opencen_returned_s"
_LIMITS = "-c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s -c jit=off"


def postgres_engine(url: URL, pool_size: int, options: str = "") -> Engine:
    """An engine with a pool of its own; `options` are settings of its sessions, after those of the address."""
    given = url.query.get("options", "")
    settings = " ".join([_LIMITS, given if isinstance(given, str) else " ".join(given), options]).strip()
    engine = create_engine(
        url.difference_update_query(["options"]),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_use_lifo=True,
        json_serializer=to_json,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "options": settings,
        },
    )
    _Watch(engine)
    return engine


def take_all_the_time_it_needs(tx: Connection) -> None:
    """This transaction may take as long as it takes: it moves or rewrites much."""
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        tx.execute(text(f"SET LOCAL {setting} = 0"))
    tx.connection.info[LISTENS] = True


def need_room(tx: Connection) -> None:
    """Make the database's files longer for a moment: on a full disk that fails as the next calls would."""
    tx.execute(
        text(
            "CREATE TEMPORARY TABLE opencen_room ON COMMIT DROP AS "
            "SELECT repeat(md5(random()::text), 100) FROM generate_series(1, 100)"
        )
    )


class _Watch:
    """Cuts connections that were taken from the pool too long ago."""

    def __init__(self, engine: Engine) -> None:
        self._taken: dict[int, tuple[float, Any, Any]] = {}
        self._lock = threading.Lock()
        event.listen(engine, "checkout", self._checkout)
        event.listen(engine, "checkin", self._checkin)
        thread = threading.Thread(target=_look, args=(weakref.ref(engine), self), daemon=True, name="opencen-watch")
        thread.start()

    def _checkout(self, raw: Any, record: Any, _proxy: Any) -> None:
        now_s = time.monotonic()
        with self._lock:
            self._taken[id(record)] = (now_s, raw, record)
        if now_s - record.info.get(_RETURNED_S, 0.0) > _TRUSTED_S:
            self._try(raw, record)

    def _try(self, raw: Any, record: Any) -> None:
        """A connection that nobody used for a while may be gone: the pool is asked for another one then."""
        try:
            raw.autocommit = True
            raw.execute("SELECT 1")
            raw.autocommit = False
        except psycopg.Error as error:
            self._checkin(raw, record)
            raise DisconnectionError from error

    def _checkin(self, _raw: Any, record: Any) -> None:
        record.info.pop(LISTENS, None)
        record.info[_RETURNED_S] = time.monotonic()
        with self._lock:
            self._taken.pop(id(record), None)

    def cut_overdue(self) -> None:
        limit_s = time.monotonic() - MOST_TAKEN_S
        with self._lock:
            overdue = [
                raw for since_s, raw, record in self._taken.values() if since_s < limit_s and LISTENS not in record.info
            ]
        for raw in overdue:
            with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(raw.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)


def _look(engine: weakref.ref[Engine], watch: _Watch) -> None:
    while engine() is not None:
        watch.cut_overdue()
        time.sleep(_LOOK_EVERY_S)
