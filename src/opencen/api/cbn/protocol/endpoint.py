"""The RPC API as an ASGI application, for the address `/`.

One thread hop a request: the event loop reads the bounded body, a worker thread authenticates, runs and renders.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

import anyio
import structlog
from anyio import to_thread

from opencen.api.cbn.protocol.action import Action, Answer, Call, Registry
from opencen.api.cbn.protocol.authenticate import Keys, authenticate
from opencen.api.cbn.protocol.decode import (
    MAX_BODY_BYTES,
    AnswerFormat,
    HttpRequest,
    RpcRequest,
    body_too_large,
    decode,
    lower_headers,
)
from opencen.api.cbn.protocol.errors import RpcError, from_domain, invalid_parameter
from opencen.api.cbn.protocol.render import RpcAnswer, new_request_id, render_error, render_success
from opencen.domain.errors import DomainError, UnavailableError
from opencen.domain.nouns import AccessKey, Actor

C = TypeVar("C")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Repeat = Callable[[C, Actor, str, str, bytes, Callable[[C], Answer]], Answer]
"""Context, who, action, client token, hash of the parameters, and what does it: it is done once per token."""

_MAX_TOKEN = 64
_MAX_WAITING = 2000
_log = structlog.get_logger(__name__)


class CallObserver(Protocol):
    """Told of every answered call, for metrics: `product` and `action` are empty when there is no such thing.

    An operation that exists and is not served here has its name, with the code `InvalidAction.NotFound`.
    """

    def __call__(self, product: str, action: str, code: str, duration_s: float) -> None: ...


class RefusalRecorder(Protocol):
    """Writes into the audit log that an authenticated caller's request was refused before any service saw it."""

    def __call__(self, actor: Actor, action: str, error: RpcError) -> None: ...


def is_rpc_request(scope: Scope) -> bool:
    """Whether a request at `/` is one for this API, rather than a browser's."""
    if scope["method"] == "POST" or b"Action=" in scope["query_string"]:
        return True
    return any(
        name.lower() == b"x-acs-action" or (name.lower() == b"content-length" and value not in (b"", b"0"))
        for name, value in scope["headers"]
    )


