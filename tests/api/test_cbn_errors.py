"""The error contract: one row each of operation, situation, code, HTTP status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cbn_server import VPC, Scenario, Server, attach, build_scenario, child, open_server, set_limit

SET = "SetCenInterRegionBandwidthLimit"
BUY = "CreateCenBandwidthPackage"
ASSOCIATE = "AssociateCenBandwidthPackage"
UNASSOCIATE = "UnassociateCenBandwidthPackage"
ATTACH = "AttachCenChildInstance"
DETACH = "DetachCenChildInstance"


@dataclass(frozen=True)
class Situation:
    """The scenario with 10 Mbit/s set between us-west-1 and cn-hangzhou, a second instance and two idle packages."""

    server: Server
    scenario: Scenario
    other_cen_id: str
    rival_package_id: str
    europe_package_id: str
    europe_vpc_id: str
    overlapping_vpc_id: str

    @property
    def cen_id(self) -> str:
        return self.scenario.cen_id

    def limit(self, local: str = "us-west-1", opposite: str = "cn-shanghai", value: object = 1, **more: object) -> dict:
        return {**set_limit(self.cen_id, local, opposite, value), **more}

    def association(self, package_id: str | None = None, cen_id: str | None = None) -> dict:
        return {
            "CenId": cen_id or self.cen_id,
            "CenBandwidthPackageId": package_id or self.scenario.package_id,
        }

    def us_child(self, **changed: str) -> dict:
        return {**child(self.cen_id, self.scenario.vpc_ids["us-west-1"], "us-west-1"), **changed}

    def package(self, **changed: object) -> dict:
        return {"GeographicRegionAId": "China", "GeographicRegionBId": "Europe", "Bandwidth": 2, **changed}


@pytest.fixture(scope="module")
def situation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situation]:
    directory: Path = tmp_path_factory.mktemp("cbn-errors")
    with open_server(directory) as server:
        scenario = build_scenario(server)
        server.ok(SET, **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 10))
        pair = {"GeographicRegionAId": "China", "GeographicRegionBId": "North-America", "Bandwidth": 2}
        europe = {"GeographicRegionAId": "Europe", "GeographicRegionBId": "Europe", "Bandwidth": 2}
        yield Situation(
            server,
            scenario,
            server.ok("CreateCen")["CenId"],
            server.ok(BUY, **pair)["CenBandwidthPackageId"],
            server.ok(BUY, **europe)["CenBandwidthPackageId"],
            server.ok("CreateVpc", VPC, RegionId="eu-west-1", CidrBlock="10.9.0.0/16")["VpcId"],
            server.ok("CreateVpc", VPC, RegionId="eu-west-1", CidrBlock="10.1.128.0/20")["VpcId"],
        )
        assert server.problems() == []


Parameters = Callable[[Situation], dict]
ROWS: list[tuple[str, str, Parameters, str, int]] = [
    (SET, "no instance named", lambda s: {**s.limit(), "CenId": ""}, "MissingParameter", 400),
    (SET, "unknown instance", lambda s: {**s.limit(), "CenId": "cen-nope"}, "ParameterCenInstanceId", 404),
    (SET, "same region twice", lambda s: s.limit("us-west-1", "us-west-1"), "ParameterIllegal.RegionId", 400),
    (SET, "unknown region", lambda s: s.limit("us-west-1", "mars-1"), "ParameterIllegal.RegionId", 400),
    (SET, "zero for an unknown region", lambda s: s.limit("us-west-1", "mars-1", 0), "ParameterIllegal.RegionId", 400),
    (SET, "zero for the same region", lambda s: s.limit("mars-1", "mars-1", 0), "ParameterIllegal.RegionId", 400),
    (SET, "no package of the areas", lambda s: s.limit("us-west-1", "eu-west-1"),
     "InvalidOperation.BwpForGeoSpanNotAssociated", 409),
    (SET, "another package than the bound one", lambda s: s.limit(BandwidthPackageId=s.rival_package_id),
     "InvalidOperation.BwpForGeoSpanNotAssociated", 409),
    (SET, "negative", lambda s: s.limit(value=-1), "ParameterIllegal.BandwidthLimit", 400),
    (SET, "fractional", lambda s: s.limit(value="1.5"), "ParameterIllegal.BandwidthLimit", 400),
    (SET, "text", lambda s: s.limit(value="ten"), "ParameterIllegal.BandwidthLimit", 400),
    (SET, "above 10,000", lambda s: s.limit(value=10_001), "ParameterIllegal.BandwidthLimit", 400),
    (SET, "huge", lambda s: s.limit(value=10**30), "ParameterIllegal.BandwidthLimit", 400),
    (SET, "missing value", lambda s: s.limit(value=""), "MissingParameter", 400),
    (SET, "no network in a region", lambda s: s.limit("us-west-1", "cn-shenzhen"),
     "InvalidOperation.NoChildInstanceEitherRegion", 400),
    (SET, "sum exceeded by one", lambda s: s.limit(value=11), "InvalidOperation.BwpBandwidthExceeded", 409),
    (SET, "wrong type of bandwidth", lambda s: s.limit(BandwidthType="DataTransfer"),
     "IllegalParam.BandwidthType", 400),
    ("DescribeCenInterRegionBandwidthLimits", "unknown instance", lambda s: {"CenId": "cen-nope"},
     "ParameterCenInstanceId", 404),
    ("DescribeCenInterRegionBandwidthLimits", "page too large", lambda s: {"PageSize": 51}, "InvalidParameter", 400),
    ("CreateCen", "name too long", lambda s: {"Name": "x" * 129}, "InvalidName", 400),
    ("CreateCen", "name is an address", lambda s: {"Name": "http://x"}, "InvalidName", 400),
    ("CreateCen", "description too long", lambda s: {"Description": "x" * 257}, "InvalidDescription", 400),
    ("CreateCen", "full protection", lambda s: {"ProtectionLevel": "FULL"}, "OperationUnsupported.CenFullLevel", 400),
    ("CreateCen", "unknown resource group", lambda s: {"ResourceGroupId": "rg-nope"},
     "IllegalParam.ResourceGroupId", 400),
    ("CreateCen", "reserved tag", lambda s: {"Tag_1_Key": "acs:x"}, "InvalidTagKey", 400),
    ("CreateCen", "tag without a key", lambda s: {"Tag_1_Value": "x"}, "MissingParameter", 400),
    ("CreateCen", "21 tags", lambda s: {f"Tag_{number}_Key": f"k{number}" for number in range(1, 22)},
     "InvalidTagKey", 400),
    ("CreateCen", "tag numbered zero", lambda s: {"Tag_0_Key": "x"}, "InvalidTagKey", 400),
    ("CreateCen", "long token", lambda s: {"ClientToken": "x" * 65}, "InvalidParameter", 400),
    ("ModifyCenAttribute", "long name", lambda s: {"CenId": s.cen_id, "Name": "x" * 129}, "InvalidName", 400),
    ("ModifyCenAttribute", "long description", lambda s: {"CenId": s.cen_id, "Description": "x" * 257},
     "InvalidDescription", 400),
    ("ModifyCenAttribute", "unknown instance", lambda s: {"CenId": "cen-nope"}, "ParameterCenInstanceId", 404),
    ("ModifyCenAttribute", "full protection", lambda s: {"CenId": s.cen_id, "ProtectionLevel": "FULL"},
     "InvalidOperation.EnhanceProtectionLevel", 400),
    ("DescribeCens", "unknown filter", lambda s: {"Filter_1_Key": "Colour"}, "FilterKey.NotSupport", 400),
    ("DeleteCen", "no instance", lambda s: {}, "MissingParameter", 400),
    ("DeleteCen", "unknown instance", lambda s: {"CenId": "cen-nope"}, "ParameterCenInstanceId", 404),
    ("DeleteCen", "networks attached", lambda s: {"CenId": s.cen_id},
     "InvalidOperation.AttachedChildInstanceExist", 409),
    (ATTACH, "attached already", lambda s: s.us_child(), "InvalidOperation.ChildInstanceAlreadyAttached", 409),
    (ATTACH, "attached to another", lambda s: s.us_child(CenId=s.other_cen_id),
     "InvalidOperation.ChildInstanceAlreadyAttached", 409),
    (ATTACH, "overlapping",
     lambda s: s.us_child(ChildInstanceId=s.overlapping_vpc_id, ChildInstanceRegionId="eu-west-1"),
     "InvalidOperation.ChildInstanceCidrConflict", 409),
    (ATTACH, "unknown network", lambda s: s.us_child(ChildInstanceId="vpc-nope"), "ParameterInstanceId", 404),
    (ATTACH, "unknown instance", lambda s: s.us_child(CenId="cen-nope"), "ParameterCenInstanceId", 404),
    (ATTACH, "another region", lambda s: s.us_child(ChildInstanceId=s.europe_vpc_id),
     "ParameterIllegal.ChildInstanceRegionId", 400),
    (ATTACH, "no type", lambda s: s.us_child(ChildInstanceType="X"), "ParameterIllegal.ChildInstanceType", 400),
    (ATTACH, "router", lambda s: s.us_child(ChildInstanceType="VBR"), "InstanceType.NotSupport", 400),
    (ATTACH, "another account's", lambda s: s.us_child(ChildInstanceOwnerId="42"),
     "Forbbiden.AttachChildInstanceAcrossUid", 409),
    (DETACH, "not attached", lambda s: s.us_child(ChildInstanceId=s.europe_vpc_id), "ParameterInstanceId", 404),
    (DETACH, "another instance's", lambda s: s.us_child(CenId=s.other_cen_id), "ParameterInstanceId", 404),
    (DETACH, "another region", lambda s: s.us_child(ChildInstanceRegionId="cn-hangzhou"), "ParameterInstanceId", 404),
    ("DescribeCenAttachedChildInstances", "unknown instance", lambda s: {"CenId": "cen-nope"},
     "ParameterCenInstanceId", 404),
    ("DescribeCenAttachedChildInstanceAttribute", "not attached", lambda s: s.us_child(ChildInstanceId="vpc-nope"),
     "ParameterInstanceId", 404),
    (BUY, "no bandwidth", lambda s: s.package(Bandwidth=""), "MissingParameter", 400),
    (BUY, "one megabit", lambda s: s.package(Bandwidth=1), "InvalidParameter", 400),
    (BUY, "above 10,000", lambda s: s.package(Bandwidth=10_001), "InvalidParameter", 400),
    (BUY, "text", lambda s: s.package(Bandwidth="much"), "InvalidParameter", 400),
    (BUY, "unknown area", lambda s: s.package(GeographicRegionAId="Atlantis"), "GeographicSpan.NotFound", 404),
    (BUY, "other charge type", lambda s: s.package(BandwidthPackageChargeType="FREE"), "UnSupported.ChargeType", 400),
    (BUY, "long name", lambda s: s.package(Name="x" * 129), "InvalidName", 400),
    (BUY, "13 months", lambda s: s.package(BandwidthPackageChargeType="PREPAY", Period=13), "InvalidParameter", 400),
    (BUY, "unknown resource group", lambda s: s.package(ResourceGroupId="rg-nope"),
     "IllegalParam.ResourceGroupId", 400),
    (BUY, "long value of a tag", lambda s: s.package(Tag_1_Key="k", Tag_1_Value="x" * 129), "InvalidTagValue", 400),
    ("ModifyCenBandwidthPackageAttribute", "long description",
     lambda s: {"CenBandwidthPackageId": s.rival_package_id, "Description": "x" * 257}, "InvalidDescription", 400),
    ("DescribeCenBandwidthPackages", "page 0", lambda s: {"PageNumber": 0}, "InvalidParameter", 400),
    ("DescribeCenBandwidthPackages", "unknown filter", lambda s: {"Filter_1_Key": "Colour", "Filter_1_Value_1": "red"},
     "FilterKey.NotSupport", 400),
    ("ModifyCenBandwidthPackageAttribute", "unknown package", lambda s: {"CenBandwidthPackageId": "cenbwp-nope"},
     "ParameterBwpInstanceId", 404),
    ("ModifyCenBandwidthPackageSpec", "below allocated",
     lambda s: {"CenBandwidthPackageId": s.scenario.package_id, "Bandwidth": 9},
     "InvalidOperation.BwpBandwidthExceeded", 409),
    ("ModifyCenBandwidthPackageSpec", "no change",
     lambda s: {"CenBandwidthPackageId": s.scenario.package_id, "Bandwidth": 20},
     "OperationFailed.UpDownRadeConfigNoChange", 400),
    ("ModifyCenBandwidthPackageSpec", "unknown package",
     lambda s: {"CenBandwidthPackageId": "cenbwp-nope", "Bandwidth": 9}, "ParameterBwpInstanceId", 404),
    (ASSOCIATE, "twice", lambda s: s.association(), "InvalidOperation.BwpInstanceStatus", 409),
    (ASSOCIATE, "pair of areas taken", lambda s: s.association(s.rival_package_id),
     "InvalidOperation.BwpForGeoSpanAlreadyAssociated", 409),
    (ASSOCIATE, "unknown package", lambda s: s.association("cenbwp-nope"), "ParameterBwpInstanceId", 404),
    (ASSOCIATE, "unknown instance", lambda s: s.association(s.rival_package_id, "cen-nope"),
     "ParameterCenInstanceId", 404),
    (UNASSOCIATE, "carries connections", lambda s: s.association(),
     "InvalidOperation.CenBandwidthLimitsNotZero", 409),
    (UNASSOCIATE, "not associated", lambda s: s.association(s.rival_package_id),
     "InvalidOperation.BwpInstanceStatus", 409),
    (UNASSOCIATE, "unknown package", lambda s: s.association("cenbwp-nope"), "ParameterBwpInstanceId", 404),
    ("DeleteCenBandwidthPackage", "carries connections",
     lambda s: {"CenBandwidthPackageId": s.scenario.package_id}, "InvalidOperation.CenBandwidthLimitsNotZero", 409),
    ("DeleteCenBandwidthPackage", "unknown package", lambda s: {"CenBandwidthPackageId": "cenbwp-nope"},
     "ParameterBwpInstanceId", 404),
    ("DescribeGeographicRegionMembership", "unknown area", lambda s: {"GeographicRegionId": "Atlantis"},
     "ParameterError", 400),
    ("DescribeCenGeographicSpanRemainingBandwidth", "unknown area",
     lambda s: {"CenId": s.cen_id, "GeographicRegionAId": "China", "GeographicRegionBId": "Atlantis"},
     "GeographicSpan.NotFound", 404),
    ("DescribeCenGeographicSpanRemainingBandwidth", "unknown instance",
     lambda s: {"CenId": "cen-nope", "GeographicRegionAId": "China", "GeographicRegionBId": "China"},
     "ParameterCenInstanceId", 404),
    ("DescribeChildInstanceRegions", "unknown type", lambda s: {"ProductType": "X"}, "InvalidParameter", 400),
    ("TagResources", "unknown instance",
     lambda s: {"ResourceType": "cen", "ResourceId_1": "cen-nope", "Tag_1_Key": "k"}, "ParameterCenInstanceId", 404),
    ("TagResources", "unknown package",
     lambda s: {"ResourceType": "BandwidthPackage", "ResourceId_1": "cenbwp-nope", "Tag_1_Key": "k"},
     "ParameterBwpInstanceId", 404),
    ("TagResources", "no tag", lambda s: {"ResourceType": "cen", "ResourceId_1": s.cen_id}, "MissingParameter", 400),
    ("TagResources", "no thing", lambda s: {"ResourceType": "cen", "Tag_1_Key": "k"}, "MissingParameter", 400),
    ("TagResources", "unknown type", lambda s: {"ResourceType": "X", "ResourceId_1": s.cen_id, "Tag_1_Key": "k"},
     "InvalidParameter", 400),
    ("UntagResources", "no key", lambda s: {"ResourceType": "cen", "ResourceId_1": s.cen_id}, "MissingParameter", 400),
    ("UntagResources", "unknown instance",
     lambda s: {"ResourceType": "cen", "ResourceId_1": "cen-nope", "All": "true"}, "ParameterCenInstanceId", 404),
    ("ListTagResources", "no type", lambda s: {}, "MissingParameter", 400),
    ("ListTagResources", "page too large", lambda s: {"ResourceType": "cen", "PageSize": 51}, "InvalidParameter", 400),
    ("ListTagResources", "made-up token", lambda s: {"ResourceType": "cen", "NextToken": "x"},
     "InvalidParameter", 400),
    ("MoveResourceGroup", "unknown group",
     lambda s: {"ResourceType": "cen", "ResourceId": s.cen_id, "NewResourceGroupId": "rg-nope"},
     "IllegalParam.ResourceGroupId", 400),
    ("MoveResourceGroup", "unknown group, only asked",
     lambda s: {"ResourceType": "cen", "ResourceId": s.cen_id, "NewResourceGroupId": "rg-nope", "DryRun": "true"},
     "IllegalParam.ResourceGroupId", 400),
    ("MoveResourceGroup", "unknown instance",
     lambda s: {"ResourceType": "cen", "ResourceId": "cen-nope", "NewResourceGroupId": "rg-nope"},
     "ParameterCenInstanceId", 404),
    ("MoveResourceGroup", "unknown type",
     lambda s: {"ResourceType": "X", "ResourceId": s.cen_id, "NewResourceGroupId": "rg-nope"},
     "InvalidParameter", 400),
    ("Vpc:TagResources", "unknown network",
     lambda s: {"ResourceType": "VPC", "ResourceId_1": "vpc-nope", "Tag_1_Key": "k"}, "InvalidVpcId.NotFound", 404),
    ("Vpc:TagResources", "unknown vSwitch",
     lambda s: {"ResourceType": "VSWITCH", "ResourceId_1": "vsw-nope", "Tag_1_Key": "k"},
     "InvalidVSwitchId.NotFound", 404),
    ("Vpc:MoveResourceGroup", "unknown group",
     lambda s: {"ResourceType": "vpc", "ResourceId": s.europe_vpc_id, "NewResourceGroupId": "rg-nope"},
     "InvalidResourceGroupId.NotFound", 400),
    ("Vpc:DeleteVSwitch", "unknown", lambda s: {"VSwitchId": "vsw-nope"}, "InvalidVSwitchId.NotFound", 404),
    ("Vpc:DescribeVSwitches", "unknown region", lambda s: {"RegionId": "mars-1"}, "InvalidRegionId.NotFound", 404),
    ("Vpc:DescribeVSwitchAttributes", "only asked", lambda s: {"VSwitchId": "vsw-nope", "DryRun": "true"},
     "InvalidVSwitchId.NotFound", 404),
    ("Vpc:CreateVSwitch", "no zone", lambda s: {"VpcId": s.europe_vpc_id, "CidrBlock": "10.9.1.0/24"},
     "MissingParameter", 400),
    ("Vpc:CreateVSwitch", "IPv6",
     lambda s: {"VpcId": s.europe_vpc_id, "ZoneId": "eu-west-1a", "CidrBlock": "10.9.1.0/24", "Ipv6CidrBlock": "1"},
     "InvalidParameter", 400),
    ("Vpc:DescribeZones", "no region", lambda s: {}, "MissingParameter", 400),
    ("Vpc:CreateVpc", "unknown region", lambda s: {"RegionId": "mars-1"}, "InvalidRegionId.NotFound", 404),
    ("Vpc:CreateVpc", "no region", lambda s: {}, "MissingParameter", 400),
    ("Vpc:CreateVpc", "no block", lambda s: {"RegionId": "us-west-1", "CidrBlock": "10.0.0.1/8"},
     "InvalidParameter", 400),
    ("Vpc:CreateVpc", "IPv6", lambda s: {"RegionId": "us-west-1", "EnableIpv6": "true"}, "InvalidParameter", 400),
    ("Vpc:CreateVpc", "long name", lambda s: {"RegionId": "us-west-1", "VpcName": "x" * 129},
     "InvalidVpcName.Malformed", 400),
    ("Vpc:CreateVpc", "long description", lambda s: {"RegionId": "us-west-1", "Description": "x" * 257},
     "InvalidVpcDiscription.Malformed", 400),
    ("Vpc:DescribeVpcs", "unknown region", lambda s: {"RegionId": "mars-1"}, "InvalidRegionId.NotFound", 404),
    ("Vpc:DescribeVpcs", "21 ids", lambda s: {"RegionId": "us-west-1", "VpcId": ",".join(["vpc-1"] * 21)},
     "InvalidParameter", 400),
    ("Vpc:DescribeVpcAttribute", "another region",
     lambda s: {"RegionId": "cn-hangzhou", "VpcId": s.scenario.vpc_ids["us-west-1"]}, "InvalidVpcId.NotFound", 404),
    ("Vpc:ModifyVpcAttribute", "another block",
     lambda s: {"VpcId": s.europe_vpc_id, "CidrBlock": "10.10.0.0/16"}, "InvalidParameter", 400),
    ("Vpc:DeleteVpc", "attached", lambda s: {"VpcId": s.scenario.vpc_ids["us-west-1"]},
     "DependencyViolation.CenInstance", 400),
    ("Vpc:DeleteVpc", "unknown", lambda s: {"VpcId": "vpc-nope"}, "InvalidVpcId.NotFound", 404),
    ("CreateFlowlog", "an action that is not served", lambda s: {}, "InvalidAction.NotFound", 404),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "status"),
    [(operation, parameters, code, status) for operation, _, parameters, code, status in ROWS],
    ids=[f"{operation}: {situation}" for operation, situation, *_ in ROWS],
)
def test_a_refusal_has_its_code_and_status(
    situation: Situation, operation: str, parameters: Parameters, code: str, status: int
) -> None:
    action = operation.removeprefix("Vpc:")
    version = {"version": VPC} if operation.startswith("Vpc:") else {}
    assert situation.server.refused(action, **version, **parameters(situation)) == (code, status)


def test_an_unknown_version_is_refused(situation: Situation) -> None:
    assert situation.server.refused("DescribeCens", "2000-01-01") == ("InvalidVersion", 400)


def test_a_bound_package_cannot_be_deleted_and_keeps_its_instance(tmp_path: Path) -> None:
    with open_server(tmp_path) as server:
        cen_id = server.ok("CreateCen")["CenId"]
        europe = {"GeographicRegionAId": "Europe", "GeographicRegionBId": "Europe", "Bandwidth": 2}
        package_id = server.ok(BUY, **europe)["CenBandwidthPackageId"]
        server.ok(ASSOCIATE, CenId=cen_id, CenBandwidthPackageId=package_id)
        deleted = server.refused("DeleteCenBandwidthPackage", CenBandwidthPackageId=package_id)
        assert deleted == ("InvalidOperation.BwpInstanceStatus", 403)
        assert server.refused("DeleteCen", CenId=cen_id) == ("InvalidOperation.CenInstanceStatus", 409)


def test_nothing_changed_by_all_those_refusals(situation: Situation) -> None:
    rows = situation.server.ok("DescribeCenInterRegionBandwidthLimits", CenId=situation.cen_id)
    (row,) = rows["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
    assert (row["BandwidthLimit"], row["Status"]) == (10, "Active")
    assert situation.server.ok("DescribeCenBandwidthPackages")["TotalCount"] == 3
    attach(situation.server, situation.other_cen_id, situation.europe_vpc_id, "eu-west-1")
