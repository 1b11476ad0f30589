"""At which interface of a gateway a network is: an administrator says it, the gateway is told, and says what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fake_gateway import FakeGateway
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess, running_server

VLAN = {"interface": "eth1", "kind": "vlan", "vlan_id": 100, "address": "10.1.0.1/24"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def scenario(fresh: ServerProcess) -> Iterator[Scenario]:
    with fresh.client() as client:
        yield make_scenario(client)


@pytest.fixture(scope="module")
def gateway(fresh: ServerProcess, scenario: Scenario) -> FakeGateway:
    made = FakeGateway(fresh.url, scenario.client, "us-west-1")
    made.hello()
    made.obey()
    return made


def path(scenario: Scenario, gateway: FakeGateway, region_id: str = "us-west-1") -> str:
    return f"/v1/networks/{scenario.network_ids[region_id]}/interfaces/{gateway.id}"


def told(gateway: FakeGateway, scenario: Scenario) -> object:
    gateway.fetch()
    return gateway.instances[scenario.cen_id]["networks"][0]["interface"]


def test_what_is_declared_reaches_the_gateway_and_is_taken_back(scenario: Scenario, gateway: FakeGateway) -> None:
    behind = {"prefixes": [{"cidr_block": "10.1.8.0/24", "next_hop": "10.1.0.254"}]}
    made = scenario.client.request("PUT", path(scenario, gateway), body=VLAN | behind)
    assert made["interface"] == VLAN | behind
    assert told(gateway, scenario) == VLAN | behind
    listed = scenario.client.get(f"/v1/networks/{scenario.network_ids['us-west-1']}/interfaces")["items"]
    assert [item["gateway_id"] for item in listed] == [gateway.id]
    scenario.client.delete(path(scenario, gateway))
    assert told(gateway, scenario) is None
    assert refusal(scenario.client.delete, path(scenario, gateway)).status == 404


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"address": "10.9.0.1/24"}, "10.9.0.1/24 is not within 10.1.0.0/16"),
        ({"vlan_id": None}, "vlan_id belongs to kind vlan"),
        ({"interface": "to-x"}, "is no usable name"),
        ({"prefixes": [{"cidr_block": "10.9.0.0/24", "next_hop": "10.1.0.9"}]}, "other regions would not find it"),
        ({"prefixes": [{"cidr_block": "10.1.8.0/24", "next_hop": "10.1.9.9"}]}, "nothing leads to it"),
        ({"vlan": 3}, "vlan"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value(
    scenario: Scenario, gateway: FakeGateway, change: dict[str, object], complaint: str
) -> None:
    refused = refusal(scenario.client.request, "PUT", path(scenario, gateway), body=VLAN | change)
    assert refused.status in (400, 422)
    assert complaint in str(refused)


def test_a_network_is_bound_only_in_its_own_region(scenario: Scenario, gateway: FakeGateway) -> None:
    body = {"interface": "eth1", "address": "10.2.0.1/24"}
    refused = refusal(scenario.client.request, "PUT", path(scenario, gateway, "cn-hangzhou"), body=body)
    assert f"gateway {gateway.id} is in us-west-1" in str(refused)


def test_what_the_gateway_says_of_the_interface_shows_at_the_attachment(
    scenario: Scenario, gateway: FakeGateway
) -> None:
    gateway.fetch()
    reason = "this kernel lacks VLANs (8021q): modprobe 8021q"
    network = {"network_id": scenario.network_ids["us-west-1"], "carried": False, "interface": "eth1 VLAN 100"}
    revision = gateway.instances[scenario.cen_id]["revision"]
    said = {"cen_id": scenario.cen_id, "revision": revision, "networks": [network | {"reason": reason}], "links": []}
    gateway.say([said])
    items = scenario.client.get(f"/v1/instances/{scenario.cen_id}/attachments", region_id="us-west-1")["items"]
    assert [(i["carried"], i["interface"], i["reason"]) for i in items] == [(False, "eth1 VLAN 100", reason)]


def test_drift_is_counted_once_however_often_it_is_reported(scenario: Scenario, gateway: FakeGateway) -> None:
    scenario.set("us-west-1", "cn-hangzhou", 5)
    gateway.obey()
    event = {"at": "2026-01-02T03:04:05Z", "cen_id": scenario.cen_id, "part": "cn-hangzhou", "found": "no queues"}
    for ids in (["a"], ["a", "b"], ["b"]):
        gateway.say([], drift=[event | {"id": event_id} for event_id in ids])
    shown = scenario.client.get(f"/v1/gateways/{gateway.id}/drift")
    assert [(item["part"], item["found"]) for item in shown["items"]] == [("cn-hangzhou", "no queues")] * 2
    assert scenario.client.get(f"/v1/gateways/{gateway.id}")["drift_count"] == 2
    connection = scenario.client.get(scenario.path("us-west-1", "cn-hangzhou"))
    assert {side["region_id"]: side["drift_count"] for side in connection["sides"]} == {
        "us-west-1": 2,
        "cn-hangzhou": 0,
    }
