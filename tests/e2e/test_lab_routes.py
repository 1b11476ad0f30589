"""Publishing, withdrawing, attaching and detaching change what packets do: real gateways, real pings."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sdk_clients import Target, TeaClient
from test_scenario import EAST1, WEST, Scene, scene

__all__ = ["scene"]
pytestmark = [pytest.mark.netns, pytest.mark.timeout(200)]


def reaches(scene: Scene, expected: bool, within_s: float = 10.0) -> bool:
    """Whether pings between the two regions pass, or stop to pass, soon."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if scene.ping(WEST, EAST1, wait_s=1) is expected:
            return expected
    return not expected


def test_a_ping_passes_only_while_the_route_is_published_and_the_network_attached(scene: Scene) -> None:
    scene.only({(WEST, EAST1): 5})
    sdk = TeaClient(Target.of(scene.server))
    attached = sdk.call("cbn", "DescribeCenAttachedChildInstances", CenId=scene.cen_id, ChildInstanceRegionId=EAST1)
    (network,) = attached["ChildInstances"]["ChildInstance"]
    child: dict[str, Any] = {
        "CenId": scene.cen_id,
        "ChildInstanceId": network["ChildInstanceId"],
        "ChildInstanceType": "VPC",
        "ChildInstanceRegionId": EAST1,
    }
    table = {"ChildInstanceRouteTableId": "vtb-" + network["ChildInstanceId"].removeprefix("vpc-")}
    entries = sdk.call("cbn", "DescribePublishedRouteEntries", **child)["PublishedRouteEntries"]["PublishedRouteEntry"]
    (whole,) = [{**child, **table, "DestinationCidrBlock": entry["DestinationCidrBlock"]} for entry in entries]
    part = {**child, **table, "DestinationCidrBlock": "10.2.0.0/28"}
    assert reaches(scene, True)

    sdk.call("cbn", "WithdrawPublishedRouteEntries", **whole)
    assert not reaches(scene, False), "withdrawn, and still reached"
    scene.active((WEST, EAST1))
    sdk.call("cbn", "PublishRouteEntries", **part)
    assert reaches(scene, True), "a part of the network was published, and its host is not reached"
    sdk.call("cbn", "WithdrawPublishedRouteEntries", **part)
    assert not reaches(scene, False)
    sdk.call("cbn", "PublishRouteEntries", **whole)
    assert reaches(scene, True)

    sdk.call("cbn", "DetachCenChildInstance", **child)
    assert not reaches(scene, False), "detached, and still reached"
    sdk.call("cbn", "AttachCenChildInstance", **child)
    assert reaches(scene, True), "attached again, and not reached"
    scene.active((WEST, EAST1))
