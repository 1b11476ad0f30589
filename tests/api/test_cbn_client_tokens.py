"""A call that is repeated with its client token is answered as the first was, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cbn_server import VPC, Server, build_scenario, open_server
from opencen.api.cbn.app import CbnEndpoint
from opencen.changes.feed import ChangeFeed
from opencen.domain.nouns import Role
from opencen.services.context import Context


@pytest.fixture
def server(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    with open_server(tmp_path, database_url) as running:
        yield running
        assert running.problems() == []


def _count(server: Server) -> int:
    count: int = server.ok("DescribeCens")["TotalCount"]
    return count


def test_the_same_call_again_has_the_same_answer_and_makes_nothing(server: Server) -> None:
    given = {"Name": "once", "ClientToken": "t-1", "Tag_1_Key": "k"}
    first = server.ok("CreateCen", **given)
    again = server.ok("CreateCen", **given)
    assert again["CenId"] == first["CenId"]
    assert again["RequestId"] != first["RequestId"]
    assert _count(server) == 1
    assert server.ok("CreateCen", **{**given, "ClientToken": "t-2"})["CenId"] != first["CenId"]


def test_the_token_of_another_call_is_refused(server: Server) -> None:
    server.ok("CreateCen", Name="once", ClientToken="t-1")
    assert server.refused("CreateCen", Name="twice", ClientToken="t-1") == ("IdempotenceParam.NotMatch", 400)
    assert _count(server) == 1
    assert any(outcome == "refused" for _, outcome, _ in server.audit_events())
    where = {"RegionId": "cn-hangzhou", "ClientToken": "t-1"}
    server.ok("CreateVpc", VPC, **where, CidrBlock="10.0.0.0/16")
    refused = server.refused("CreateVpc", VPC, **where, CidrBlock="10.1.0.0/16")
    assert refused == ("IdempotentParameterMismatch", 400)


def test_calls_at_the_same_moment_make_one_thing(server: Server) -> None:
    def create(_: int) -> str:
        created: str = server.ok("CreateCen", ClientToken="t-1")["CenId"]
        return created

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(create, range(16)))) == 1
    assert _count(server) == 1


def test_a_refused_call_changes_nothing_is_audited_and_uses_no_token_up(server: Server) -> None:
    group = {"ClientToken": "t-1", "ResourceGroupId": "rg-none"}
    assert server.refused("CreateCen", **group) == ("IllegalParam.ResourceGroupId", 400)
    assert [(action, outcome) for action, outcome, _ in server.audit_events()] == [("instance.create", "refused")]
    server.ok("CreateCen", ClientToken="t-1")
    assert _count(server) == 1


def test_a_token_lasts_24_hours(server: Server) -> None:
    now = server.context.clock()
    first = server.ok("CreateCen", ClientToken="t-1")["CenId"]
    for passed, same in ((timedelta(hours=23, minutes=59), True), (timedelta(hours=24, minutes=1), False)):
        later = replace(server.context, clock=lambda passed=passed: now + passed)
        endpoint = CbnEndpoint(later)
        endpoint._clock = server.context.clock
        assert (replace(server, endpoint=endpoint).ok("CreateCen", ClientToken="t-1")["CenId"] == first) is same


def test_accounts_do_not_share_tokens(server: Server) -> None:
    stranger = server.add_user("stranger", Role.ADMINISTRATOR, own_account=True)
    mine = server.ok("CreateCen", ClientToken="t-1")["CenId"]
    assert stranger.ok("CreateCen", ClientToken="t-1")["CenId"] != mine


@pytest.mark.parametrize("token", ["x" * 65, "töken", "new\nline"])
def test_a_token_of_the_wrong_form_is_refused(server: Server, token: str) -> None:
    assert server.refused("CreateCen", ClientToken=token) == ("InvalidParameter", 400)


def test_those_who_wait_are_told_when_it_is_committed(server: Server) -> None:
    seen: list[int] = []

    class Feed(ChangeFeed):
        def publish(self, change: object) -> None:
            seen.append(_count(server))

    context: Context = replace(server.context, feed=Feed())
    told = replace(server, endpoint=CbnEndpoint(context))
    told.ok("CreateCen", ClientToken="t-1")
    assert seen == [1]
    told.ok("CreateCen", ClientToken="t-1")
    assert seen == [1]


def test_a_connection_between_transit_routers_is_made_once(server: Server) -> None:
    scenario = build_scenario(server, ("us-west-1", "cn-hangzhou"))
    routers = server.ok("ListTransitRouters", CenId=scenario.cen_id)["TransitRouters"]
    router_ids = {router["RegionId"]: router["TransitRouterId"] for router in routers}
    given = {
        "CenId": scenario.cen_id,
        "TransitRouterId": router_ids["us-west-1"],
        "PeerTransitRouterId": router_ids["cn-hangzhou"],
        "PeerTransitRouterRegionId": "cn-hangzhou",
        "Bandwidth": 2,
        "ClientToken": "t-1",
    }
    server.ok("CreateTransitRouterPeerAttachment", **given, DryRun="true")
    first = server.ok("CreateTransitRouterPeerAttachment", **given)["TransitRouterAttachmentId"]
    assert server.ok("CreateTransitRouterPeerAttachment", **given)["TransitRouterAttachmentId"] == first
    refused = server.refused("CreateTransitRouterPeerAttachment", **{**given, "Bandwidth": 3})
    assert refused == ("IdempotenceParam.NotMatch", 400)
    gone = {"TransitRouterAttachmentId": first, "ClientToken": "t-2"}
    server.ok("DeleteTransitRouterPeerAttachment", **gone)
    server.ok("DeleteTransitRouterPeerAttachment", **gone)
