"""Transit routers and their attachments: today's words for the same instance, network and region connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbn_server import VPC, Scenario, Server, build_scenario, child, open_server, set_limit
from opencen.domain.nouns import Role

LIST = "ListTransitRouters"
PEERS = "ListTransitRouterPeerAttachments"
NETWORKS = "ListTransitRouterVpcAttachments"
JOIN = "CreateTransitRouterPeerAttachment"
CHANGE = "UpdateTransitRouterPeerAttachmentAttribute"
LIMITS = "DescribeCenInterRegionBandwidthLimits"
WEST, EAST = "us-west-1", "cn-hangzhou"


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


def routers(server: Server, cen_id: str, **filters: object) -> dict[str, dict[str, Any]]:
    """By region."""
    found = server.ok(LIST, CenId=cen_id, **filters)["TransitRouters"]
    return {router["RegionId"]: router for router in found}


def make_routers(server: Server, cen_id: str) -> tuple[str, str]:
    return tuple(
        server.ok("CreateTransitRouter", CenId=cen_id, RegionId=region_id)["TransitRouterId"]
        for region_id in (WEST, EAST)
    )


def peer(server: Server, cen_id: str) -> dict[str, Any]:
    (attachment,) = server.ok(PEERS, CenId=cen_id)["TransitRouterAttachments"]
    return attachment


def limits(server: Server, cen_id: str) -> list[tuple[str, str, int]]:
    rows = server.ok(LIMITS, CenId=cen_id)["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
    return [(row["LocalRegionId"], row["OppositeRegionId"], row["BandwidthLimit"]) for row in rows]


def test_a_region_with_a_network_has_a_basic_router_that_nobody_made(server: Server, scenario: Scenario) -> None:
    found = routers(server, scenario.cen_id)
    assert set(found) == set(scenario.vpc_ids)
    assert {router["Type"] for router in found.values()} == {"Basic"}
    assert routers(server, scenario.cen_id) == found, "its id does not change"
    by_id = server.ok(LIST, TransitRouterId=found[EAST]["TransitRouterId"])["TransitRouters"]
    assert [router["RegionId"] for router in by_id] == [EAST]


def test_a_router_is_made_renamed_and_deleted(either_server: Server) -> None:
    server = either_server
    cen_id = server.ok("CreateCen")["CenId"]
    made = server.ok("CreateTransitRouter", CenId=cen_id, RegionId=WEST, TransitRouterName="hub")
    router_id = made["TransitRouterId"]
    router = routers(server, cen_id)[WEST]
    assert (router["Type"], router["Status"], router["TransitRouterName"]) == ("Enterprise", "Active", "hub")
    server.ok("UpdateTransitRouter", TransitRouterId=router_id, RegionId=WEST, TransitRouterName="edge")
    assert routers(server, cen_id)[WEST]["TransitRouterName"] == "edge"
    server.ok("DeleteTransitRouter", TransitRouterId=router_id)
    assert routers(server, cen_id) == {}
    assert server.refused("DeleteTransitRouter", TransitRouterId=router_id) == ("ParameterInstanceId", 404)


def test_a_basic_router_becomes_the_enterprise_one_that_is_made_in_its_region(
    server: Server, scenario: Scenario
) -> None:
    before = routers(server, scenario.cen_id)[EAST]["TransitRouterId"]
    made = server.ok("CreateTransitRouter", CenId=scenario.cen_id, RegionId=EAST)["TransitRouterId"]
    assert made == before
    again = server.refused("CreateTransitRouter", CenId=scenario.cen_id, RegionId=EAST)
    assert again == ("InvalidOperation.TransitRouterAlreadyExist", 400)


def test_routers_are_filtered_by_what_is_asked(server: Server, scenario: Scenario) -> None:
    server.ok("CreateTransitRouter", CenId=scenario.cen_id, RegionId="eu-west-1", TransitRouterName="london")
    assert set(routers(server, scenario.cen_id, Type="Enterprise")) == {"eu-west-1"}
    assert set(routers(server, scenario.cen_id, TransitRouterName="london")) == {"eu-west-1"}
    assert set(routers(server, scenario.cen_id, RegionId=EAST)) == {EAST}
    assert routers(server, scenario.cen_id, Status="Creating") == {}
    multicast = {"FeatureFilter_1_Key": "Multicast", "FeatureFilter_1_Value_1": "Enabled"}
    assert routers(server, scenario.cen_id, **multicast) == {}
    page = server.ok(LIST, CenId=scenario.cen_id, PageSize=3, PageNumber=2)
    assert (len(page["TransitRouters"]), page["TotalCount"]) == (1, 4)


def test_a_limit_that_was_set_is_a_peer_attachment_and_changes_as_one(server: Server, scenario: Scenario) -> None:
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 5))
    attachment = peer(server, scenario.cen_id)
    found = routers(server, scenario.cen_id)
    assert attachment["TransitRouterId"] == found[EAST]["TransitRouterId"]
    assert attachment["PeerTransitRouterId"] == found[WEST]["TransitRouterId"]
    assert (attachment["Bandwidth"], attachment["Status"], attachment["ResourceType"]) == (5, "Attached", "TR")
    attachment_id = attachment["TransitRouterAttachmentId"]
    server.ok(CHANGE, TransitRouterAttachmentId=attachment_id, Bandwidth=7, TransitRouterAttachmentName="main")
    assert limits(server, scenario.cen_id) == [(EAST, WEST, 7)]
    assert peer(server, scenario.cen_id)["TransitRouterAttachmentName"] == "main"
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 8))
    assert peer(server, scenario.cen_id)["Bandwidth"] == 8
    assert peer(server, scenario.cen_id)["TransitRouterAttachmentName"] == "main"
    server.ok("DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=attachment_id)
    assert limits(server, scenario.cen_id) == []


def test_routers_are_joined_before_any_network_is_there_as_terraform_does(either_server: Server) -> None:
    server = either_server
    scenario = build_scenario(server, ())
    west, east = make_routers(server, scenario.cen_id)
    made = server.ok(
        JOIN,
        CenId=scenario.cen_id,
        TransitRouterId=west,
        PeerTransitRouterId=east,
        PeerTransitRouterRegionId=EAST,
        Bandwidth=4,
        BandwidthType="BandwidthPackage",
        CenBandwidthPackageId=scenario.package_id,
        TransitRouterAttachmentName="pair",
        AutoPublishRouteEnabled="true",
    )
    attachment = peer(server, scenario.cen_id)
    assert attachment["TransitRouterAttachmentId"] == made["TransitRouterAttachmentId"]
    assert (attachment["TransitRouterId"], attachment["RegionId"]) == (west, WEST)
    assert (attachment["PeerTransitRouterId"], attachment["PeerTransitRouterRegionId"]) == (east, EAST)
    assert (attachment["TransitRouterAttachmentName"], attachment["AutoPublishRouteEnabled"]) == ("pair", True)
    assert limits(server, scenario.cen_id) == [(EAST, WEST, 4)]
    vpc_id = server.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    server.ok("CreateTransitRouterVpcAttachment", TransitRouterId=east, VpcId=vpc_id)
    assert limits(server, scenario.cen_id) == [(EAST, WEST, 4)]


def test_a_peer_attachment_is_found_by_its_id_among_those_of_other_instances(
    server: Server, scenario: Scenario
) -> None:
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 5))
    other = build_scenario(server)
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(other.cen_id, WEST, EAST, 6))
    attachment_id = peer(server, other.cen_id)["TransitRouterAttachmentId"]
    (found,) = server.ok(PEERS, TransitRouterAttachmentId=attachment_id)["TransitRouterAttachments"]
    assert (found["CenId"], found["Bandwidth"]) == (other.cen_id, 6)
    elsewhere = server.ok(PEERS, TransitRouterAttachmentId=attachment_id, CenId=scenario.cen_id)
    assert elsewhere["TransitRouterAttachments"] == []


def test_the_cap_is_one_for_both_views(server: Server, scenario: Scenario) -> None:
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 15))
    found = routers(server, scenario.cen_id)
    asked = {
        "CenId": scenario.cen_id,
        "TransitRouterId": found[WEST]["TransitRouterId"],
        "PeerTransitRouterId": found["cn-shanghai"]["TransitRouterId"],
    }
    status, document = server.call(JOIN, **asked, Bandwidth=6)
    assert (document["Code"], status) == ("InvalidOperation.BwpBandwidthExceeded", 400)
    assert "20 Mbit/s bound, 15 allocated, 5 free, 6 asked" in document["Message"]
    server.ok(JOIN, **asked, Bandwidth=5)
    exceeded = server.refused("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 16))
    assert exceeded == ("InvalidOperation.BwpBandwidthExceeded", 409)


def test_a_network_is_attached_to_a_router_that_is_made_with_it(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    vpc_id = server.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.2.0.0/16")["VpcId"]
    made = server.ok(
        "CreateTransitRouterVpcAttachment",
        CenId=cen_id,
        RegionId=EAST,
        VpcId=vpc_id,
        ZoneMappings_1_ZoneId="cn-hangzhou-h",
        ZoneMappings_1_VSwitchId="vsw-1",
        TransitRouterAttachmentName="lan",
    )
    (attachment,) = server.ok(NETWORKS, CenId=cen_id, VpcId=vpc_id)["TransitRouterAttachments"]
    assert attachment["TransitRouterAttachmentId"] == made["TransitRouterAttachmentId"]
    assert attachment["TransitRouterId"] == routers(server, cen_id)[EAST]["TransitRouterId"]
    assert routers(server, cen_id)[EAST]["Type"] == "Enterprise"
    assert attachment["ZoneMappings"] == [{"ZoneId": "cn-hangzhou-h", "VSwitchId": "vsw-1", "NetworkInterfaceId": ""}]
    attachment_id = made["TransitRouterAttachmentId"]
    server.ok(
        "UpdateTransitRouterVpcAttachmentAttribute",
        TransitRouterAttachmentId=attachment_id,
        TransitRouterAttachmentName="office",
    )
    (attachment,) = server.ok(NETWORKS, TransitRouterAttachmentId=attachment_id)["TransitRouterAttachments"]
    assert (attachment["TransitRouterAttachmentName"], len(attachment["ZoneMappings"])) == ("office", 1)
    classic = server.ok("DescribeCenAttachedChildInstanceAttribute", **child(cen_id, vpc_id, EAST))
    assert classic["Status"] == "Attached"
    in_use = server.refused("DeleteTransitRouter", TransitRouterId=attachment["TransitRouterId"])
    assert in_use == ("InvalidOperation.AttachedChildInstanceExist", 400)
    server.ok("DeleteTransitRouterVpcAttachment", TransitRouterAttachmentId=attachment_id, Force="true")
    assert server.ok(NETWORKS, CenId=cen_id)["TransitRouterAttachments"] == []
    server.ok("DeleteTransitRouter", TransitRouterId=attachment["TransitRouterId"])


def test_lists_go_on_where_the_token_says(server: Server, scenario: Scenario) -> None:
    first = server.ok(NETWORKS, CenId=scenario.cen_id, MaxResults=2)
    second = server.ok(NETWORKS, CenId=scenario.cen_id, MaxResults=2, NextToken=first["NextToken"])
    ids = [item["VpcId"] for page in (first, second) for item in page["TransitRouterAttachments"]]
    assert ids == list(scenario.vpc_ids.values())
    assert (first["TotalCount"], second["TotalCount"], second["NextToken"]) == (3, 3, "")


@pytest.mark.parametrize("operation", ["create", "rename", "delete"])
def test_a_dry_run_of_a_router_says_so_and_changes_nothing(server: Server, scenario: Scenario, operation: str) -> None:
    made = server.ok("CreateTransitRouter", CenId=scenario.cen_id, RegionId="eu-west-1")["TransitRouterId"]
    action, parameters = {
        "create": ("CreateTransitRouter", {"CenId": scenario.cen_id, "RegionId": EAST}),
        "rename": ("UpdateTransitRouter", {"TransitRouterId": made, "TransitRouterName": "other"}),
        "delete": ("DeleteTransitRouter", {"TransitRouterId": made}),
    }[operation]
    before = routers(server, scenario.cen_id)
    assert server.refused(action, **parameters, DryRun="true") == ("DryRunOperation", 400)
    assert routers(server, scenario.cen_id) == before


def test_a_dry_run_of_a_peer_attachment_answers_and_changes_nothing(server: Server, scenario: Scenario) -> None:
    found = routers(server, scenario.cen_id)
    asked = {
        "TransitRouterId": found[WEST]["TransitRouterId"],
        "PeerTransitRouterId": found[EAST]["TransitRouterId"],
        "Bandwidth": 5,
    }
    assert set(server.ok(JOIN, **asked, DryRun="true")) == {"RequestId"}
    assert limits(server, scenario.cen_id) == []
    attachment_id = server.ok(JOIN, **asked)["TransitRouterAttachmentId"]
    server.ok(CHANGE, TransitRouterAttachmentId=attachment_id, Bandwidth=9, DryRun="true")
    server.ok("DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=attachment_id, DryRun="true")
    assert limits(server, scenario.cen_id) == [(EAST, WEST, 5)]
    over = server.refused(CHANGE, TransitRouterAttachmentId=attachment_id, Bandwidth=21, DryRun="true")
    assert over == ("InvalidOperation.BwpBandwidthExceeded", 400)


def test_an_instance_takes_its_empty_routers_along(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    make_routers(server, cen_id)
    server.ok("DeleteCen", CenId=cen_id)
    assert server.refused(LIST, CenId=cen_id) == ("ParameterCenInstanceId", 404)


def test_another_accounts_routers_and_attachments_do_not_exist(server: Server, scenario: Scenario) -> None:
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 5))
    router_id = routers(server, scenario.cen_id)[WEST]["TransitRouterId"]
    attachment_id = peer(server, scenario.cen_id)["TransitRouterAttachmentId"]
    (network, *_) = server.ok(NETWORKS, CenId=scenario.cen_id)["TransitRouterAttachments"]
    stranger = server.add_user("stranger", Role.ADMINISTRATOR, own_account=True)
    gone = ("InvalidTransitRouterAttachmentId.NotFound", 400)
    assert stranger.refused("DeleteTransitRouter", TransitRouterId=router_id) == ("ParameterInstanceId", 404)
    assert stranger.refused(CHANGE, TransitRouterAttachmentId=attachment_id, Bandwidth=1) == gone
    assert stranger.refused("DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=attachment_id) == gone
    vpc_attachment_id = network["TransitRouterAttachmentId"]
    assert stranger.refused("DeleteTransitRouterVpcAttachment", TransitRouterAttachmentId=vpc_attachment_id) == gone
    assert stranger.ok(PEERS, TransitRouterAttachmentId=attachment_id)["TransitRouterAttachments"] == []
    assert stranger.ok(LIST, RegionId=WEST)["TransitRouters"] == []
    assert limits(server, scenario.cen_id) == [(EAST, WEST, 5)]
