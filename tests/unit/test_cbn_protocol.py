"""From an HTTP request to an answer document, with one small action in place of the real ones."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from cbn_requests import NOW, RECORDED_KEY, KnownKeys, acs3_request, rpc_request
from opencen.api.cbn.protocol.action import Actions, Answer, Call, Product, Registry
from opencen.api.cbn.protocol.decode import MAX_BODY_BYTES, HttpRequest
from opencen.api.cbn.protocol.endpoint import RpcEndpoint, is_rpc_request
from opencen.api.cbn.protocol.errors import Refusal, RpcError
from opencen.api.cbn.protocol.render import RpcAnswer, wrapped
from opencen.domain import errors as domain
from opencen.domain.nouns import Actor

REQUEST_ID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    name: str
    bandwidth: int = 1


PRODUCT = Product(
    "Cbn",
    "2017-09-12",
    {(domain.NotFoundError, "package"): Refusal("ParameterBwpInstanceId", 404)},
    frozenset({"Later"}),
)
ACTIONS = Actions[dict[str, Exception]](PRODUCT)


@ACTIONS.action("Describe", errors={domain.PackageBoundError: Refusal("InvalidOperation.BwpInstanceStatus", 403)})
def describe(call: Call[dict[str, Exception]], given: Describe) -> Answer:
    if given.name in call.context:
        raise call.context[given.name]
    return {"Name": given.name, "Open": True, "Ids": wrapped("Id", ["a", "b"]), "Plain": [{"N": 1}, {"N": 2}]}


class Refusals(list[tuple[str, str, str]]):
    def __call__(self, actor: Actor, action: str, error: RpcError) -> None:
        self.append((actor.username, action, error.code))


def _endpoint(failures: dict[str, Exception] | None = None, **options: Any) -> RpcEndpoint[dict[str, Exception]]:
    options.setdefault("record_refusal", Refusals())
    return RpcEndpoint(failures or {}, Registry([ACTIONS]), KnownKeys(RECORDED_KEY), clock=lambda: NOW, **options)


def _error(answer: RpcAnswer) -> tuple[str, int]:
    return json.loads(answer.body)["Code"], answer.http_status


def test_a_json_answer_carries_the_request_id_and_keeps_types() -> None:
    answer = _endpoint().answer(rpc_request({"Action": "Describe", "Name": "ü"}))
    document = json.loads(answer.body)
    assert (answer.http_status, answer.content_type) == (200, b"application/json;charset=utf-8")
    assert REQUEST_ID.fullmatch(document.pop("RequestId"))
    assert document == {"Name": "ü", "Open": True, "Ids": {"Id": ["a", "b"]}, "Plain": [{"N": 1}, {"N": 2}]}


def test_an_xml_answer_nests_lists_in_the_response_element() -> None:
    answer = _endpoint().answer(rpc_request({"Action": "Describe", "Name": "<&\x01"}, system={"Format": "XML"}))
    root = ET.fromstring(answer.body)
    assert answer.content_type == b"text/xml;charset=utf-8"
    assert root.tag == "DescribeResponse"
    assert root.findtext("Name") == "<&\ufffd"
    assert root.findtext("Open") == "true"
    assert [element.text for element in root.findall("Ids/Id")] == ["a", "b"]
    assert [element.findtext("N") for element in root.findall("Plain")] == ["1", "2"]
    assert REQUEST_ID.fullmatch(root.findtext("RequestId") or "")


@pytest.mark.parametrize("answer_format", ["JSON", "json", "XML"])
def test_an_error_document_has_the_fields_that_clients_read(answer_format: str) -> None:
    answer = _endpoint().answer(rpc_request({"Action": "Describe"}, system={"Format": answer_format}))
    if answer_format == "XML":
        root = ET.fromstring(answer.body)
        assert root.tag == "Error"
        document = {element.tag: element.text for element in root}
    else:
        document = json.loads(answer.body)
    assert answer.http_status == 400
    assert set(document) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert document["Code"] == "MissingParameter"
    assert '"Name"' in document["Message"]
    assert document["HostId"] == "127.0.0.1:8400"
    assert document["RequestId"] == answer.request_id
    assert "product=Cbn" in document["Recommend"]


@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (domain.NotFoundError("package", "cenbwp-1"), "ParameterBwpInstanceId", 404),
        (domain.NotFoundError("route", "r"), "InvalidResource.NotFound", 404),
        (domain.PackageBoundError("bound"), "InvalidOperation.BwpInstanceStatus", 403),
        (domain.PackageInUseError("used"), "IncorrectStatus", 409),
        (domain.InvalidValueError("bad"), "InvalidParameter", 400),
        (domain.ForbiddenError("no"), "Forbidden.RAM", 403),
        (domain.UnavailableError("later"), "ServiceUnavailable", 503),
        (ZeroDivisionError("a bug"), "InternalError", 500),
    ],
)
def test_failures_become_codes(failure: Exception, code: str, status: int) -> None:
    answer = _endpoint({"x": failure}).answer(rpc_request({"Action": "Describe", "Name": "x"}))
    assert _error(answer) == (code, status)
    assert b"a bug" not in answer.body


def test_unknown_actions_and_versions_and_methods_are_refused() -> None:
    endpoint = _endpoint()
    assert _error(endpoint.answer(rpc_request({"Action": "Nope"}))) == ("InvalidAction.NotFound", 404)
    assert _error(endpoint.answer(rpc_request({"Action": "Describe", "Version": "2000-01-01"}))) == (
        "InvalidVersion",
        400,
    )
    assert _error(endpoint.answer(rpc_request({}))) == ("MissingParameter", 400)
    assert _error(endpoint.answer(rpc_request({"Action": "Describe"}, method="PUT"))) == ("UnsupportedHTTPMethod", 405)
    assert _error(endpoint.answer(acs3_request("Nope", {}))) == ("InvalidAction.NotFound", 404)


def test_too_many_parameters_are_refused() -> None:
    many = HttpRequest("POST", "/", b"&".join(b"a=%d" % number for number in range(1001)), {})
    assert _error(_endpoint().answer(many)) == ("InvalidParameter", 400)
    assert _error(_endpoint().answer(replace(many, query_string=b"a" * 70_000))) == ("RequestUriTooLarge", 414)


def test_bytes_that_are_no_text_never_break_the_server() -> None:
    for raw in (b"Action=%ff%fe&Version=\xff", b"%00=%00&Action=Describe&Version=2017-09-12", b"=&&=&a", b"\xff\xfe"):
        assert _endpoint().answer(HttpRequest("GET", "/", raw, {"host": "\udcff"})).http_status in (400, 404)


def test_a_refused_parameter_of_an_authenticated_caller_is_recorded() -> None:
    refusals = Refusals()
    endpoint = _endpoint(record_refusal=refusals)
    endpoint.answer(rpc_request({"Action": "Describe", "Name": "x", "Bandwidth": "much"}))
    endpoint.answer(rpc_request({"Action": "Describe"}, key=replace(RECORDED_KEY, secret="wrong"), nonce="n-2"))
    assert refusals == [("admin", "Describe", "InvalidParameter")]


def test_calls_are_observed_by_product_action_and_code() -> None:
    seen: list[tuple[str, str, str]] = []
    endpoint = _endpoint(observe=lambda product, action, code, duration_s: seen.append((product, action, code)))
    endpoint.answer(rpc_request({"Action": "Describe", "Name": "x"}))
    endpoint.answer(rpc_request({"Action": "Nope"}))
    endpoint.answer(rpc_request({"Action": "Later"}))
    endpoint.answer(rpc_request({"Action": "Describe", "Version": "1"}))
    assert seen == [
        ("Cbn", "Describe", ""),
        ("Cbn", "", "InvalidAction.NotFound"),
        ("Cbn", "Later", "InvalidAction.NotFound"),
        ("", "", "InvalidVersion"),
    ]


def _asgi(headers: list[tuple[bytes, bytes]], chunks: Iterable[bytes]) -> tuple[int, dict[str, Any], int]:
    """Status, document, and how many chunks of the body were read."""
    sent: list[Any] = []
    waiting = list(chunks)
    total = len(waiting)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "client": None}
        await _endpoint()(scope, receive, send)

    asyncio.run(main())
    return sent[0]["status"], json.loads(sent[1]["body"]), total - len(waiting)


def test_a_body_over_the_bound_is_refused_before_it_is_read() -> None:
    chunk = bytes(65536)
    status, document, read = _asgi([(b"content-length", b"10000000")], [chunk] * 160)
    assert (status, document["Code"], read) == (413, "RequestEntityTooLarge", 0)
    status, document, read = _asgi([(b"transfer-encoding", b"chunked")], [chunk] * 160)
    assert (status, document["Code"], read) == (413, "RequestEntityTooLarge", MAX_BODY_BYTES // len(chunk) + 1)


def test_a_signed_form_is_answered_over_asgi() -> None:
    request = rpc_request({"Action": "Describe", "Name": "x"}, in_form=["Name"])
    form = request.query_string + b"&" + request.body
    headers = [(b"Content-Type", b"application/x-www-form-urlencoded"), (b"Host", b"h")]
    status, document, _ = _asgi(headers, [form[:20], form[20:]])
    assert (status, document["Name"]) == (200, "x")


def test_a_browser_at_the_root_is_no_rpc_request() -> None:
    browser = {"method": "GET", "query_string": b"", "headers": [(b"accept", b"text/html")]}
    assert not is_rpc_request(browser)
    assert is_rpc_request({**browser, "query_string": b"Action=DescribeCens"})
    assert is_rpc_request({**browser, "headers": [(b"x-acs-action", b"DescribeCens")]})
    assert is_rpc_request({**browser, "method": "POST"})


def test_an_action_declared_twice_is_noticed_at_start() -> None:
    with pytest.raises(ValueError, match="twice"):
        Registry([ACTIONS, ACTIONS])
