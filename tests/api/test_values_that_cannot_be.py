"""Values that no database or encoding can hold are refused like any other, on both databases, and never a 500."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from joined import join_over_http
from rest_scenario import Scenario, make_scenario
from servers import ServerProcess, running_server


@pytest.fixture
def fresh(tmp_path: Path, database_url: str | None) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "data", database_url) as server:
        yield server


def _requests(scenario: Scenario) -> Iterator[tuple[str, str, bytes | None]]:
    pair = scenario.path("us-west-1", "cn-hangzhou")
    for number in (b"NaN", b"Infinity", b"1e400", b"1" + b"0" * 40, b"1" + b"0" * 5000):
        yield "PUT", pair, b'{"bandwidth_mbps": ' + number + b"}"
    for text in (rb"\ud800", rb"\u0000"):
        yield "PUT", pair, b'{"bandwidth_mbps": 1, "package_id": "' + text + b'"}'
        yield "POST", "/v1/instances", b'{"name": "' + text + b'"}'
        yield "POST", "/v1/networks", b'{"region_id": "' + text + b'", "cidr_blocks": ["10.9.0.0/16"]}'
        yield "POST", "/v1/networks", b'{"region_id": "us-west-1", "cidr_blocks": ["' + text + b'"]}'
        yield "POST", "/v1/regions", b'{"id": "' + text + b'", "name": "n", "area_id": "China"}'
        yield "POST", "/v1/regions", b'{"id": "x-1", "name": "n", "name_zh": "' + text + b'", "area_id": "China"}'
        yield "POST", "/v1/sessions", b'{"username": "' + text + b'", "password": "x"}'
    yield "POST", "/v1/instances", b'{"name": "\xff"}'
    yield "POST", "/v1/regions", b'{"id": "' + b"x" * 65 + b'", "name": "n", "area_id": "China"}'
    yield "PUT", scenario.path("us-west-1", "%00"), b'{"bandwidth_mbps": 1}'
    yield "DELETE", "/v1/instances/%00", None
    yield "GET", "/v1/instances/%00", None
    yield "GET", "/v1/instances/%ff", None
    yield "GET", f"/v1/instances?page={10**18}", None
    yield "GET", f"/v1/audit?after_id={10**30}", None


def test_they_are_refused_with_a_problem_document(fresh: ServerProcess) -> None:
    with fresh.client() as client:
        scenario = make_scenario(client)
        headers = fresh.credential.headers() | {"content-type": "application/json"}
        with httpx.Client(base_url=fresh.url, headers=headers, trust_env=False) as http:
            for method, path, body in _requests(scenario):
                answer = http.request(method, path, content=body)
                assert 400 <= answer.status_code < 500, (method, path, body, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"] != "Refused"
            nul = base64.b64encode(b"\0:\0").decode()
            answer = http.get("/v1/me", headers={"authorization": f"Basic {nul}"})
            assert 400 <= answer.status_code < 500
        assert scenario.connections() == {}
        refused = [item for item in client.get("/v1/audit", page_size=200)["items"] if item["outcome"] == "refused"]
        assert any("\\ud800" in str(item["after"]) for item in refused), "the audit log says what was refused"


def test_a_gateways_numbers_beyond_64_bits_are_refused(fresh: ServerProcess) -> None:
    with fresh.client() as client:
        credential = join_over_http(client, "us-west-1")
    with httpx.Client(base_url=fresh.url, headers=credential.headers(), trust_env=False) as http:
        assert http.get("/v1/gateway/state", params={"after": 10**30, "wait_s": 0}).status_code == 400
        assert http.post("/v1/gateway/report", json={"applied_revision": 10**30}).status_code == 400
