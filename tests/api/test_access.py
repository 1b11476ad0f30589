"""The access table, cell by cell: each REST route and RPC action for each kind of caller."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute
from httpx import Response
from starlette.testclient import TestClient

from access_table import ADMINISTRATOR, CONSOLE, GATEWAY, OPERATOR, PUBLIC, REST, RPC, SESSION, VIEWER
from cbn_server import VPC, Caller, Scenario, Server, build_scenario, set_limit
from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.actions.transit_shapes import peer_attachment_id, router_id, vpc_attachment_id
from opencen.api.cbn.app import CbnEndpoint
from opencen.api.cbn.protocol.action import Action
from opencen.api.rest.app import make_rest_app
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store import identities, people, sessions
from opencen.store.sessions import SessionRow

Key = tuple[str, str] | str | None
"""An access key, a session's or gateway's bearer, or nobody."""
EXAMPLE = "(VIEWER | OPERATOR | ADMINISTRATOR | SESSION | GATEWAY | PUBLIC, None or a body)"
RANK = {VIEWER: 1, OPERATOR: 2, ADMINISTRATOR: 3, PUBLIC: 0, SESSION: 4, GATEWAY: 9}
_FILLED = {"region_id": "us-west-1", "other_region_id": "cn-hangzhou", "number": "1", "month": "2025-01"}


@dataclass
class World:
    """Everybody who calls. `callers`: credential, and rank (0: nobody that is known)."""

    context: Context
    server: Server
    client: TestClient
    callers: dict[str, tuple[Key, int]]
    rpc: dict[str, tuple[Caller, int]]
    scenario: Scenario
    ids: dict[str, str]

    @property
    def no_ids(self) -> dict[str, str]:
        return {name: unknown(identifier) for name, identifier in self.ids.items()}

    def send(self, key: Key, method: str, path: str, body: Any) -> Response:
        headers = {"authorization": f"Bearer {key}"} if isinstance(key, str) else {}
        auth = key if isinstance(key, tuple) else None
        return self.client.request(method, f"/v1{path}", json=body, auth=auth, headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    context, _ = open_context(tmp_path_factory.mktemp("access"), None)
    server = Server(CbnEndpoint(context), "", "", context)
    rpc = {
        "administrator": (server.add_user("root", Role.ADMINISTRATOR), 3),
        "operator": (server.add_user("operator", Role.OPERATOR), 2),
        "viewer": (server.add_user("viewer", Role.VIEWER), 1),
        "other account's operator": (server.add_user("stranger", Role.OPERATOR, own_account=True), 2),
        "revoked key": (server.add_user("revoked", Role.OPERATOR), 0),
    }
    with context.database.write() as tx:
        people.switch_key(tx, "AKREVOKED", active=False)
    callers: dict[str, tuple[Key, int]] = {
        name: ((caller.access_key_id, caller.secret), rank) for name, (caller, rank) in rpc.items()
    }
    callers |= {"anonymous": (None, 0), "expired session": (_expired_session(context), 0)}
    with TestClient(make_app(context)) as client:
        scenario = build_scenario(rpc["administrator"][0])
        ids = real_ids(rpc["administrator"][0], scenario)
        yield World(context, server, client, callers, rpc, scenario, ids)
    assert server.problems() == []
    context.database.close()


def _expired_session(context: Context) -> str:
    with context.database.write() as tx:
        user = identities.find_user(tx, "root")
        assert user is not None
        now = context.clock()
        since, until, token = now - timedelta(days=2), now - timedelta(days=1), hash_token("token")
        row = SessionRow("ses-old", user.id, token, since, until, None, "", user.account_id, "root", user.role)
        sessions.add(tx, row)
    return "ses-old:token"


def real_rest(context: Context) -> set[str]:
    def walk(routes: Iterable[Any]) -> Iterator[str]:
        for route in routes:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            if isinstance(route, APIRoute):
                yield from (f"{route.path} {method}" for method in route.methods)
            elif hasattr(inner, "routes"):
                yield from walk(inner.routes)

    return set(walk(make_rest_app(context).routes))


def real_console() -> set[str]:
    from nicegui import app as nicegui_app  # noqa: PLC0415  slow, and only this test wants it

    import opencen.console.app  # noqa: F401, PLC0415

    found = {route.path for route in nicegui_app.routes if getattr(route, "methods", None)}
    return {path for path in found if not path.startswith(("/_nicegui", "/static")) and path != "/openapi.json"}


def compare(real: set[str], table: Mapping[str, object], name: str, example: str) -> None:
    """What to write where, when a row is missing."""
    missing, gone = sorted(real - table.keys()), sorted(table.keys() - real)
    assert not missing, "tests/api/access_table.py: add to {}, where the alphabet puts it:\n{}".format(
        name, "\n".join(f'    "{key}": {example},' for key in missing)
    )
    assert not gone, f"tests/api/access_table.py: take these out of {name}, they are no more: {gone}"
    assert list(table) == sorted(table), f"tests/api/access_table.py: {name} is not sorted"


def test_every_rest_route_has_its_row(world: World) -> None:
    compare(
        real_rest(world.context),
        REST,
        "REST",
        "(VIEWER | OPERATOR | ADMINISTRATOR | SESSION | GATEWAY | PUBLIC, None or a body)",
    )


def test_every_action_has_its_row() -> None:
    compare({f"{action.product.name} {action.name}" for action in REGISTRY}, RPC, "RPC", "VIEWER | OPERATOR")


def test_every_console_page_has_its_row() -> None:
    compare(real_console(), CONSOLE, "CONSOLE", "VIEWER | ADMINISTRATOR | PUBLIC")


@pytest.mark.parametrize("row", REST)
def test_a_rest_route_for_every_kind_of_caller(world: World, row: str) -> None:
    (path, method), (least, body) = row.split(" "), REST[row]
    filled = re.sub(r"\{(\w+)\}", lambda found: _FILLED.get(found[1], "x-unknown"), path)
    filled += "?wait_s=0" if path == "/changes" else ""
    for name, (key, rank) in world.callers.items():
        answer = world.send(key, method, filled, body)
        cell = f"{row} as {name}: {answer.status_code} {answer.text[:300]}"
        if least == PUBLIC:
            assert answer.status_code < 500, cell
            break  # it asks nobody who he is
        if rank == 0 or least == GATEWAY:
            assert (answer.status_code, answer.json()["code"]) == (401, "Unauthenticated"), cell
        elif rank < RANK[least]:
            assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden"), cell
        else:
            assert answer.status_code in (200, 201, 204, 400, 404), cell
    if "{" in path and RANK[least] <= RANK[OPERATOR]:
        _nothing_of_others(world, row, path)


def _nothing_of_others(world: World, row: str, path: str) -> None:
    """What belongs to another account answers as what does not exist."""
    key, _ = world.callers["other account's operator"]
    method, body = row.split(" ")[1], REST[row][1]
    theirs = {"cen_id": world.scenario.cen_id, "package_id": world.scenario.package_id}
    theirs["network_id"] = world.scenario.vpc_ids["us-west-1"]
    filled = {name: theirs.get(name, _FILLED.get(name, "x-unknown")) for name in re.findall(r"\{(\w+)\}", path)}
    if not theirs.keys() & filled.keys():
        return
    unknown = {name: f"{value[:4]}unknown" if name in theirs else value for name, value in filled.items()}
    known_answer, unknown_answer = (
        world.send(key, method, re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path), body)  # noqa: B023
        for values in (filled, unknown)
    )
    said = known_answer.json()["detail"]
    for name in theirs.keys() & filled.keys():
        said = said.replace(filled[name], unknown[name])
    assert known_answer.status_code == 404, f"{row}: {known_answer.text}"
    assert (unknown_answer.status_code, unknown_answer.json()["detail"]) == (404, said), row


def real_ids(world_server: Caller, scenario: Scenario) -> dict[str, str]:
    """A parameter that names something, and something of the first account's; made where it is missing."""
    cen_id, vpc_id = scenario.cen_id, scenario.vpc_ids["us-west-1"]
    zone = {"RegionId": "us-west-1", "ZoneId": "us-west-1a", "CidrBlock": "10.1.7.0/24"}
    vswitch = world_server.ok("CreateVSwitch", VPC, VpcId=vpc_id, **zone)
    world_server.ok("SetCenInterRegionBandwidthLimit", **set_limit(cen_id, "us-west-1", "cn-hangzhou", 2))
    for region_id in ("us-west-1", "cn-hangzhou"):
        world_server.ok("CreateTransitRouter", CenId=cen_id, RegionId=region_id)
    group = world_server.ok("CreateResourceGroup", "2020-03-31", Name="group", DisplayName="group")
    return {
        "CenId": cen_id,
        "CenBandwidthPackageId": scenario.package_id,
        "VpcId": vpc_id,
        "ChildInstanceId": vpc_id,
        "ChildInstanceRouteTableId": vpc_id.replace("vpc-", "vtb-"),
        "InstanceId": vpc_id,
        "VSwitchId": vswitch["VSwitchId"],
        "TransitRouterId": router_id(cen_id, "us-west-1"),
        "PeerTransitRouterId": router_id(cen_id, "cn-hangzhou"),
        "TransitRouterAttachmentId": peer_attachment_id(cen_id, ("cn-hangzhou", "us-west-1")),
        "ResourceGroupId": group["ResourceGroup"]["Id"],
        "NewResourceGroupId": group["ResourceGroup"]["Id"],
    }


