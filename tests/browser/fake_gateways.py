"""Gateways without a kernel: they hear what they should carry, acknowledge it, and report a rate that passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from joined import join_over_http
from opencen.client import ApiError, AsyncClient, Client, Credential, ServerUnreachableError

Load = Callable[[str, str, int], float]
"""(region, peer region, rate in the kernel in bit/s) -> measured bit/s."""


def half_used(_region: str, _peer: str, rate_bps: int) -> float:
    """Traffic at half of every limit."""
    return rate_bps / 2


@dataclass
class FakeGateway:
    """One region's gateway."""

    server: str
    region_id: str
    credential: Credential
    load: Load = half_used
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    revision: int = 0
    acknowledges: bool = True

    async def run(self) -> None:
        poll = AsyncClient(self.server, self.credential, timeout_s=40)
        tell = AsyncClient(self.server, self.credential, timeout_s=10)
        await tell.request("POST", "/v1/gateway/hello", body=self._hello())
        await asyncio.gather(self._follow(poll, tell), self._report_often(tell))

    def _hello(self) -> dict[str, Any]:
        octet = sum(self.region_id.encode()) % 250 + 1
        return {
            "agent_version": "0.1.0",
            "endpoint": f"192.0.2.{octet}",
            "capabilities": {
                "kernel": "6.1.0-28-amd64",
                "leaf_queue": "fq_codel",
                "encryption": "wireguard",
                "max_encrypted_links": 1000,
            },
            "declared_networks": [],
        }

    async def _follow(self, poll: AsyncClient, tell: AsyncClient) -> None:
        while True:
            try:
                state = await poll.request("GET", "/v1/gateway/state", params={"after": self.revision, "wait_s": 20})
            except (ApiError, ServerUnreachableError):
                await asyncio.sleep(0.5)
                continue
            self.revision = state["revision"]
            if state["full"]:
                self.instances.clear()
            for instance in state["instances"]:
                self.instances[instance["cen_id"]] = instance
            for cen_id in state["removed_cen_ids"]:
                self.instances.pop(cen_id, None)
            if self.acknowledges:
                await self._report(tell)

    async def _report_often(self, tell: AsyncClient) -> None:
        watched = False
        while True:
            await asyncio.sleep(1 if watched else 3)
            if self.acknowledges:
                watched = await self._report(tell)

    async def _report(self, tell: AsyncClient) -> bool:
        body = {
            "applied_revision": self.revision,
            "instances": [self._instance_report(instance) for instance in self.instances.values()],
        }
        try:
            answer = await tell.request("POST", "/v1/gateway/report", body=body)
        except (ApiError, ServerUnreachableError):
            return False
        return bool(answer["watched"])

    def _instance_report(self, instance: dict[str, Any]) -> dict[str, Any]:
        return {
            "cen_id": instance["cen_id"],
            "revision": instance["revision"],
            "networks": [{"network_id": item["network_id"], "carried": True} for item in instance["networks"]],
            "links": [
                {
                    "peer_region_id": link["peer_region_id"],
                    "in_kernel_bps": link["rate_bps"],
                    "measured_bps": self.load(self.region_id, link["peer_region_id"], link["rate_bps"]),
                }
                for link in instance["links"]
                if link["peer_endpoint"]
            ],
        }


class FakeGateways:
    """Registered gateways of these regions, on a thread of their own while the block runs."""

    def __init__(self, server: str, admin: Credential, region_ids: Iterable[str], load: Load = half_used) -> None:
        self.by_region: dict[str, FakeGateway] = {}
        with Client(server, admin) as client:
            for region_id in region_ids:
                credential = join_over_http(client, region_id, f"gw of {region_id}")
                self.by_region[region_id] = FakeGateway(server, region_id, credential, load)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        tasks = [asyncio.create_task(gateway.run()) for gateway in self.by_region.values()]
        await asyncio.to_thread(self._stopped.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> FakeGateways:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=10)
