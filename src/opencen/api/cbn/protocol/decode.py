"""From an HTTP request to a call: one map of parameters out of query, form and JSON body, and the system parameters.

Bounds: a body of 1 MiB, a query of 64 KiB, 1,000 parameters. Duplicate names: the last one counts, and it is the one
that is signed, so no second value can ride along.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from opencen.api.cbn.protocol.errors import RpcError, invalid_parameter, missing_parameter

MAX_BODY_BYTES = 1 << 20
MAX_QUERY_BYTES = 1 << 16
MAX_PARAMETERS = 1_000
_FORM = "application/x-www-form-urlencoded"
_MAX_JSON_DEPTH = 8


class Scheme(StrEnum):
    """Which signature the caller used."""

    RPC = "1.0"
    ACS3 = "ACS3-HMAC-SHA256"


class AnswerFormat(StrEnum):
    JSON = "JSON"
    XML = "XML"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it arrived; `headers` have lower-case names."""

    method: str
    path: str
    query_string: bytes
    headers: Mapping[str, str]
    body: bytes = b""
    source_address: str | None = None


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A decoded request. `query` is what came in the query alone (ACS3 signs only that), `parameters` everything."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    parameters: Mapping[str, str]
    body: bytes
    scheme: Scheme
    source_address: str | None = None

    @property
    def answer_format(self) -> AnswerFormat:
        wanted = self.parameters.get("Format", "").upper()
        return AnswerFormat.XML if wanted == AnswerFormat.XML else AnswerFormat.JSON

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def action_and_version(self) -> tuple[str, str]:
        """What is asked for. Raises RpcError `MissingParameter`.

        Version 1.0 clients send the x-acs-action header too; with that scheme only the signed parameter counts.
        """
        if self.scheme is Scheme.ACS3:
            action, version = self.headers.get("x-acs-action", ""), self.headers.get("x-acs-version", "")
        else:
            action, version = self.parameters.get("Action", ""), self.parameters.get("Version", "")
        if not action:
            raise missing_parameter("Action")
        if not version:
            raise missing_parameter("Version")
        return action, version


def lower_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined with a comma, as HTTP allows."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("utf-8", "surrogateescape").strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def decode(http: HttpRequest) -> RpcRequest:
    """The call in an HTTP request. Raises RpcError when it cannot be read."""
    method, headers = http.method, http.headers
    if method not in ("GET", "POST"):
        raise RpcError(
            "UnsupportedHTTPMethod", 405, f"The HTTP method {method[:16]} is not supported: use GET or POST."
        )
    if len(http.query_string) > MAX_QUERY_BYTES:
        raise RpcError("RequestUriTooLarge", 414, f"The query string is longer than {MAX_QUERY_BYTES} bytes.")
    scheme = Scheme.ACS3 if headers.get("authorization", "").lstrip().startswith("ACS3-") else Scheme.RPC
    query = _form_parameters(http.query_string, "query string")
    parameters = query
    if http.body:
        content_type = headers.get("content-type", _FORM).split(";", 1)[0].strip().lower()
        if content_type == _FORM:
            parameters = {**query, **_form_parameters(http.body, "body")}
        elif content_type == "application/json" and scheme is Scheme.ACS3:
            # Only ACS3 signs a body that is not a form; with version 1.0 nobody has vouched for it.
            parameters = {**query, **_json_parameters(http.body)}
    return RpcRequest(method, http.path, headers, query, parameters, http.body, scheme, http.source_address)


def body_too_large() -> RpcError:
    return RpcError("RequestEntityTooLarge", 413, f"The request body is larger than {MAX_BODY_BYTES} bytes.")


def _form_parameters(encoded: bytes, where: str) -> dict[str, str]:
    if not encoded:
        return {}
    try:
        text = encoded.decode("ascii", "surrogateescape")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="replace")
    except ValueError as error:
        raise invalid_parameter(where, f"it holds more than {MAX_PARAMETERS} parameters") from error
    return {_clean(name): _clean(value) for name, value in pairs}


def _clean(text: str) -> str:
    # Bytes that are no UTF-8 become U+FFFD, whether they came percent-encoded or raw.
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _json_parameters(body: bytes) -> dict[str, str]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_parameter("body", "it is not JSON") from error
    if not isinstance(document, dict):
        raise invalid_parameter("body", "it is not a JSON object")
    parameters: dict[str, str] = {}
    _flatten(document, "", parameters, 0)
    return parameters


def _flatten(value: object, name: str, into: dict[str, str], depth: int) -> None:
    """Objects become `Name.Key`, lists `Name.1`, as in the form encoding; null is absent."""
    if depth > _MAX_JSON_DEPTH or len(into) > MAX_PARAMETERS:
        raise invalid_parameter("body", "it is nested too deeply or holds too many values")
    prefix = f"{name}." if name else ""
    match value:
        case dict():
            for key, inner in value.items():
                _flatten(inner, f"{prefix}{key}", into, depth + 1)
        case list():
            for number, inner in enumerate(value, start=1):
                _flatten(inner, f"{prefix}{number}", into, depth + 1)
        case bool():
            into[name] = "true" if value else "false"
        case None:
            pass
        case _:
            into[name] = str(value).encode("utf-8", "replace").decode()
