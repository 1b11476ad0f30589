"""Answers about transit routers, routes and grants against the official SDK's own models."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from cbn_server import VPC, Scenario, Server, build_scenario, child, open_server, set_limit
from test_cbn_shapes import MODELS, _unfilled

WEST, EAST = "us-west-1", "cn-hangzhou"
LEFT_OUT = {
    # Cloud services own no networks here.
    "ListTransitRouterVpcAttachments": {"ManagedService"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with open_server(tmp_path_factory.mktemp("cbn-transit-shapes")) as opened:
        yield opened


@pytest.fixture(scope="module")
def scenario(server: Server) -> Scenario:
    """A network of it is granted to its own instance, so that there is a grant to list."""
    built = build_scenario(server)
    server.ok("SetCenInterRegionBandwidthLimit", **set_limit(built.cen_id, WEST, EAST, 5))
    owner = server.ok("GetCallerIdentity", "2015-04-01")["AccountId"]
    server.ok("GrantInstanceToCen", VPC, **_network(built), CenId=built.cen_id, CenOwnerId=owner)
    return built


def _network(scenario: Scenario) -> dict[str, str]:
    return {"RegionId": WEST, "InstanceId": scenario.vpc_ids[WEST], "InstanceType": "VPC"}


CALLS: list[tuple[str, str, Any]] = [
    ("cbn", "CreateTransitRouter", lambda s: {"CenId": s.cen_id, "RegionId": "eu-west-1"}),
    ("cbn", "ListTransitRouters", lambda s: {"CenId": s.cen_id}),
    ("cbn", "ListTransitRouterVpcAttachments", lambda s: {"CenId": s.cen_id}),
    ("cbn", "ListTransitRouterPeerAttachments", lambda s: {"CenId": s.cen_id}),
    ("cbn", "ListTransitRouterAvailableResource", lambda s: {"RegionId": WEST}),
    ("cbn", "DescribeCenRegionDomainRouteEntries", lambda s: {"CenId": s.cen_id, "CenRegionId": WEST}),
    ("cbn", "DescribePublishedRouteEntries", lambda s: child(s.cen_id, s.vpc_ids[WEST], WEST)),
    ("cbn", "DescribeGrantRulesToCen", lambda s: {"CenId": s.cen_id}),
    ("vpc", "DescribeGrantRulesToCen", _network),
]


@pytest.mark.parametrize(
    ("product", "action", "parameters"), CALLS, ids=[f"{product} {action}" for product, action, _ in CALLS]
)
def test_an_answer_fills_the_sdks_model(
    server: Server, scenario: Scenario, product: str, action: str, parameters: Any
) -> None:
    version = {"version": VPC} if product == "vpc" else {}
    answer = server.ok(action, **version, **parameters(scenario))
    model = getattr(importlib.import_module(MODELS[product]), f"{action}ResponseBody")().from_map(answer)
    assert model.to_map() == answer
    assert _unfilled(model, answer) == LEFT_OUT.get(action, set())
