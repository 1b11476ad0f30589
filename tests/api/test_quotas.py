"""How many things an account may have: nobody gets one more, over either API, also when many ask at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cbn_server import Server, build_scenario, set_limit
from conftest import administrator
from opencen.api.cbn.app import CbnEndpoint
from opencen.domain.errors import QuotaExceededError
from opencen.domain.nouns import Actor, QuotaKind, Role
from opencen.serve import make_app, open_context
from opencen.services import instances, quotas
from opencen.services.context import Context


@pytest.fixture
def context(tmp_path: Path, database_url: str | None) -> Iterator[Context]:
    opened, _ = open_context(tmp_path / "data", database_url)
    yield opened
    opened.database.close()


def limit(context: Context, actor: Actor, **given: int | None) -> None:
    quotas.put(context, actor, actor.account_id, {QuotaKind(kind): most for kind, most in given.items()})


def test_many_who_ask_at_once_get_no_more_than_the_quota(context: Context) -> None:
    actor = administrator(context)
    limit(context, actor, instances=5)
    refused: list[int] = []

    def ask() -> None:
        for _ in range(4):
            try:
                instances.create(context, actor, name="one")
            except QuotaExceededError as refusal:
                refused.append(refusal.numbers["most"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quotas.find(context, actor, actor.account_id)[0].used == 5
    assert refused == [5] * 27


def test_random_sequences_never_exceed_it_and_are_refused_only_then(tmp_path: Path) -> None:
    context, _ = open_context(tmp_path / "data", None)
    actor, dice = administrator(context), random.Random(7)
    model: dict[str, Any] = {"most": None, "ids": []}
    for _ in range(150):
        match dice.choice(["make", "make", "remove", "limit"]):
            case "make":
                fits = model["most"] is None or len(model["ids"]) < model["most"]
                try:
                    model["ids"].append(instances.create(context, actor).id)
                    assert fits
                except QuotaExceededError as refusal:
                    assert not fits
                    assert (refusal.numbers["most"], refusal.numbers["used"]) == (model["most"], len(model["ids"]))
            case "remove" if model["ids"]:
                instances.delete(context, actor, model["ids"].pop())
            case "limit":
                model["most"] = dice.choice([None, 0, 1, 3, 6])
                limit(context, actor, instances=model["most"])
        (quota, *_) = quotas.find(context, actor, actor.account_id)
        assert (quota.most, quota.used) == (model["most"], len(model["ids"]))
    context.database.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    context, _ = open_context(tmp_path / "data", None)
    made = Server(CbnEndpoint(context), "", "", context)
    yield made
    assert made.problems() == []
    context.database.close()


def test_every_kind_is_refused_over_both_apis_with_the_numbers(server: Server) -> None:
    root = server.add_user("root", Role.ADMINISTRATOR)
    scenario = build_scenario(root)
    actor = administrator(server.context)
    limit(server.context, actor, instances=1, networks=3, packages=1, connections=0)
    assert root.refused("CreateCen", Name="x") == ("QuotaExceeded.CenCountExceeded", 400)
    assert root.refused("CreateVpc", "2016-04-28", RegionId="us-west-1", CidrBlock="10.9.0.0/16") == (
        "QuotaExceeded.Vpc",
        400,
    )
    pair = set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 2)
    assert root.refused("SetCenInterRegionBandwidthLimit", **pair)[1] == 400
    areas = {"area_a_id": "China", "area_b_id": "China", "bandwidth_mbps": 2}
    with TestClient(make_app(server.context)) as client:
        for path, body, kind, most in (
            ("instances", {}, "instances", 1),
            ("networks", {"region_id": "us-west-1", "cidr_blocks": ["10.9.0.0/16"]}, "networks", 3),
            ("bandwidth-packages", areas, "packages", 1),
        ):
            answer = client.request("POST", f"/v1/{path}", json=body, auth=("AKROOT", "another-secret")).json()
            assert (answer["code"], answer["kind"], answer["most"], answer["used"]) == (
                "QuotaExceeded",
                kind,
                most,
                most,
            )
    limit(server.context, actor, connections=1)
    root.ok("SetCenInterRegionBandwidthLimit", **pair)
    root.ok("SetCenInterRegionBandwidthLimit", **{**pair, "BandwidthLimit": 3})  # the same one again is none more
    other = set_limit(scenario.cen_id, "us-west-1", "cn-shanghai", 2)
    assert root.refused("SetCenInterRegionBandwidthLimit", **other)[1] == 400


def test_an_account_sees_its_own_quotas_and_no_others(server: Server) -> None:
    server.add_user("root", Role.ADMINISTRATOR)
    server.add_user("stranger", Role.OPERATOR, own_account=True)
    own_id = administrator(server.context).account_id
    with TestClient(make_app(server.context)) as client:

        def ask(user: str, account_id: str) -> Any:
            return client.request("GET", f"/v1/accounts/{account_id}/quotas", auth=(f"AK{user}", "another-secret"))

        theirs = client.request("GET", "/v1/me", auth=("AKSTRANGER", "another-secret")).json()["account_id"]
        assert ask("STRANGER", theirs).json()["used"]["instances"] == 0
        assert ask("STRANGER", own_id).status_code == 404
        assert ask("ROOT", theirs).status_code == 200
        limits = {"instances": 2, "networks": None}
        path, root = f"/v1/accounts/{theirs}/quotas", ("AKROOT", "another-secret")
        assert client.request("PATCH", path, json=limits, auth=("AKSTRANGER", "another-secret")).status_code == 403
        assert client.request("PATCH", path, json=limits, auth=root).json()["instances"] == 2
        assert client.request("PATCH", path, json={"networks": -1}, auth=root).status_code == 400
