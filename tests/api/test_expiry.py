"""A package bought for a time: warned of, ended, renewed; on SQLite and PostgreSQL, over both APIs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cbn_server import Scenario, Server, build_scenario, open_server, set_limit
from opencen.serve import make_app
from opencen.services import expiry
from opencen.wire.join_token import hash_of_secret

PAIR = ("cn-hangzhou", "us-west-1")


class InProcess:
    """Calls to the REST API of a server in this process."""

    def __init__(self, server: Server) -> None:
        self._transport = httpx.ASGITransport(make_app(server.context))

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://opencen") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


class Site:
    """A scenario whose package is PREPAY for a month, gateways at both ends of a pair, and a clock to turn."""

    def __init__(self, server: Server, http: InProcess) -> None:
        self.server = server
        self.http = http
        self.auth = (server.access_key_id, server.secret)
        self.passed = timedelta()
        start = server.context.clock
        server.context.clock = lambda: start() + self.passed
        self.scenario = self._scenario()
        self.said: dict[str, dict[str, Any]] = {}
        self.tokens = {region_id: self._join(region_id, index) for index, region_id in enumerate(PAIR, 1)}

    def _scenario(self) -> Scenario:
        found = build_scenario(self.server)
        named = {"CenId": found.cen_id, "CenBandwidthPackageId": found.package_id}
        self.server.ok("UnassociateCenBandwidthPackage", **named)
        bought = self.server.ok(
            "CreateCenBandwidthPackage",
            GeographicRegionAId="China",
            GeographicRegionBId="North-America",
            Bandwidth=20,
            BandwidthPackageChargeType="PREPAY",
            Period=1,
        )
        package_id = bought["CenBandwidthPackageId"]
        self.server.ok("AssociateCenBandwidthPackage", CenId=found.cen_id, CenBandwidthPackageId=package_id)
        return Scenario(found.cen_id, package_id, found.vpc_ids)

    def _join(self, region_id: str, index: int) -> str:
        token = self.post("/v1/join-tokens", {"region_id": region_id})["text"]
        secret = secrets.token_urlsafe(32)
        asked = {"token": token, "credential_sha256": hash_of_secret(secret), "name": region_id}
        token = f"{self.post('/v1/gateway/join', asked)['gateway_id']}:{secret}"
        capabilities = {"kernel": "none", "leaf_queue": "bfifo", "encryption": "none", "source_check": "nftables"}
        body = {"agent_version": "0", "endpoint": f"192.0.2.{index}", "capabilities": capabilities}
        assert self.http.post("/v1/gateway/hello", json=body, headers=_bearer(token)).status_code == 200
        return token

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body, auth=self.auth)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def turn(self, days: float) -> None:
        """Days pass, the gateways still hold what they held, and the duty looks."""
        self.passed += timedelta(days=days)
        for region_id, body in self.said.items():
            self._report(region_id, body)
        expiry.expire(self.server.context)

    def obey(self) -> dict[str, int]:
        """Both gateways carry out what they are told; the rates that they were told, bit/s."""
        rates = {}
        for region_id, token in self.tokens.items():
            state = self.http.get("/v1/gateway/state?after=0&wait_s=0", headers=_bearer(token)).json()
            (instance,) = state["instances"]
            told = {link["peer_region_id"]: link["rate_bps"] for link in instance["links"]}
            links = [{"peer_region_id": peer, "in_kernel_bps": rate} for peer, rate in told.items()]
            report = {"cen_id": instance["cen_id"], "revision": instance["revision"], "networks": [], "links": links}
            body = {"applied_revision": state["revision"], "instances": [report]}
            self._report(region_id, body)
            (peer,) = set(PAIR) - {region_id}
            rates[region_id] = told[peer]
        return rates

    def _report(self, region_id: str, body: dict[str, Any]) -> None:
        headers = _bearer(self.tokens[region_id])
        assert self.http.post("/v1/gateway/report", json=body, headers=headers).status_code == 200
        self.said[region_id] = body

    def connection(self) -> dict[str, Any]:
        path = f"/v1/instances/{self.scenario.cen_id}/region-connections/{PAIR[0]}/{PAIR[1]}"
        return dict(self.http.get(path, auth=self.auth).json())

    def package(self) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/bandwidth-packages/{self.scenario.package_id}", auth=self.auth).json())

    def rpc_package(self) -> dict[str, Any]:
        found = self.server.ok("DescribeCenBandwidthPackages")["CenBandwidthPackages"]["CenBandwidthPackage"]
        return next(item for item in found if item["CenBandwidthPackageId"] == self.scenario.package_id)


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def site(tmp_path: Path, database_url: str | None) -> Iterator[Site]:
    with open_server(tmp_path, database_url) as server:
        site = Site(server, InProcess(server))
        site.server.ok("SetCenInterRegionBandwidthLimit", **set_limit(site.scenario.cen_id, *PAIR, 15))
        yield site
        assert server.problems() == []


def test_connections_fall_back_when_their_package_ends_and_are_restored_when_it_is_renewed(site: Site) -> None:
    assert set(site.obey().values()) == {15_000_000}
    assert (site.connection()["status"], site.connection()["enforcement"]) == ("Active", "confirmed")
    assert site.rpc_package()["BusinessStatus"] == "Normal"

    site.turn(days=33)
    waiting = site.connection()
    assert waiting["status"] == "Modifying", "the kernels still have 15 Mbit/s"
    assert set(site.obey().values()) == {1_000}
    ended = site.connection()
    assert (ended["status"], ended["enforcement"], ended["bandwidth_mbps"]) == ("Active", "confirmed", 15)
    assert ended["reasons"][0].startswith(f"package {site.scenario.package_id} expired: 1 kbit/s since ")
    assert (site.package()["allocated_mbps"], site.rpc_package()["BusinessStatus"]) == (15, "FinancialLocked")
    assert site.server.problems() == []

    site.post(f"/v1/bandwidth-packages/{site.scenario.package_id}/renewal", {"months": 2})
    assert site.connection()["status"] == "Modifying"
    assert set(site.obey().values()) == {15_000_000}
    assert (site.connection()["status"], site.connection()["reasons"]) == ("Active", [])
    assert (site.package()["expired_at"], site.rpc_package()["BusinessStatus"]) == (None, "Normal")


def test_out_of_an_ended_package_nothing_is_set_and_what_is_set_can_be_deleted(site: Site) -> None:
    site.turn(days=33)
    locked = ("InvalidOperation.BwpBusinessStatus", 409)
    named = {"CenId": site.scenario.cen_id, "CenBandwidthPackageId": site.scenario.package_id}
    limit = set_limit(site.scenario.cen_id, *PAIR, 3)
    assert site.server.refused("SetCenInterRegionBandwidthLimit", **limit) == locked
    resize = {"CenBandwidthPackageId": site.scenario.package_id, "Bandwidth": 30}
    assert site.server.refused("ModifyCenBandwidthPackageSpec", **resize) == locked
    site.server.ok("SetCenInterRegionBandwidthLimit", **{**limit, "BandwidthLimit": 0})
    site.server.ok("UnassociateCenBandwidthPackage", **named)
    assert site.server.refused("AssociateCenBandwidthPackage", **named) == locked
    site.server.ok("DeleteCenBandwidthPackage", CenBandwidthPackageId=site.scenario.package_id)


def test_the_end_is_warned_of_once_and_again_after_a_renewal(site: Site) -> None:
    def warnings() -> int:
        return [action for action, _, _ in site.server.audit_events()].count("package.warn")

    site.turn(days=0)
    ends = datetime.fromisoformat(site.package()["expires_at"])
    site.turn(days=(ends - site.server.context.clock()).days - 8)
    assert (warnings(), site.package()["warned_at"]) == (0, None)
    site.turn(days=2)
    site.turn(days=1)
    assert warnings() == 1
    assert site.package()["warned_at"] is not None
    renewed = site.post(f"/v1/bandwidth-packages/{site.scenario.package_id}/renewal", {"months": 1})
    assert datetime.fromisoformat(renewed["expires_at"]) - ends > timedelta(days=27), "what was left is kept"
    assert renewed["warned_at"] is None
    site.turn(days=35)
    assert warnings() == 2


def test_before_the_duty_has_looked_an_ended_package_refuses_already(site: Site) -> None:
    site.passed += timedelta(days=33)
    code, _ = site.server.refused("SetCenInterRegionBandwidthLimit", **set_limit(site.scenario.cen_id, *PAIR, 3))
    assert code == "InvalidOperation.BwpBusinessStatus"


def test_a_renewal_before_the_gateways_have_heard_of_the_end_changes_nothing(site: Site) -> None:
    site.obey()
    site.turn(days=33)
    site.post(f"/v1/bandwidth-packages/{site.scenario.package_id}/renewal", {"months": 1})
    assert set(site.obey().values()) == {15_000_000}
    assert site.server.problems() == []
