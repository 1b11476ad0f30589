"""Transit routers, routes and grants, each operation driven by the official Python SDKs against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from sdk_clients import CoreClient, SdkClient, SdkRefusalError, Target
from sdk_scenario import Scenario
from servers import ServerProcess
from test_sdk_scenario import CLIENTS

WEST, EAST = "us-west-1", "cn-hangzhou"


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, server: ServerProcess) -> SdkClient:
    return CLIENTS[request.param](Target.of(server))


def zone_mappings(client: SdkClient, zone_id: str, vswitch_id: str) -> dict[str, Any]:
    """The older SDK has a name of its own for the list."""
    mappings = [{"ZoneId": zone_id, "VSwitchId": vswitch_id}]
    return {"ZoneMappingss" if isinstance(client, CoreClient) else "ZoneMappings": mappings}


def test_the_sdk_joins_transit_routers(client: SdkClient) -> None:
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
    for router_id in routers.values():
        call("cbn", "DeleteTransitRouter", TransitRouterId=router_id)
    call("cbn", "UnassociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    call("cbn", "DeleteCen", CenId=cen_id)


def test_the_sdk_publishes_and_withdraws_routes(client: SdkClient) -> None:
    scenario = Scenario(client)
    scenario.build()
    call, child = client.call, scenario.child(EAST)
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


def test_the_sdk_grants_and_revokes(client: SdkClient) -> None:
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
