"""The RPC API over OpenCEN's services: what the server mounts at `/`."""

from __future__ import annotations

from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.protocol.endpoint import CallObserver, RpcEndpoint, is_rpc_request
from opencen.api.cbn.protocol.errors import RpcError
from opencen.domain.errors import InvalidValueError
from opencen.domain.nouns import AccessKey, Actor
from opencen.services import identities, repeats
from opencen.services.context import Context

__all__ = ["CallObserver", "CbnEndpoint", "is_rpc_request"]


_POSTGRESQL_THREADS = 16
"""SQLite has one writer and answers within a millisecond: passing each call to a thread and the interpreter back and
forth at each statement took longer than the work (330 durable sets a second with threads, 535 without)."""


class _ServiceKeys:
    """Access keys and nonces as the services keep them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find_access_key(self, access_key_id: str) -> AccessKey | None:
        return identities.find_access_key(self._context, access_key_id)

    def admit(self, key: AccessKey, source_address: str | None) -> bool:
        usable = identities.usable_from(key, source_address)
        if usable:
            identities.note_use(self._context, key)
        return usable

    def take_turn(self, access_key_id: str) -> float:
        return self._context.request_pace.take(access_key_id)

    def remember_nonce(self, access_key_id: str, nonce: str, expires_at_s: int) -> bool:
        return identities.remember_nonce(self._context, access_key_id, nonce, expires_at_s)


class CbnEndpoint(RpcEndpoint[Context]):
    """An ASGI application for `/`: every RPC request (`is_rpc_request`) is one of its actions or refused."""

    def __init__(self, context: Context, *, observe: CallObserver | None = None) -> None:
        def record_refusal(actor: Actor, action: str, error: RpcError) -> None:
            refusal = InvalidValueError(error.message, rpc_code=error.code)
            context.record_refusal(actor, f"rpc.{action}", action, refusal)

        super().__init__(
            context,
            REGISTRY,
            _ServiceKeys(context),
            record_refusal=record_refusal,
            repeat=repeats.once,
            observe=observe,
            clock=context.clock,
            max_threads=None if context.database.is_sqlite else _POSTGRESQL_THREADS,
        )
