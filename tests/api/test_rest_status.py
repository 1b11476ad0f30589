"""Status tells the truth: Modifying until the gateways have it in their kernels, and what is said when they do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_gateway import FakeGateway
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess, running_server


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "data") as server:
        yield server


@pytest.fixture
def scenario(fresh: ServerProcess) -> Iterator[Scenario]:
    with fresh.client() as client:
        yield make_scenario(client)


@pytest.fixture
def gateways(fresh: ServerProcess, scenario: Scenario) -> dict[str, FakeGateway]:
    made = {
        region_id: FakeGateway(fresh.url, scenario.client, region_id, f"192.0.2.{number}")
        for number, region_id in enumerate(("us-west-1", "cn-hangzhou", "cn-shanghai"), 1)
    }
    for gateway in made.values():
        gateway.hello()
    for gateway in made.values():
        gateway.obey()
    return made


def test_active_only_when_both_kernels_have_it(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    west, hangzhou = gateways["us-west-1"], gateways["cn-hangzhou"]
    assert west.rate_bps(scenario.cen_id, "cn-hangzhou") == 1_000, "nothing is set: the connectivity-test rate"
    item = scenario.set("us-west-1", "cn-hangzhou", 10)
    assert (item["status"], item["enforcement"]) == ("Modifying", "pending")
    west.obey()
    assert west.rate_bps(scenario.cen_id, "cn-hangzhou") == 10_000_000
    item = scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))
    assert item["status"] == "Modifying"
    assert hangzhou.id in item["reasons"][0]
    hangzhou.obey()
    item = scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))
    assert (item["status"], item["enforcement"], item["reasons"]) == ("Active", "confirmed", [])


def test_an_acknowledgement_of_older_orders_does_not_make_newer_ones_active(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    """10 -> 5 -> 10: what was acknowledged for the first 10 says nothing of the second."""
    west, hangzhou = gateways["us-west-1"], gateways["cn-hangzhou"]
    scenario.set("us-west-1", "cn-hangzhou", 10)
    west.obey()
    hangzhou.obey()
    scenario.set("us-west-1", "cn-hangzhou", 5)
    item = scenario.set("us-west-1", "cn-hangzhou", 10)
    assert item["status"] == "Modifying"
    west.report()
    hangzhou.report()
    assert scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))["status"] == "Modifying"
    west.obey()
    hangzhou.obey()
    assert scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))["status"] == "Active"


def test_a_kernels_refusal_keeps_modifying_and_is_told(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    scenario.set("us-west-1", "cn-hangzhou", 10)
    gateways["us-west-1"].obey()
    gateways["cn-hangzhou"].fetch()
    gateways["cn-hangzhou"].report(error="htb: No such file or directory")
    item = scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))
    assert item["status"] == "Modifying"
    assert "htb: No such file or directory" in item["reasons"][0]


def test_a_region_without_a_gateway_is_not_waited_for_and_said_so(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    item = scenario.set("us-west-1", "cn-shenzhen", 4)
    assert (item["status"], item["enforcement"]) == ("Active", "none")
    assert "cn-shenzhen has no gateway" in item["reasons"][0]


def test_what_a_delete_frees_is_allocated_at_once_but_grows_on_the_wire_only_after_the_shrink(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    west, hangzhou, shanghai = gateways["us-west-1"], gateways["cn-hangzhou"], gateways["cn-shanghai"]
    scenario.set("us-west-1", "cn-hangzhou", 20)
    for gateway in gateways.values():
        gateway.obey()
    scenario.client.delete(scenario.path("us-west-1", "cn-hangzhou"))
    item = scenario.set("us-west-1", "cn-shanghai", 20)
    assert item["status"] == "Modifying"
    assert any("still holds 20 Mbit/s of cn-hangzhou - us-west-1" in reason for reason in item["reasons"])
    for gateway in (west, shanghai):
        gateway.obey()
    assert west.rate_bps(scenario.cen_id, "cn-hangzhou") == 1_000
    assert west.rate_bps(scenario.cen_id, "cn-shanghai") == 1_000, "cn-hangzhou may still send 20 Mbit/s"
    hangzhou.obey()
    west.obey()
    assert west.rate_bps(scenario.cen_id, "cn-shanghai") == 20_000_000
    shanghai.obey()
    assert scenario.client.get(scenario.path("us-west-1", "cn-shanghai"))["status"] == "Active"


def test_a_live_gateway_is_not_released_and_a_removed_one_holds_nothing(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    scenario.set("us-west-1", "cn-hangzhou", 20)
    for gateway in gateways.values():
        gateway.obey()
    scenario.client.delete(scenario.path("us-west-1", "cn-hangzhou"))
    gateways["us-west-1"].obey()
    scenario.set("us-west-1", "cn-shanghai", 20)
    hangzhou = gateways["cn-hangzhou"]
    error = refusal(scenario.client.post, f"/v1/gateways/{hangzhou.id}/release")
    assert (error.status, "alive" in error.detail) == (409, True)
    scenario.client.delete(f"/v1/gateways/{hangzhou.id}")
    gateways["us-west-1"].obey()
    assert gateways["us-west-1"].rate_bps(scenario.cen_id, "cn-shanghai") == 20_000_000
    assert refusal(hangzhou.client.get, "/v1/gateway/state", after=0, wait_s=0).status == 401


def test_a_waiting_gateway_is_woken_by_a_set_of_its_region_alone(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    hangzhou, shanghai = gateways["cn-hangzhou"], gateways["cn-shanghai"]
    told: dict[str, list[str]] = {}

    def wait(gateway: FakeGateway, wait_s: float) -> None:
        told[gateway.region_id] = [instance["cen_id"] for instance in gateway.fetch(wait_s)["instances"]]

    waiting = [
        threading.Thread(target=wait, args=(hangzhou, 20.0)),
        threading.Thread(target=wait, args=(shanghai, 1.0)),
    ]
    for thread in waiting:
        thread.start()
    scenario.set("us-west-1", "cn-hangzhou", 10)
    waiting[0].join(10)
    assert told["cn-hangzhou"] == [scenario.cen_id]
    waiting[1].join()
    assert told["cn-shanghai"] == []


def test_a_gateway_sees_and_says_only_what_is_of_its_region(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    hangzhou = gateways["cn-hangzhou"]
    scenario.set("us-west-1", "cn-shanghai", 5)
    state = hangzhou.client.get("/v1/gateway/state", after=0, wait_s=0)
    assert {network["name"].split("-", 2)[2] for network in state["instances"][0]["networks"]} == {"cn-hangzhou"}
    assert refusal(hangzhou.client.get, "/v1/region-connections").status == 401
    lie = {"cen_id": scenario.cen_id, "revision": 10**9, "links": [{"peer_region_id": "us-west-1", "in_kernel_bps": 5}]}
    gateways["cn-shanghai"].fetch()
    hangzhou.client.post("/v1/gateway/report", {"applied_revision": 10**9, "instances": [lie]})
    item = scenario.client.get(scenario.path("us-west-1", "cn-shanghai"))
    assert {side["in_kernel_bps"] for side in item["sides"]} == {1_000}


def test_detaching_a_regions_last_network_keeps_the_connection_and_its_share_marked(
    scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    scenario.set("us-west-1", "cn-hangzhou", 10)
    for gateway in gateways.values():
        gateway.obey()
    scenario.client.delete(f"/v1/instances/{scenario.cen_id}/attachments/{scenario.network_ids['cn-hangzhou']}")
    item = scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))
    assert (item["bandwidth_mbps"], item["enforcement"]) == (10, "none")
    assert "cn-hangzhou has no network attached" in item["reasons"][0]
    assert scenario.package()["allocated_mbps"] == 10
    gateways["cn-hangzhou"].obey()
    assert gateways["cn-hangzhou"].instances == {}


@pytest.mark.parametrize("endpoint", ["gateway.example", "192.0.2.300", "0.0.0.0", "224.0.0.1", ""])
def test_an_endpoint_that_is_no_address_is_refused_and_never_reaches_peers(
    scenario: Scenario, gateways: dict[str, FakeGateway], endpoint: str
) -> None:
    hangzhou = gateways["cn-hangzhou"]
    hangzhou.endpoint = endpoint
    error = refusal(hangzhou.hello)
    assert (error.status, error.code, error.problem["field"]) == (400, "InvalidValue", "endpoint")
    state = gateways["us-west-1"].client.get("/v1/gateway/state", after=0, wait_s=0)
    endpoints = {link["peer_region_id"]: link["peer_endpoint"] for link in state["instances"][0]["links"]}
    assert endpoints["cn-hangzhou"] == "192.0.2.2"
