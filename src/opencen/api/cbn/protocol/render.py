"""Answers and errors as bytes: JSON, or XML for callers that ask for it (reference `cbn-api.md`, 1.8)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape

from opencen.api.cbn.protocol.decode import AnswerFormat
from opencen.api.cbn.protocol.errors import RpcError

_XML_PROLOG = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTENT_TYPES = {
    AnswerFormat.JSON: b"application/json;charset=utf-8",
    # The Tea SDKs read an error as XML only with exactly this content type.
    AnswerFormat.XML: b"text/xml;charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    http_status: int
    content_type: bytes
    body: bytes
    request_id: str
    retry_after_s: float = 0.0


def new_request_id() -> str:
    """An upper-case UUID."""
    return str(uuid.uuid4()).upper()


def wrapped(name: str, items: Iterable[object]) -> dict[str, list[object]]:
    """A list as the older operations answer it: an object that holds the list under the element's name."""
    return {name: list(items)}


def render_success(
    action: str, answer: Mapping[str, object], request_id: str, answer_format: AnswerFormat
) -> RpcAnswer:
    return _render(200, f"{action}Response", {**answer, "RequestId": request_id}, request_id, answer_format)


def render_error(
    error: RpcError, request_id: str, host_id: str, product: str, answer_format: AnswerFormat
) -> RpcAnswer:
    """The error document; `host_id` is the address that was called, `product` is empty when no version chose one."""
    recommend = f"https://api.aliyun.com/troubleshoot?q={quote(error.code)}&product={product}&requestId={request_id}"
    document = {
        "RequestId": request_id,
        "HostId": host_id,
        "Code": error.code,
        "Message": error.message,
        "Recommend": recommend,
    }
    return _render(error.http_status, "Error", document, request_id, answer_format)


def _render(
    http_status: int, root: str, document: Mapping[str, object], request_id: str, answer_format: AnswerFormat
) -> RpcAnswer:
    if answer_format is AnswerFormat.XML:
        text = f"{_XML_PROLOG}{_xml_element(root, document)}"
    else:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = text.encode("utf-8", "replace")
    return RpcAnswer(http_status, _CONTENT_TYPES[answer_format], body, request_id)


def _xml_element(name: str, value: object) -> str:
    """A mapping nests, a list repeats the element, None is left out."""
    match value:
        case None:
            return ""
        case Mapping():
            return f"<{name}>{''.join(_xml_element(key, inner) for key, inner in value.items())}</{name}>"
        case list() | tuple():
            return "".join(_xml_element(name, item) for item in value)
        case bool():
            return f"<{name}>{'true' if value else 'false'}</{name}>"
        case _:
            return f"<{name}>{escape(_NOT_XML.sub(chr(0xFFFD), str(value)))}</{name}>"
