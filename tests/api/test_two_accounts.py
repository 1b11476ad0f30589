"""Two accounts do things at random: neither ever sees or changes anything of the other, over REST and over CBN."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from cbn_server import Caller, Server
from opencen.api.cbn.app import CbnEndpoint
from opencen.domain.nouns import Role
from opencen.serve import make_app, open_context

KINDS = {
    "cen": ("instances", {"name": "x"}),
    "vpc": ("networks", {"region_id": "cn-hangzhou", "cidr_blocks": ["10.1.0.0/16"]}),
    "cenbwp": ("bandwidth-packages", {"area_a_id": "China", "area_b_id": "China", "bandwidth_mbps": 5}),
}
CBN_READS = {
    "cen": ("DescribeCens", "Cens", "Cen", "CenId"),
    "cenbwp": ("DescribeCenBandwidthPackages", "CenBandwidthPackages", "CenBandwidthPackage", "CenBandwidthPackageId"),
}
CBN_DELETES = {"cen": ("DeleteCen", "CenId"), "cenbwp": ("DeleteCenBandwidthPackage", "CenBandwidthPackageId")}


class Account:
    def __init__(self, client: TestClient, caller: Caller, key: tuple[str, str]) -> None:
        self.client = client
        self.caller = caller
        self.key = key
        self.owned: dict[str, set[str]] = {kind: set() for kind in KINDS}

    def send(self, method: str, path: str, body: Any = None) -> Response:
        return self.client.request(method, f"/v1/{path}", json=body, auth=self.key)

    def sees(self, kind: str) -> set[str]:
        return {item["id"] for item in self.send("GET", f"{KINDS[kind][0]}?page_size=200").json()["items"]}

    def sees_over_cbn(self, kind: str) -> set[str]:
        action, plural, singular, field = CBN_READS[kind]
        status, answer = self.caller.call(action, PageSize="50")
        assert status == 200, answer
        return {item[field] for item in answer[plural][singular]}


def said(answer: Response, asked_id: str) -> tuple[int, str, str]:
    """What an answer says, but for the id that was asked for."""
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"].replace(asked_id, "ID")


def touch_foreign(dice: random.Random, mine: Account, kind: str, foreign_id: str) -> None:
    """Every way to somebody else's thing ends as the way to a thing that is not."""
    unknown_id = f"{kind}-{dice.randbytes(10).hex()}"
    method, body = dice.choice([("GET", None), ("PATCH", {"name": "stolen"}), ("DELETE", None)])
    path = KINDS[kind][0]
    refused = said(mine.send(method, f"{path}/{foreign_id}", body), foreign_id)
    assert refused == said(mine.send(method, f"{path}/{unknown_id}", body), unknown_id)
    assert refused[0] == 404
    for cen_id in sorted(mine.owned["cen"])[:1]:
        if kind == "cenbwp":
            answer = mine.send("PUT", f"{path}/{foreign_id}/binding", {"cen_id": cen_id})
            assert answer.status_code == 404, answer.text
    if kind in CBN_DELETES:
        action, name = CBN_DELETES[kind]
        (status, answer), (_, other) = (mine.caller.call(action, **{name: each}) for each in (foreign_id, unknown_id))
        assert (status, answer["Code"]) == (404, other["Code"])
        assert answer["Message"].replace(foreign_id, "ID") == other["Message"].replace(unknown_id, "ID")


@pytest.mark.parametrize("seed", range(3))
def test_neither_account_sees_or_changes_the_other(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    context, _ = open_context(tmp_path, None)
    server = Server(CbnEndpoint(context), "", "", context)
    callers = (server.add_user("mine", Role.OPERATOR), server.add_user("theirs", Role.OPERATOR, own_account=True))
    with TestClient(make_app(context)) as client:
        keys = (("AKMINE", "another-secret"), ("AKTHEIRS", "another-secret"))
        both = [Account(client, caller, key) for caller, key in zip(callers, keys, strict=True)]
        for _ in range(60):
            mine, theirs = dice.sample(both, 2)
            kind = dice.choice(sorted(KINDS))
            what = dice.choice(["make", "remove", "touch", "touch"])
            if what == "make":
                mine.owned[kind].add(mine.send("POST", *KINDS[kind]).json()["id"])
            elif what == "remove" and mine.owned[kind]:
                gone = dice.choice(sorted(mine.owned[kind]))
                assert mine.send("DELETE", f"{KINDS[kind][0]}/{gone}").status_code == 204
                mine.owned[kind].remove(gone)
            elif theirs.owned[kind]:
                touch_foreign(dice, mine, kind, dice.choice(sorted(theirs.owned[kind])))
            for account in both:
                assert account.sees(kind) == account.owned[kind]
                if kind in CBN_READS:
                    assert account.sees_over_cbn(kind) == account.owned[kind]
        audits = [{item["actor"] for item in each.send("GET", "audit").json()["items"]} for each in both]
        assert audits == [{"mine"}, {"theirs"}]
    assert server.problems() == []
    context.database.close()
