"""The scenario that OpenCEN is for, in the words of the official SDKs."""

from __future__ import annotations

from typing import Any

import pytest

from sdk_clients import SdkClient, SdkRefusalError

REGIONS = {
    "us-west-1": "10.1.0.0/16",
    "cn-hangzhou": "10.2.0.0/16",
    "cn-shanghai": "10.3.0.0/16",
    "cn-shenzhen": "10.4.0.0/16",
}


class Scenario:
    """The steps of the scenario in the words of one SDK."""

    def __init__(self, client: SdkClient) -> None:
        self.client = client
        self.cen_id = ""
        self.package_id = ""
        self.vpc_ids: dict[str, str] = {}

    def set_limit(self, opposite_region_id: str, limit_mbps: int) -> dict[str, Any]:
        return self.client.call(
            "cbn",
            "SetCenInterRegionBandwidthLimit",
            CenId=self.cen_id,
            LocalRegionId="us-west-1",
            OppositeRegionId=opposite_region_id,
            BandwidthLimit=limit_mbps,
        )

    def limits(self) -> dict[str, int]:
        """Mbit/s by the region opposite of us-west-1, all of them Active and out of our package."""
        answer = self.client.call("cbn", "DescribeCenInterRegionBandwidthLimits", CenId=self.cen_id, PageSize=50)
        rows = answer["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
        assert answer["TotalCount"] == len(rows)
        limits = {}
        for row in rows:
            (opposite,) = {row["LocalRegionId"], row["OppositeRegionId"]} - {"us-west-1"}
            assert (row["Status"], row["BandwidthPackageId"]) == ("Active", self.package_id)
            limits[opposite] = row["BandwidthLimit"]
        return limits

    def cen(self) -> dict[str, Any] | None:
        filters = [{"Key": "CenId", "Value": [self.cen_id]}]
        found = self.client.call("cbn", "DescribeCens", **self._filter(filters))["Cens"]["Cen"]
        return found[0] if found else None

    def package(self) -> dict[str, Any] | None:
        filters = [{"Key": "CenBandwidthPackageId", "Value": [self.package_id]}]
        answer = self.client.call("cbn", "DescribeCenBandwidthPackages", **self._filter(filters))
        found = answer["CenBandwidthPackages"]["CenBandwidthPackage"]
        return found[0] if found else None

    def _filter(self, filters: list[dict[str, Any]]) -> dict[str, Any]:
        """The older SDK's method for the parameter Filter is in the plural."""
        return {"Filters" if self.client.older_names else "Filter": filters}

    def attached_regions(self) -> set[str]:
        answer = self.client.call("cbn", "DescribeCenAttachedChildInstances", CenId=self.cen_id)
        rows = answer["ChildInstances"]["ChildInstance"]
        assert {row["Status"] for row in rows} <= {"Attached"}
        return {row["ChildInstanceRegionId"] for row in rows}

    def child(self, region_id: str) -> dict[str, str]:
        return {
            "CenId": self.cen_id,
            "ChildInstanceId": self.vpc_ids[region_id],
            "ChildInstanceType": "VPC",
            "ChildInstanceRegionId": region_id,
        }

    def build(self) -> None:
        """The instance, a VPC attached in every region, and 20 Mbit/s between China and North America bound."""
        call = self.client.call
        self.cen_id = call("cbn", "CreateCen", Name="sdk", Description="n 1/~*é")["CenId"]
        cen = self.cen()
        assert cen is not None
        assert (cen["Status"], cen["Name"], cen["Description"]) == ("Active", "sdk", "n 1/~*é")
        for region_id, block in REGIONS.items():
            created = call("vpc", "CreateVpc", RegionId=region_id, CidrBlock=block, VpcName=f"sdk-{region_id}")
            self.vpc_ids[region_id] = created["VpcId"]
            vpc = call("vpc", "DescribeVpcAttribute", RegionId=region_id, VpcId=created["VpcId"])
            assert (vpc["Status"], vpc["CidrBlock"], vpc["RegionId"]) == ("Available", block, region_id)
            call("cbn", "AttachCenChildInstance", **self.child(region_id))
            attribute = call("cbn", "DescribeCenAttachedChildInstanceAttribute", **self.child(region_id))
            assert (attribute["Status"], attribute["ChildInstanceName"]) == ("Attached", f"sdk-{region_id}")
        assert self.attached_regions() == set(REGIONS)
        bought = call(
            "cbn",
            "CreateCenBandwidthPackage",
            Bandwidth=20,
            GeographicRegionAId="China",
            GeographicRegionBId="North-America",
            BandwidthPackageChargeType="POSTPAY",
            AutoPay=True,
        )
        self.package_id = bought["CenBandwidthPackageId"]
        package = self.package()
        assert package is not None
        assert (package["Status"], package["Bandwidth"]) == ("Idle", 20)
        call("cbn", "AssociateCenBandwidthPackage", CenId=self.cen_id, CenBandwidthPackageId=self.package_id)
        package = self.package()
        assert package is not None
        assert (package["Status"], package["CenIds"]) == ("InUse", {"CenId": [self.cen_id]})

    def tear_down(self) -> None:
        call = self.client.call
        for region_id in self.limits():
            self.set_limit(region_id, 0)
        assert self.limits() == {}
        call("cbn", "UnassociateCenBandwidthPackage", CenId=self.cen_id, CenBandwidthPackageId=self.package_id)
        call("cbn", "DeleteCenBandwidthPackage", CenBandwidthPackageId=self.package_id)
        assert self.package() is None
        for region_id, vpc_id in self.vpc_ids.items():
            call("cbn", "DetachCenChildInstance", **self.child(region_id))
            call("vpc", "DeleteVpc", VpcId=vpc_id, RegionId=region_id)
            assert call("vpc", "DescribeVpcs", VpcId=vpc_id, RegionId=region_id)["Vpcs"]["Vpc"] == []
        assert self.attached_regions() == set()
        call("cbn", "DeleteCen", CenId=self.cen_id)
        assert self.cen() is None


def drive(client: SdkClient, *, says_status: bool = True) -> None:
    """The whole scenario. Not every SDK passes the HTTP status of a refusal on."""
    scenario = Scenario(client)
    scenario.build()
    for region_id, limit_mbps in (("cn-hangzhou", 10), ("cn-shanghai", 6), ("cn-shenzhen", 4)):
        scenario.set_limit(region_id, limit_mbps)
    assert scenario.limits() == {"cn-hangzhou": 10, "cn-shanghai": 6, "cn-shenzhen": 4}

    with pytest.raises(SdkRefusalError) as exceeded:
        scenario.set_limit("cn-shenzhen", 5)
    assert exceeded.value.code == "InvalidOperation.BwpBandwidthExceeded"
    assert exceeded.value.http_status == 409 or not says_status
    for said in (scenario.package_id, "20 Mbit/s", "20 allocated", "0 free", "5 asked"):
        assert said in exceeded.value.message
    assert scenario.limits() == {"cn-hangzhou": 10, "cn-shanghai": 6, "cn-shenzhen": 4}

    for limit_mbps in (5, 8):
        scenario.set_limit("cn-hangzhou", limit_mbps)
        assert scenario.limits()["cn-hangzhou"] == limit_mbps
    package = scenario.package()
    assert package is not None
    shares = package["OrginInterRegionBandwidthLimits"]["OrginInterRegionBandwidthLimit"]
    assert sorted(share["BandwidthLimit"] for share in shares) == ["4", "6", "8"]

    scenario.set_limit("cn-hangzhou", 0)
    assert scenario.limits() == {"cn-shanghai": 6, "cn-shenzhen": 4}
    scenario.set_limit("cn-shenzhen", 14)
    scenario.tear_down()
