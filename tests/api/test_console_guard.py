"""What another site's page cannot make a browser do at the console, and what a page of the console may run."""

from __future__ import annotations

import re
from types import SimpleNamespace

import httpx
import pytest
from starlette.requests import Request

from opencen.console.pages import login
from opencen.console.tickets import Tickets
from servers import ServerProcess

POLLING = "/console/_nicegui_ws/socket.io/?EIO=4&transport=polling"
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_sites_page_opens_no_connection_and_sends_nothing(server: ServerProcess, origin: str) -> None:
    foreign = {"origin": origin}
    assert httpx.get(f"{server.url}{POLLING}", headers=foreign).status_code == 403
    assert httpx.post(f"{server.url}{POLLING}", headers=foreign).status_code == 403
    assert httpx.post(f"{server.url}/console/instances", headers=foreign).status_code == 403
    websocket = POLLING.replace("polling", "websocket")
    assert httpx.get(f"{server.url}{websocket}", headers={**foreign, **UPGRADE}).status_code == 403


def test_its_own_page_does(server: ServerProcess) -> None:
    assert httpx.get(f"{server.url}{POLLING}", headers={"origin": server.url}).status_code == 200


def test_no_cookie_is_a_credential_of_the_api(server: ServerProcess) -> None:
    admin = server.credential
    with server.client() as client:
        user = client.post(
            "/v1/users", {"username": "c", "role": "viewer", "account_id": client.get("/v1/me")["account_id"]}
        )
    made = httpx.post(f"{server.url}/v1/sessions", json={"username": "c", "password": user["password"]}).json()
    session = f"{made['session']['id']}:{made['token']}"
    for name in ("opencen_session", "authorization", "session"):
        assert httpx.get(f"{server.url}/v1/me", cookies={name: session}).status_code == 401
    assert admin.secret not in str(made)


def test_a_page_runs_its_own_scripts_and_no_others(server: ServerProcess) -> None:
    seen = set()
    for _ in range(2):
        page = httpx.get(f"{server.url}/console/login")
        policy = page.headers["content-security-policy"]
        (nonce,) = re.findall(r"script-src 'self' 'nonce-([\w-]{22})' 'unsafe-eval';", policy)
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert len(scripts) > 3
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        assert not re.search(r"<[^>]+ on\w+=", page.text)
        seen.add(nonce)
    assert len(seen) == 2


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_the_session_cookie_is_secure_over_https(scheme: str, secure: bool) -> None:
    console = SimpleNamespace(tickets=Tickets())
    scope = {
        "type": "http",
        "scheme": scheme,
        "method": "GET",
        "path": "/console/enter",
        "query_string": b"",
        "server": ("cen.example.net", 443),
        "headers": [(b"cookie", b"opencen_door=d")],
        "app": SimpleNamespace(state=SimpleNamespace(console=console)),
    }
    answer = login.enter(Request(scope), console.tickets.issue("d|ses-x:token"))
    cookie = next(value for name, value in answer.raw_headers if name == b"set-cookie" and b"ses-x" in value).lower()
    assert b"httponly" in cookie
    assert b"samesite=lax" in cookie
    assert (b"secure" in cookie) is secure
