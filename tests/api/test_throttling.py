"""Requests a second of each key: each API says so in its own words, and nobody uses up another's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cbn_server import Caller, Server
from opencen.api.cbn.app import CbnEndpoint
from opencen.api.cbn.protocol.signature import rpc_signature, rpc_string_to_sign
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context
from opencen.services.pace import RequestPace


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from("ab")), max_size=200), st.sampled_from([1.0, 3.0, 50.0]))
def test_no_key_ever_gets_more_than_its_rate_and_burst(asked: list[tuple[float, str]], per_s: float) -> None:
    now = [0.0]
    pace, allowed = RequestPace(per_s, lambda: now[0]), {key: list[float]() for key in "ab"}
    for wait_s, key in asked:
        now[0] += wait_s
        retry_after_s = pace.take(key)
        if retry_after_s == 0:
            allowed[key].append(now[0])
        else:
            assert 0 < retry_after_s <= 1 / per_s
            assert len(allowed[key]) >= 2 * per_s - 1
    for times in allowed.values():
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= 2 * per_s + (times[last] - start) * per_s + 1e-6


def test_zero_is_no_bound() -> None:
    pace = RequestPace(0.0)
    assert all(pace.take("a") == 0 for _ in range(10_000))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    context, _ = open_context(tmp_path, None)
    made = Server(CbnEndpoint(context), "", "", context)
    made.add_user("busy", Role.OPERATOR)
    made.add_user("calm", Role.OPERATOR)
    context.request_pace = RequestPace(2.0, lambda: 0.0)
    yield made
    context.database.close()


def test_rest_says_429_and_when_to_try_again(server: Server) -> None:
    with TestClient(make_app(server.context)) as client:
        busy, calm = ("AKBUSY", "another-secret"), ("AKCALM", "another-secret")
        answers = [client.request("GET", "/v1/me", auth=busy) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert answers[-1].json()["code"] == "Throttled"
        assert answers[-1].headers["retry-after"] == "1"
        assert client.request("GET", "/v1/me", auth=calm).status_code == 200


def test_the_rpc_api_says_throttling_user(server: Server) -> None:
    busy = Caller(server.endpoint, "AKBUSY", "another-secret")
    answers = [busy.call("DescribeCens") for _ in range(5)]
    assert [status for status, _ in answers] == [200] * 4 + [400]
    assert answers[-1][1]["Code"] == "Throttling.User"
    with TestClient(make_app(server.context)) as client:
        given = {
            "Action": "DescribeCens",
            "Version": "2017-09-12",
            "AccessKeyId": "AKBUSY",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": "nonce",
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        given["Signature"] = rpc_signature("another-secret", rpc_string_to_sign("GET", given))
        answer = client.request("GET", "/", params=given)
        assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-acs-retry-after"]) == (
            400,
            "1",
            "500",
        )


def test_who_does_not_have_the_secret_uses_up_nothing(server: Server) -> None:
    thief = Caller(server.endpoint, "AKBUSY", "guessed")
    for _ in range(20):
        assert thief.call("DescribeCens")[1]["Code"] == "SignatureDoesNotMatch"
    with TestClient(make_app(server.context)) as client:
        for _ in range(20):
            assert client.request("GET", "/v1/me", auth=("AKBUSY", "guessed")).status_code == 401
    assert Caller(server.endpoint, "AKBUSY", "another-secret").call("DescribeCens")[0] == 200