_PLAIN = {
    "ChildInstanceType": "VPC",
    "ChildInstanceRegionId": "us-west-1",
    "RegionId": "us-west-1",
    "PeerTransitRouterRegionId": "cn-hangzhou",
    "LocalRegionId": "us-west-1",
    "OppositeRegionId": "cn-hangzhou",
    "CenRegionId": "us-west-1",
    "BandwidthLimit": "3",
    "Bandwidth": "30",
    "GeographicRegionAId": "China",
    "GeographicRegionBId": "North-America",
    "InstanceType": "VPC",
    "CenOwnerId": "1",
    "CidrBlock": "10.1.1.0/24",
    "DestinationCidrBlock": "10.1.1.0/24",
    "ZoneId": "us-west-1a",
    "ServiceCode": "cbn",
    "Id": "us-west-1",
    "Namespace": "acs_cen",
    "MetricName": "InternetOutRateByConnectionRegion",
}
_TOGETHER = {
    "CreateTransitRouterPeerAttachment": ("Bandwidth", "CenId", "RegionId"),
    "CreateTransitRouterVpcAttachment": ("CenId", "RegionId"),
    "TagResources": ("Tag",),
    "UntagResources": ("TagKey",),
    "UnTagResources": ("TagKey",),
}
"""What is not required by itself, but with the others."""


