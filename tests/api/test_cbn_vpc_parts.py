"""VSwitches, zones and route tables of VPCs, as far as CEN's clients look at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbn_server import VPC, Server, open_server

REGION = {"RegionId": "cn-hangzhou"}


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """On SQLite; for tests that ask for `database_url`, on both databases."""
    database_url = request.getfixturevalue("database_url") if "database_url" in request.fixturenames else None
    with open_server(tmp_path, database_url) as running:
        yield running
        assert running.problems() == []


@pytest.fixture
def vpc_id(server: Server) -> str:
    created: str = server.ok("CreateVpc", VPC, **REGION, CidrBlock="10.0.0.0/16")["VpcId"]
    return created


def _vswitch(vpc_id: str, **given: Any) -> dict[str, Any]:
    return {**REGION, "VpcId": vpc_id, "ZoneId": "cn-hangzhou-b", "CidrBlock": "10.0.1.0/24", **given}


@pytest.mark.usefixtures("database_url")
def test_a_vswitch_is_made_described_renamed_and_deleted(server: Server, vpc_id: str) -> None:
    tag = {"Tag_1_Key": "k", "Tag_1_Value": "v"}
    vswitch_id = server.ok("CreateVSwitch", VPC, **_vswitch(vpc_id, VSwitchName="a", **tag))["VSwitchId"]
    described = server.ok("DescribeVSwitchAttributes", VPC, VSwitchId=vswitch_id)
    assert described["Status"] == "Available"
    assert (described["CidrBlock"], described["AvailableIpAddressCount"]) == ("10.0.1.0/24", 252)
    assert (described["ZoneId"], described["VpcId"]) == ("cn-hangzhou-b", vpc_id)
    assert described["Tags"] == {"Tag": [{"Key": "k", "Value": "v"}]}
    server.ok("ModifyVSwitchAttribute", VPC, VSwitchId=vswitch_id, VSwitchName="b")
    for given in ({"VpcId": vpc_id}, {"VSwitchId": vswitch_id}, {"VSwitchName": "b"}, {"ZoneId": "cn-hangzhou-b"}):
        (found,) = server.ok("DescribeVSwitches", VPC, **REGION, **given)["VSwitches"]["VSwitch"]
        assert (found["VSwitchId"], found["VSwitchName"]) == (vswitch_id, "b")
    listed = server.ok("DescribeVpcs", VPC, **REGION)["Vpcs"]["Vpc"][0]
    assert listed["VSwitchIds"] == {"VSwitchId": [vswitch_id]}
    server.ok("DeleteVSwitch", VPC, VSwitchId=vswitch_id)
    assert server.refused("DescribeVSwitchAttributes", VPC, VSwitchId=vswitch_id) == ("InvalidVSwitchId.NotFound", 404)
    server.ok("DeleteVpc", VPC, VpcId=vpc_id)


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        ({"CidrBlock": "10.1.0.0/24"}, "InvalidCidrBlock.Malformed", 400),
        ({"CidrBlock": "10.0.0.0/30"}, "InvalidCidrBlock.Malformed", 400),
        ({"CidrBlock": "blue"}, "InvalidCidrBlock.Malformed", 400),
        ({"CidrBlock": "10.0.1.128/25"}, "InvalidCidrBlock.Overlapped", 400),
        ({"CidrBlock": "10.0.2.0/24", "ZoneId": "us-west-1a"}, "InvalidZoneId.NotFound", 404),
        ({"CidrBlock": "10.0.2.0/24", "VpcId": "vpc-none"}, "InvalidVpcId.NotFound", 404),
        ({"CidrBlock": "10.0.2.0/24", "RegionId": "us-west-1"}, "InvalidVpcId.NotFound", 404),
    ],
)
def test_a_vswitch_that_does_not_fit_is_refused(
    server: Server, vpc_id: str, given: dict[str, str], code: str, status: int
) -> None:
    server.ok("CreateVSwitch", VPC, **_vswitch(vpc_id))
    assert server.refused("CreateVSwitch", VPC, **_vswitch(vpc_id, **given)) == (code, status)


def test_a_vpc_with_vswitches_stays(server: Server, vpc_id: str) -> None:
    server.ok("CreateVSwitch", VPC, **_vswitch(vpc_id))
    assert server.refused("DeleteVpc", VPC, VpcId=vpc_id) == ("DependencyViolation.VSwitch", 400)
    assert server.refused("DeleteVpc", VPC, VpcId=vpc_id, DryRun="true") == ("DependencyViolation.VSwitch", 400)


def test_zones_of_a_region_are_ones_that_a_vswitch_can_have(server: Server, vpc_id: str) -> None:
    zones = server.ok("DescribeZones", VPC, **REGION)["Zones"]["Zone"]
    server.ok("CreateVSwitch", VPC, **_vswitch(vpc_id, ZoneId=zones[-1]["ZoneId"]))
    assert server.ok("DescribeZones", VPC, RegionId="us-west-1")["Zones"]["Zone"][0]["ZoneId"] == "us-west-1a"
    assert server.refused("DescribeZones", VPC, RegionId="moon") == ("InvalidRegionId.NotFound", 404)


def test_a_route_table_lists_its_vswitches(server: Server, vpc_id: str) -> None:
    vswitch_id = server.ok("CreateVSwitch", VPC, **_vswitch(vpc_id))["VSwitchId"]
    (listed,) = server.ok("DescribeRouteTableList", VPC, **REGION, VpcId=vpc_id)["RouterTableList"][
        "RouterTableListType"
    ]
    (table,) = server.ok("DescribeRouteTables", VPC, RouteTableId=listed["RouteTableId"])["RouteTables"]["RouteTable"]
    assert listed["VSwitchIds"] == table["VSwitchIds"] == {"VSwitchId": [vswitch_id]}
    assert [entry["DestinationCidrBlock"] for entry in table["RouteEntrys"]["RouteEntry"]] == ["10.0.1.0/24"]
