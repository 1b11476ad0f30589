"""A gateway's credential gets what its region needs, and nothing of anybody else's."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from access_table import GATEWAY, PUBLIC, REST
from cbn_server import Server, build_scenario, set_limit
from opencen.api.cbn.app import CbnEndpoint
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context

ROOT = ("AKROOT", "another-secret")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    context, _ = open_context(tmp_path, None)
    made = Server(CbnEndpoint(context), "", "", context)
    made.add_user("root", Role.ADMINISTRATOR)
    yield made
    assert made.problems() == []
    context.database.close()


def register(client: TestClient, region_id: str) -> str:
    """A gateway's credential, as a host that joins makes it."""
    token = client.request("POST", "/v1/join-tokens", json={"region_id": region_id}, auth=ROOT).json()["text"]
    secret = secrets.token_urlsafe(32)
    body = {"token": token, "credential_sha256": hashlib.sha256(secret.encode()).hexdigest()}
    made = client.request("POST", "/v1/gateway/join", json=body)
    assert made.is_success, made.text
    return f"{made.json()['gateway_id']}:{secret}"


def ask(client: TestClient, bearer: str, method: str, path: str, body: Any = None) -> Any:
    return client.request(method, f"/v1{path}", json=body, headers={"authorization": f"Bearer {bearer}"})


def test_a_gateway_is_told_of_the_instances_in_its_region_and_no_others(server: Server) -> None:
    mine, theirs = server.add_user("mine", Role.OPERATOR), server.add_user("theirs", Role.OPERATOR, own_account=True)
    here = build_scenario(mine, ("us-west-1", "cn-hangzhou"))
    elsewhere = build_scenario(theirs, ("cn-shanghai", "cn-shenzhen"))
    mine.ok("SetCenInterRegionBandwidthLimit", **set_limit(here.cen_id, "us-west-1", "cn-hangzhou", 2))
    with TestClient(make_app(server.context)) as client:
        told = ask(client, register(client, "us-west-1"), "GET", "/gateway/state?wait_s=0")
        assert told.status_code == 200, told.text
        document = told.json()
        assert [item["cen_id"] for item in document["instances"]] == [here.cen_id]
        said = json.dumps(document)
        for foreign in (elsewhere.cen_id, *elsewhere.vpc_ids.values(), "AKMINE", "AKTHEIRS"):
            assert foreign not in said
        nothing = ask(client, register(client, "eu-central-1"), "GET", "/gateway/state?wait_s=0").json()
        assert nothing["instances"] == []


def test_a_gateways_credential_opens_nothing_else(server: Server) -> None:
    with TestClient(make_app(server.context)) as client:
        bearer = register(client, "us-west-1")
        for row, (least, body) in REST.items():
            path, method = row.split(" ")
            if least in (GATEWAY, PUBLIC):
                continue
            filled = re.sub(r"\{\w+\}", "1", path)
            assert ask(client, bearer, method, filled, body).status_code == 401, row


def test_a_gateway_cannot_speak_for_an_instance_that_is_not_in_its_region(server: Server) -> None:
    theirs = server.add_user("theirs", Role.OPERATOR, own_account=True)
    elsewhere = build_scenario(theirs, ("us-west-1", "cn-hangzhou"))
    theirs.ok("SetCenInterRegionBandwidthLimit", **set_limit(elsewhere.cen_id, "us-west-1", "cn-hangzhou", 2))
    with TestClient(make_app(server.context)) as client:
        register(client, "us-west-1")
        stranger = register(client, "cn-shenzhen")
        link = {"peer_region_id": "us-west-1", "in_kernel_bps": 2_000_000}
        report = {"applied_revision": 1 << 40, "repairs": 0, "instances": []}
        report["instances"] = [{"cen_id": elsewhere.cen_id, "revision": 1 << 40, "removed": False, "links": [link]}]
        pair = f"/v1/instances/{elsewhere.cen_id}/region-connections/us-west-1/cn-hangzhou"
        before = client.request("GET", pair, auth=("AKTHEIRS", "another-secret")).json()
        ask(client, stranger, "POST", "/gateway/report", report)
        after = client.request("GET", pair, auth=("AKTHEIRS", "another-secret")).json()
        assert after == before
        assert {side["in_kernel_bps"] for side in after["sides"]} == {None}
