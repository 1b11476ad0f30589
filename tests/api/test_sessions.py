"""Logging on with a password: what a session is worth, and what guessing costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from opencen.serve import make_app, open_context
from opencen.services.context import Context
from opencen.services.pace import MAX_DELAY_S, MAX_LINE_S, FailurePace


@pytest.fixture
def context(tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    for name in ("USERNAME", "PASSWORD", "ACCESS_KEY_ID", "ACCESS_KEY_SECRET"):
        monkeypatch.setenv(f"OPENCEN_ADMIN_{name}", f"the-{name.lower()}")
    opened, _ = open_context(tmp_path, database_url)
    yield opened
    opened.database.close()


@pytest.fixture
def server(context: Context) -> Iterator[TestClient]:
    with TestClient(make_app(context), client=("127.0.0.1", 40000)) as served:
        yield served


def log_on(server: TestClient, password: str = "the-password", username: str = "the-username") -> Response:
    return server.request("POST", "/v1/sessions", json={"username": username, "password": password})


def bearer(answer: Response) -> dict[str, str]:
    session: dict[str, Any] = answer.json()
    return {"authorization": f"Bearer {session['session']['id']}:{session['token']}"}


def test_a_session_may_do_what_its_user_may(server: TestClient) -> None:
    headers = bearer(log_on(server))
    assert server.request("GET", "/v1/me", headers=headers).json()["username"] == "the-username"
    created = server.request("POST", "/v1/instances", headers=headers, json={"name": "backbone"})
    assert created.status_code == 201
    event = server.request("GET", "/v1/audit", headers=headers).json()["items"][0]
    assert (event["actor"], event["action"], event["access_key_id"]) == ("the-username", "instance.create", None)


def test_logging_off_ends_the_session_at_once(server: TestClient) -> None:
    headers = bearer(log_on(server))
    assert server.request("DELETE", "/v1/sessions/current", headers=headers).status_code == 204
    refused = server.request("GET", "/v1/me", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "Unauthenticated")


def test_a_session_can_be_revoked_from_another_one(server: TestClient) -> None:
    lost, kept = log_on(server), log_on(server)
    listed = server.request("GET", "/v1/sessions", headers=bearer(kept)).json()["items"]
    assert {item["id"]: item["current"] for item in listed} == {
        lost.json()["session"]["id"]: False,
        kept.json()["session"]["id"]: True,
    }
    assert "token" not in str(listed)
    path = f"/v1/sessions/{lost.json()['session']['id']}"
    assert server.request("DELETE", path, headers=bearer(kept)).status_code == 204
    assert server.request("GET", "/v1/me", headers=bearer(lost)).status_code == 401
    assert server.request("DELETE", path, headers=bearer(kept)).status_code == 404


def test_a_session_expires(server: TestClient, context: Context) -> None:
    headers = bearer(log_on(server))
    context.clock = lambda: datetime.now(UTC) + timedelta(hours=25)
    assert server.request("GET", "/v1/me", headers=headers).status_code == 401


def test_a_token_is_kept_only_as_its_hash(server: TestClient, tmp_path: Path) -> None:
    token = log_on(server).json()["token"].encode()
    assert all(token not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


@pytest.mark.parametrize(
    ("username", "password"), [("the-username", "wrong"), ("nobody", "the-password"), ("' OR 1=1 --", "x")]
)
def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(
    server: TestClient, username: str, password: str
) -> None:
    refused = log_on(server, password, username)
    assert (refused.status_code, refused.json()["field"]) == (401, "password")
    assert refused.json()["detail"] == "the username or the password is wrong"


def test_logging_on_off_and_failing_are_in_the_audit_log(server: TestClient) -> None:
    log_on(server, "wrong")
    headers = bearer(log_on(server))
    server.request("DELETE", "/v1/sessions/current", headers=headers)
    headers = bearer(log_on(server))
    events = server.request("GET", "/v1/audit", headers=headers).json()["items"]
    assert [(event["action"], event["outcome"]) for event in events] == [
        ("session.log_on", "done"),
        ("session.log_off", "done"),
        ("session.log_on", "done"),
        ("session.log_on", "refused"),
    ]
    assert {event["source_address"] for event in events} == {"127.0.0.1"}
    assert "wrong" not in str([event["before"] for event in events])


def test_a_wrong_password_slows_the_next_answer(server: TestClient) -> None:
    for _ in range(3):
        log_on(server, "wrong")
    started = time.monotonic()
    assert log_on(server).status_code == 201
    assert time.monotonic() - started >= 0.9
    durations_s = []
    for _ in range(3):
        started = time.monotonic()
        log_on(server)
        durations_s.append(time.monotonic() - started)
    assert min(durations_s) < 0.9


def test_a_session_is_no_credential_of_a_gateway(server: TestClient) -> None:
    assert server.request("GET", "/v1/gateway/state", headers=bearer(log_on(server))).status_code == 401


def test_the_delay_is_bounded_and_nobody_is_delayed_elsewhere() -> None:
    now_s = [0.0]
    pace = FailurePace(lambda: now_s[0])
    key = ("ann", "192.0.2.1")
    for _ in range(50):
        pace.failed(key)
        now_s[0] += 60
    assert pace.turn(key) == MAX_DELAY_S
    assert pace.turn(("ann", "192.0.2.2")) == 0
    assert pace.turn(("bob", "192.0.2.1")) == 0


def test_asking_in_parallel_gains_a_guesser_nothing() -> None:
    pace = FailurePace(lambda: 0.0)
    key = ("ann", "192.0.2.1")
    for _ in range(10):
        pace.failed(key)
    waits_s = [pace.turn(key) for _ in range(10)]
    admitted = [wait_s for wait_s in waits_s if wait_s is not None]
    assert admitted == [MAX_DELAY_S * (i + 1) for i in range(len(admitted))]
    assert max(admitted) <= MAX_LINE_S
    assert len(admitted) < 10
