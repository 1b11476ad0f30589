"""Grants between accounts over REST: what one account lets another one's instance attach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from cbn_server import Server
from opencen.api.cbn.app import CbnEndpoint
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context

KEYS = {"mine": ("AKMINE", "another-secret"), "theirs": ("AKTHEIRS", "another-secret")}


class Rest:
    """The REST API in this process, for one account."""

    def __init__(self, client: TestClient, key: tuple[str, str]) -> None:
        self.client = client
        self.key = key

    def send(self, method: str, path: str, body: Any = None) -> Response:
        return self.client.request(method, f"/v1{path}", json=body, auth=self.key)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.send(method, path, body)
        return answer.status_code, answer.json()["code"]


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[tuple[Rest, Rest]]:
    """Two accounts: one that will have an instance, one that will have a network."""
    context, _ = open_context(tmp_path, None)
    server = Server(CbnEndpoint(context), "", "", context)
    server.add_user("mine", Role.ADMINISTRATOR)
    server.add_user("theirs", Role.ADMINISTRATOR, own_account=True)
    with TestClient(make_app(context)) as client:
        yield Rest(client, KEYS["mine"]), Rest(client, KEYS["theirs"])
    assert server.problems() == []
    context.database.close()


def test_a_network_is_granted_attached_detached_and_revoked(accounts: tuple[Rest, Rest]) -> None:
    mine, theirs = accounts
    cen_id = mine.ok("POST", "/instances", {"name": "joint"})["id"]
    body = {"region_id": "cn-hangzhou", "cidr_blocks": ["10.2.0.0/16"]}
    network_id = theirs.ok("POST", "/networks", body)["id"]
    attachments, grants = f"/instances/{cen_id}/attachments", f"/networks/{network_id}/grants"
    attach = {"network_id": network_id}

    assert mine.refused("POST", attachments, attach) == (404, "NotFound")
    assert mine.refused("POST", grants, {"cen_id": cen_id}) == (404, "NotFound")
    assert theirs.refused("POST", grants, {"cen_id": cen_id, "cen_account_number": 1}) == (404, "NotFound")
    granted = theirs.ok("POST", grants, {"cen_id": cen_id})
    assert theirs.refused("POST", grants, {"cen_id": cen_id}) == (409, "GrantExists")
    assert theirs.ok("GET", grants)["items"] == [granted]
    assert mine.ok("GET", f"/instances/{cen_id}/grants")["items"] == [granted]
    assert theirs.refused("GET", f"/instances/{cen_id}/grants") == (404, "NotFound")

    assert mine.ok("POST", attachments, attach)["network_id"] == network_id
    assert theirs.refused("DELETE", f"{grants}/{cen_id}") == (409, "NetworkAttached")
    theirs.ok("DELETE", f"{attachments}/{network_id}")
    assert mine.ok("GET", attachments)["items"] == []
    theirs.ok("DELETE", f"{grants}/{cen_id}")
    assert mine.refused("POST", attachments, attach) == (404, "NotFound")
    assert theirs.refused("DELETE", f"{grants}/{cen_id}") == (404, "NotFound")
