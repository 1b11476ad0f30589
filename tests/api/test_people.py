"""Accounts, users, roles and access keys over REST and CBN; and each REST route for each kind of caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute
from httpx import Response
from starlette.testclient import TestClient

from cbn_server import Caller, Server
from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.app import CbnEndpoint
from opencen.api.rest import connections, gateway_channel, installation, instances, networks, packages, people, sessions
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


PUBLIC, VIEWER, OPERATOR, ADMINISTRATOR, GATEWAY = "public", "viewer", "operator", "administrator", "gateway"
PAIR = "/instances/{cen_id}/region-connections/{region_id}/{other_region_id}"
ROUTES: dict[tuple[str, str], tuple[str, Any]] = {
    ("POST", "/accounts"): (ADMINISTRATOR, {"name": "x"}),
    ("GET", "/accounts"): (ADMINISTRATOR, None),
    ("GET", "/users"): (ADMINISTRATOR, None),
    ("POST", "/users"): (ADMINISTRATOR, {"username": "x", "role": "viewer", "account_id": "acc-x"}),
    ("PATCH", "/users/{user_id}"): (ADMINISTRATOR, {}),
    ("DELETE", "/users/{user_id}"): (ADMINISTRATOR, None),
    ("GET", "/access-keys"): (ADMINISTRATOR, None),
    ("POST", "/access-keys"): (ADMINISTRATOR, {"user_id": "usr-x"}),
    ("PATCH", "/access-keys/{access_key_id}"): (ADMINISTRATOR, {"active": True}),
    ("DELETE", "/access-keys/{access_key_id}"): (ADMINISTRATOR, None),
    ("GET", "/capacities"): (ADMINISTRATOR, None),
    ("PUT", "/capacities/{area_id}/{other_area_id}"): (ADMINISTRATOR, {"capacity_mbps": 5}),
    ("DELETE", "/capacities/{area_id}/{other_area_id}"): (ADMINISTRATOR, None),
    ("GET", "/check"): (ADMINISTRATOR, None),
    ("POST", "/regions"): (ADMINISTRATOR, {"id": "x", "name": "x", "area_id": "nowhere"}),
    ("POST", "/gateways"): (ADMINISTRATOR, {"region_id": "nowhere"}),
    ("DELETE", "/gateways/{gateway_id}"): (ADMINISTRATOR, None),
    ("POST", "/gateways/{gateway_id}/token"): (ADMINISTRATOR, None),
    ("POST", "/gateways/{gateway_id}/release"): (ADMINISTRATOR, None),
    ("GET", "/areas"): (VIEWER, None),
    ("GET", "/regions"): (VIEWER, None),
    ("GET", "/me"): (VIEWER, None),
    ("GET", "/gateways"): (VIEWER, None),
    ("GET", "/gateways/{gateway_id}"): (VIEWER, None),
    ("GET", "/audit"): (VIEWER, None),
    ("GET", "/changes"): (VIEWER, None),
    ("GET", "/sessions"): (VIEWER, None),
    ("DELETE", "/sessions/{session_id}"): (VIEWER, None),
    ("POST", "/sessions"): (PUBLIC, {"username": "nobody", "password": "x"}),
    ("POST", "/instances"): (OPERATOR, {"name": "x"}),
    ("GET", "/instances"): (VIEWER, None),
    ("GET", "/instances/{cen_id}"): (VIEWER, None),
    ("PATCH", "/instances/{cen_id}"): (OPERATOR, {}),
    ("DELETE", "/instances/{cen_id}"): (OPERATOR, None),
    ("POST", "/instances/{cen_id}/attachments"): (OPERATOR, {"network_id": "vpc-x"}),
    ("GET", "/instances/{cen_id}/attachments"): (VIEWER, None),
    ("DELETE", "/instances/{cen_id}/attachments/{network_id}"): (OPERATOR, None),
    ("GET", "/instances/{cen_id}/grants"): (VIEWER, None),
    ("POST", "/networks"): (OPERATOR, {"region_id": "nowhere", "cidr_blocks": ["10.0.0.0/8"]}),
    ("GET", "/networks"): (VIEWER, None),
    ("GET", "/networks/{network_id}"): (VIEWER, None),
    ("PATCH", "/networks/{network_id}"): (OPERATOR, {}),
    ("DELETE", "/networks/{network_id}"): (OPERATOR, None),
    ("POST", "/networks/{network_id}/grants"): (OPERATOR, {"cen_id": "cen-x", "cen_account_number": 1}),
    ("GET", "/networks/{network_id}/grants"): (VIEWER, None),
    ("DELETE", "/networks/{network_id}/grants/{cen_id}"): (OPERATOR, None),
    ("POST", "/bandwidth-packages"): (
        OPERATOR,
        {"area_a_id": "China", "area_b_id": "nowhere", "bandwidth_mbps": 2},
    ),
    ("GET", "/bandwidth-packages"): (VIEWER, None),
    ("GET", "/bandwidth-packages/{package_id}"): (VIEWER, None),
    ("PATCH", "/bandwidth-packages/{package_id}"): (OPERATOR, {}),
    ("DELETE", "/bandwidth-packages/{package_id}"): (OPERATOR, None),
    ("PUT", "/bandwidth-packages/{package_id}/binding"): (OPERATOR, {"cen_id": "cen-x"}),
    ("DELETE", "/bandwidth-packages/{package_id}/binding"): (OPERATOR, None),
    ("GET", "/region-connections"): (VIEWER, None),
    ("GET", PAIR): (VIEWER, None),
    ("PUT", PAIR): (OPERATOR, {"bandwidth_mbps": 2}),
    ("DELETE", PAIR): (OPERATOR, None),
    ("POST", "/gateway/hello"): (GATEWAY, None),
    ("GET", "/gateway/state"): (GATEWAY, None),
    ("POST", "/gateway/report"): (GATEWAY, None),
}
"""What each route asks of its caller at least, and a body of the right form. A new route needs its row."""


def real_routes() -> set[tuple[str, str]]:
    modules = (connections, gateway_channel, installation, instances, networks, packages, people, sessions)
    found = [route for module in modules for route in module.router.routes if isinstance(route, APIRoute)]
    return {(method, route.path) for route in found for method in route.methods}


def test_every_route_has_its_row() -> None:
    assert real_routes() == set(ROUTES)


def test_every_route_for_every_kind_of_caller(house: House) -> None:
    account_id = house.ok("POST", "/accounts", {"name": "others"})["id"]
    people_of = {role: house.user(f"table-{role}", role)["user"]["id"] for role in (VIEWER, OPERATOR)}
    revoked = house.key(people_of[OPERATOR])
    house.ok("PATCH", f"/access-keys/{revoked[0]}", {"active": False})
    cen_id = house.ok("POST", "/instances", {"name": "mine"})["id"]
    stranger = house.key(house.user("table-stranger", "operator", account_id)["user"]["id"])
    callers: dict[str, tuple[Credential | str | None, int]] = {
        "anonymous": (None, 0),
        "revoked": (revoked, 0),
        "no session": ("ses-none:none", 0),
        "viewer": (house.key(people_of[VIEWER]), 1),
        "operator": (house.key(people_of[OPERATOR]), 2),
        "stranger": (stranger, 2),
        "administrator": (house.admin, 3),
    }
    least = {PUBLIC: 9, VIEWER: 1, OPERATOR: 2, ADMINISTRATOR: 3, GATEWAY: 9}
    for (method, path), (asked, body) in ROUTES.items():
        filled = path.replace("{region_id}", "us-west-1").replace("{other_region_id}", "cn-hangzhou")
        filled = re.sub(r"\{\w+\}", "x-unknown", filled)
        filled += "?wait_s=0" if path == "/changes" else ""
        for name, (key, rank) in list(callers.items())[: 1 if asked == PUBLIC else None]:
            answer = house.send(key, method, filled, body)
            cell = f"{method} {path} as {name}: {answer.status_code} {answer.text[:200]}"
            if rank == 0 or asked in (PUBLIC, GATEWAY):
                assert answer.status_code == 401, cell
            elif rank < least[asked]:
                assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden"), cell
            else:
                assert answer.status_code in (200, 201, 204, 400, 404), cell
            theirs = filled.replace("/instances/x-unknown", f"/instances/{cen_id}")
            if name == "stranger" and theirs != filled and rank >= least[asked]:
                known = house.send(key, method, theirs, body).json() if answer.content else {}
                assert known["status"] == answer.json()["status"] == 404, cell
                assert known["detail"].replace(cen_id, "x-unknown") == answer.json()["detail"], cell


def test_every_action_of_the_rpc_api_refuses_a_revoked_key_and_nobody(house: House) -> None:
    revoked = house.key(house.user("rpc-revoked", "operator")["user"]["id"])
    house.ok("PATCH", f"/access-keys/{revoked[0]}", {"active": False})
    caller = Caller(house.server.endpoint, *revoked)
    actions = list(REGISTRY)
    assert len(actions) > 50
    for action in actions:
        status, answer = caller.call(action.name, action.product.version)
        assert (status, answer["Code"]) == (400, "InvalidAccessKeyId.Inactive"), action.name
        named = {"Action": action.name, "Version": action.product.version, "Format": "JSON"}
        nobody = house.client.get("/", params=named)
        assert (nobody.status_code, nobody.json()["Code"]) == (400, "MissingParameter"), action.name
