"""Accounts, users, roles and access keys over REST and CBN; and each REST route for each kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from cbn_server import Caller, Server
from opencen.api.cbn.app import CbnEndpoint
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context

Credential = tuple[str, str]


@dataclass
class House:
    client: TestClient
    server: Server
    admin: Credential

    def send(self, key: Credential | str | None, method: str, path: str, body: Any = None) -> Response:
        """`key`: an access key, a session's bearer, or None."""
        headers = {"authorization": f"Bearer {key}"} if isinstance(key, str) else {}
        auth = key if isinstance(key, tuple) else None
        return self.client.request(method, f"/v1{path}", json=body, auth=auth, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, key: Credential | None = None) -> Any:
        answer = self.send(key or self.admin, method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def user(self, username: str, role: str, account_id: str | None = None) -> dict[str, Any]:
        account = account_id or self.ok("GET", "/me")["account_id"]
        return dict(self.ok("POST", "/users", {"username": username, "role": role, "account_id": account}))

    def key(self, user_id: str, **limits: Any) -> Credential:
        made = self.ok("POST", "/access-keys", {"user_id": user_id, **limits})
        return made["access_key"]["id"], made["access_key_secret"]

    def log_on(self, user: dict[str, Any]) -> Response:
        body = {"username": user["user"]["username"], "password": user["password"]}
        return self.send(None, "POST", "/sessions", body)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    context, _ = open_context(tmp_path_factory.mktemp("people"), None)
    server = Server(CbnEndpoint(context), "", "", context)
    server.add_user("root", Role.ADMINISTRATOR)
    with TestClient(make_app(context), client=("192.0.2.7", 4000)) as client:
        yield House(client, server, ("AKROOT", "another-secret"))
    assert server.problems() == []
    context.database.close()


def test_an_account_is_made_with_users_of_its_own(house: House) -> None:
    account = house.ok("POST", "/accounts", {"name": "team"})
    user = house.user("team-operator", "operator", account["id"])
    key = house.key(user["user"]["id"])
    assert house.ok("GET", "/me", key=key)["account_id"] == account["id"]
    assert house.log_on(user).status_code == 201
    listed = {item["username"]: item for item in house.ok("GET", "/users")["items"]}
    assert listed["team-operator"] == user["user"]
    again = {"username": "team-operator", "role": "viewer", "account_id": account["id"]}
    assert house.send(house.admin, "POST", "/users", again).json()["code"] == "Conflict"
    assert house.send(house.admin, "POST", "/users", again | {"account_id": "acc-none"}).status_code == 404


def test_a_key_is_limited_to_a_role_and_never_raises_its_users(house: House) -> None:
    user = house.user("limited", "operator")["user"]
    reads, works = house.key(user["id"], role="viewer"), house.key(user["id"], role="administrator")
    assert house.ok("GET", "/me", key=reads)["role"] == "viewer"
    assert house.ok("GET", "/me", key=works)["role"] == "operator"
    assert house.send(reads, "POST", "/instances", {"name": "x"}).status_code == 403
    assert house.send(works, "POST", "/instances", {"name": "x"}).status_code == 201
    assert house.send(works, "POST", "/access-keys", {"user_id": user["id"]}).status_code == 403


def test_a_key_is_refused_outside_its_source_networks(house: House) -> None:
    user = house.user("placed", "operator")["user"]
    here = house.key(user["id"], source_networks=["192.0.2.0/24"])
    elsewhere = house.key(user["id"], source_networks=["198.51.100.0/24"])
    local = house.key(user["id"], source_networks=["127.0.0.0/8"])
    assert house.send(here, "GET", "/me").status_code == 200
    assert house.send(elsewhere, "GET", "/me").status_code == 401
    endpoint = house.server.endpoint  # calls of the RPC API come from 127.0.0.1
    assert Caller(endpoint, *local).call("DescribeCens")[0] == 200
    status, answer = Caller(endpoint, *here).call("DescribeCens")
    assert (status, answer["Code"]) == (403, "Forbidden.AccessKey")
    bad = {"user_id": user["id"], "source_networks": ["everywhere"]}
    assert house.send(house.admin, "POST", "/access-keys", bad).json()["field"] == "source_networks"


def test_a_disabled_or_deleted_key_stops_and_shows_its_last_use(house: House) -> None:
    user = house.user("switched", "operator")["user"]
    key = house.key(user["id"], name="robot")
    entry = next(item for item in house.ok("GET", "/access-keys")["items"] if item["id"] == key[0])
    assert (entry["name"], entry["last_used_at"]) == ("robot", None)
    house.ok("GET", "/me", key=key)
    entries = house.send(house.admin, "GET", "/access-keys")
    assert next(item for item in entries.json()["items"] if item["id"] == key[0])["last_used_at"] is not None
    assert key[1] not in entries.text
    house.ok("PATCH", f"/access-keys/{key[0]}", {"active": False})
    assert house.send(key, "GET", "/me").status_code == 401
    status, answer = Caller(house.server.endpoint, *key).call("DescribeCens")
    assert (status, answer["Code"]) == (400, "InvalidAccessKeyId.Inactive")
    house.ok("PATCH", f"/access-keys/{key[0]}", {"active": True})
    house.ok("GET", "/me", key=key)
    house.ok("DELETE", f"/access-keys/{key[0]}")
    assert house.send(key, "GET", "/me").status_code == 401


def test_a_disabled_user_has_no_session_and_no_key(house: House) -> None:
    user = house.user("leaver", "operator")
    path, key = f"/users/{user['user']['id']}", house.key(user["user"]["id"])
    session = house.log_on(user).json()
    bearer = f"{session['session']['id']}:{session['token']}"
    assert house.send(bearer, "GET", "/me").status_code == 200
    house.ok("PATCH", path, {"disabled": True})
    assert [house.send(who, "GET", "/me").status_code for who in (bearer, key)] == [401, 401]
    assert house.log_on(user).status_code == 401
    renewed = house.ok("PATCH", path, {"disabled": False, "reset_password": True})
    assert house.log_on(user).status_code == 401
    assert house.log_on(renewed).status_code == 201
    house.ok("DELETE", path)
    assert house.send(key, "GET", "/me").status_code == 401


def test_one_administrator_always_remains(house: House) -> None:
    administrators = [item for item in house.ok("GET", "/users")["items"] if item["role"] == "administrator"]
    own_id = house.ok("GET", "/me")["user_id"]
    for other in administrators:
        if other["id"] != own_id:
            house.ok("PATCH", f"/users/{other['id']}", {"disabled": True})
    for change in ({"role": "viewer"}, {"disabled": True}):
        assert house.send(house.admin, "PATCH", f"/users/{own_id}", change).json()["code"] == "Conflict"
    assert house.send(house.admin, "DELETE", f"/users/{own_id}").status_code == 409
    house.ok("GET", "/users")