class RpcEndpoint(Generic[C]):
    """An ASGI application that answers RPC calls. `answer` is the same without ASGI, and blocks.

    `max_threads` None: calls are answered one after the other on the event loop itself.
    """

    def __init__(
        self,
        context: C,
        registry: Registry[C],
        keys: Keys,
        *,
        record_refusal: RefusalRecorder,
        repeat: Repeat[C] | None = None,
        observe: CallObserver | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_threads: int | None = 16,
    ) -> None:
        self._context = context
        self._registry = registry
        self._keys = keys
        self._record_refusal = record_refusal
        self._repeat = repeat
        self._observe = observe
        self._clock = clock
        self._threads = anyio.CapacityLimiter(max_threads) if max_threads else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = lower_headers(scope["headers"])
        try:
            body = await _read_body(headers, receive)
        except RpcError as error:
            answer = render_error(
                error, new_request_id(), headers.get("host", ""), "", _format_in_query(scope["query_string"])
            )
        else:
            if body is None:
                return
            client = scope.get("client")
            request = HttpRequest(
                scope["method"], scope["path"], scope["query_string"], headers, body, client[0] if client else None
            )
            if self._threads is None:
                answer = self.answer(request)
            elif self._threads.statistics().tasks_waiting >= _MAX_WAITING:
                refusal = from_domain(UnavailableError("too many calls wait for the database"))
                answer = render_error(refusal, new_request_id(), headers.get("host", ""), "", AnswerFormat.JSON)
            else:
                answer = await to_thread.run_sync(self.answer, request, limiter=self._threads)
        await send(
            {
                "type": "http.response.start",
                "status": answer.http_status,
                "headers": [
                    (b"content-type", answer.content_type),
                    (b"content-length", str(len(answer.body)).encode()),
                    (b"x-acs-request-id", answer.request_id.encode()),
                    *_retry_headers(answer),
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    def answer(self, http: HttpRequest) -> RpcAnswer:
        """The answer to a request; every failure becomes an error document."""
        started_s = perf_counter()
        request_id = new_request_id()
        answer_format = _format_in_query(http.query_string)
        product = action_name = code = ""
        try:
            request = decode(http)
            answer_format = request.answer_format
            name, version = request.action_and_version()
            product = self._registry.product_name(version)
            action_name = self._registry.counted_name(version, name)
            action = self._registry.find(version, name)
            key = authenticate(request, self._keys, self._clock())
            answer = render_success(name, self._run(action, key, request, request_id), request_id, answer_format)
        except Exception as error:
            refusal = _refusal_for(error, request_id, action_name)
            code = refusal.code
            answer = render_error(refusal, request_id, http.headers.get("host", ""), product, answer_format)
            answer = replace(answer, retry_after_s=refusal.retry_after_s)
        if self._observe is not None:
            self._observe(product, action_name, code, perf_counter() - started_s)
        return answer

    def _do(self, action: Action[C], actor: Actor, request: RpcRequest, request_id: str) -> Answer:
        def run(context: C) -> Answer:
            return action.run(Call(context, actor, request_id, request.host), request.parameters)

        token = request.parameters.get("ClientToken", "") if action.takes_token else ""
        rehearsed = request.parameters.get("DryRun", "").lower() == "true"
        if self._repeat is None or not token or rehearsed:
            return run(self._context)
        if len(token) > _MAX_TOKEN or not token.isascii() or not token.isprintable():
            raise invalid_parameter("ClientToken", f"it is at most {_MAX_TOKEN} ASCII characters")
        sha256 = _hash_parameters(action, request.parameters)
        return self._repeat(self._context, actor, f"{action.product.name}.{action.name}", token, sha256, run)

    def _run(self, action: Action[C], key: AccessKey, request: RpcRequest, request_id: str) -> dict[str, object]:
        actor = Actor(
            account_id=key.account_id,
            user_id=key.user_id,
            username=key.username,
            role=key.role,
            access_key_id=key.access_key_id,
            source_address=request.source_address,
            request_id=request_id,
        )
        try:
            return dict(self._do(action, actor, request, request_id))
        except DomainError as error:
            raise from_domain(error, action.errors, action.product.errors) from error
        except RpcError as error:
            self._record_refusal(actor, action.name, error)
            raise


def _hash_parameters(action: Action[C], given: Mapping[str, str]) -> bytes:
    """Of what the action reads, but for the token itself: the same call has the same hash."""
    declared = {name for name, _ in action.parameters} - {"ClientToken"}
    read = sorted((name, value) for name, value in given.items() if name.partition(".")[0] in declared)
    return hashlib.sha256(json.dumps(read).encode()).digest()


def _retry_headers(answer: RpcAnswer) -> list[tuple[bytes, bytes]]:
    """When to try again: in seconds for HTTP, in milliseconds for the Tea SDKs."""
    if answer.http_status == 503:
        return [(b"retry-after", b"1")]
    if not answer.retry_after_s:
        return []
    return [
        (b"retry-after", str(math.ceil(answer.retry_after_s)).encode()),
        (b"x-acs-retry-after", str(math.ceil(answer.retry_after_s * 1000)).encode()),
    ]


async def _read_body(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """The body; None when the caller has gone. Raises RpcError as soon as it is, or says it is, too large."""
    stated = headers.get("content-length", "")
    if stated.isascii() and stated.isdecimal() and int(stated[:20]) > MAX_BODY_BYTES:
        raise body_too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise body_too_large()
        if not message.get("more_body", False):
            return b"".join(chunks)


def _refusal_for(error: Exception, request_id: str, action_name: str) -> RpcError:
    """What the caller is told of a failure; one that nobody foresaw is logged, and its text kept from the caller."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, DomainError):
        return from_domain(error)
    _log.error("rpc call failed", request_id=request_id, action=action_name, exc_info=error)
    return RpcError("InternalError", 500, "The request processing has failed due to some unknown error.")


def _format_in_query(query_string: bytes) -> AnswerFormat:
    """The format for errors that are met before the parameters could be read."""
    return AnswerFormat.XML if b"Format=XML" in query_string else AnswerFormat.JSON
