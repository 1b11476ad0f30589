"""Connections whose limit follows the traffic: what the API says of them, and how they give way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from fake_gateway import FakeGateway
from rest_scenario import REGIONS, Scenario, make_scenario, refusal
from servers import ServerProcess

HANGZHOU, SHANGHAI, SHENZHEN = (("us-west-1", region) for region in ("cn-hangzhou", "cn-shanghai", "cn-shenzhen"))
MBPS = 1_000_000


@pytest.fixture
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        yield make_scenario(client)


def automatic(scenario: Scenario, pair: tuple[str, str], minimum: int, most: int, weight: int = 1) -> dict[str, object]:
    body = {"bandwidth_mbps": minimum, "automatic": {"max_mbps": most, "weight": weight}}
    return dict(scenario.client.request("PUT", scenario.path(*pair), body=body))


def limits(scenario: Scenario) -> dict[str, int]:
    items = scenario.client.get("/v1/region-connections", cen_id=scenario.cen_id)["items"]
    return {item["region_a_id"]: item["limit_bps"] for item in items}


def test_an_automatic_connection_has_its_minimum_for_certain(scenario: Scenario) -> None:
    made = automatic(scenario, HANGZHOU, 4, 20, weight=2)
    assert (made["bandwidth_mbps"], made["automatic"]) == (4, {"max_mbps": 20, "weight": 2})
    assert scenario.package()["allocated_mbps"] == 4
    refused = refusal(scenario.set, *SHANGHAI, 17)
    assert (refused.code, refused.problem["fits_mbps"]) == ("BandwidthExceeded", 16)


def test_bounds_that_make_no_sense_are_refused(scenario: Scenario) -> None:
    assert "below its minimum, 8" in refusal(automatic, scenario, HANGZHOU, 8, 7).detail
    assert "from 1 to 100, not 0" in refusal(automatic, scenario, HANGZHOU, 8, 9, 0).detail


def test_set_again_without_bounds_it_is_manual(scenario: Scenario) -> None:
    automatic(scenario, HANGZHOU, 4, 20)
    assert scenario.set(*HANGZHOU, 6)["automatic"] is None
    assert limits(scenario) == {"cn-hangzhou": 6 * MBPS}


class Traffic:
    """Four gateways whose senders want so much; what passes is what the limit lets through."""

    def __init__(self, server: ServerProcess, scenario: Scenario) -> None:
        self.scenario = scenario
        self.wanted_bps: dict[str, float] = {}
        self.gateways = [
            FakeGateway(server.url, scenario.client, region_id, f"192.0.2.{number}")
            for number, region_id in enumerate(REGIONS, 1)
        ]
        for gateway in self.gateways:
            gateway.hello()

    def passes_bps(self, peer_region_id: str, limit_bps: int) -> float:
        return min(float(limit_bps), self.wanted_bps.get(peer_region_id, 0.0))

    def flow(self, until: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Report until the limits are so; at every step what the kernels hold fits the package."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for gateway in self.gateways:
                gateway.fetch()
                gateway.report(measured_bps=self.passes_bps if gateway.region_id == "us-west-1" else silent)
            told = [self.gateways[0].rate_bps(self.scenario.cen_id, region_id) for region_id in REGIONS[1:]]
            assert sum(told) <= 20 * MBPS + len(told) * 1000
            found = limits(self.scenario)
            if until(found):
                return found
            self.gateways[0].fetch(wait_s=0.3)
        raise AssertionError(f"the limits stayed {found}")

    def remove(self) -> None:
        for gateway in self.gateways:
            self.scenario.client.delete(f"/v1/gateways/{gateway.id}")


def silent(_peer: str, _limit: int) -> float:
    return 0.0


@pytest.fixture
def traffic(server: ServerProcess, scenario: Scenario) -> Iterator[Traffic]:
    made = Traffic(server, scenario)
    yield made
    made.remove()


def test_limits_follow_the_traffic_and_each_change_is_explained(scenario: Scenario, traffic: Traffic) -> None:
    for pair in (HANGZHOU, SHANGHAI, SHENZHEN):
        automatic(scenario, pair, 1, 20)
    traffic.wanted_bps = {"cn-hangzhou": 50 * MBPS}
    traffic.flow(lambda found: found["cn-hangzhou"] == 18 * MBPS)
    traffic.wanted_bps = {"cn-shanghai": 50 * MBPS, "cn-shenzhen": 50 * MBPS}
    found = traffic.flow(lambda found: found["cn-shanghai"] > 9 * MBPS and found["cn-shenzhen"] > 9 * MBPS)
    assert sum(found.values()) == 20 * MBPS
    decisions = scenario.client.get(f"/v1/instances/{scenario.cen_id}/decisions")["items"]
    assert any("is held back" in item["why"] and "idle at" in item["why"] for item in decisions)
    assert all(item["after_bps"] <= 20 * MBPS for item in decisions)


def test_what_is_set_by_hand_takes_its_room_at_once(scenario: Scenario, traffic: Traffic) -> None:
    for pair in (HANGZHOU, SHANGHAI):
        automatic(scenario, pair, 2, 20)
    traffic.wanted_bps = {"cn-hangzhou": 50 * MBPS}
    traffic.flow(lambda found: found["cn-hangzhou"] > 17 * MBPS)
    scenario.set(*SHENZHEN, 15)
    found = limits(scenario)
    assert found["cn-shenzhen"] == 15 * MBPS
    assert found["cn-hangzhou"] + found["cn-shanghai"] <= 5 * MBPS
    assert min(found["cn-hangzhou"], found["cn-shanghai"]) >= 2 * MBPS


def test_silent_meters_leave_the_last_good_limits(scenario: Scenario, traffic: Traffic) -> None:
    automatic(scenario, HANGZHOU, 2, 20)
    traffic.wanted_bps = {"cn-hangzhou": 50 * MBPS}
    before = traffic.flow(lambda found: found["cn-hangzhou"] == 20 * MBPS)
    time.sleep(4)  # longer than figures count as fresh
    assert limits(scenario) == before
