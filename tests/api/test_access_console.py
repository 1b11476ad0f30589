"""The access table, cell by cell: each console page for each kind of viewer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from access_table import CONSOLE, PUBLIC
from opencen.services.identities import hash_token
from opencen.store import identities, sessions
from opencen.store.database import Database
from opencen.store.sessions import SessionRow
from servers import ServerProcess
from test_access import _FILLED, RANK


@pytest.fixture(scope="module")
def cookies(server: ServerProcess) -> dict[str, tuple[str | None, int]]:
    """For each kind of viewer the session cookie, and the rank (0: nobody that is known)."""
    with server.client() as client:
        own_id = client.get("/v1/me")["account_id"]
        other_id = client.post("/v1/accounts", {"name": "others"})["id"]
        made = {
            "viewer": (_log_on(server, client, "viewer", own_id), 1),
            "operator": (_log_on(server, client, "operator", own_id), 2),
            "administrator": (_log_on(server, client, "administrator", own_id), 3),
            "other account's operator": (_log_on(server, client, "operator", other_id), 2),
        }
        revoked = _log_on(server, client, "operator", own_id)
        with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {revoked}"}) as leaving:
            assert leaving.delete("/v1/sessions/current").status_code == 204
    return {"anonymous": (None, 0), "revoked": (revoked, 0), "expired": (_expired(server), 0), **made}


def _log_on(server: ServerProcess, client: Any, role: str, account_id: str) -> str:
    name = f"{role}-{len(client.get('/v1/users')['items'])}"
    made = client.post("/v1/users", {"username": name, "role": role, "account_id": account_id})
    answer = httpx.post(f"{server.url}/v1/sessions", json={"username": name, "password": made["password"]}).json()
    return f"{answer['session']['id']}:{answer['token']}"


def _expired(server: ServerProcess) -> str:
    database = Database.sqlite(server.data)
    now = datetime.now(UTC)
    with database.write() as tx:
        user = identities.find_user(tx, "admin")
        assert user is not None
        yesterday = now - timedelta(days=1)
        token, account_id = hash_token("token"), user.account_id
        row = SessionRow("ses-old", user.id, token, yesterday, yesterday, None, "", account_id, "admin", user.role)
        sessions.add(tx, row)
    database.close()
    return "ses-old:token"


@pytest.fixture(scope="module")
def browser(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("path", CONSOLE)
def test_a_page_for_every_kind_of_viewer(
    browser: httpx.Client, server: ServerProcess, cookies: dict[str, tuple[str | None, int]], path: str
) -> None:
    with server.client() as client:
        instances = client.get("/v1/instances")["items"] or [client.post("/v1/instances", {"name": "secret-name"})]
    for name, (session, rank) in cookies.items():
        known = {"cen_id": instances[0]["id"], **_FILLED}
        filled = re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], "x-unknown"), path)  # noqa: B023
        headers = {"cookie": f"opencen_session={session}"} if session else {}
        answer = browser.get(f"/console{filled}", headers=headers)
        cell = f"{path} as {name}: {answer.status_code} {answer.headers.get('location')}"
        if CONSOLE[path] == PUBLIC:
            assert answer.status_code in (200, 303), cell
        elif rank == 0:
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/console/login"), cell
        elif rank < RANK[CONSOLE[path]]:
            assert answer.status_code == 403, cell
        else:
            gone = "x-unknown" in filled or "{region_id}" in path or (name.startswith("other") and "{cen_id}" in path)
            assert answer.status_code == (404 if gone else 200), cell
        if rank == 0 or name.startswith("other"):
            assert "secret-name" not in answer.text, cell
