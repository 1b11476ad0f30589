"""Tags and resource groups, as clients set them, read them and search by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbn_server import VPC, Caller, Server, open_server
from opencen.domain.nouns import Role

GROUPS = "2020-03-31"


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """On SQLite; for tests that ask for `database_url`, on both databases."""
    database_url = request.getfixturevalue("database_url") if "database_url" in request.fixturenames else None
    with open_server(tmp_path, database_url) as running:
        yield running
        assert running.problems() == []


def _tags(key: str = "team", value: str = "net") -> dict[str, str]:
    return {"Tag_1_Key": key, "Tag_1_Value": value}


def _cens(server: Caller, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.ok("DescribeCens", **given)["Cens"]["Cen"]
    return found


def _listed(server: Caller, version: str = "2017-09-12", **given: Any) -> list[tuple[str, str, str]]:
    document = server.ok("ListTagResources", version, **given)
    return [(tag["ResourceId"], tag["TagKey"], tag["TagValue"]) for tag in document["TagResources"]["TagResource"]]


@pytest.mark.parametrize("spelling", ["cen", "Cen", "CEN"])
def test_a_tag_is_set_read_and_taken_off_in_every_spelling_of_the_type(server: Server, spelling: str) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    server.ok("TagResources", ResourceType=spelling, ResourceId_1=cen_id, **_tags())
    assert _listed(server, ResourceType=spelling, ResourceId_1=cen_id) == [(cen_id, "team", "net")]
    assert _cens(server)[0]["Tags"] == {"Tag": [{"Key": "team", "Value": "net"}]}
    server.ok("TagResources", ResourceType=spelling, ResourceId_1=cen_id, **_tags(value="ops"))
    assert _listed(server, ResourceType=spelling) == [(cen_id, "team", "ops")]
    server.ok("UntagResources", ResourceType=spelling, ResourceId_1=cen_id, TagKey_1="team")
    assert _listed(server, ResourceType=spelling) == []


@pytest.mark.usefixtures("database_url")
def test_everything_that_is_created_with_tags_has_them_and_is_found_by_them(server: Server) -> None:
    cen_id = server.ok("CreateCen", **_tags())["CenId"]
    server.ok("CreateCen", **_tags(value="ops"))
    server.ok("CreateCen")
    areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "Europe", "Bandwidth": 5}
    package_id = server.ok("CreateCenBandwidthPackage", **areas, **_tags())["CenBandwidthPackageId"]
    server.ok("CreateCenBandwidthPackage", **areas)
    where = {"RegionId": "cn-hangzhou"}
    vpc_id = server.ok("CreateVpc", VPC, CidrBlock="10.0.0.0/16", **where, **_tags())["VpcId"]
    server.ok("CreateVpc", VPC, CidrBlock="10.1.0.0/16", **where)
    assert [cen["CenId"] for cen in _cens(server, **_tags())] == [cen_id]
    assert len(_cens(server, Tag_1_Key="team")) == 2
    assert _cens(server, **_tags(), Tag_2_Key="other", Tag_2_Value="x") == []
    packages = server.ok("DescribeCenBandwidthPackages", **_tags())["CenBandwidthPackages"]["CenBandwidthPackage"]
    assert [(package["CenBandwidthPackageId"], package["Tags"]["Tag"]) for package in packages] == [
        (package_id, [{"Key": "team", "Value": "net"}])
    ]
    vpcs = server.ok("DescribeVpcs", VPC, **where, **_tags())["Vpcs"]["Vpc"]
    assert [(vpc["VpcId"], vpc["Tags"]["Tag"]) for vpc in vpcs] == [(vpc_id, [{"Key": "team", "Value": "net"}])]
    tagged = {"ResourceType": "VPC", "RegionId": "cn-hangzhou"}
    assert _listed(server, VPC, **tagged) == [(vpc_id, "team", "net")]


@pytest.mark.usefixtures("database_url")
def test_all_tags_come_off_at_once_and_go_with_the_thing(server: Server) -> None:
    cen_id = server.ok("CreateCen", **_tags(), Tag_2_Key="k", Tag_2_Value="")["CenId"]
    assert server.refused("UntagResources", ResourceType="cen", ResourceId_1=cen_id) == ("MissingParameter", 400)
    server.ok("UntagResources", ResourceType="cen", ResourceId_1=cen_id, All="true")
    assert _listed(server, ResourceType="cen") == []
    server.ok("TagResources", ResourceType="cen", ResourceId_1=cen_id, **_tags())
    server.ok("DeleteCen", CenId=cen_id)
    assert _listed(server, ResourceType="cen") == []


@pytest.mark.usefixtures("database_url")
def test_a_long_list_of_tags_is_read_page_by_page(server: Server) -> None:
    cen_ids = [server.ok("CreateCen", **_tags("a"), Tag_2_Key="b")["CenId"] for _ in range(3)]
    seen: list[tuple[str, str]] = []
    token = ""
    for _ in range(3):
        document = server.ok("ListTagResources", ResourceType="CEN", PageSize=2, NextToken=token)
        seen += [(tag["ResourceId"], tag["TagKey"]) for tag in document["TagResources"]["TagResource"]]
        token = document["NextToken"]
    assert token == ""
    assert sorted(seen) == sorted((cen_id, key) for cen_id in cen_ids for key in "ab")
    refused = server.refused("ListTagResources", ResourceType="CEN", NextToken="made-up")
    assert refused == ("InvalidParameter", 400)


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        ({"ResourceId_1": "cen-none", **_tags()}, "ParameterCenInstanceId", 404),
        ({**_tags("aliyun-x")}, "InvalidTagKey", 400),
        ({**_tags("x" * 129)}, "InvalidTagKey", 400),
        ({**_tags(value="x" * 129)}, "InvalidTagValue", 400),
        ({**_tags(), "Tag_2_Key": "team"}, "InvalidTagKey", 400),
        ({}, "MissingParameter", 400),
        ({**_tags(), "ResourceType": "Flower"}, "InvalidParameter", 400),
    ],
)
def test_a_wrong_tag_changes_nothing(server: Server, given: dict[str, str], code: str, status: int) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    parameters = {"ResourceType": "cen", "ResourceId_1": cen_id, **given}
    assert server.refused("TagResources", **parameters) == (code, status)
    assert _listed(server, ResourceType="cen") == []


def test_a_thing_has_at_most_20_tags(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    many = {f"Tag_{number}_Key": f"k{number}" for number in range(1, 21)}
    server.ok("TagResources", ResourceType="cen", ResourceId_1=cen_id, **many)
    refused = server.refused("TagResources", ResourceType="cen", ResourceId_1=cen_id, **_tags())
    assert refused == ("InvalidTagKey", 400)
    server.ok("TagResources", ResourceType="cen", ResourceId_1=cen_id, **_tags("k1", "new"))


def test_nobody_sees_or_tags_what_belongs_to_another_account(server: Server) -> None:
    cen_id = server.ok("CreateCen", **_tags())["CenId"]
    stranger = server.add_user("stranger", Role.ADMINISTRATOR, own_account=True)
    assert _listed(stranger, ResourceType="cen") == []
    refused = stranger.refused("TagResources", ResourceType="cen", ResourceId_1=cen_id, **_tags(value="mine"))
    assert refused == ("ParameterCenInstanceId", 404)
    viewer = server.add_user("viewer", Role.VIEWER)
    assert _listed(viewer, ResourceType="cen") == [(cen_id, "team", "net")]
    refused = viewer.refused("TagResources", ResourceType="cen", ResourceId_1=cen_id, **_tags())
    assert refused == ("Forbidden.RAM", 403)


@pytest.mark.usefixtures("database_url")
def test_things_are_made_in_a_group_moved_and_found_by_group(server: Server) -> None:
    (default,) = server.ok("ListResourceGroups", GROUPS)["ResourceGroups"]["ResourceGroup"]
    made = server.ok("CreateResourceGroup", GROUPS, Name="network", DisplayName="Network team")["ResourceGroup"]
    group_id = made["Id"]
    assert server.ok("GetResourceGroup", GROUPS, ResourceGroupId=group_id)["ResourceGroup"]["Status"] == "OK"
    inside = server.ok("CreateCen", ResourceGroupId=group_id)["CenId"]
    outside = server.ok("CreateCen")["CenId"]
    vpc = server.ok("CreateVpc", VPC, RegionId="cn-hangzhou", ResourceGroupId=group_id)
    assert vpc["ResourceGroupId"] == group_id
    assert [cen["CenId"] for cen in _cens(server, ResourceGroupId=group_id)] == [inside]
    assert [cen["CenId"] for cen in _cens(server, ResourceGroupId=default["Id"])] == [outside]
    refused = server.refused("DeleteResourceGroup", GROUPS, ResourceGroupId=group_id)
    assert refused == ("DeleteConflict.ResourceGroup.Resource", 409)
    move = {"ResourceType": "Cen", "ResourceId": inside, "NewResourceGroupId": default["Id"]}
    server.ok("MoveResourceGroup", **move, DryRun="true")
    assert _cens(server, ResourceGroupId=group_id) != []
    server.ok("MoveResourceGroup", **move)
    assert _cens(server, ResourceGroupId=group_id) == []
    server.ok("DeleteVpc", VPC, VpcId=vpc["VpcId"])
    server.ok("DeleteResourceGroup", GROUPS, ResourceGroupId=group_id)
    refused = server.refused("GetResourceGroup", GROUPS, ResourceGroupId=group_id)
    assert refused == ("EntityNotExists.ResourceGroup", 404)


def test_a_package_moves_between_groups(server: Server) -> None:
    group_id = server.ok("CreateResourceGroup", GROUPS, Name="money")["ResourceGroup"]["Id"]
    areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "Europe", "Bandwidth": 5}
    package_id = server.ok("CreateCenBandwidthPackage", **areas)["CenBandwidthPackageId"]
    move = {"ResourceType": "bandwidthpackage", "ResourceId": package_id, "NewResourceGroupId": group_id}
    server.ok("MoveResourceGroup", **move)
    found = server.ok("DescribeCenBandwidthPackages", ResourceGroupId=group_id)
    assert [item["ResourceGroupId"] for item in found["CenBandwidthPackages"]["CenBandwidthPackage"]] == [group_id]


@pytest.mark.parametrize(
    ("action", "version", "given", "code", "status"),
    [
        ("CreateCen", "2017-09-12", {"ResourceGroupId": "rg-none"}, "IllegalParam.ResourceGroupId", 400),
        ("CreateVpc", VPC, {"RegionId": "cn-hangzhou", "ResourceGroupId": "rg-none"},
         "InvalidResourceGroupId.NotFound", 400),
        ("CreateResourceGroup", GROUPS, {"Name": "default"}, "EntityAlreadyExists.ResourceGroup", 409),
        ("CreateResourceGroup", GROUPS, {"Name": "no blanks"}, "InvalidParameter.Name", 400),
        ("DeleteResourceGroup", GROUPS, {"ResourceGroupId": "rg-none"}, "EntityNotExists.ResourceGroup", 404),
    ],
)  # fmt: skip
def test_a_wrong_group_is_refused(
    server: Server, action: str, version: str, given: dict[str, str], code: str, status: int
) -> None:
    assert server.refused(action, version, **given) == (code, status)
