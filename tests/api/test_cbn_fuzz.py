"""Whatever is sent, signed or not: an answer, never a failure, and nothing changes without a signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbn_server import CBN, HOST, VPC, Scenario, Server, build_scenario, open_server
from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.protocol.decode import HttpRequest

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = sorted({name for action in REGISTRY for name, _ in action.parameters})
ACTIONS = sorted((action.product.version, action.name) for action in REGISTRY)
HARMLESS = [action for action in ACTIONS if not action[1].startswith("Delete")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with open_server(tmp_path_factory.mktemp("cbn-fuzz")) as opened:
        yield opened
        assert opened.problems() == []


@pytest.fixture(scope="module")
def scenario(server: Server) -> Scenario:
    return build_scenario(server)


def values(scenario: Scenario) -> st.SearchStrategy[str]:
    telling = ["", "0", "-1", "1", "21", "10000", "9" * 30, "true", "None", "VPC", "China", "us-west-1", "cn-hangzhou"]
    known = [scenario.cen_id, scenario.package_id, *scenario.vpc_ids.values(), "cen-nope", "10.0.0.0/8", "::/0", "\0"]
    return st.sampled_from(telling + known) | st.text(max_size=40)


@FUZZ
@given(data=st.data())
def test_signed_nonsense_is_answered(server: Server, scenario: Scenario, data: st.DataObject) -> None:
    version, action = data.draw(st.sampled_from(HARMLESS))
    suffixes = st.sampled_from(["", ".1", ".1.Key", ".1.Value.1", ".0", ".x.y", ".99999999"])
    names = st.builds(str.__add__, st.sampled_from(NAMES), suffixes) | st.text(max_size=20)
    parameters = data.draw(st.dictionaries(names, values(scenario), max_size=8))
    system = {"Signature", "Action", "Version", "Format", "SecurityToken", "SignatureNonce", "SignatureType"}
    sent = {name: value for name, value in parameters.items() if name not in system}
    status, document = server.send(action, sent, version)
    assert status < 500, document
    assert "RequestId" in document
    if status >= 400:
        assert document["Code"]


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    query=st.binary(max_size=80),
    body=st.binary(max_size=80),
    content_type=st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/plain", ""]),
    authorization=st.sampled_from(["", "ACS3-HMAC-SHA256 ", "ACS3-X", "Bearer x"]) | st.text(max_size=40),
    action=st.sampled_from(ACTIONS),
)
def test_unsigned_bytes_are_refused(
    server: Server,
    method: str,
    query: bytes,
    body: bytes,
    content_type: str,
    authorization: str,
    action: tuple[str, str],
) -> None:
    version, name = action
    headers = {"host": HOST, "content-type": content_type, "x-acs-action": name, "x-acs-version": version}
    if authorization:
        headers["authorization"] = authorization
    named = f"Action={name}&Version={version}&".encode()
    for query_string in (query, named + query, named + quote_from_bytes(query).encode()):
        answer = server.endpoint.answer(HttpRequest(method, "/", query_string, headers, body))
        assert 400 <= answer.http_status < 500
        if b"<?xml" not in answer.body:
            assert json.loads(answer.body)["Code"]


def test_every_action_that_changes_something_refuses_a_call_without_a_signature(
    server: Server, scenario: Scenario
) -> None:
    events = len(server.audit_events())
    for version, action in ACTIONS:
        query = f"Action={action}&Version={version}&CenId={scenario.cen_id}&VpcId={scenario.vpc_ids['us-west-1']}"
        answer = server.endpoint.answer(HttpRequest("POST", "/", query.encode(), {"host": HOST}))
        assert (answer.http_status, json.loads(answer.body)["Code"]) == (400, "MissingParameter")
    assert len(server.audit_events()) == events
    assert {CBN, VPC} <= {version for version, _ in ACTIONS}
