"""A second factor: who has one logs on with a code of it, which works once."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from httpx import Response
from starlette.testclient import TestClient

from opencen.api.rest import sessions as front
from opencen.serve import make_app, open_context
from opencen.services.context import Context

PASSWORD = "the-password"
KEY = ("the-key", "the-secret")


class User:
    """The administrator, with an app whose clock is the server's."""

    def __init__(self, context: Context, client: TestClient) -> None:
        self.context = context
        self.client = client
        self.bearer = ""
        self.secret = ""

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Response:
        headers = {"authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return self.client.request(method, f"/v1{path}", json=body, **({"headers": headers} | more))

    def log_on(self, code: str | None = None, password: str = PASSWORD) -> Response:
        body = {"username": "the-user", "password": password}
        answer = self.client.request("POST", "/v1/sessions", json=body | ({"totp_code": code} if code else {}))
        if answer.status_code == 201:
            self.bearer = f"{answer.json()['session']['id']}:{answer.json()['token']}"
        return answer

    def code(self, at: datetime | None = None) -> str:
        generator = TOTP(base64.b32decode(self.secret), 6, SHA1(), 30)
        return generator.generate(int((at or self.context.clock()).timestamp())).decode()

    def later(self, seconds: float) -> None:
        now = self.context.clock() + timedelta(seconds=seconds)
        self.context.clock = lambda: now

    def set_up(self) -> None:
        assert self.log_on().status_code == 201
        begun = self.send("POST", "/me/totp", {"password": PASSWORD})
        assert begun.status_code == 201, begun.text
        self.secret = begun.json()["secret"]
        assert begun.json()["uri"].startswith("otpauth://totp/OpenCEN:the-user?")
        assert self.send("POST", "/me/totp/confirmation", {"totp_code": self.code()}).status_code == 204
        self.later(30)


@pytest.fixture
def user(tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    values = {"USERNAME": "the-user", "PASSWORD": PASSWORD, "ACCESS_KEY_ID": KEY[0], "ACCESS_KEY_SECRET": KEY[1]}
    for name, value in values.items():
        monkeypatch.setenv(f"OPENCEN_ADMIN_{name}", value)
    monkeypatch.setattr("opencen.services.pace.FIRST_DELAY_S", 0.0)
    context, _ = open_context(tmp_path, database_url)
    with TestClient(make_app(context)) as client:
        now = datetime.now(UTC)
        context.clock = lambda: now
        yield User(context, client)
    context.database.close()


def test_with_a_second_factor_the_password_alone_is_not_enough(user: User) -> None:
    user.set_up()
    asked = user.log_on()
    assert (asked.status_code, asked.json()["code"], asked.json()["field"]) == (401, "TotpRequired", "totp_code")
    assert user.log_on("000000").json()["detail"] == "the code is wrong, or was used already"
    assert user.log_on(user.code(), password="wrong").json()["field"] == "password"
    assert user.log_on(user.code()).status_code == 201


def test_a_code_works_once_and_only_for_a_short_time(user: User) -> None:
    user.set_up()
    code = user.code()
    assert user.log_on(code).status_code == 201
    assert user.log_on(code).status_code == 401
    user.later(30)
    late = user.code()
    user.later(31)
    assert user.log_on(late).status_code == 201  # a clock that is some seconds late
    user.later(30)
    old = user.code()
    user.later(90)
    assert user.log_on(old).status_code == 401


def test_it_counts_only_once_it_is_confirmed(user: User) -> None:
    user.log_on()
    user.secret = user.send("POST", "/me/totp", {"password": PASSWORD}).json()["secret"]
    assert user.send("POST", "/me/totp/confirmation", {"totp_code": "12345x"}).status_code == 401
    assert user.send("GET", "/me/totp").json() == {"confirmed_at": None}
    assert user.log_on().status_code == 201


def test_neither_a_stolen_key_nor_a_stolen_session_locks_the_user_out(user: User) -> None:
    for path, body in (
        ("", {"password": PASSWORD}),
        ("/confirmation", {"totp_code": "1"}),
        ("/removal", {"totp_code": "1"}),
    ):
        assert user.send("POST", f"/me/totp{path}", body, auth=KEY, headers={}).status_code == 403
    user.log_on()
    assert user.send("POST", "/me/totp", {"password": "guessed"}).status_code == 401
    user.set_up()
    assert user.send("POST", "/me/totp", {"password": PASSWORD}).status_code == 409
    assert user.send("POST", "/me/totp/removal", {"totp_code": "000000"}).status_code == 401
    assert user.send("POST", "/me/totp/removal", {"totp_code": user.code()}).status_code == 204
    assert user.log_on().status_code == 201


def test_an_administrator_resets_it_for_who_lost_the_app(user: User) -> None:
    user.set_up()
    own_id = user.send("GET", "/me").json()["user_id"]
    (listed,) = user.send("GET", "/users").json()["items"]
    assert listed["has_totp"] is True
    changed = user.send("PATCH", f"/users/{own_id}", {"reset_totp": True}, auth=KEY, headers={})
    assert (changed.status_code, changed.json()["user"]["has_totp"]) == (200, False)
    assert user.send("GET", "/me").status_code == 401  # its sessions have ended
    assert user.log_on().status_code == 201


def test_the_secret_is_sealed_and_nowhere_else(user: User, tmp_path: Path) -> None:
    user.set_up()
    events = user.send("GET", "/audit").text
    assert "totp.confirm" in events
    assert user.secret not in events
    assert all(user.secret.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_guessing_codes_is_slowed_down_wherever_it_comes_from(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_up()
    monkeypatch.setattr("opencen.services.pace.FIRST_DELAY_S", 0.3)
    for number in range(2):
        assert user.log_on(f"00000{number}").status_code == 401
    door = user.client.app._rest.routes[-1].app._made.state.log_on_door  # type: ignore[attr-defined]
    assert isinstance(door, front._Door)
    began = time.monotonic()
    user.log_on("000003")
    assert time.monotonic() - began >= 0.5
    assert user.log_on(password="wrong").status_code == 401  # a guesser of passwords is not told that there is a code


def test_one_address_cannot_take_all_places(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio  # noqa: PLC0415

    from opencen.domain.errors import TooManyAttemptsError  # noqa: PLC0415

    async def crowd() -> tuple[int, int]:
        door, refused, release = front._Door(), 0, asyncio.Event()

        async def one(source: str) -> None:
            nonlocal refused
            try:
                async with door.place(source):
                    await release.wait()
            except TooManyAttemptsError:
                refused += 1

        tasks = [asyncio.ensure_future(one("192.0.2.1")) for _ in range(50)]
        await asyncio.sleep(0)
        greedy = refused
        tasks.append(asyncio.ensure_future(one("192.0.2.2")))
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*tasks)
        return greedy, refused

    assert asyncio.run(crowd()) == (42, 42)
