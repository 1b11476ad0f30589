"""The classic operations, as a client sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cbn_server import CBN, HOST, VPC, Scenario, Server, attach, build_scenario, child, open_server, set_limit
from opencen.domain.nouns import Role

MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ")
SET = "SetCenInterRegionBandwidthLimit"
LIMITS = "DescribeCenInterRegionBandwidthLimits"
PACKAGES = "DescribeCenBandwidthPackages"
ATTACHED = "DescribeCenAttachedChildInstances"
ATTRIBUTE = "DescribeCenAttachedChildInstanceAttribute"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with open_server(tmp_path) as opened:
        yield opened
        assert opened.problems() == []


@pytest.fixture
def either_server(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    """On SQLite, and on PostgreSQL."""
    with open_server(tmp_path, database_url) as opened:
        yield opened
        assert opened.problems() == []


@pytest.fixture
def scenario(server: Server) -> Scenario:
    return build_scenario(server)


def limits_of(server: Server, cen_id: str) -> dict[tuple[str, str], int]:
    rows = server.ok(LIMITS, CenId=cen_id)["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
    return {(row["LocalRegionId"], row["OppositeRegionId"]): row["BandwidthLimit"] for row in rows}


def package_of(server: Server, package_id: str) -> dict:
    found = server.ok(PACKAGES, Filter_1_Key="CenBandwidthPackageId", Filter_1_Value_1=package_id)
    (package,) = found["CenBandwidthPackages"]["CenBandwidthPackage"]
    return package


def test_an_instance_is_described_with_every_field_that_clients_read(server: Server) -> None:
    cen_id = server.ok("CreateCen", Name="n 1/~*é", Description="x y/z*~é", ClientToken="tok", RegionId="cn-hangzhou")[
        "CenId"
    ]
    answer = server.ok("DescribeCens", Filter_1_Key="CenId", Filter_1_Value_1=cen_id)
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (1, 1, 10)
    (cen,) = answer["Cens"]["Cen"]
    assert MINUTE.fullmatch(cen.pop("CreationTime"))
    assert cen.pop("ResourceGroupId").startswith("rg-")
    assert cen == {
        "CenId": cen_id,
        "Name": "n 1/~*é",
        "Description": "x y/z*~é",
        "Status": "Active",
        "ProtectionLevel": "REDUCED",
        "Ipv6Level": "DISABLED",
        "CenBandwidthPackageIds": {"CenBandwidthPackageId": []},
        "Tags": {"Tag": []},
    }
    assert re.fullmatch(r"cen-[a-z0-9]{14,18}", cen_id)


def test_an_unknown_instance_in_a_filter_gives_an_empty_list(server: Server) -> None:
    answer = server.ok("DescribeCens", Filter_1_Key="CenId", Filter_1_Value_1="cen-nope")
    assert (answer["TotalCount"], answer["Cens"]) == (0, {"Cen": []})


def test_filters_are_alternatives_inside_and_conditions_between(server: Server) -> None:
    first = server.ok("CreateCen", Name="a")["CenId"]
    second = server.ok("CreateCen", Name="b")["CenId"]
    server.ok("CreateCen", Name="b")

    def found(**filters: str) -> list[str]:
        return [cen["CenId"] for cen in server.ok("DescribeCens", **filters)["Cens"]["Cen"]]

    assert found(Filter_1_Key="CenId", Filter_1_Value_1=first, Filter_1_Value_2=second) == [first, second]
    both = {"Filter_1_Key": "CenId", "Filter_1_Value_1": first, "Filter_1_Value_2": second}
    assert found(**both, Filter_2_Key="Name", Filter_2_Value_1="b") == [second]
    assert found(**both, Filter_2_Key="CenId", Filter_2_Value_1=first) == [first]
    assert found(Tag_1_Key="nobody", Tag_1_Value="has it") == []
    assert found(ResourceGroupId="rg-other") == []


def test_pages_are_cut_and_counted(server: Server) -> None:
    ids = [server.ok("CreateCen")["CenId"] for _ in range(5)]
    pages = [server.ok("DescribeCens", PageNumber=number, PageSize=2) for number in (1, 2, 3, 4)]
    assert [cen["CenId"] for page in pages for cen in page["Cens"]["Cen"]] == ids
    assert [page["TotalCount"] for page in pages] == [5] * 4


def test_an_instance_is_renamed(server: Server) -> None:
    cen_id = server.ok("CreateCen", Name="old", Description="d")["CenId"]
    server.ok("ModifyCenAttribute", CenId=cen_id, Name="new")
    (cen,) = server.ok("DescribeCens")["Cens"]["Cen"]
    assert (cen["Name"], cen["Description"]) == ("new", "d")


def test_a_vpc_is_created_described_and_deleted(server: Server) -> None:
    created = server.ok("CreateVpc", VPC, RegionId="us-west-1", VpcName="v", CidrBlock="10.1.0.0/16")
    vpc_id = created["VpcId"]
    assert set(created) == {"VpcId", "VRouterId", "RouteTableId", "ResourceGroupId", "RequestId"}
    attribute = server.ok("DescribeVpcAttribute", VPC, RegionId="us-west-1", VpcId=vpc_id)
    assert (attribute["Status"], attribute["CidrBlock"], attribute["VpcName"]) == ("Available", "10.1.0.0/16", "v")
    assert attribute["VRouterId"] == created["VRouterId"]
    listed = server.ok("DescribeVpcs", VPC, RegionId="us-west-1", VpcId=f"{vpc_id},vpc-other")
    (vpc,) = listed["Vpcs"]["Vpc"]
    assert vpc["RouterTableIds"] == {"RouterTableIds": [created["RouteTableId"]]}
    assert isinstance(vpc["OwnerId"], int)
    assert server.ok("DescribeVpcs", VPC, RegionId="cn-hangzhou")["TotalCount"] == 0
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1", IsDefault="true")["TotalCount"] == 0
    server.ok("ModifyVpcAttribute", VPC, VpcId=vpc_id, VpcName="w")
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1", VpcName="w")["TotalCount"] == 1
    server.ok("DeleteVpc", VPC, VpcId=vpc_id, RegionId="us-west-1")
    assert server.refused("DescribeVpcAttribute", VPC, RegionId="us-west-1", VpcId=vpc_id) == (
        "InvalidVpcId.NotFound",
        404,
    )


def test_a_vpc_without_a_block_gets_the_default_one(server: Server) -> None:
    vpc_id = server.ok("CreateVpc", VPC, RegionId="us-west-1")["VpcId"]
    attribute = server.ok("DescribeVpcAttribute", VPC, RegionId="us-west-1", VpcId=vpc_id)
    assert attribute["CidrBlock"] == "172.16.0.0/12"


def test_a_dry_run_says_that_it_would_work_and_changes_nothing(server: Server) -> None:
    assert server.refused("CreateVpc", VPC, RegionId="us-west-1", DryRun="true") == ("DryRunOperation", 400)
    bad_block = server.refused("CreateVpc", VPC, RegionId="us-west-1", CidrBlock="x", DryRun="true")
    assert bad_block == ("InvalidParameter", 400)
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1")["TotalCount"] == 0
    vpc_id = server.ok("CreateVpc", VPC, RegionId="us-west-1")["VpcId"]
    assert server.refused("DeleteVpc", VPC, VpcId=vpc_id, DryRun="true") == ("DryRunOperation", 400)
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1")["TotalCount"] == 1


def test_attaching_shows_on_the_instance_and_on_the_vpc(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    vpc_id = server.ok("CreateVpc", VPC, RegionId="us-west-1", VpcName="v", CidrBlock="10.1.0.0/16")["VpcId"]
    named = child(cen_id, vpc_id, "us-west-1")
    assert server.refused(ATTRIBUTE, **named) == ("ParameterInstanceId", 404)
    server.ok("AttachCenChildInstance", **named)
    (listed,) = server.ok(ATTACHED, CenId=cen_id)["ChildInstances"]["ChildInstance"]
    assert MINUTE.fullmatch(listed["ChildInstanceAttachTime"])
    assert {**listed, **named} == listed
    assert listed["Status"] == "Attached"
    attribute = server.ok(ATTRIBUTE, **named)
    assert attribute["ChildInstanceName"] == "v"
    assert attribute["ChildInstanceOwnerId"] == listed["ChildInstanceOwnerId"]
    assert attribute["ChildInstanceAttributes"]["CidrBlock"] == "10.1.0.0/16"
    assert server.ok(ATTACHED, CenId=cen_id, ChildInstanceRegionId="cn-hangzhou")["TotalCount"] == 0
    assert server.ok(ATTACHED, CenId=cen_id, ChildInstanceType="VBR")["TotalCount"] == 0
    vpc = server.ok("DescribeVpcAttribute", VPC, RegionId="us-west-1", VpcId=vpc_id)
    assert [cen["CenId"] for cen in vpc["AssociatedCens"]["AssociatedCen"]] == [cen_id]
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1")["Vpcs"]["Vpc"][0]["CenStatus"] == "Attached"
    server.ok("DetachCenChildInstance", **named, ChildInstanceOwnerId=listed["ChildInstanceOwnerId"])
    assert server.ok(ATTACHED, CenId=cen_id)["ChildInstances"] == {"ChildInstance": []}
    assert server.ok("DescribeVpcs", VPC, RegionId="us-west-1")["Vpcs"]["Vpc"][0]["CenStatus"] == ""


def test_a_package_is_described_with_the_types_that_clients_read(server: Server, scenario: Scenario) -> None:
    server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5))
    package = package_of(server, scenario.package_id)
    assert MINUTE.fullmatch(package.pop("CreationTime"))
    assert package.pop("ResourceGroupId").startswith("rg-")
    assert package == {
        "CenBandwidthPackageId": scenario.package_id,
        "Name": "",
        "Description": "",
        "Bandwidth": 20,
        "BandwidthPackageChargeType": "POSTPAY",
        "GeographicRegionAId": "china",
        "GeographicRegionBId": "north-america",
        "GeographicSpanId": "north-america_china",
        "IsCrossBorder": True,
        "Status": "InUse",
        "BusinessStatus": "Normal",
        "ExpiredTime": "2999-09-08T16:00Z",
        "HasReservationData": "false",
        "CenIds": {"CenId": [scenario.cen_id]},
        "OrginInterRegionBandwidthLimits": {
            "OrginInterRegionBandwidthLimit": [
                {
                    "LocalRegionId": "cn-hangzhou",
                    "OppositeRegionId": "us-west-1",
                    "GeographicSpanId": "north-america_china",
                    "BandwidthLimit": "5",
                }
            ]
        },
        "Tags": {"Tag": []},
    }


@pytest.mark.parametrize(("area_a", "area_b"), [("Asia-Pacific", "China"), ("china", "asia-pacific")])
def test_areas_may_be_written_either_way_and_china_is_answered_first(server: Server, area_a: str, area_b: str) -> None:
    created = server.ok(
        "CreateCenBandwidthPackage", GeographicRegionAId=area_a, GeographicRegionBId=area_b, Bandwidth=2
    )
    assert re.fullmatch(r"\d{12,}", created["CenBandwidthPackageOrderId"])
    package = package_of(server, created["CenBandwidthPackageId"])
    assert (package["GeographicRegionAId"], package["GeographicRegionBId"]) == ("china", "asia-pacific")
    assert (package["GeographicSpanId"], package["Status"]) == ("china_asia-pacific", "Idle")


def test_packages_are_filtered_by_all_keys_or_by_any(server: Server, scenario: Scenario) -> None:
    idle = server.ok(
        "CreateCenBandwidthPackage", GeographicRegionAId="Europe", GeographicRegionBId="Europe", Bandwidth=2, Name="eu"
    )["CenBandwidthPackageId"]

    def found(**filters: str) -> set[str]:
        rows = server.ok(PACKAGES, **filters)["CenBandwidthPackages"]["CenBandwidthPackage"]
        return {package["CenBandwidthPackageId"] for package in rows}

    used = scenario.package_id
    assert found(Filter_1_Key="Status", Filter_1_Value_1="Idle") == {idle}
    assert found(Filter_1_Key="Status", Filter_1_Value_1="InUse") == {used}
    assert found(Filter_1_Key="Status", Filter_1_Value_1="Lost") == set()
    assert found(Filter_1_Key="CenId", Filter_1_Value_1=scenario.cen_id) == {used}
    name_or_cen = {
        "Filter_1_Key": "Name", "Filter_1_Value_1": "eu", "Filter_2_Key": "CenId", "Filter_2_Value_1": scenario.cen_id,
    }  # fmt: skip
    assert found(**name_or_cen) == set()
    assert found(**name_or_cen, IsOrKey="true") == {idle, used}
    every_status = {"Filter_1_Key": "Status", "Filter_1_Value_1": "Idle", "Filter_1_Value_2": "InUse"}
    assert found(**every_status) == found(**every_status, IsOrKey="true") == {idle, used}
    assert found(**every_status, Filter_2_Key="Name", Filter_2_Value_1="eu") == {idle}


def test_a_prepaid_package_ends_after_its_period_and_cannot_be_released_before(server: Server) -> None:
    prepaid = {"GeographicRegionAId": "China", "GeographicRegionBId": "China", "Bandwidth": 2, "AutoPay": "True"}
    created = server.ok(
        "CreateCenBandwidthPackage", **prepaid, BandwidthPackageChargeType="PREPAY", Period=1, PricingCycle="Year"
    )
    package = package_of(server, created["CenBandwidthPackageId"])
    assert package["BandwidthPackageChargeType"] == "PREPAY"
    assert int(package["ExpiredTime"][:4]) == int(package["CreationTime"][:4]) + 1
    assert package["ExpiredTime"].endswith("T16:00Z")
    released = server.refused("DeleteCenBandwidthPackage", CenBandwidthPackageId=created["CenBandwidthPackageId"])
    assert released == ("Forbidden.Release", 403)


def test_a_package_is_renamed_and_resized(server: Server, scenario: Scenario) -> None:
    named = {"CenBandwidthPackageId": scenario.package_id}
    server.ok("ModifyCenBandwidthPackageAttribute", **named, Name="n", Description="d")
    server.ok("ModifyCenBandwidthPackageSpec", **named, Bandwidth=30)
    package = package_of(server, scenario.package_id)
    assert (package["Name"], package["Description"], package["Bandwidth"]) == ("n", "d", 30)


def test_limits_are_set_changed_and_removed(server: Server, scenario: Scenario) -> None:
    assert limits_of(server, scenario.cen_id) == {}
    assert set(server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 10))) == {"RequestId"}
    (row,) = server.ok(LIMITS, CenId=scenario.cen_id)["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
    assert row == {
        "CenId": scenario.cen_id,
        "LocalRegionId": "cn-hangzhou",
        "OppositeRegionId": "us-west-1",
        "GeographicSpanId": "north-america_china",
        "BandwidthLimit": 10,
        "BandwidthPackageId": scenario.package_id,
        "BandwidthType": "BandwidthPackage",
        "Status": "Active",
    }
    server.ok(SET, **set_limit(scenario.cen_id, "cn-hangzhou", "us-west-1", 8))
    server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-shanghai", 12))
    assert limits_of(server, scenario.cen_id) == {("cn-hangzhou", "us-west-1"): 8, ("cn-shanghai", "us-west-1"): 12}
    assert server.ok(LIMITS, TrRegionId="cn-shanghai")["TotalCount"] == 1
    assert server.ok(LIMITS, PageSize=1)["TotalCount"] == 2
    for _ in range(2):
        server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 0))
    assert limits_of(server, scenario.cen_id) == {("cn-shanghai", "us-west-1"): 12}


def test_a_sum_over_the_package_is_refused_with_its_numbers_and_changes_nothing(
    server: Server, scenario: Scenario
) -> None:
    server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 15))
    status, document = server.call(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-shanghai", 6))
    assert (status, document["Code"]) == (409, "InvalidOperation.BwpBandwidthExceeded")
    for said in (scenario.package_id, "20 Mbit/s", "15 allocated", "5 free", "6 asked"):
        assert said in document["Message"]
    assert limits_of(server, scenario.cen_id) == {("cn-hangzhou", "us-west-1"): 15}
    remaining = server.ok(
        "DescribeCenGeographicSpanRemainingBandwidth",
        CenId=scenario.cen_id,
        GeographicRegionAId="China",
        GeographicRegionBId="North-America",
    )
    assert remaining["RemainingBandwidth"] == 5
    shrunk = server.refused("ModifyCenBandwidthPackageSpec", CenBandwidthPackageId=scenario.package_id, Bandwidth=14)
    assert shrunk == ("InvalidOperation.BwpBandwidthExceeded", 409)


def test_everything_is_taken_down_in_order(either_server: Server) -> None:
    scenario = build_scenario(either_server)
    either_server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5))
    association = {"CenId": scenario.cen_id, "CenBandwidthPackageId": scenario.package_id}
    either_server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 0))
    either_server.ok("UnassociateCenBandwidthPackage", **association)
    package = package_of(either_server, scenario.package_id)
    assert (package["Status"], package["CenIds"]) == ("Idle", {"CenId": []})
    either_server.ok("DeleteCenBandwidthPackage", CenBandwidthPackageId=scenario.package_id)
    for region_id, vpc_id in scenario.vpc_ids.items():
        either_server.ok("DetachCenChildInstance", **child(scenario.cen_id, vpc_id, region_id))
        either_server.ok("DeleteVpc", VPC, VpcId=vpc_id)
    either_server.ok("DeleteCen", CenId=scenario.cen_id)
    assert either_server.ok("DescribeCens")["TotalCount"] == either_server.ok(PACKAGES)["TotalCount"] == 0


def test_a_region_that_loses_its_last_network_keeps_its_limit(server: Server, scenario: Scenario) -> None:
    server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5))
    server.ok("DetachCenChildInstance", **child(scenario.cen_id, scenario.vpc_ids["cn-hangzhou"], "cn-hangzhou"))
    assert limits_of(server, scenario.cen_id) == {("cn-hangzhou", "us-west-1"): 5}


def test_geography_is_described(server: Server) -> None:
    for written in ("North-America", "north-america"):
        members = server.ok("DescribeGeographicRegionMembership", GeographicRegionId=written)
        assert members["RegionIds"] == {"RegionId": [{"RegionId": "us-east-1"}, {"RegionId": "us-west-1"}]}
    assert server.ok("DescribeGeographicRegionMembership", GeographicRegionId="China", PageSize=5)["TotalCount"] == 13
    spans = server.ok("DescribeCenGeographicSpans", PageSize=50)
    ids = [span["GeographicSpanId"] for span in spans["GeographicSpanModels"]["GeographicSpanModel"]]
    assert spans["TotalCount"] == len(set(ids)) == 21
    assert {"china_china", "north-america_china", "china_asia-pacific", "asia-pacific_asia-pacific"} <= set(ids)
    assert server.ok("DescribeCenGeographicSpans", GeographicSpanId="europe_china")["TotalCount"] == 1
    regions = server.ok("DescribeChildInstanceRegions", ProductType="VPC", AcceptLanguage="en-US")["Regions"]["Region"]
    assert {"RegionId": "us-west-1", "LocalName": "US West 1 (Silicon Valley)"} in regions


def test_what_clients_call_around_cen_is_answered(server: Server) -> None:
    identity = server.ok("GetCallerIdentity", "2015-04-01")
    assert identity["Arn"] == f"acs:ram::{identity['AccountId']}:user/admin"
    endpoints = server.ok("DescribeEndpoints", "2015-06-12", Id="cn-hangzhou", ServiceCode="cbn", Type="openAPI")
    (endpoint,) = endpoints["Endpoints"]["Endpoint"]
    assert (endpoint["Endpoint"], endpoint["Id"]) == (HOST, "cn-hangzhou")
    assert server.ok("QueryAvailableInstances", "2017-12-14")["Data"]["InstanceList"] == []
    regions = server.ok("DescribeRegions", VPC)["Regions"]["Region"]
    assert {region["RegionEndpoint"] for region in regions} == {HOST}


def test_a_vpcs_route_table_is_found_by_each_of_its_ids(server: Server) -> None:
    created = server.ok("CreateVpc", VPC, RegionId="us-west-1")
    server.ok("CreateVpc", VPC, RegionId="us-west-1")
    for name in ("VpcId", "RouteTableId"):
        found = server.ok("DescribeRouteTableList", VPC, RegionId="us-west-1", **{name: created[name]})
        (table,) = found["RouterTableList"]["RouterTableListType"]
        assert (table["VpcId"], table["RouteTableId"]) == (created["VpcId"], created["RouteTableId"])
        assert (table["RouterId"], table["RouteTableType"]) == (created["VRouterId"], "System")
    assert server.ok("DescribeRouteTableList", VPC, RegionId="us-west-1")["TotalCount"] == 2
    assert server.ok("DescribeRouteTableList", VPC, RegionId="us-west-1", RouteTableType="Custom")["TotalCount"] == 0


def test_an_account_starts_with_one_resource_group_and_everything_is_in_it(server: Server) -> None:
    listed = server.ok("ListResourceGroups", "2020-03-31")
    (group,) = listed["ResourceGroups"]["ResourceGroup"]
    server.ok("CreateCen")
    assert server.ok("DescribeCens", ResourceGroupId=group["Id"])["TotalCount"] == 1
    detailed = server.ok("GetResourceGroup", "2020-03-31", ResourceGroupId=group["Id"])["ResourceGroup"]
    assert detailed.items() >= group.items()
    missing = server.refused("GetResourceGroup", "2020-03-31", ResourceGroupId="rg-nope")
    assert missing == ("EntityNotExists.ResourceGroup", 404)


def test_other_accounts_things_are_not_there(server: Server, scenario: Scenario) -> None:
    stranger = server.add_user("stranger", Role.ADMINISTRATOR, own_account=True)
    assert stranger.ok("DescribeCens")["TotalCount"] == 0
    assert stranger.ok(LIMITS)["TotalCount"] == 0
    assert stranger.refused("DeleteCen", CenId=scenario.cen_id) == ("ParameterCenInstanceId", 404)
    limit = set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 1)
    assert stranger.refused(SET, **limit) == ("ParameterCenInstanceId", 404)
    vpc_id = scenario.vpc_ids["us-west-1"]
    assert stranger.refused("DeleteVpc", VPC, VpcId=vpc_id) == ("InvalidVpcId.NotFound", 404)


def test_a_viewer_looks_and_does_not_change(server: Server, scenario: Scenario) -> None:
    viewer = server.add_user("viewer", Role.VIEWER)
    assert viewer.ok("DescribeCens")["TotalCount"] == 1
    limit = set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 1)
    assert viewer.refused(SET, **limit) == ("Forbidden.RAM", 403)


def test_changes_and_refusals_are_in_the_audit_log(server: Server, scenario: Scenario) -> None:
    server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5))
    server.refused(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-shanghai", 16))
    server.refused(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-shanghai", "much"))
    unreadable, exceeded, done = server.audit_events()[:3]
    assert unreadable[:2] == ("rpc.SetCenInterRegionBandwidthLimit", "refused")
    assert "'much'" in unreadable[2]["message"]
    assert exceeded[:2] == ("connection.set", "refused")
    assert (exceeded[2]["asked_mbps"], exceeded[2]["free_mbps"]) == (16, 15)
    assert done[:2] == ("connection.set", "done")


def test_a_nonce_is_refused_by_a_second_server_and_after_a_restart(
    either_server: Server, tmp_path: Path, database_url: str | None
) -> None:
    nonce = {"SignatureNonce": "only-once"}
    assert either_server.send("DescribeCens", nonce)[0] == 200
    with open_server(tmp_path, database_url) as second:
        again = replace(second, access_key_id=either_server.access_key_id, secret=either_server.secret)
        status, document = again.send("DescribeCens", nonce)
    assert (status, document["Code"]) == (400, "SignatureNonceUsed")


def test_networks_of_other_instances_may_overlap(server: Server) -> None:
    for _ in range(2):
        cen_id = server.ok("CreateCen")["CenId"]
        vpc_id = server.ok("CreateVpc", VPC, RegionId="us-west-1", CidrBlock="10.1.0.0/16")["VpcId"]
        attach(server, cen_id, vpc_id, "us-west-1")
    assert server.call("DescribeCens", CBN)[0] == 200


def test_any_text_is_kept_or_refused(either_server: Server) -> None:
    """PostgreSQL holds no NUL."""
    for text in ("\0", "a\0b", "\U0001f600", "\x85", "\ufdfa" * 10, "%00", "';--", "\\"):
        status, document = either_server.send("CreateCen", {"Name": text})
        named = {"Filter.1.Key": "Name", "Filter.1.Value.1": text}
        if status == 200:
            (cen,) = either_server.send("DescribeCens", named)[1]["Cens"]["Cen"]
            assert (cen["CenId"], cen["Name"]) == (document["CenId"], text)
        else:
            assert document["Code"] == "InvalidParameter"
            assert either_server.send("DescribeCens", named)[0] == 400
