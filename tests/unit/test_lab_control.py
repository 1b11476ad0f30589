"""What a lab asks of the control plane: it makes what is missing and leaves the rest alone."""

from __future__ import annotations

import itertools
import re
from hashlib import sha256
from typing import Any, cast

import pytest

from opencen.client import ApiError, Client
from opencen.lab.control import common_instance, ensure_scenario, everything, joined, not_ready, set_rate_bps
from opencen.lab.errors import LabError
from opencen.lab.topology import default_topology

Item = dict[str, Any]
LISTS = ("regions", "networks", "instances", "bandwidth-packages", "gateways", "region-connections", "encryption")


class ControlPlane:
    """A stand-in for the REST API: lists of items, one item a page so that paging is always exercised."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Item]] = {name: [] for name in LISTS}
        self.lists["regions"] = [{"id": region.id} for region in default_topology().regions]
        self.changes: list[str] = []
        self._numbers = itertools.count(1)

    def get(self, path: str, **params: Any) -> Any:
        if identifier := re.fullmatch(r"/v1/networks/(.+)", path):
            return next(item for item in self.lists["networks"] if item["id"] == identifier[1])
        if attachments := re.fullmatch(r"/v1/instances/(.+)/attachments", path):
            items = [item | {"network_id": item["id"]} for item in self.lists["networks"]]
            items = [item for item in items if item["cen_id"] == attachments[1]]
        else:
            items = self.lists[path.removeprefix("/v1/")]
        page: int = params["page"]
        return {"items": items[page - 1 : page], "total": len(items), "page": page, "page_size": 1}

    def post(self, path: str, body: Any = None) -> Any:
        self.changes.append(f"POST {path}")
        if path == "/v1/join-tokens":
            return {"text": body["region_id"]}
        if attached := re.fullmatch(r"/v1/instances/(.+)/attachments", path):
            if self._network(body["network_id"])["cen_id"]:
                raise ApiError(409, {"code": "NetworkAttached", "detail": f"{body['network_id']} is attached"})
            return self._network(body["network_id"]).update(cen_id=attached[1])
        if path == "/v1/gateway/join":
            gateway_id = f"gw-{next(self._numbers)}"
            item = {"id": gateway_id, "liveness": "absent", "region_id": body["token"], **body}
            self.lists["gateways"].append(item)
            return {"gateway_id": gateway_id}
        item = {"id": f"id-{next(self._numbers)}", "cen_id": None, **body}
        self.lists[path.removeprefix("/v1/")].append(item)
        return item

    def delete(self, path: str) -> None:
        gateways = self.lists["gateways"]
        gateways[:] = [item for item in gateways if item["id"] != path.removeprefix("/v1/gateways/")]

    def request(self, method: str, path: str, *, body: Any = None) -> None:
        self.changes.append(f"{method} {path}")
        if areas := re.fullmatch(r"/v1/encryption/(.+)/(.+)", path):
            self.lists["encryption"].append({"area_a_id": areas[1], "area_b_id": areas[2], **body})
            return
        package_id = path.split("/")[3]
        next(item for item in self.lists["bandwidth-packages"] if item["id"] == package_id).update(body)

    def _network(self, identifier: str) -> Item:
        return next(item for item in self.lists["networks"] if item["id"] == identifier)

    @property
    def client(self) -> Client:
        return cast("Client", self)


@pytest.fixture
def control_plane() -> ControlPlane:
    return ControlPlane()


def quiet(_: str) -> None:
    pass


def test_a_list_is_read_to_its_last_page(control_plane: ControlPlane) -> None:
    assert [item["id"] for item in everything(control_plane.client, "/v1/regions")] == [
        "us-west-1",
        "cn-hangzhou",
        "cn-shanghai",
        "cn-shenzhen",
    ]


def test_the_scenario_is_made_once_and_then_left_alone(control_plane: ControlPlane) -> None:
    said: list[str] = []
    ensure_scenario(control_plane.client, default_topology(), said.append)
    (instance,) = control_plane.lists["instances"]
    assert [network["cen_id"] for network in control_plane.lists["networks"]] == [instance["id"]] * 4
    (package,) = control_plane.lists["bandwidth-packages"]
    assert (package["bandwidth_mbps"], package["cen_id"]) == (20, instance["id"])
    assert any(line.startswith("made bandwidth package lab") for line in said)
    control_plane.changes.clear()
    ensure_scenario(control_plane.client, default_topology(), quiet)
    assert control_plane.changes == []


def test_a_region_that_the_server_does_not_know_is_added(control_plane: ControlPlane) -> None:
    del control_plane.lists["regions"][0]
    ensure_scenario(control_plane.client, default_topology(), quiet)
    added = control_plane.lists["regions"][-1]
    assert (added["id"], added["name"], added["area_id"]) == ("us-west-1", "US West 1", "North-America")


def test_a_network_attached_elsewhere_stays_there_and_this_is_said(control_plane: ControlPlane) -> None:
    ensure_scenario(control_plane.client, default_topology(), quiet)
    moved = control_plane.lists["networks"][0]
    moved["cen_id"] = "cen-other"
    said: list[str] = []
    ensure_scenario(control_plane.client, default_topology(), said.append)
    assert moved["cen_id"] == "cen-other"
    assert said == [f"left as it is: {moved['id']} is attached"]


def test_a_package_bound_elsewhere_is_not_taken_away(control_plane: ControlPlane) -> None:
    ensure_scenario(control_plane.client, default_topology(), quiet)
    control_plane.lists["bandwidth-packages"][0]["cen_id"] = "cen-other"
    ensure_scenario(control_plane.client, default_topology(), quiet)
    assert control_plane.lists["bandwidth-packages"][0]["cen_id"] == "cen-other"


def test_a_gateway_joins_once_and_its_kept_credential_is_used_again(control_plane: ControlPlane) -> None:
    client = control_plane.client
    gateway_id, secret = joined(client, "us-west-1", "opencen-us-west-1", set())
    assert secret
    assert control_plane.lists["gateways"][0]["credential_sha256"] == sha256(secret.encode()).hexdigest()
    assert joined(client, "us-west-1", "opencen-us-west-1", {gateway_id}) == (gateway_id, None)


def test_a_gateway_whose_credential_is_lost_is_replaced(control_plane: ControlPlane) -> None:
    first_id, _ = joined(control_plane.client, "us-west-1", "opencen-us-west-1", set())
    second_id, secret = joined(control_plane.client, "us-west-1", "opencen-us-west-1", {"gw-other"})
    assert secret
    assert second_id != first_id
    assert [item["id"] for item in control_plane.lists["gateways"]] == [second_id]


def test_a_region_with_somebody_elses_gateway_is_left_to_it(control_plane: ControlPlane) -> None:
    joined(control_plane.client, "us-west-1", "production", set())
    with pytest.raises(LabError, match=r"us-west-1 has the gateway gw-\d+ \(production\)"):
        joined(control_plane.client, "us-west-1", "opencen-us-west-1", set())


def test_what_is_set_is_read_from_the_pair_in_either_order(control_plane: ControlPlane) -> None:
    control_plane.lists["region-connections"] = [
        {"region_a_id": "cn-hangzhou", "region_b_id": "us-west-1", "bandwidth_mbps": 10}
    ]
    client = control_plane.client
    assert set_rate_bps(client, "cen-1", "us-west-1", "cn-hangzhou") == 10_000_000
    assert set_rate_bps(client, "cen-1", "cn-hangzhou", "us-west-1") == 10_000_000
    assert set_rate_bps(client, "cen-1", "us-west-1", "cn-shanghai") == 1_000


def test_networks_that_no_instance_joins_are_named(control_plane: ControlPlane) -> None:
    control_plane.lists["networks"] = [
        {"id": "vpc-1", "name": "one", "cen_id": "cen-1"},
        {"id": "vpc-2", "name": "two", "cen_id": "cen-1"},
        {"id": "vpc-3", "name": "three", "cen_id": None},
    ]
    assert common_instance(control_plane.client, "vpc-1", "vpc-2") == "cen-1"
    for other in ("vpc-1", "vpc-3"):
        with pytest.raises(LabError, match="three"):
            common_instance(control_plane.client, other, "vpc-3")


def test_what_is_waited_for_is_said_until_everything_is_carried(control_plane: ControlPlane) -> None:
    gateway: Item = {"id": "gw-1", "region_id": "us-west-1", "liveness": "absent"}
    network: Item = {
        "id": "vpc-1",
        "network_name": "one",
        "cen_id": "cen-1",
        "carried": False,
        "reason": "no interface",
    }
    control_plane.lists |= {"gateways": [gateway], "networks": [network]}

    def waited_for() -> list[str]:
        return not_ready(control_plane.client, {"gw-1"}, {"vpc-1"})

    assert waited_for() == [
        "the gateway of us-west-1 has not been heard from",
        "network one is not carried: no interface",
    ]
    gateway |= {"liveness": "live", "applied_revision": 1, "wanted_revision": 2}
    network["carried"] = True
    assert waited_for() == ["the gateway of us-west-1 has not followed yet"]
    gateway["applied_revision"] = 2
    assert waited_for() == []
