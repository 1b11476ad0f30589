"""The scenario of the README over the REST API: networks of four regions, one instance, 20 Mbit/s bound."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from opencen.client import ApiError, Client

REGIONS = ("us-west-1", "cn-hangzhou", "cn-shanghai", "cn-shenzhen")


@dataclass(frozen=True)
class Scenario:
    """Ids of what was made."""

    client: Client
    cen_id: str
    package_id: str
    network_ids: dict[str, str]

    def path(self, region_id: str, other_region_id: str) -> str:
        return f"/v1/instances/{self.cen_id}/region-connections/{region_id}/{other_region_id}"

    def set(self, region_id: str, other_region_id: str, mbps: object, **headers: Any) -> dict[str, Any]:
        body = {"bandwidth_mbps": mbps}
        return dict(self.client.request("PUT", self.path(region_id, other_region_id), body=body, **headers))

    def connections(self) -> dict[tuple[str, str], int]:
        items = self.client.get("/v1/region-connections", cen_id=self.cen_id)["items"]
        return {(item["region_a_id"], item["region_b_id"]): item["bandwidth_mbps"] for item in items}

    def package(self) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/bandwidth-packages/{self.package_id}"))


_numbers = itertools.count(1)


def make_scenario(client: Client, bandwidth_mbps: int = 20) -> Scenario:
    """Each call makes an instance of its own."""
    number = next(_numbers)
    cen_id = client.post("/v1/instances", {"name": f"scenario-{number}"})["id"]
    networks = {}
    for index, region_id in enumerate(REGIONS, 1):
        body = {"name": f"net-{number}-{region_id}", "region_id": region_id, "cidr_blocks": [f"10.{index}.0.0/16"]}
        networks[region_id] = client.post("/v1/networks", body)["id"]
        client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": networks[region_id]})
    areas = {"area_a_id": "China", "area_b_id": "North-America"}
    package_id = client.post("/v1/bandwidth-packages", areas | {"bandwidth_mbps": bandwidth_mbps})["id"]
    client.request("PUT", f"/v1/bandwidth-packages/{package_id}/binding", body={"cen_id": cen_id})
    return Scenario(client, cen_id, package_id, networks)


def refusal(call: Any, *arguments: Any, **options: Any) -> ApiError:
    """The refusal that a call ends with. Raises AssertionError when it is not refused."""
    try:
        answer = call(*arguments, **options)
    except ApiError as error:
        return error
    raise AssertionError(f"not refused: {answer}")
