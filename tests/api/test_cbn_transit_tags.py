"""Tags of transit routers and of what hangs on them: as set, listed, searched by, and gone with the thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbn_server import Scenario, Server, build_scenario, open_server, set_limit

TAG = {"Tag_1_Key": "team", "Tag_1_Value": "net"}
TAGS = [{"Key": "team", "Value": "net"}]
ROUTER, VPC_ATTACHMENT, PEER_ATTACHMENT = "TransitRouter", "TransitRouterVpcAttachment", "TransitRouterPeerAttachment"


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    database_url = request.getfixturevalue("database_url") if "database_url" in request.fixturenames else None
    with open_server(tmp_path, database_url) as running:
        yield running
        assert running.problems() == []


@pytest.fixture
def scenario(server: Server) -> Scenario:
    built = build_scenario(server, ("us-west-1", "cn-hangzhou"))
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(built.cen_id, "us-west-1", "cn-hangzhou", 5))
    return built


def _things(server: Server, kind: str, **given: Any) -> dict[str, list[dict[str, str]]]:
    """The tags of each, by id."""
    outer, name = ("TransitRouters", "TransitRouterId") if kind == ROUTER else (
        "TransitRouterAttachments", "TransitRouterAttachmentId")  # fmt: skip
    return {thing[name]: thing["Tags"] for thing in server.ok(f"List{kind}s", **given)[outer]}


@pytest.mark.parametrize("kind", [ROUTER, VPC_ATTACHMENT, PEER_ATTACHMENT])
@pytest.mark.usefixtures("database_url")
def test_a_thing_is_tagged_found_by_its_tag_and_untagged(server: Server, scenario: Scenario, kind: str) -> None:
    first, *others = _things(server, kind, CenId=scenario.cen_id)
    named = {"ResourceType": kind.upper(), "ResourceId_1": first}
    server.ok("TagResources", **named, **TAG)
    assert _things(server, kind, CenId=scenario.cen_id) == {first: TAGS, **{other: [] for other in others}}
    assert _things(server, kind, CenId=scenario.cen_id, **TAG) == {first: TAGS}
    assert _things(server, kind, CenId=scenario.cen_id, Tag_1_Key="other") == {}
    (listed,) = server.ok("ListTagResources", **named)["TagResources"]["TagResource"]
    assert (listed["ResourceId"], listed["TagKey"], listed["TagValue"]) == (first, "team", "net")
    server.ok("UntagResources", **named, TagKey_1="team")
    assert _things(server, kind, CenId=scenario.cen_id)[first] == []


def test_things_are_made_with_tags(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    hangzhou, west = ({"CenId": cen_id, "RegionId": region} for region in ("cn-hangzhou", "us-west-1"))
    router_id = server.ok("CreateTransitRouter", **west, **TAG)["TransitRouterId"]
    vpc_id = server.ok("CreateVpc", "2016-04-28", RegionId="cn-hangzhou", CidrBlock="10.1.0.0/16")["VpcId"]
    attached = server.ok("CreateTransitRouterVpcAttachment", **hangzhou, VpcId=vpc_id, **TAG)
    areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "North-America", "Bandwidth": 20}
    package_id = server.ok("CreateCenBandwidthPackage", **areas)["CenBandwidthPackageId"]
    server.ok("AssociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    peer = {**hangzhou, "PeerTransitRouterId": router_id, "Bandwidth": 2}
    joined = server.ok("CreateTransitRouterPeerAttachment", **peer, **TAG)
    assert _things(server, ROUTER, CenId=cen_id, **TAG) == {router_id: TAGS}
    assert _things(server, VPC_ATTACHMENT, CenId=cen_id) == {attached["TransitRouterAttachmentId"]: TAGS}
    assert _things(server, PEER_ATTACHMENT, CenId=cen_id) == {joined["TransitRouterAttachmentId"]: TAGS}


def test_tags_are_gone_with_the_thing(server: Server, scenario: Scenario) -> None:
    for kind in (VPC_ATTACHMENT, PEER_ATTACHMENT):
        (first, *_) = _things(server, kind, CenId=scenario.cen_id)
        server.ok("TagResources", ResourceType=kind, ResourceId_1=first, **TAG)
        server.ok(f"Delete{kind}", TransitRouterAttachmentId=first)
        assert server.ok("ListTagResources", ResourceType=kind)["TagResources"]["TagResource"] == []


def test_tags_of_routers_are_gone_with_the_instance(server: Server) -> None:
    cen_id = server.ok("CreateCen")["CenId"]
    server.ok("CreateTransitRouter", CenId=cen_id, RegionId="us-west-1", **TAG)
    server.ok("DeleteCen", CenId=cen_id)
    assert server.ok("ListTagResources", ResourceType=ROUTER)["TagResources"]["TagResource"] == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ROUTER, "InvalidTransitRouterId.NotFound"),
        (VPC_ATTACHMENT, "InvalidTransitRouterAttachmentId.NotFound"),
        (PEER_ATTACHMENT, "InvalidTransitRouterAttachmentId.NotFound"),
    ],
)
def test_what_is_not_there_cannot_be_tagged(server: Server, kind: str, code: str) -> None:
    assert server.refused("TagResources", ResourceType=kind, ResourceId_1="tr-nope", **TAG) == (code, 404)
    listed = server.ok("ListTagResources", ResourceType=kind, ResourceId_1="tr-nope")
    assert listed["TagResources"]["TagResource"] == []
