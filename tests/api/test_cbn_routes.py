"""Routes: what the regions of an instance know, what gateways are told, and who decides it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cbn_server import VPC, Scenario, Server, attach, build_scenario, child, open_server
from joined import join
from opencen.domain.nouns import Actor, Role
from opencen.services import gateways, identities
from opencen.store import gateways as rows

WEST, EAST = "us-west-1", "cn-hangzhou"
KNOWN = "DescribeCenRegionDomainRouteEntries"
PUBLISHED = "DescribePublishedRouteEntries"
PUBLISH = "PublishRouteEntries"
WITHDRAW = "WithdrawPublishedRouteEntries"


@pytest.fixture
def server(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    """On SQLite, and on PostgreSQL."""
    with open_server(tmp_path, database_url) as opened:
        yield opened
        assert opened.problems() == []


@pytest.fixture
def scenario(server: Server) -> Scenario:
    return build_scenario(server)


def route(scenario: Scenario, region_id: str, block: str) -> dict[str, str]:
    """The parameters that name a route of the network of a region."""
    vpc_id = scenario.vpc_ids[region_id]
    return {
        **child(scenario.cen_id, vpc_id, region_id),
        "ChildInstanceRouteTableId": f"vtb-{vpc_id.removeprefix('vpc-')}",
        "DestinationCidrBlock": block,
    }


def known(server: Server, cen_id: str, region_id: str) -> dict[str, tuple[str, str]]:
    """Next region and type by block."""
    entries = server.ok(KNOWN, CenId=cen_id, CenRegionId=region_id, PageSize=500)["CenRouteEntries"]["CenRouteEntry"]
    return {entry["DestinationCidrBlock"]: (entry["NextHopRegionId"], entry["Type"]) for entry in entries}


def published(server: Server, scenario: Scenario, region_id: str, **filters: str) -> dict[str, tuple[str, str]]:
    """Type and status by block."""
    answer = server.ok(PUBLISHED, **child(scenario.cen_id, scenario.vpc_ids[region_id], region_id), **filters)
    entries = answer["PublishedRouteEntries"]["PublishedRouteEntry"]
    assert answer["TotalCount"] == len(entries)
    return {entry["DestinationCidrBlock"]: (entry["RouteType"], entry["PublishStatus"]) for entry in entries}


def told(server: Server, region_id: str) -> dict[str, tuple[str, ...]]:
    """Which blocks a gateway of the region is told to send to each other region."""
    account = identities.find_accounts(server.context)[0]
    actor = Actor(account.id, "usr-test", "test", Role.ADMINISTRATOR)
    with server.context.database.read() as tx:
        row = rows.active_by_region(tx, [region_id]).get(region_id)
    if row is None:
        row = join(server.context, actor, region_id)
    (instance,) = gateways.wanted_state(server.context, row, 0).instances
    return {link.peer_region_id: link.remote_cidr_blocks for link in instance.links}


def test_attaching_publishes_a_networks_blocks_everywhere_and_detaching_takes_them_back(
    server: Server, scenario: Scenario
) -> None:
    assert known(server, scenario.cen_id, WEST) == {
        "10.1.0.0/16": (WEST, "System"),
        "10.2.0.0/16": (EAST, "CEN"),
        "10.3.0.0/16": ("cn-shanghai", "CEN"),
    }
    assert told(server, WEST) == {EAST: ("10.2.0.0/16",), "cn-shanghai": ("10.3.0.0/16",)}
    server.ok("DetachCenChildInstance", **child(scenario.cen_id, scenario.vpc_ids[EAST], EAST))
    assert set(known(server, scenario.cen_id, WEST)) == {"10.1.0.0/16", "10.3.0.0/16"}
    assert told(server, WEST) == {"cn-shanghai": ("10.3.0.0/16",)}
    assert known(server, scenario.cen_id, EAST) == {}


def test_a_withdrawn_route_is_not_carried_until_it_is_published_again(server: Server, scenario: Scenario) -> None:
    whole = route(scenario, EAST, "10.2.0.0/16")
    server.ok(WITHDRAW, **whole)
    assert "10.2.0.0/16" not in known(server, scenario.cen_id, WEST)
    assert published(server, scenario, EAST) == {"10.2.0.0/16": ("System", "NonPublished")}
    assert told(server, WEST) == {EAST: (), "cn-shanghai": ("10.3.0.0/16",)}, "the tunnel stays"
    server.ok(PUBLISH, **whole)
    assert published(server, scenario, EAST) == {"10.2.0.0/16": ("System", "Published")}
    assert told(server, WEST)[EAST] == ("10.2.0.0/16",)


def test_a_part_of_a_network_is_published_alone(server: Server, scenario: Scenario) -> None:
    part = route(scenario, EAST, "10.2.1.0/24")
    server.ok(WITHDRAW, **route(scenario, EAST, "10.2.0.0/16"))
    server.ok(PUBLISH, **part)
    assert known(server, scenario.cen_id, WEST)["10.2.1.0/24"] == (EAST, "CEN")
    assert known(server, scenario.cen_id, EAST)["10.2.1.0/24"] == (EAST, "Custom")
    assert told(server, WEST)[EAST] == ("10.2.1.0/24",)
    assert published(server, scenario, EAST, DestinationCidrBlock="10.2.1.0/24") == {
        "10.2.1.0/24": ("Custom", "Published")
    }
    server.ok(WITHDRAW, **part)
    assert told(server, WEST)[EAST] == ()
    assert published(server, scenario, EAST, DestinationCidrBlock="10.2.1.0/24") == {}
    assert server.refused(WITHDRAW, **part) == ("InvalidOperation.NotFoundRoute", 400)


def test_what_was_withdrawn_is_forgotten_with_the_attachment(server: Server, scenario: Scenario) -> None:
    server.ok(WITHDRAW, **route(scenario, EAST, "10.2.0.0/16"))
    server.ok("DetachCenChildInstance", **child(scenario.cen_id, scenario.vpc_ids[EAST], EAST))
    attach(server, scenario.cen_id, scenario.vpc_ids[EAST], EAST)
    assert published(server, scenario, EAST) == {"10.2.0.0/16": ("System", "Published")}


def test_publishing_and_withdrawing_twice_changes_nothing(server: Server, scenario: Scenario) -> None:
    whole = route(scenario, EAST, "10.2.0.0/16")
    server.ok(PUBLISH, **whole)
    server.ok(WITHDRAW, **whole)
    server.ok(WITHDRAW, **whole)
    assert published(server, scenario, EAST) == {"10.2.0.0/16": ("System", "NonPublished")}


def test_pages_of_routes_go_to_500(server: Server, scenario: Scenario) -> None:
    for number in range(12):
        server.ok(PUBLISH, **route(scenario, EAST, f"10.2.{number}.0/24"))
    first = server.ok(KNOWN, CenId=scenario.cen_id, CenRegionId=WEST)
    assert (len(first["CenRouteEntries"]["CenRouteEntry"]), first["TotalCount"]) == (10, 15)
    assert len(known(server, scenario.cen_id, WEST)) == 15
    candidates = server.ok(KNOWN, CenId=scenario.cen_id, CenRegionId=WEST, Status="Candidate")
    assert candidates["TotalCount"] == 0


def test_refusals_name_what_is_wrong(server: Server, scenario: Scenario) -> None:
    good = route(scenario, EAST, "10.2.0.0/16")
    other = server.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.9.0.0/16")["VpcId"]
    for action in (PUBLISH, WITHDRAW):
        assert server.refused(action, **{**good, "CenId": "cen-nope"}) == ("ParameterCenInstanceId", 404)
        assert server.refused(action, **{**good, "ChildInstanceId": other}) == ("ParameterInstanceId", 404)
        wrong_region = server.refused(action, **{**good, "ChildInstanceRegionId": WEST})
        assert wrong_region == ("ParameterIllegal.ChildInstanceRegionId", 400)
        wrong_type = server.refused(action, **{**good, "ChildInstanceType": "VPN"})
        assert wrong_type == ("ParameterIllegal.ChildInstanceType", 400)
        assert server.refused(action, **{**good, "ChildInstanceType": "VBR"}) == ("InstanceType.NotSupport", 400)
        assert server.refused(action, **{**good, "ChildInstanceRouteTableId": "vtb-1"}) == ("InvalidParameter", 400)
        outside = server.refused(action, **{**good, "DestinationCidrBlock": "10.3.0.0/16"})
        assert outside == ("InvalidOperation.NotFoundRoute", 400)
        assert server.refused(action, **{**good, "DestinationCidrBlock": "10.2.0.1/16"}) == ("InvalidParameter", 400)
    assert server.refused(KNOWN, CenId=scenario.cen_id, CenRegionId="mars-1") == ("ParameterIllegal.RegionId", 400)
