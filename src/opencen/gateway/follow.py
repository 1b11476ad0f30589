"""The gateway's side of the conversation with the control plane: register, wait for revisions, report."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from opencen.client import ApiError, AsyncClient, ServerUnreachableError
from opencen.wire.gateway import GatewayReport, GatewayState, Hello, ReportAnswer, Welcome
from opencen.wire.usage import UsageAnswer

WAIT_S: Final = 25
ANSWER_TIMEOUT_S: Final = 10.0
_REFUSALS: Final = (400, 413, 422)
HEARTBEAT_S: Final = 0.5
"""How often a gateway that has a partner says that it is alive, to the control plane and on its networks."""
BEAT_TIMEOUT_S: Final = 2.0
_BACKOFF_FIRST_S: Final = 0.1
_BACKOFF_MAX_S: Final = 5.0

Message = TypeVar("Message", bound=BaseModel)
log = structlog.get_logger()


class ControlPlaneError(Exception):
    """No usable answer from the control plane: nobody there, a refusal, or something that is no answer."""


class NotTakenError(ControlPlaneError):
    """What was sent makes no sense to the control plane, and will not make more when it is sent again."""


class RefusedError(ControlPlaneError):
    """The control plane does not know this gateway's credential: it was revoked, or the control plane is another."""


class InUseError(ControlPlaneError):
    """Another host is this gateway: it uses the same credential."""


class StaleStateError(Exception):
    """The control plane has not seen what this gateway has applied: it was restored from an old copy, perhaps."""

    def __init__(self, theirs: int, held: int) -> None:
        where = "at" if theirs < held else "of another history, at"
        super().__init__(
            f"the control plane is {where} revision {theirs}, this gateway at {held}; traffic goes on as it is. If the "
            f"control plane was restored on purpose, run: opencen gateway accept-revision {theirs} --config FILE"
        )


class ControlPlane(Protocol):
    """What the agent needs of the control plane."""

    async def hello(self, hello: Hello) -> Welcome: ...

    async def state(self, after: int, wait_s: int, held: GatewayState | None = None) -> GatewayState: ...

    async def report(self, report: GatewayReport) -> ReportAnswer: ...

    async def beat(self, report: GatewayReport) -> None: ...


class HttpControlPlane:
    """The control plane over HTTP. All methods raise ControlPlaneError.

    Polls, reports and heartbeats have a connection pool each, with timeouts that suit them. `host_id` goes with each.
    """

    def __init__(self, poll: AsyncClient, ask: AsyncClient, beat: AsyncClient, host_id: str | None = None) -> None:
        self._poll = poll
        self._ask = ask
        self._beat = beat
        self._host_id = host_id

    async def hello(self, hello: Hello) -> Welcome:
        hello = hello.model_copy(update={"host_id": self._host_id})
        return await _asked(Welcome, self._ask, "POST", "/v1/gateway/hello", body=hello.model_dump(mode="json"))

    async def state(self, after: int, wait_s: int, held: GatewayState | None = None) -> GatewayState:
        parameters: dict[str, Any] = {"after": after, "wait_s": wait_s}
        if held is not None and held.epoch:
            parameters |= {"epoch": held.epoch, "held": held.revision}
        if self._host_id is not None:
            parameters["host_id"] = self._host_id
        return await _asked(GatewayState, self._poll, "GET", "/v1/gateway/state", params=parameters)

    async def report(self, report: GatewayReport) -> ReportAnswer:
        return await self._told(self._ask, report)

    async def beat(self, report: GatewayReport) -> None:
        await self._told(self._beat, report)

    async def _told(self, client: AsyncClient, report: GatewayReport) -> ReportAnswer:
        body = report.model_copy(update={"host_id": self._host_id}).model_dump(mode="json")
        return await _asked(ReportAnswer, client, "POST", "/v1/gateway/report", body=body)

    async def usage(self, body: dict[str, Any]) -> UsageAnswer:
        return await _asked(UsageAnswer, self._ask, "POST", "/v1/gateway/usage", body=body)

    async def aclose(self) -> None:
        await self._poll.aclose()
        await self._ask.aclose()
        await self._beat.aclose()


async def _asked(
    kind: type[Message], client: AsyncClient, method: str, path: str, *, body: Any = None, params: Any = None
) -> Message:
    try:
        return kind.model_validate(await client.request(method, path, body=body, params=params))
    except ApiError as error:
        raise _refusal(error) from error
    except (ServerUnreachableError, httpx.HTTPError) as error:
        raise ControlPlaneError(str(error)) from error
    except ValidationError as error:
        raise ControlPlaneError(
            f"{path} answered something else than {kind.__name__}: {error.errors()[0]['msg']}"
        ) from error
    except ValueError as error:
        raise ControlPlaneError(f"{path} answered no JSON: {error}") from error


def _refusal(error: ApiError) -> ControlPlaneError:
    if error.status in _REFUSALS:
        return NotTakenError(str(error))
    if error.status == httpx.codes.UNAUTHORIZED:
        return RefusedError(str(error))
    return InUseError(str(error)) if error.code == "GatewayInUse" else ControlPlaneError(str(error))


def merge(held: GatewayState | None, news: GatewayState) -> GatewayState:
    """All that is wanted now, from what was held and an answer. Raises ControlPlaneError."""
    if news.full:
        return news
    if held is None:
        raise ControlPlaneError("the control plane sent changes to a state that this gateway does not have")
    changed = {instance.cen_id for instance in news.instances} | set(news.removed_cen_ids)
    kept = [instance for instance in held.instances if instance.cen_id not in changed]
    return news.model_copy(update={"full": True, "instances": [*kept, *news.instances], "removed_cen_ids": []})


def backoff_s(failures: int, jitter: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures in a row: doubling, at most 5 s, spread over the upper half."""
    ceiling_s = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** min(failures, 16))
    return ceiling_s * (0.5 + jitter() / 2)


class Condition:
    """Says each change of a condition once, however often it is met."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._trouble: tuple[str, str] | None = None

    def trouble(self, event: str, reason: str) -> None:
        if self._trouble != (event, reason):
            log.warning(event, subject=self._subject, reason=reason)
        self._trouble = (event, reason)

    def fine(self) -> bool:
        """Whether this ended some trouble."""
        ended = self._trouble is not None
        if ended:
            log.info("recovered", subject=self._subject, after=self._trouble[0] if self._trouble else None)
        self._trouble = None
        return ended
