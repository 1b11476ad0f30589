"""What the operations beyond the scenario do, in the words of any SDK: each function drives some to their end."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from sdk_clients import SdkClient, SdkRefusalError
from sdk_scenario import Scenario

WEST, EAST = "us-west-1", "cn-hangzhou"


def zone_mappings(client: SdkClient, zone_id: str, vswitch_id: str) -> dict[str, Any]:
    """The older SDK has a name of its own for the list."""
    mappings = [{"ZoneId": zone_id, "VSwitchId": vswitch_id}]
    return {"ZoneMappingss" if client.older_names else "ZoneMappings": mappings}


def join_transit_routers(client: SdkClient) -> None:
    """Two regions' transit routers, a VPC at one of them, and a peering out of a package."""
    call = client.call
    cen_id = call("cbn", "CreateCen", Name="transit")["CenId"]
    areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "North-America"}
    package_id = call("cbn", "CreateCenBandwidthPackage", Bandwidth=20, **areas)["CenBandwidthPackageId"]
    call("cbn", "AssociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    routers = {
        region_id: call("cbn", "CreateTransitRouter", CenId=cen_id, RegionId=region_id)["TransitRouterId"]
        for region_id in (WEST, EAST)
    }
    call("cbn", "UpdateTransitRouter", TransitRouterId=routers[EAST], RegionId=EAST, TransitRouterName="east")
    (router,) = call("cbn", "ListTransitRouters", CenId=cen_id, RegionId=EAST)["TransitRouters"]
    assert (router["TransitRouterName"], router["Status"], router["Type"]) == ("east", "Active", "Enterprise")
    zones = call("cbn", "ListTransitRouterAvailableResource", RegionId=EAST)["AvailableZones"]

    vpc_id = call("vpc", "CreateVpc", RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    vswitch = {"VpcId": vpc_id, "ZoneId": zones[0], "CidrBlock": "10.2.1.0/24"}
    vswitch_id = call("vpc", "CreateVSwitch", RegionId=EAST, **vswitch)["VSwitchId"]
    call("vpc", "ModifyVSwitchAttribute", RegionId=EAST, VSwitchId=vswitch_id, VSwitchName="front")
    shown = call("vpc", "DescribeVSwitchAttributes", RegionId=EAST, VSwitchId=vswitch_id)
    assert (shown["VSwitchName"], shown["CidrBlock"], shown["ZoneId"]) == ("front", "10.2.1.0/24", zones[0])
    (listed,) = call("vpc", "DescribeVSwitches", RegionId=EAST, VpcId=vpc_id)["VSwitches"]["VSwitch"]
    assert listed["VSwitchId"] == vswitch_id
    attached = call(
        "cbn",
        "CreateTransitRouterVpcAttachment",
        RegionId=EAST,
        TransitRouterId=routers[EAST],
        VpcId=vpc_id,
        **zone_mappings(client, zones[0], vswitch_id),
    )["TransitRouterAttachmentId"]
    rename = {"TransitRouterAttachmentId": attached, "TransitRouterAttachmentName": "lan"}
    call("cbn", "UpdateTransitRouterVpcAttachmentAttribute", **rename)
    listed = call("cbn", "ListTransitRouterVpcAttachments", CenId=cen_id, RegionId=EAST)
    (attachment,) = listed["TransitRouterAttachments"]
    assert (attachment["TransitRouterAttachmentName"], attachment["Status"]) == ("lan", "Attached")
    assert attachment["ZoneMappings"][0]["VSwitchId"] == vswitch_id

    joined = call(
        "cbn",
        "CreateTransitRouterPeerAttachment",
        RegionId=WEST,
        CenId=cen_id,
        TransitRouterId=routers[WEST],
        PeerTransitRouterId=routers[EAST],
        PeerTransitRouterRegionId=EAST,
        Bandwidth=5,
        CenBandwidthPackageId=package_id,
    )["TransitRouterAttachmentId"]
    call("cbn", "UpdateTransitRouterPeerAttachmentAttribute", TransitRouterAttachmentId=joined, Bandwidth=8)
    listed = call("cbn", "ListTransitRouterPeerAttachments", CenId=cen_id, RegionId=WEST)
    (peer,) = listed["TransitRouterAttachments"]
    assert (peer["Bandwidth"], peer["Status"], peer["PeerTransitRouterId"]) == (8, "Attached", routers[EAST])
    limits = call("cbn", "DescribeCenInterRegionBandwidthLimits", CenId=cen_id)["CenInterRegionBandwidthLimits"]
    assert [row["BandwidthLimit"] for row in limits["CenInterRegionBandwidthLimit"]] == [8]
    with pytest.raises(SdkRefusalError) as exceeded:
        call("cbn", "UpdateTransitRouterPeerAttachmentAttribute", TransitRouterAttachmentId=joined, Bandwidth=21)
    assert exceeded.value.code == "InvalidOperation.BwpBandwidthExceeded"

    call("cbn", "DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=joined)
    call("cbn", "DeleteTransitRouterVpcAttachment", TransitRouterAttachmentId=attached)
    call("vpc", "DeleteVSwitch", RegionId=EAST, VSwitchId=vswitch_id)
    call("vpc", "DeleteVpc", RegionId=EAST, VpcId=vpc_id)
    for router_id in routers.values():
        call("cbn", "DeleteTransitRouter", TransitRouterId=router_id)
    call("cbn", "UnassociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    call("cbn", "DeleteCenBandwidthPackage", CenBandwidthPackageId=package_id)
    call("cbn", "DeleteCen", CenId=cen_id)


def publish_and_withdraw_routes(client: SdkClient) -> None:
    """A route that is withdrawn is known nowhere, and known again once published."""
    scenario = Scenario(client)
    scenario.build()
    call, child = client.call, scenario.child(EAST)
    tables = call("vpc", "DescribeRouteTables", RegionId=EAST, VRouterId=vrouter_id(client, scenario.vpc_ids[EAST]))
    assert [table["RouteTableType"] for table in tables["RouteTables"]["RouteTable"]] == ["System"]
    (table,) = call("vpc", "DescribeRouteTableList", RegionId=EAST, VpcId=scenario.vpc_ids[EAST])["RouterTableList"][
        "RouterTableListType"
    ]
    route = {**child, "ChildInstanceRouteTableId": table["RouteTableId"], "DestinationCidrBlock": "10.2.0.0/16"}

    def status() -> str:
        listed = call("cbn", "DescribePublishedRouteEntries", **child, DestinationCidrBlock="10.2.0.0/16")
        (entry,) = listed["PublishedRouteEntries"]["PublishedRouteEntry"]
        return str(entry["PublishStatus"])

    def known() -> set[str]:
        listed = call("cbn", "DescribeCenRegionDomainRouteEntries", CenId=scenario.cen_id, CenRegionId=WEST)
        return {entry["DestinationCidrBlock"] for entry in listed["CenRouteEntries"]["CenRouteEntry"]}

    assert (status(), "10.2.0.0/16" in known()) == ("Published", True)
    call("cbn", "WithdrawPublishedRouteEntries", **route)
    assert (status(), "10.2.0.0/16" in known()) == ("NonPublished", False)
    call("cbn", "PublishRouteEntries", **route)
    assert (status(), "10.2.0.0/16" in known()) == ("Published", True)
    scenario.tear_down()


def grant_and_revoke(client: SdkClient) -> None:
    """A network granted to an instance, and taken back."""
    call = client.call
    cen_id = call("cbn", "CreateCen")["CenId"]
    vpc_id = call("vpc", "CreateVpc", RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    owner = call("vpc", "DescribeVpcAttribute", RegionId=EAST, VpcId=vpc_id)["OwnerId"]
    network = {"RegionId": EAST, "InstanceId": vpc_id, "InstanceType": "VPC"}
    call("vpc", "GrantInstanceToCen", **network, CenId=cen_id, CenOwnerId=owner)
    (given,) = call("vpc", "DescribeGrantRulesToCen", **network)["CenGrantRules"]["CbnGrantRule"]
    assert given["CenInstanceId"] == cen_id
    (received,) = call("cbn", "DescribeGrantRulesToCen", CenId=cen_id, ProductType="VPC")["GrantRules"]["GrantRule"]
    assert received["ChildInstanceId"] == vpc_id
    call("vpc", "RevokeInstanceFromCen", **network, CenId=cen_id, CenOwnerId=owner)
    assert call("vpc", "DescribeGrantRulesToCen", **network)["CenGrantRules"]["CbnGrantRule"] == []
    call("vpc", "DeleteVpc", VpcId=vpc_id, RegionId=EAST)
    call("cbn", "DeleteCen", CenId=cen_id)


def vrouter_id(client: SdkClient, vpc_id: str) -> str:
    """The router that a VPC comes with."""
    return str(client.call("vpc", "DescribeVpcAttribute", RegionId=EAST, VpcId=vpc_id)["VRouterId"])


def modify_what_was_made(client: SdkClient) -> None:
    """Names, descriptions and a package's bandwidth."""
    call = client.call
    cen_id = call("cbn", "CreateCen", Name="before")["CenId"]
    call("cbn", "ModifyCenAttribute", CenId=cen_id, Name="after", Description="said")
    cens = {cen["CenId"]: cen for cen in call("cbn", "DescribeCens", PageSize=50)["Cens"]["Cen"]}
    assert (cens[cen_id]["Name"], cens[cen_id]["Description"]) == ("after", "said")

    areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "North-America"}
    package_id = call("cbn", "CreateCenBandwidthPackage", Bandwidth=20, **areas)["CenBandwidthPackageId"]
    call("cbn", "ModifyCenBandwidthPackageAttribute", CenBandwidthPackageId=package_id, Name="trunk")
    call("cbn", "ModifyCenBandwidthPackageSpec", CenBandwidthPackageId=package_id, Bandwidth=30)
    call("cbn", "AssociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    listed = call("cbn", "DescribeCenBandwidthPackages", PageSize=50)["CenBandwidthPackages"]["CenBandwidthPackage"]
    (package,) = [found for found in listed if found["CenBandwidthPackageId"] == package_id]
    assert (package["Name"], package["Bandwidth"]) == ("trunk", 30)
    left = call("cbn", "DescribeCenGeographicSpanRemainingBandwidth", CenId=cen_id, **areas)
    assert left["RemainingBandwidth"] == 30
    call("cbn", "UnassociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    call("cbn", "DeleteCenBandwidthPackage", CenBandwidthPackageId=package_id)
    call("cbn", "DeleteCen", CenId=cen_id)

    vpc_id = call("vpc", "CreateVpc", RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    call("vpc", "ModifyVpcAttribute", RegionId=EAST, VpcId=vpc_id, VpcName="renamed")
    assert call("vpc", "DescribeVpcAttribute", RegionId=EAST, VpcId=vpc_id)["VpcName"] == "renamed"
    call("vpc", "DeleteVpc", RegionId=EAST, VpcId=vpc_id)


def tag_and_group(client: SdkClient) -> None:
    """Tags and resource groups, of CEN and VPC."""
    call = client.call
    name = f"group-{uuid.uuid4().hex[:8]}"
    group_id = call("resourcemanager", "CreateResourceGroup", Name=name, DisplayName="a group")["ResourceGroup"]["Id"]
    assert call("resourcemanager", "GetResourceGroup", ResourceGroupId=group_id)["ResourceGroup"]["Name"] == name
    groups = call("resourcemanager", "ListResourceGroups", PageSize=100)["ResourceGroups"]["ResourceGroup"]
    assert group_id in [group["Id"] for group in groups]
    cen_id = call("cbn", "CreateCen")["CenId"]
    vpc_id = call("vpc", "CreateVpc", RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    default = call("vpc", "DescribeVpcAttribute", RegionId=EAST, VpcId=vpc_id)["ResourceGroupId"]
    # The older SDK's methods for lists have names of their own.
    older = client.older_names
    for product, kind, resource_id, page in (("cbn", "cen", cen_id, "PageSize"), ("vpc", "VPC", vpc_id, "MaxResults")):
        of = {"RegionId": EAST, "ResourceType": kind}
        ids = {"ResourceIds" if older else "ResourceId": [resource_id]}
        tags = "Tags" if older else "Tag"
        call(product, "TagResources", **of, **ids, **{tags: [{"Key": "team", "Value": "net"}]})
        (tag,) = call(product, "ListTagResources", **of, **ids, **{page: 10})["TagResources"]["TagResource"]
        assert (tag["ResourceId"], tag["TagKey"], tag["TagValue"]) == (resource_id, "team", "net")
        keys = {"TagKeys" if older else "TagKey": ["team"]}
        call(product, "UntagResources" if product == "cbn" else "UnTagResources", **of, **ids, **keys)
        assert call(product, "ListTagResources", **of, **ids)["TagResources"]["TagResource"] == []
        for group in (group_id, default):
            moved = {"ResourceId": resource_id, "ResourceType": kind, "NewResourceGroupId": group}
            call(product, "MoveResourceGroup", **moved, **({"RegionId": EAST} if product == "vpc" else {}))
    call("vpc", "DeleteVpc", RegionId=EAST, VpcId=vpc_id)
    call("cbn", "DeleteCen", CenId=cen_id)
    call("resourcemanager", "DeleteResourceGroup", ResourceGroupId=group_id)


def ask_around(client: SdkClient) -> None:
    """What clients look up before they begin: regions, areas, zones, addresses, and who they are."""
    call = client.call
    members = call("cbn", "DescribeGeographicRegionMembership", GeographicRegionId="North-America")
    assert WEST in [member["RegionId"] for member in members["RegionIds"]["RegionId"]]
    spans = call("cbn", "DescribeCenGeographicSpans", PageSize=50)["GeographicSpanModels"]["GeographicSpanModel"]
    assert {"china", "north-america"} in [{span["LocalGeoRegionId"], span["OppositeGeoRegionId"]} for span in spans]
    regions = call("cbn", "DescribeChildInstanceRegions", ProductType="VPC")["Regions"]["Region"]
    assert {WEST, EAST} <= {region["RegionId"] for region in regions}
    regions = call("vpc", "DescribeRegions")["Regions"]["Region"]
    assert {WEST, EAST} <= {region["RegionId"] for region in regions}
    zones = call("vpc", "DescribeZones", RegionId=EAST)["Zones"]["Zone"]
    assert {zone["ZoneId"][: len(EAST)] for zone in zones} == {EAST}
    assert call("sts", "GetCallerIdentity")["AccountId"]
    (endpoint,) = call("location", "DescribeEndpoints", Id=EAST, ServiceCode="cbn")["Endpoints"]["Endpoint"]
    assert endpoint["Endpoint"].startswith("127.0.0.1")
    assert call("bssopenapi", "QueryAvailableInstances", PageNum=1, PageSize=20)["Data"]["TotalCount"] == 0


def ask_for_metrics(client: SdkClient) -> None:
    """CloudMonitor: what each direction of a connection carried, here where nothing has been metered."""
    for action in ("DescribeMetricList", "DescribeMetricLast"):
        asked = {"Namespace": "acs_cen", "MetricName": "InternetOutRateByConnectionRegion", "Period": "60"}
        answer = client.call("cms", action, **asked, Dimensions=json.dumps({"localRegionId": WEST}))
        assert (answer["Code"], json.loads(answer["Datapoints"])) == ("200", [])
