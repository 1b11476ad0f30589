"""Refusals as the RPC API words them, and the one mapper from the domain's errors to them.

Codes and HTTP statuses follow reference `cbn-api.md`, sections 1.10 and 4; they keep the real service's misspellings,
because clients compare them exactly. An HTTP 404 tells Terraform that the thing is gone, so only a missing thing (or
an unknown action) has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opencen.domain import errors as domain


class RpcError(Exception):
    """A refusal as it goes over the wire: stable `code`, `http_status`, and a message for a person.

    `retry_after_s` above 0: the same call may succeed after that time.
    """

    def __init__(self, code: str, http_status: int, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.http_status = http_status
        self.message = message
        self.retry_after_s = retry_after_s


def missing_parameter(name: str) -> RpcError:
    return RpcError(
        "MissingParameter",
        400,
        f'The input parameter "{name}" that is mandatory for processing this request is not supplied.',
    )


def invalid_parameter(name: str, reason: str, code: str = "InvalidParameter") -> RpcError:
    return RpcError(code, 400, f'The specified parameter "{name}" is not valid: {reason}.')


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    http_status: int


ErrorKey = type[domain.DomainError] | tuple[type[domain.DomainError], str]
"""An error class, or one narrowed to a NotFoundError's kind or to the field at fault."""

ErrorMap = Mapping[ErrorKey, Refusal]

COMMON: ErrorMap = {
    domain.InvalidValueError: Refusal("InvalidParameter", 400),
    domain.NotFoundError: Refusal("InvalidResource.NotFound", 404),
    domain.ConflictError: Refusal("IncorrectStatus", 409),
    domain.TokenReusedError: Refusal("IdempotentParameterMismatch", 400),
    domain.EditConflictError: Refusal("IncorrectStatus", 409),
    domain.UnauthenticatedError: Refusal("InvalidAccessKeyId.Inactive", 400),
    domain.ForbiddenError: Refusal("Forbidden.RAM", 403),
    domain.ThrottledError: Refusal("Throttling.User", 400),
    domain.UnavailableError: Refusal("ServiceUnavailable", 503),
    domain.DomainError: Refusal("OperationFailed", 400),
}


def from_domain(error: domain.DomainError, *maps: ErrorMap) -> RpcError:
    """The refusal for a domain error. `maps` go from the most particular (the operation's) to the product's.

    In each map the error's own class is looked up before its bases, and a narrowed key before a bare one.
    """
    narrowed = error.kind if isinstance(error, domain.NotFoundError) else error.field
    ancestors = [cls for cls in type(error).__mro__ if issubclass(cls, domain.DomainError)]
    for known in (*maps, COMMON):
        for cls in ancestors:
            refusal = (known.get((cls, narrowed)) if narrowed else None) or known.get(cls)
            if refusal is not None:
                return RpcError(refusal.code, refusal.http_status, error.message)
    raise AssertionError("COMMON covers every DomainError")
