"""CloudMonitor as scripts use it: the official SDKs read what a connection carries, in each direction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fake_gateway import FakeGateway
from opencen.client import Client
from sdk_clients import CoreClient, SdkClient, SdkRefusalError, Target, TeaClient
from servers import ServerProcess
from usage_batches import batch, tick

WEST, EAST = "us-west-1", "cn-hangzhou"
CLIENTS: dict[str, Callable[[Target], SdkClient]] = {
    "alibabacloud-cms20190101": TeaClient,
    "aliyun-python-sdk-cms": CoreClient,
}
MINUTES = 3
WEST_BPS, EAST_BPS = 4_000_000, 1_000_000
DROPS_A_SECOND = 3


@dataclass(frozen=True)
class Scenario:
    client: Client
    cen_id: str
    package_id: str


def make_scenario(client: Client) -> Scenario:
    """An instance with a network at each end and 10 Mbit/s between them."""
    cen_id = client.post("/v1/instances", {"name": "metrics"})["id"]
    for number, region_id in enumerate((WEST, EAST), 1):
        body = {"region_id": region_id, "cidr_blocks": [f"10.{number}.0.0/16"]}
        client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": client.post("/v1/networks", body)["id"]})
    areas = {"area_a_id": "China", "area_b_id": "North-America", "bandwidth_mbps": 20}
    package_id = client.post("/v1/bandwidth-packages", areas)["id"]
    client.request("PUT", f"/v1/bandwidth-packages/{package_id}/binding", body={"cen_id": cen_id})
    path = f"/v1/instances/{cen_id}/region-connections/{WEST}/{EAST}"
    client.request("PUT", path, body={"bandwidth_mbps": 10})
    return Scenario(client, cen_id, package_id)


@pytest.fixture(scope="module")
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    """The last minutes of a connection of 10 Mbit/s: what passed each way, and what the limit refused."""
    with server.client() as client:
        made = make_scenario(client)
        now_s = int(time.time())
        for region_id, peer_id, rate_bps in ((WEST, EAST, WEST_BPS), (EAST, WEST, EAST_BPS)):
            gateway = FakeGateway(server.url, client, region_id)
            row = (rate_bps // 8, rate_bps // 8_000, DROPS_A_SECOND, 0)
            for number in range(MINUTES):
                begin_s = now_s - now_s % 60 - (MINUTES - number) * 60
                ticks = [tick(begin_s + second + 1, 1, [row]) for second in range(60)]
                body = batch([(made.cen_id, peer_id)], ticks, sequence=number, boot_s=time.time())
                gateway.client.post("/v1/gateway/usage", body)
        yield made


@pytest.fixture(params=CLIENTS)
def sdk(request: pytest.FixtureRequest, server: ServerProcess) -> SdkClient:
    return CLIENTS[request.param](Target.of(server))


def ask(sdk: SdkClient, scenario: Scenario, metric: str, action: str = "DescribeMetricList", **more: Any) -> list[Any]:
    dimensions = {
        "cenId": scenario.cen_id,
        "geographicSpanId": "north-america_china",
        "localRegionId": WEST,
        "oppositeRegionId": EAST,
    }
    asked = {"Namespace": "acs_cen", "MetricName": metric, "Period": "60", "Dimensions": json.dumps(dimensions)}
    answer = sdk.call("cms", action, **(asked | more))
    assert (answer["Code"], answer["Success"], answer["Period"]) == ("200", True, "60")
    points: list[Any] = json.loads(answer["Datapoints"])
    return points


def test_outbound_rate_percent_and_drops_of_a_connection(sdk: SdkClient, scenario: Scenario) -> None:
    minutes_ago = str((int(time.time()) - 15 * 60) * 1_000)
    rates = ask(sdk, scenario, "InternetOutRateByConnectionRegion", StartTime=minutes_ago)
    assert [point["Value"] for point in rates] == [WEST_BPS] * MINUTES
    assert [point["timestamp"] % 60_000 for point in rates] == [0] * MINUTES
    assert rates[0]["cenId"] == scenario.cen_id
    back = json.dumps({"cenId": scenario.cen_id, "localRegionId": EAST, "oppositeRegionId": WEST})
    rates = ask(sdk, scenario, "InternetOutRateByConnectionRegion", Dimensions=back)
    assert [point["Value"] for point in rates] == [EAST_BPS] * MINUTES
    (last,) = ask(sdk, scenario, "InternetOutRateByConnectionRegion", "DescribeMetricLast")
    assert last["Value"] == WEST_BPS
    drops = ask(sdk, scenario, "InternetOutDropRateByConnectionRegion")
    assert [point["Average"] for point in drops] == [DROPS_A_SECOND] * MINUTES


def test_percent_is_of_what_was_set_at_the_time(sdk: SdkClient, scenario: Scenario) -> None:
    """The connection was set after all but the last of these minutes, which has just ended."""
    found = ask(sdk, scenario, "InternetOutRatePercentByConnectionRegion")
    assert [point["Value"] for point in found] in ([], [40.0])


def test_a_package_by_its_span(sdk: SdkClient, scenario: Scenario) -> None:
    span = json.dumps({"cenId": scenario.cen_id, "geographicSpanId": "north-america_china"})
    found = ask(sdk, scenario, "InternetOutRateByConnectionArea", Dimensions=span)
    assert {point["bandwidthPackageId"] for point in found} <= {scenario.package_id}


def test_long_lists_come_in_parts(sdk: SdkClient, scenario: Scenario) -> None:
    asked = {
        "Namespace": "acs_cen",
        "MetricName": "InternetOutRateByConnectionRegion",
        "Dimensions": json.dumps({"cenId": scenario.cen_id}),
        "Length": "4",
    }
    first = sdk.call("cms", "DescribeMetricList", **asked)
    rest = sdk.call("cms", "DescribeMetricList", **asked, NextToken=first["NextToken"])
    assert "NextToken" not in rest
    assert len(json.loads(first["Datapoints"])) == 4
    assert len(json.loads(rest["Datapoints"])) == 2 * MINUTES - 4


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"Namespace": "acs_ecs_dashboard"}, "ResourceNotFound"),
        ({"MetricName": "CPUUtilization"}, "ResourceNotFound"),
        ({"Period": "45"}, "ParameterInvalid"),
        ({"Dimensions": "{"}, "ParameterInvalid"),
        ({"StartTime": "yesterday"}, "ParameterInvalid"),
    ],
)
def test_what_makes_no_sense_is_refused(sdk: SdkClient, scenario: Scenario, wrong: dict[str, str], code: str) -> None:
    with pytest.raises(SdkRefusalError) as refused:
        ask(sdk, scenario, "InternetOutRateByConnectionRegion", **wrong)
    assert refused.value.code == code


def test_another_accounts_metrics_are_not_there(server: ServerProcess, scenario: Scenario) -> None:
    account_id = scenario.client.post("/v1/accounts", {"name": "metrics"})["id"]
    body = {"username": "metrics", "role": "viewer", "account_id": account_id}
    user = scenario.client.post("/v1/users", body)["user"]
    key = scenario.client.post("/v1/access-keys", {"user_id": user["id"], "name": "x"})
    stranger = TeaClient(Target(server.port, key["access_key"]["id"], key["access_key_secret"]))
    assert ask(stranger, scenario, "InternetOutRateByConnectionRegion") == []
