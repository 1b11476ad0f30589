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
from usage_batches import batch, tick

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


def test_a_gateway_cannot_meter_an_instance_that_is_not_in_its_region(server: Server) -> None:
    """Neither as new traffic of somebody else, nor into the figures of a region that is not its own."""
    theirs = server.add_user("theirs", Role.OPERATOR, own_account=True)
    elsewhere = build_scenario(theirs, ("us-west-1", "cn-hangzhou"))
    theirs.ok("SetCenInterRegionBandwidthLimit", **set_limit(elsewhere.cen_id, "us-west-1", "cn-hangzhou", 2))
    with TestClient(make_app(server.context)) as client:
        passed = [tick(1_000, 10, [(5_000, 5, 0, 0)])]

        def metered(region_id: str) -> tuple[int, int]:
            links = [(elsewhere.cen_id, "us-west-1" if region_id != "us-west-1" else "cn-hangzhou")]
            body = batch(links, passed, sequence=1, boot_s=1_001, spool_id=region_id)
            taken = ask(client, register(client, region_id), "POST", "/gateway/usage", body)
            assert taken.status_code == 200, taken.text
            url = "/v1/usage/totals?by=instance&last_s=600"
            totals = client.request("GET", url, auth=("AKTHEIRS", "another-secret")).json()["items"]
            return len(totals), sum(item["sent_bytes"] for item in totals)

        assert metered("cn-shenzhen") == (0, 0)
        assert metered("us-west-1") == (1, 5_000), "the same, of a gateway that carries it, counts"


def test_a_gateway_is_handed_the_peer_keys_of_its_own_links_alone(server: Server) -> None:
    """Two tenants with encrypted links: a region in one of them hears nothing of the other's keys."""
    mine, theirs = server.add_user("mine", Role.OPERATOR), server.add_user("theirs", Role.OPERATOR, own_account=True)
    here = build_scenario(mine, ("us-west-1", "cn-hangzhou"))
    elsewhere = build_scenario(theirs, ("us-west-1", "cn-shenzhen"))
    mine.ok("SetCenInterRegionBandwidthLimit", **set_limit(here.cen_id, "us-west-1", "cn-hangzhou", 2))
    theirs.ok("SetCenInterRegionBandwidthLimit", **set_limit(elsewhere.cen_id, "us-west-1", "cn-shenzhen", 2))
    with TestClient(make_app(server.context)) as client:
        capabilities = {"kernel": "6", "leaf_queue": "bfifo", "encryption": "wireguard", "max_encrypted_links": "9"}
        bearers = {}
        for number, region_id in enumerate(("us-west-1", "cn-hangzhou", "cn-shenzhen"), 1):
            bearers[region_id] = register(client, region_id)
            body = {"agent_version": "0", "endpoint": f"192.0.2.{number}", "capabilities": capabilities}
            assert ask(client, bearers[region_id], "POST", "/gateway/hello", body).is_success
        for region_id, bearer in bearers.items():
            report_keys(client, bearer, region_id)
        told = ask(client, bearers["cn-hangzhou"], "GET", "/gateway/state?wait_s=0").json()
        assert [item["cen_id"] for item in told["instances"]] == [here.cen_id]
        assert [link["peer_region_id"] for link in told["instances"][0]["links"]] == ["us-west-1"]
        hub = ask(client, bearers["us-west-1"], "GET", "/gateway/state?wait_s=0").json()
        foreign = next(item["links"][0]["wireguard"] for item in hub["instances"] if item["cen_id"] == elsewhere.cen_id)
        foreign_keys = [foreign["tunnels"][0]["peer_public_key"], *(item["key"] for item in foreign["preshared_keys"])]
        assert len(foreign_keys) == 2, "there are keys of the other tenant that could be told"
        own = told["instances"][0]["links"][0]["wireguard"]
        assert own["tunnels"][0]["peer_public_key"] == f"us-west-1 {here.cen_id}"
        assert not any(key in json.dumps(told) for key in foreign_keys)


def report_keys(client: TestClient, bearer: str, region_id: str) -> None:
    """A public key for each link that the gateway is told of."""
    state = ask(client, bearer, "GET", "/gateway/state?wait_s=0").json()
    instances = [
        {
            "cen_id": item["cen_id"],
            "revision": item["revision"],
            "links": [
                {
                    "peer_region_id": link["peer_region_id"],
                    "in_kernel_bps": None,
                    "tunnels": [
                        {
                            "generation": 1,
                            "public_key": f"{region_id} {item['cen_id']}",
                            "port": 51_820,
                            "sends": False,
                            "preshared_key_id": None,
                        }
                    ],
                    "held_preshared_key_ids": [],
                }
                for link in item["links"]
            ],
        }
        for item in state["instances"]
    ]
    body = {"applied_revision": state["revision"], "instances": instances, "epoch": state["epoch"]}
    assert ask(client, bearer, "POST", "/gateway/report", body).is_success
