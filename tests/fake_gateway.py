"""A gateway without a kernel: it speaks the gateways' part of the REST API and says what a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from joined import join_over_http
from opencen.client import Client


class FakeGateway:
    """Registered for a region; `obey` acknowledges everything that it is told, as a kernel would have it."""

    def __init__(self, server: str, admin: Client, region_id: str, endpoint: str = "192.0.2.1") -> None:
        credential = join_over_http(admin, region_id, f"fake-{region_id}")
        self.id = credential.identifier
        self.region_id = region_id
        self.credential = credential
        self.client = Client(server, credential)
        self.endpoint = endpoint
        self.max_encrypted_links = 1_000
        self.behind_nat = False
        self.keys: dict[tuple[str, str], dict[str, Any]] = {}
        """What is reported of the keys of a link, by instance and peer region."""
        self.applied_revision = 0
        self.instances: dict[str, dict[str, Any]] = {}
        self.state: dict[str, Any] = {"standby": False, "epoch": ""}
        self.host_id: str | None = None
        self.knows_roles = True

    @classmethod
    def of(cls, gateway: FakeGateway, host_id: str) -> FakeGateway:
        """Another host with the same credential."""
        made = copy(gateway)
        made.host_id = host_id
        return made

    def move(self, server: str) -> None:
        """Ask another server from now on."""
        self.client = Client(server, self.credential)

    def hello(self) -> None:
        body = {
            "agent_version": "0",
            "endpoint": self.endpoint,
            "behind_nat": self.behind_nat,
            "capabilities": {
                "kernel": "none",
                "leaf_queue": "bfifo",
                "encryption": "wireguard",
                "max_encrypted_links": self.max_encrypted_links,
                "source_check": "nftables",
            },
            "host_id": self.host_id,
            "knows_roles": self.knows_roles,
        }
        self.client.post("/v1/gateway/hello", body)

    def beat(self) -> None:
        """A heartbeat alone."""
        self.client.post("/v1/gateway/report", self._said([]))

    def _said(self, instances: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "applied_revision": self.applied_revision,
            "instances": instances,
            "epoch": self.state["epoch"] or None,
            "host_id": self.host_id,
        }

    def say(self, instances: list[dict[str, Any]], **more: Any) -> None:
        """Report exactly this."""
        self.client.post("/v1/gateway/report", self._said(instances) | more)

    def fetch(self, wait_s: float = 0) -> dict[str, Any]:
        """Ask for orders; what is told of them is remembered, not yet acknowledged."""
        more = {} if self.host_id is None else {"host_id": self.host_id}
        state: dict[str, Any] = self.client.get(
            "/v1/gateway/state", after=self.applied_revision, wait_s=wait_s, epoch=self.state["epoch"], **more
        )
        self.state = state
        if state["full"]:
            self.instances = {}
        for instance in state["instances"]:
            self.instances[instance["cen_id"]] = instance
        for cen_id in state["removed_cen_ids"]:
            self.instances.pop(cen_id, None)
        self.applied_revision = state["revision"]
        return state

    def report(
        self, *, error: str | None = None, measured_bps: Callable[[str, int], float | None] = lambda _peer, _rate: None
    ) -> dict[str, Any]:
        """Say that the kernel has what was last fetched, or refuses it with `error`.

        `measured_bps` says what passes to a region through a limit.
        """
        instances = [
            {
                "cen_id": instance["cen_id"],
                "revision": instance["revision"],
                "networks": [
                    {"network_id": network["network_id"], "carried": True, "interface": "lan0"}
                    for network in instance["networks"]
                ],
                "links": [
                    {
                        "peer_region_id": link["peer_region_id"],
                        "in_kernel_bps": None
                        if link["peer_endpoint"] is None or self.state["standby"]
                        else link["rate_bps"],
                        "error": error,
                        "measured_bps": measured_bps(link["peer_region_id"], link["rate_bps"]),
                        **self.keys.get((instance["cen_id"], link["peer_region_id"]), {}),
                    }
                    for link in instance["links"]
                ],
            }
            for instance in self.instances.values()
        ]
        return dict(self.client.post("/v1/gateway/report", self._said(instances)))

    def obey(self) -> None:
        """Fetch and acknowledge."""
        self.fetch()
        self.report()

    def rate_bps(self, cen_id: str, peer_region_id: str) -> int:
        """What it was last told to send to a region."""
        links = self.instances[cen_id]["links"]
        return int(next(link["rate_bps"] for link in links if link["peer_region_id"] == peer_region_id))
