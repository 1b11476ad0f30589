"""Two gateways in a region, over HTTP: who takes over when, whose word counts, and one credential on two hosts."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_gateway import FakeGateway
from joined import join_over_http
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess, running_server

WEST, HANGZHOU = "us-west-1", "cn-hangzhou"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "data") as made:
        yield made


class Pair:
    """Two gateways in us-west-1 and one in cn-hangzhou, of which any may be silenced."""

    def __init__(self, server: ServerProcess) -> None:
        self.admin = server.client()
        self.scenario = make_scenario(self.admin)
        self.first = self._gateway(server, WEST, 1)
        self.second = self._gateway(server, WEST, 2)
        self.hangzhou = self._gateway(server, HANGZHOU, 3)
        self.silenced: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _gateway(self, server: ServerProcess, region_id: str, number: int) -> FakeGateway:
        made = FakeGateway(server.url, self.admin, region_id, f"192.0.2.{number}")
        made.hello()
        made.obey()
        return made

    def __enter__(self) -> Pair:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(0.2):
            for gateway in (self.first, self.second, self.hangzhou):
                if gateway.id not in self.silenced:
                    gateway.beat()

    def role(self, gateway: FakeGateway) -> str:
        return str(self.admin.get(f"/v1/gateways/{gateway.id}")["role"])

    def connection(self) -> dict[str, Any]:
        return dict(self.admin.get(self.scenario.path(WEST, HANGZHOU)))

    def obey(self) -> None:
        for gateway in (self.first, self.second, self.hangzhou):
            gateway.obey()


@pytest.fixture
def pair(server: ServerProcess) -> Iterator[Pair]:
    with Pair(server) as made:
        yield made


def _within(seconds: float, condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def test_the_first_is_active_the_second_stands_by_and_a_third_is_refused(pair: Pair) -> None:
    assert (pair.role(pair.first), pair.role(pair.second)) == ("active", "standby")
    assert (pair.first.state["standby"], pair.second.state["standby"]) == (False, True)
    assert pair.first.fetch()["partner_key"] == pair.second.state["partner_key"] != None  # noqa: E711
    assert pair.hangzhou.fetch()["partner_key"] is None
    error = refusal(join_over_http, pair.admin, WEST)
    assert (error.status, error.code) == (409, "GatewayExists")


def test_only_the_active_one_is_waited_for(pair: Pair) -> None:
    pair.scenario.set(WEST, HANGZHOU, 10)
    pair.first.obey()
    pair.hangzhou.obey()
    assert (pair.connection()["status"], pair.connection()["enforcement"]) == ("Active", "confirmed")
    assert pair.connection()["sides"][1]["gateway_id"] == pair.first.id


def test_a_standby_takes_over_from_a_silent_one_and_has_its_rate_when_the_peer_has_turned(pair: Pair) -> None:
    pair.scenario.set(WEST, HANGZHOU, 20)
    pair.obey()
    pair.silenced.add(pair.first.id)
    took_s = _within(4.5, lambda: pair.role(pair.second) == "active")
    assert took_s > 1.5, "a pause is no death"
    assert pair.role(pair.first) == "standby"
    pair.second.obey()
    assert pair.second.rate_bps(pair.scenario.cen_id, HANGZHOU) == 1_000
    assert f"gateway {pair.first.id} of {WEST}, which was the active one, may still send" in str(pair.connection())
    pair.hangzhou.obey()
    pair.second.obey()
    pair.hangzhou.obey()
    assert pair.second.rate_bps(pair.scenario.cen_id, HANGZHOU) == 20_000_000
    assert (pair.connection()["status"], pair.connection()["enforcement"]) == ("Active", "confirmed")
    links = pair.hangzhou.instances[pair.scenario.cen_id]["links"]
    assert [link["peer_endpoint"] for link in links if link["peer_region_id"] == WEST] == [pair.second.endpoint]
    event = pair.admin.get("/v1/audit", resource=pair.second.id)["items"][0]
    assert (event["action"], event["after"]["active_gateway_id"]) == ("gateway.take_over", pair.second.id)
    assert "not heard for" in event["after"]["reason"]
    assert pair.admin.get("/v1/check")["broken"] == []


def test_an_operator_changes_places_and_the_former_ones_word_is_enough(pair: Pair) -> None:
    pair.scenario.set(WEST, HANGZHOU, 20)
    pair.obey()
    pair.admin.post(f"/v1/gateways/{pair.second.id}/promote", {"prefer": True})
    pair.first.obey()
    pair.second.obey()
    assert pair.second.rate_bps(pair.scenario.cen_id, HANGZHOU) == 20_000_000, "the former one's tunnel is down"
    found = pair.admin.get(f"/v1/gateways/{pair.second.id}")
    assert (found["role"], found["preferred"]) == ("active", True)
    pair.admin.post(f"/v1/gateways/{pair.first.id}/promote", {})
    assert not any(item["preferred"] for item in pair.admin.get("/v1/gateways")["items"])


def test_who_is_silent_or_alone_is_not_promoted(pair: Pair) -> None:
    pair.silenced |= {pair.first.id, pair.second.id}
    time.sleep(10.5)  # what makes it late
    error = refusal(pair.admin.post, f"/v1/gateways/{pair.second.id}/promote", {})
    assert (error.status, "cannot take over" in error.detail) == (409, True)
    assert pair.role(pair.first) == "active", "nobody is heard: everything stays"
    error = refusal(pair.admin.post, f"/v1/gateways/{pair.hangzhou.id}/promote", {})
    assert "is the only gateway" in error.detail


def test_removing_the_active_one_promotes_its_partner(pair: Pair) -> None:
    pair.scenario.set(WEST, HANGZHOU, 20)
    pair.obey()
    pair.silenced.add(pair.first.id)
    pair.admin.delete(f"/v1/gateways/{pair.first.id}")
    pair.second.obey()
    assert pair.role(pair.second) == "active"
    assert pair.second.rate_bps(pair.scenario.cen_id, HANGZHOU) == 20_000_000


def test_an_agent_that_knows_no_standby_is_refused_as_one(pair: Pair) -> None:
    pair.second.knows_roles = False
    error = refusal(pair.second.hello)
    assert (error.status, "install a newer agent" in error.detail) == (409, True)


def test_one_credential_on_two_hosts_is_refused_to_the_second_and_reported(pair: Pair) -> None:
    twin = FakeGateway.of(pair.hangzhou, host_id="another host")
    pair.hangzhou.host_id = "the host"
    pair.hangzhou.hello()
    for call in (twin.hello, twin.fetch, twin.beat):
        error = refusal(call)
        assert (error.status, error.code) == (409, "GatewayInUse")
    found = pair.admin.get(f"/v1/gateways/{pair.hangzhou.id}")
    assert "another host used its credential" in found["trouble"]
    pair.hangzhou.obey()
    events = pair.admin.get("/v1/audit", resource=pair.hangzhou.id)["items"]
    assert any(event["outcome"] == "refused" and event["after"]["code"] == "GatewayInUse" for event in events)


def _copy(data: Path, target: Path) -> None:
    shutil.copytree(data, target, ignore=shutil.ignore_patterns("*.sock"))


def test_a_restored_copy_is_told_from_the_history_that_a_gateway_has_seen(tmp_path: Path) -> None:
    """Also when its revisions have overtaken the held one; and what such a gateway says acknowledges nothing."""
    with running_server(tmp_path / "data") as server, server.client() as admin:
        scenario = make_scenario(admin)
        gateway = FakeGateway(server.url, admin, WEST)
        gateway.hello()
        gateway.obey()
    _copy(tmp_path / "data", tmp_path / "copy")
    with running_server(tmp_path / "data") as server, server.client() as admin:
        gateway.move(server.url)
        _again(scenario, admin).set(WEST, HANGZHOU, 5)
        assert gateway.fetch()["continues"]
        gateway.report()
    held = gateway.applied_revision
    with running_server(tmp_path / "copy") as server, server.client() as admin:
        gateway.move(server.url)
        later = _again(scenario, admin)
        for mbps in range(1, 6):
            later.set(WEST, HANGZHOU, mbps)
        item = later.set(WEST, HANGZHOU, 5)
        assert admin.get("/v1/gateways")["items"][0]["wanted_revision"] > held, "overtaken"
        gateway.report()
        found = admin.get(f"/v1/gateways/{gateway.id}")
        assert found["applied_revision"] == 0
        assert "another history" in found["trouble"]
        item = admin.get(later.path(WEST, HANGZHOU))
        assert item["sides"][1]["held_bps"] == 5_000_000, "what its kernel has counts all the same"
        state = gateway.fetch()
        assert (state["continues"], state["full"]) == (False, True)
        gateway.report()
        assert admin.get(f"/v1/gateways/{gateway.id}")["trouble"] is None


def _again(scenario: Scenario, admin: Any) -> Scenario:
    return Scenario(admin, scenario.cen_id, scenario.package_id, scenario.network_ids)
