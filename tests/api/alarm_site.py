"""A site whose time and traffic a test decides: two regions, a package of 20 Mbit/s, a connection of 10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from httpx import Response
from starlette.testclient import TestClient

from joined import join
from opencen.domain.nouns import Actor
from opencen.domain.wanted import KernelInstance
from opencen.serve import make_app
from opencen.services import attachments, connections, gateways, instances, networks, packages, people
from opencen.services.context import Context
from opencen.services.notifying import outbox
from opencen.services.watching import Watcher
from opencen.store import gateways as gateway_rows

REGIONS = ("cn-hangzhou", "us-west-1")
MBPS = 1_000_000
Key = tuple[str, str]


@dataclass
class Site:
    context: Context
    actor: Actor
    client: TestClient
    key: Key
    now: datetime = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    watcher: Watcher = field(default_factory=Watcher)
    cen_id: str = ""
    package_id: str = ""
    gateway_ids: dict[str, str] = field(default_factory=dict)
    repairs: dict[str, int] = field(default_factory=dict)
    dropped: int = 0

    @property
    def connection_id(self) -> str:
        return f"{self.cen_id}:cn-hangzhou:us-west-1"

    def send(
        self, method: str, path: str, body: Any = None, key: tuple[str, str] | None = None, **headers: str
    ) -> Response:
        return self.client.request(method, f"/v1{path}", json=body, auth=key or self.key, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.send(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def rule(self, kind: str, **more: Any) -> dict[str, Any]:
        return dict(self.ok("POST", "/alarm-rules", {"kind": kind, **more}))

    def alarms(self) -> list[dict[str, Any]]:
        return list(self.ok("GET", "/alarms")["items"])

    def report(self, mbps: float = 0.0, back_mbps: float = 0.0, regions: Sequence[str] = REGIONS) -> None:
        """What the gateways of these regions say: what they send to each other."""
        for region_id, rate_mbps in zip(REGIONS, (mbps, back_mbps), strict=True):
            if region_id not in regions:
                continue
            (peer_id,) = set(REGIONS) - {region_id}
            figures = {"measured_bps": rate_mbps * MBPS, "dropped_packets": self.dropped}
            kernel = KernelInstance(self.cen_id, 0, False, (), {peer_id: dict(figures)}, {})
            with self.context.database.read() as tx:
                row = gateway_rows.find(tx, self.gateway_ids[region_id])
            assert row is not None
            repairs = self.repairs.get(region_id, 0)
            gateways.report(self.context, row, applied_revision=1, repairs=repairs, instances=[kernel])

    def wait(self, seconds: int, mbps: float = 0.0, back_mbps: float = 0.0, regions: Sequence[str] = REGIONS) -> None:
        """Time passes; every 5 seconds gateways report and the watcher looks."""
        for _ in range(0, seconds, 5):
            self.now += timedelta(seconds=5)
            self.report(mbps, back_mbps, regions)
            self.watcher.look(self.context)

    def deliver(self) -> None:
        outbox.deliver(self.context)

    def messages(self) -> list[dict[str, Any]]:
        """Those on their way or arrived, the oldest first."""
        return list(reversed(self.ok("GET", "/alarm-messages")["items"]))


def make_site(context: Context, actor: Actor) -> Site:
    entry, secret = people.create_key(context, actor, user_id=actor.user_id)
    site = Site(context, actor, TestClient(make_app(context)), (entry.id, secret))
    context.clock = lambda: site.now
    site.cen_id = instances.create(context, actor, name="backbone").id
    for number, region_id in enumerate(REGIONS, 1):
        made = networks.create(context, actor, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"])
        attachments.attach(context, actor, site.cen_id, made.id)
        site.gateway_ids[region_id] = join(context, actor, region_id).id
    package = packages.buy(context, actor, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    packages.bind(context, actor, package.id, site.cen_id)
    site.package_id = package.id
    connections.set_bandwidth(context, actor, site.cen_id, *REGIONS, 10)
    return site