def unknown(identifier: str) -> str:
    """An id of the same form, of nothing."""
    head, _, rest = identifier.rpartition("-")
    return f"{head}-{'z' * 16}{rest[16:]}"


def parameters(action: Action[Context], ids: Mapping[str, str]) -> dict[str, str]:
    """Every required parameter of an action."""
    wanted = [name for name, required in action.parameters if required]
    wanted += _TOGETHER.get(action.name, ())
    vpc = action.product.version == VPC
    thing = ids["VpcId"] if vpc else ids["CenId"]
    values = {**_PLAIN, **ids, "ResourceId.1": thing, "Tag.1.Key": "k", "TagKey.1": "k", "ResourceId": thing}
    values["ResourceType"] = "vpc" if vpc else "cen"
    if action.name.startswith("Move"):
        wanted = [name for name in wanted if name != "ResourceId"] + ["ResourceId"]
    elif "ResourceId" in wanted:
        wanted = [{"ResourceId": "ResourceId.1", "Tag": "Tag.1.Key", "TagKey": "TagKey.1"}.get(n, n) for n in wanted]
    if "VpcAttachment" in action.name and "TransitRouterAttachmentId" in wanted:
        values["TransitRouterAttachmentId"] = vpc_attachment_id(ids["VpcId"])
    return {name: values.get(name, "x") for name in wanted}


@pytest.mark.parametrize("row", RPC)
def test_an_action_for_every_kind_of_caller(world: World, row: str) -> None:
    action = next(action for action in REGISTRY if f"{action.product.name} {action.name}" == row)
    version = action.product.version
    nobody = world.client.get("/", params={"Action": action.name, "Version": version, "Format": "JSON"})
    assert (nobody.status_code, nobody.json()["Code"]) == (400, "MissingParameter")
    for name, (caller, rank) in world.rpc.items():
        real = name == "viewer"  # refused whatever it is; the others would really change it
        status, answer = caller.send(action.name, parameters(action, world.ids if real else world.no_ids), version)
        cell = f"{row} as {name}: {status} {answer}"
        if rank == 0:
            assert (status, answer["Code"]) == (400, "InvalidAccessKeyId.Inactive"), cell
        elif rank < RANK[RPC[row]]:
            assert (status, answer["Code"]) == (403, "Forbidden.RAM"), cell
        else:
            assert status in (200, 400, 404, 409), cell
            assert answer.get("Code") != "MissingParameter", cell
    stranger, _ = world.rpc["other account's operator"]
    theirs, nothing = (
        stranger.send(action.name, parameters(action, ids), version) for ids in (world.ids, world.no_ids)
    )
    if action.name.startswith("Create") and theirs[0] == 200:
        assert nothing[0] == 200, row  # both were made, with ids of their own
    else:
        assert without_ids(theirs, world) == without_ids(nothing, world), row


def without_ids(answer: tuple[int, dict[str, Any]], world: World) -> tuple[int, str]:
    """What an answer says, but for the ids that were asked for."""
    status, document = answer
    document = {name: value for name, value in document.items() if name not in ("RequestId", "Recommend")}
    said = str(document)
    for ids in (world.ids, world.no_ids):
        for name, identifier in ids.items():
            said = said.replace(identifier, name)
        said = said.replace(vpc_attachment_id(ids["VpcId"]), "TransitRouterAttachmentId")
    return status, said
