"""Usage over REST: what gateways metered is drawn, once each, at the right time, for the right account."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fake_gateway import FakeGateway
from opencen.client import ApiError, Client, Credential
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess
from usage_batches import Link, batch, tick

BOOTED_AGO_S = 5_000
"""The gateway's boot clock differs from ours by this, and its wall clock by years."""


@pytest.fixture(scope="module")
def gateways(server: ServerProcess) -> dict[str, FakeGateway]:
    with server.client() as client:
        return {region: FakeGateway(server.url, client, region) for region in ("us-west-1", "cn-hangzhou")}


@pytest.fixture
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        made = make_scenario(client)
        made.set("us-west-1", "cn-hangzhou", 10)
        yield made


def boot_now() -> int:
    return int(time.time()) - BOOTED_AGO_S


def seconds(count: int, rate: Any) -> list[dict[str, Any]]:
    """Ticks of the last `count` seconds; `rate(n)` says the bytes of the n-th."""
    begin = boot_now() - count
    return [tick(begin + n + 1, 1, [(rate(n), n, 1, 500)]) for n in range(count)]


def send(gateway: FakeGateway, links: list[Link], ticks: list[dict[str, Any]], sequence: int, spool: str) -> Any:
    body = batch(links, ticks, sequence=sequence, boot_s=boot_now() + 0.3, spool_id=spool)
    return gateway.client.post("/v1/gateway/usage", body)


def chart(scenario: Scenario, **query: Any) -> dict[str, Any]:
    return dict(scenario.client.get(scenario.path("us-west-1", "cn-hangzhou") + "/usage", **query))


def sent_bytes(found: dict[str, Any], region_id: str) -> int:
    return sum(next(d for d in found["directions"] if d["from_region_id"] == region_id)["sent_bytes"])


def test_points_of_a_second_are_drawn_against_the_limit(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    send(gateways["us-west-1"], [(scenario.cen_id, "cn-hangzhou")], seconds(60, lambda n: 1_000 * n), 1, "drawn")
    found = chart(scenario, last_s=120, step_s=1)
    hangzhou, west = found["directions"]
    assert (hangzhou["from_region_id"], west["from_region_id"]) == ("cn-hangzhou", "us-west-1")
    known = [
        (mean, amount) for mean, amount in zip(west["mean_bps"], west["sent_bytes"], strict=True) if mean is not None
    ]
    assert known == [(8.0 * 1_000 * n, 1_000 * n) for n in range(60)]
    assert west["limit_bps"][-1] == 10_000_000
    assert hangzhou["mean_bps"] == [None] * len(hangzhou["mean_bps"]), "nothing is known, which is not nothing passed"
    assert sum(west["dropped_packets"]) == 60
    assert max(west["backlog_bytes"]) == 500


def test_late_duplicate_and_disordered_batches_count_once(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    ticks = seconds(300, lambda n: 10_000 + n)
    parts = [(number, ticks[number * 10 : number * 10 + 10]) for number in range(30)]
    disordered = [*parts, *parts[::3]]
    random.Random(7).shuffle(disordered)
    for number, part in disordered:
        send(gateways["us-west-1"], [(scenario.cen_id, "cn-hangzhou")], part, number, "disordered")
    for step_s in (1, 10, 60, 3_600):
        assert sent_bytes(chart(scenario, last_s=600, step_s=step_s), "us-west-1") == sum(
            10_000 + n for n in range(300)
        )


def test_a_roster_is_asked_for_once(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    links = [(scenario.cen_id, "cn-hangzhou")]
    body = batch(links, seconds(5, lambda _: 7), sequence=1, boot_s=boot_now(), spool_id="roster", with_roster=False)
    assert gateways["us-west-1"].client.post("/v1/gateway/usage", body)["wants_roster"] is True
    body = batch(links, seconds(5, lambda _: 7), sequence=1, boot_s=boot_now(), spool_id="roster")
    assert gateways["us-west-1"].client.post("/v1/gateway/usage", body)["wants_roster"] is False
    body = batch(links, seconds(5, lambda _: 7), sequence=2, boot_s=boot_now(), spool_id="roster", with_roster=False)
    assert gateways["us-west-1"].client.post("/v1/gateway/usage", body)["wants_roster"] is False
    assert sent_bytes(chart(scenario, last_s=60, step_s=1), "us-west-1") == 70


def test_what_is_another_accounts_does_not_exist(
    server: ServerProcess, scenario: Scenario, gateways: dict[str, FakeGateway]
) -> None:
    send(gateways["us-west-1"], [(scenario.cen_id, "cn-hangzhou")], seconds(5, lambda _: 7), 1, "account")
    account_id = scenario.client.post("/v1/accounts", {"name": f"other-{scenario.cen_id}"})["id"]
    user = scenario.client.post(
        "/v1/users", {"username": f"u-{scenario.cen_id}", "role": "operator", "account_id": account_id}
    )["user"]
    key = scenario.client.post("/v1/access-keys", {"user_id": user["id"], "name": "x"})
    with Client(server.url, Credential(key["access_key"]["id"], key["access_key_secret"])) as stranger:
        path = scenario.path("us-west-1", "cn-hangzhou") + "/usage"
        nowhere = path.replace(scenario.cen_id, "cen-nowhere")
        refusals = [refusal(stranger.get, path), refusal(stranger.get, nowhere)]
    assert [(error.status, error.code) for error in refusals] == [(404, "NotFound")] * 2


def test_a_deleted_connection_keeps_its_history(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    send(gateways["us-west-1"], [(scenario.cen_id, "cn-hangzhou")], seconds(5, lambda _: 7), 1, "deleted")
    scenario.client.delete(scenario.path("us-west-1", "cn-hangzhou"))
    assert sent_bytes(chart(scenario, last_s=60), "us-west-1") == 35


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"step_s": 25}, "a multiple of 10"),
        ({"last_s": 86_400, "step_s": 1}, "the last 15 minutes"),
        ({"last_s": 86_400 * 29, "step_s": 60}, "take a longer step"),
        ({"last_s": 86_400 * 90, "step_s": 600}, "take a longer step"),
    ],
)
def test_what_is_not_kept_is_refused_with_what_is(scenario: Scenario, query: dict[str, int], says: str) -> None:
    error = refusal(chart, scenario, **query)
    assert (error.status, error.problem["field"]) == (400, "step_s")
    assert says in error.detail


def test_csv_has_a_line_a_point(server: ServerProcess, scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    send(gateways["us-west-1"], [(scenario.cen_id, "cn-hangzhou")], seconds(5, lambda _: 7), 1, "csv")
    credential = (server.credential.identifier, server.credential.secret)
    path = scenario.path("us-west-1", "cn-hangzhou") + "/usage"
    answer = httpx.get(server.url + path, params={"last_s": 60, "step_s": 1, "format": "csv"}, auth=credential)
    header, *lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert header.startswith("time,from_region_id,to_region_id,mean_bps,max_bps,p95_bps,sent_bytes")
    assert len([line for line in lines if ",us-west-1,cn-hangzhou,56.0,56,56,7," in line]) == 5


def test_columns_of_another_length_are_refused(scenario: Scenario, gateways: dict[str, FakeGateway]) -> None:
    links = [(scenario.cen_id, "cn-hangzhou"), (scenario.cen_id, "cn-shanghai")]
    with pytest.raises(ApiError, match="as many as the roster has links"):
        send(gateways["us-west-1"], links, seconds(1, lambda _: 7), 1, "length")
