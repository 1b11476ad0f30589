"""The one place where refusals become HTTP answers of the REST API (application/problem+json)."""

from __future__ import annotations

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from opencen.domain import errors
from opencen.services.context import Context, plain

STATUS: tuple[tuple[type[errors.DomainError], int, str], ...] = (
    (errors.InvalidValueError, 400, "A value is not acceptable"),
    (errors.UnauthenticatedError, 401, "Not authenticated"),
    (errors.ThrottledError, 429, "Too many requests"),
    (errors.TooManyAttemptsError, 429, "Too many attempts"),
    (errors.ForbiddenError, 403, "Not allowed"),
    (errors.NotFoundError, 404, "Not found"),
    (errors.ConflictError, 409, "Not possible in the present state"),
    (errors.EditConflictError, 412, "Changed meanwhile"),
    (errors.UnavailableError, 503, "Try again later"),
)
_log = structlog.get_logger()


def problem(request: Request, status: int, code: str, title: str, detail: str, **more: Any) -> JSONResponse:
    """An RFC 9457 problem document."""
    headers = {"retry-after": str(math.ceil(more.get("retry_after_s", 1)))} if status in (429, 503) else {}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="OpenCEN", charset="UTF-8"'
    body = {
        "type": f"urn:opencen:error:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": getattr(request.state, "request_id", ""),
        **{key: value for key, value in more.items() if value is not None},
    }
    return JSONResponse(plain(body), status, headers, "application/problem+json")


def _refused(request: Request, refusal: Exception) -> JSONResponse:
    if not isinstance(refusal, errors.DomainError):
        raise refusal
    _audit(request, refusal)
    status, title = next((status, title) for kind, status, title in STATUS if isinstance(refusal, kind))
    return problem(request, status, refusal.code, title, refusal.message, field=refusal.field, **refusal.numbers)


def _not_of_the_form(request: Request, refusal: Exception) -> JSONResponse:
    if not isinstance(refusal, RequestValidationError):
        raise refusal
    first = refusal.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    field = ".".join(where) or None
    value = first.get("input")
    shown = _sayable(value)
    detail = f"{field or 'the request'}: {first['msg']}" + (f" (given: {shown!r})" if shown is not None else "")
    return _refused(request, errors.InvalidValueError(detail, field=field, value=shown))


def _sayable(value: object) -> str | int | float | bool | None:
    """A given value as JSON can repeat it: NaN is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if isinstance(value, str | int | float | bool) else None


def _audit(request: Request, refusal: errors.DomainError) -> None:
    """What was refused before a service could write it to the audit log; that nothing was found to read is no event."""
    actor = getattr(request.state, "actor", None)
    trouble = isinstance(refusal, errors.UnavailableError | errors.ThrottledError)
    if actor is None or refusal.audited or trouble or request.method in ("GET", "HEAD"):
        return
    context: Context = request.app.state.context
    context.record_refusal(actor, f"rest.{request.method.lower()}", request.url.path, refusal)


def _http(request: Request, refusal: Exception) -> JSONResponse:
    if not isinstance(refusal, HTTPException):
        raise refusal
    code = {
        400: "InvalidValue",
        401: "Unauthenticated",
        404: "NoSuchRoute",
        405: "MethodNotAllowed",
        413: "BodyTooLarge",
    }.get(refusal.status_code, "Refused")
    answer = problem(request, refusal.status_code, code, str(refusal.detail), f"{request.method} {request.url.path}")
    if refusal.status_code == 405:
        route: Any = request.scope.get("route")
        methods = request.app.openapi()["paths"].get(getattr(route, "path", ""), {})
        answer.headers["allow"] = ", ".join(sorted(map(str.upper, methods))) or str(
            (refusal.headers or {}).get("Allow", "")
        )
    return answer


def _broken(request: Request, error: Exception) -> JSONResponse:
    _log.exception("request failed", path=request.url.path, exc_info=error)
    return problem(request, 500, "InternalError", "The server failed", "see the server's log for this request_id")


def install(app: FastAPI) -> None:
    """Make every refusal and failure of `app` a problem document."""
    app.add_exception_handler(errors.DomainError, _refused)
    app.add_exception_handler(RequestValidationError, _not_of_the_form)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
