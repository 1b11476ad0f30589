"""Answers against the official SDK's own models: nothing that it does not know, and every field of its but these."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cbn_server import VPC, Scenario, Server, build_scenario, child, open_server, set_limit

LEFT_OUT = {
    "DescribeCenBandwidthPackages": {
        # Only a package with a pending renewal or resize has these; HasReservationData says "false".
        "ReservationActiveTime",
        "ReservationBandwidth",
        "ReservationInternetChargeType",
        "ReservationOrderType",
    },
    # Cloud services own no networks here.
    "DescribeCenAttachedChildInstances": {"ManagedService"},
    "DescribeCenAttachedChildInstanceAttribute": {"ManagedService"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with open_server(tmp_path_factory.mktemp("cbn-shapes")) as opened:
        yield opened


@pytest.fixture(scope="module")
def scenario(server: Server) -> Scenario:
    built = build_scenario(server)
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(built.cen_id, "us-west-1", "cn-hangzhou", 5))
    return built


def _fields(model: type[Any]) -> set[str]:
    return set(re.findall(r"result\['(\w+)'\]", inspect.getsource(model.to_map)))


def _unfilled(model: Any, document: Any) -> set[str]:
    """Fields of the SDK's model, at any depth, that `document` lacks."""
    missing = _fields(type(model)) - set(document)
    for value in vars(model).values():
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "to_map"):
                shown = inner.to_map()
                missing |= _unfilled(inner, shown)
    return missing


def _vswitch(scenario: Scenario) -> dict[str, str]:
    tag = {"Tag_1_Key": "k", "Tag_1_Value": "v"}
    return {"VpcId": scenario.vpc_ids["us-west-1"], "ZoneId": "us-west-1a", "CidrBlock": "10.1.1.0/24", **tag}


CALLS: list[tuple[str, str, Any]] = [
    ("cbn", "CreateCen", lambda s: {}),
    ("cbn", "ModifyCenAttribute", lambda s: {"CenId": s.cen_id, "Name": "n"}),
    ("cbn", "DescribeCens", lambda s: {"Filter_1_Key": "CenId", "Filter_1_Value_1": s.cen_id}),
    ("cbn", "DescribeCenAttachedChildInstances", lambda s: {"CenId": s.cen_id}),
    ("cbn", "DescribeCenAttachedChildInstanceAttribute",
     lambda s: child(s.cen_id, s.vpc_ids["us-west-1"], "us-west-1")),
    ("cbn", "DescribeChildInstanceRegions", lambda s: {}),
    ("cbn", "CreateCenBandwidthPackage",
     lambda s: {"GeographicRegionAId": "China", "GeographicRegionBId": "Europe", "Bandwidth": 2}),
    ("cbn", "DescribeCenBandwidthPackages",
     lambda s: {"Filter_1_Key": "CenBandwidthPackageId", "Filter_1_Value_1": s.package_id}),
    ("cbn", "ModifyCenBandwidthPackageAttribute", lambda s: {"CenBandwidthPackageId": s.package_id, "Name": "n"}),
    ("cbn", "SetCenInterRegionBandwidthLimit", lambda s: set_limit(s.cen_id, "us-west-1", "cn-hangzhou", 5)),
    ("cbn", "DescribeCenInterRegionBandwidthLimits", lambda s: {"CenId": s.cen_id}),
    ("cbn", "DescribeGeographicRegionMembership", lambda s: {"GeographicRegionId": "China"}),
    ("cbn", "DescribeCenGeographicSpans", lambda s: {}),
    ("cbn", "DescribeCenGeographicSpanRemainingBandwidth",
     lambda s: {"CenId": s.cen_id, "GeographicRegionAId": "China", "GeographicRegionBId": "North-America"}),
    ("vpc", "CreateVpc", lambda s: {"RegionId": "us-west-1", "CidrBlock": "10.200.0.0/16"}),
    ("vpc", "DescribeVpcs", lambda s: {"RegionId": "us-west-1", "VpcId": s.vpc_ids["us-west-1"]}),
    ("vpc", "DescribeVpcAttribute", lambda s: {"RegionId": "us-west-1", "VpcId": s.vpc_ids["us-west-1"]}),
    ("vpc", "DescribeRouteTableList", lambda s: {"RegionId": "us-west-1", "VpcId": s.vpc_ids["us-west-1"]}),
    ("vpc", "DescribeRegions", lambda s: {}),
    ("cbn", "TagResources",
     lambda s: {"ResourceType": "cen", "ResourceId_1": s.cen_id, "Tag_1_Key": "k", "Tag_1_Value": "v"}),
    ("cbn", "ListTagResources", lambda s: {"ResourceType": "cen", "ResourceId_1": s.cen_id}),
    ("cbn", "DescribeCens", lambda s: {"Tag_1_Key": "k", "Tag_1_Value": "v"}),
    ("cbn", "UntagResources", lambda s: {"ResourceType": "cen", "ResourceId_1": s.cen_id, "TagKey_1": "other"}),
    ("vpc", "CreateVSwitch", _vswitch),
    ("vpc", "DescribeVSwitches", lambda s: {"RegionId": "us-west-1"}),
    ("vpc", "DescribeVpcs", lambda s: {"RegionId": "us-west-1"}),
    ("vpc", "DescribeZones", lambda s: {"RegionId": "us-west-1"}),
    ("vpc", "DescribeRouteTables", lambda s: {"RouterId": f"vrt-{s.vpc_ids['us-west-1'].partition('-')[2]}"}),
    ("vpc", "ListTagResources", lambda s: {"ResourceType": "VSWITCH", "RegionId": "us-west-1"}),
]  # fmt: skip
MODELS = {"cbn": "alibabacloud_cbn20170912.models", "vpc": "alibabacloud_vpc20160428.models"}


@pytest.mark.parametrize(("product", "action", "parameters"), CALLS, ids=[action for _, action, _ in CALLS])
def test_an_answer_fills_the_sdks_model(
    server: Server, scenario: Scenario, product: str, action: str, parameters: Any
) -> None:
    version = {"version": VPC} if product == "vpc" else {}
    answer = server.ok(action, **version, **parameters(scenario))
    model = getattr(importlib.import_module(MODELS[product]), f"{action}ResponseBody")().from_map(answer)
    assert model.to_map() == answer
    assert _unfilled(model, answer) == LEFT_OUT.get(action, set())
