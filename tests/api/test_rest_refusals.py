"""Every refused request: a stable code, the right HTTP status, the value at fault, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from opencen.client import Client, Credential
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess


@pytest.fixture(scope="module")
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        made = make_scenario(client)
        made.set("us-west-1", "cn-hangzhou", 16)
        yield made


@pytest.mark.parametrize(
    ("regions", "mbps", "status", "code", "said"),
    [
        (("us-west-1", "us-west-1"), 1, 400, "SameRegion", "us-west-1"),
        (("us-west-1", "nowhere-1"), 1, 400, "InvalidValue", "nowhere-1"),
        (("us-west-1", "eu-central-1"), 1, 409, "PackageNotBound", "Europe and North-America"),
        (("cn-shanghai", "cn-hangzhou"), 1, 409, "PackageNotBound", "China and China"),
        (("us-east-1", "cn-hangzhou"), 1, 409, "RegionWithoutNetwork", "us-east-1"),
        (("us-west-1", "cn-shanghai"), 0, 400, "InvalidBandwidth", "not 0"),
        (("us-west-1", "cn-shanghai"), -3, 400, "InvalidBandwidth", "not -3"),
        (("us-west-1", "cn-shanghai"), 1.5, 400, "InvalidValue", "1.5"),
        (("us-west-1", "cn-shanghai"), 2.0, 400, "InvalidValue", "2.0"),
        (("us-west-1", "cn-shanghai"), 10**12, 400, "InvalidBandwidth", "not 1000000000000"),
        (("us-west-1", "cn-shanghai"), "4", 400, "InvalidValue", "'4'"),
        (("us-west-1", "cn-shanghai"), True, 400, "InvalidValue", "bandwidth_mbps"),
        (("us-west-1", "cn-shanghai"), None, 400, "InvalidValue", "bandwidth_mbps"),
        (("us-west-1", "cn-shanghai"), 5, 409, "BandwidthExceeded", "20 Mbit/s bound, 16 allocated, 4 free, 5 asked"),
        (("us-west-1", "cn-hangzhou"), 21, 409, "BandwidthExceeded", "in place of 16; at most 20 would fit"),
    ],
)
def test_a_set_that_cannot_be(
    scenario: Scenario, regions: tuple[str, str], mbps: object, status: int, code: str, said: str
) -> None:
    before = scenario.connections(), scenario.package()
    error = refusal(scenario.set, *regions, mbps)
    assert (error.status, error.code) == (status, code)
    assert said in error.detail
    assert (scenario.connections(), scenario.package()) == before


def test_the_refusal_of_one_more_megabit_carries_all_the_numbers(scenario: Scenario) -> None:
    error = refusal(scenario.set, "us-west-1", "cn-shanghai", 5)
    numbers = {name: error.problem[name] for name in ("package_id", "bandwidth_mbps", "allocated_mbps", "free_mbps")}
    assert numbers == {
        "package_id": scenario.package_id,
        "bandwidth_mbps": 20,
        "allocated_mbps": 16,
        "free_mbps": 4,
    }
    assert error.problem["asked_mbps"] == 5
    assert error.problem["field"] == "bandwidth_mbps"


def test_a_package_that_carries_connections_is_neither_unbound_nor_deleted_nor_shrunk_below_them(
    scenario: Scenario,
) -> None:
    client, path = scenario.client, f"/v1/bandwidth-packages/{scenario.package_id}"
    before = scenario.package()
    unbound = refusal(client.delete, f"{path}/binding")
    assert (unbound.status, unbound.code) == (409, "PackageInUse")
    assert "16 of 20 Mbit/s" in unbound.detail
    assert "cn-hangzhou - us-west-1: 16" in unbound.detail
    deleted = refusal(client.delete, path)
    assert (deleted.status, deleted.code) == (409, "PackageInUse")
    shrunk = refusal(client.request, "PATCH", path, body={"bandwidth_mbps": 15})
    assert (shrunk.status, shrunk.code) == (409, "BandwidthExceeded")
    assert shrunk.problem["allocated_mbps"] == 16
    assert scenario.package() == before


def test_every_refusal_is_in_the_audit_log_with_its_numbers(scenario: Scenario) -> None:
    refusal(scenario.set, "us-west-1", "cn-shanghai", 5)
    event = scenario.client.get("/v1/audit", resource=scenario.cen_id)["items"][0]
    assert (event["outcome"], event["action"], event["actor"]) == ("refused", "connection.set", "admin")
    assert event["after"]["code"] == "BandwidthExceeded"
    assert event["after"]["asked_mbps"] == 5


def test_a_request_of_the_wrong_form_is_in_the_audit_log_too(scenario: Scenario) -> None:
    refusal(scenario.set, "us-west-1", "cn-shanghai", 1.5)
    event = scenario.client.get("/v1/audit", resource="/v1" + scenario.path("us-west-1", "cn-shanghai")[3:])["items"][0]
    assert (event["outcome"], event["after"]["code"], event["after"]["value"]) == ("refused", "InvalidValue", 1.5)


def test_what_is_in_use_is_not_deleted(scenario: Scenario) -> None:
    client = scenario.client
    assert refusal(client.delete, f"/v1/instances/{scenario.cen_id}").code == "NetworksAttached"
    network_id = scenario.network_ids["us-west-1"]
    assert refusal(client.delete, f"/v1/networks/{network_id}").code == "NetworkAttached"


def test_networks_of_an_instance_do_not_overlap_and_a_network_belongs_to_one_instance(scenario: Scenario) -> None:
    client = scenario.client
    body = {"name": "overlapping", "region_id": "us-east-1", "cidr_blocks": ["10.1.128.0/17"]}
    network_id = client.post("/v1/networks", body)["id"]
    overlap = refusal(client.post, f"/v1/instances/{scenario.cen_id}/attachments", {"network_id": network_id})
    assert (overlap.status, overlap.code) == (409, "OverlappingNetworks")
    assert "10.1.0.0/16" in overlap.detail
    other = client.post("/v1/instances", {"name": "other"})["id"]
    client.post(f"/v1/instances/{other}/attachments", {"network_id": network_id})
    twice = refusal(client.post, f"/v1/instances/{scenario.cen_id}/attachments", {"network_id": network_id})
    assert (twice.status, twice.code) == (409, "NetworkAttached")


def test_an_instance_has_one_package_per_pair_of_areas(scenario: Scenario) -> None:
    areas = {"area_a_id": "North-America", "area_b_id": "China", "bandwidth_mbps": 5}
    second = scenario.client.post("/v1/bandwidth-packages", areas)["id"]
    path = f"/v1/bandwidth-packages/{second}/binding"
    error = refusal(scenario.client.request, "PUT", path, body={"cen_id": scenario.cen_id})
    assert (error.status, error.code) == (409, "AreaPairTaken")
    assert scenario.package_id in error.detail


@pytest.mark.parametrize("cidr", ["10.0.0.0", "10.1.2.3/16", "fd00::/64", "300.0.0.0/8", "10.0.0.0/30", "", "text"])
def test_address_blocks_that_cannot_be(scenario: Scenario, cidr: str) -> None:
    body = {"name": "n", "region_id": "us-west-1", "cidr_blocks": [cidr]}
    error = refusal(scenario.client.post, "/v1/networks", body)
    assert (error.status, error.code, error.problem["field"]) == (400, "InvalidValue", "cidr_blocks")


def test_two_people_edit_the_same_connection_and_the_second_is_told_both_values(scenario: Scenario) -> None:
    path = scenario.path("us-west-1", "cn-hangzhou")
    seen = f'"{scenario.client.get(path)["version"]}"'
    scenario.set("us-west-1", "cn-hangzhou", 15, if_match=seen)
    late = refusal(scenario.set, "us-west-1", "cn-hangzhou", 12, if_match=seen)
    assert (late.status, late.code) == (412, "EditConflict")
    assert late.problem["current"]["bandwidth_mbps"] == 15
    assert late.problem["seen"]["version"] < late.problem["current"]["version"]
    gone = refusal(scenario.client.delete, path, if_match=seen)
    assert gone.status == 412
    scenario.set("us-west-1", "cn-hangzhou", 16)


def test_every_call_is_authenticated(server: ServerProcess) -> None:
    spec = httpx.get(f"{server.url}/v1/openapi.json").json()
    operations = [(path, verb) for path, verbs in spec["paths"].items() for verb in verbs]
    by_what_they_carry = {("/sessions", "post"), ("/gateway/join", "post")}
    assert len(operations) > 30
    assert by_what_they_carry <= set(operations)
    for path, verb in operations:
        if (path, verb) in by_what_they_carry:
            continue
        answer = httpx.request(verb, f"{server.url}/v1{path.replace('{', 'x').replace('}', '')}", json={})
        assert answer.status_code == 401, (verb, path)
        assert answer.json()["code"] == "Unauthenticated"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("credential", [Credential("nobody", "x"), Credential("OCENX", "")])
def test_unknown_keys_and_wrong_secrets_get_the_same_answer(server: ServerProcess, credential: Credential) -> None:
    wrong = Credential(server.credential.identifier, "wrong")
    answers = []
    for given in (credential, wrong):
        with Client(server.url, given) as client:
            error = refusal(client.get, "/v1/instances")
            answers.append((error.status, error.code, error.detail))
    assert answers[0] == answers[1]


def test_a_body_of_ten_megabytes_is_refused(server: ServerProcess) -> None:
    with server.client() as client:
        error = refusal(client.post, "/v1/instances", {"name": "x" * 10_000_000})
    assert (error.status, error.code) == (413, "BodyTooLarge")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"null", b'{"name": {}}', b'{"name": "a", "unknown": 1}'])
def test_a_body_of_another_form_is_refused(server: ServerProcess, body: bytes) -> None:
    auth = (server.credential.identifier, server.credential.secret)
    answer = httpx.post(
        f"{server.url}/v1/instances", content=body, auth=auth, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "InvalidValue"
