"""A region with two gateways, in namespaces, and what befalls them: for tests and for the benchmark of faults."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opencen.gateway.plan import namespace_name, tunnel_name
from sites import PORT, SERVER_ADDRESS, Site, Sites, wait_until
from support import Probe, inside, run

LIMIT_MBPS = 20
PACKETS_PER_S, PAYLOAD_BYTES = 1_000, 972
WEST, HANGZHOU = "us-west-1", "cn-hangzhou"


class Pair:
    """us-west-1 with two gateways on one LAN, cn-hangzhou with one; a connection of 20 Mbit/s."""

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self.first = sites.add(WEST)
        self.hangzhou = sites.add(HANGZHOU)
        self.second = sites.add_partner(self.first)
        self.cen_id = sites.connect(LIMIT_MBPS)
        self.encrypt("vxlan")
        self.second.network_id = self.first.network_id
        for site in (self.first, self.hangzhou, self.second):
            sites.join(site)
            site.declare()
            site.start()
        sites.wait_active(self.cen_id)
        wait_until(lambda: self.state(self.second)["applied_revision"] > 0, lambda: str(self.all()))

    def encrypt(self, encryption: str) -> None:
        with self.sites.admin() as client:
            path = f"/v1/instances/{self.cen_id}/encryption/{WEST}/{HANGZHOU}"
            client.request("PUT", path, body={"encryption": encryption})

    @property
    def connection_path(self) -> str:
        return f"/v1/instances/{self.cen_id}/region-connections/{WEST}/{HANGZHOU}"

    def all(self) -> list[dict[str, Any]]:
        with self.sites.admin() as client:
            return list(client.get("/v1/gateways")["items"])

    def state(self, site: Site) -> dict[str, Any]:
        return next(item for item in self.all() if item["id"] == site.gateway_id)

    def active(self) -> Site:
        roles = {item["id"]: item["role"] for item in self.all()}
        return next(site for site in (self.first, self.second) if roles[site.gateway_id] == "active")

    def standby(self) -> Site:
        return self.second if self.active() is self.first else self.first

    def namespace(self, site: Site) -> str:
        return namespace_name(site.gateway_id, self.cen_id)

    def passes(self, site: Site) -> bool:
        """Whether the kernel of a gateway of us-west-1 would pass anything: its tunnel is up, or it has the address."""
        device = tunnel_name(HANGZHOU)
        links = json.loads(inside(self.namespace(site), "ip", "-j", "address", check=False) or "[]")
        up = any(link["ifname"] == device and "UP" in link["flags"] for link in links)
        return up or any(item["local"] == "10.1.0.1" for link in links for item in link["addr_info"])

    def settled(self, active: Site) -> None:
        """`active` is that, the other one passes nothing, and the connection is confirmed."""
        other = self.second if active is self.first else self.first
        wait_until(lambda: self.active() is active and not self.passes(other), lambda: str(self.all()))
        self.sites.wait_active(self.cen_id)
        self.ping()

    def ping(self) -> None:
        wait_until(
            lambda: "1 received" in inside(self.first.host, "ping", "-c1", "-W1", "10.2.0.10", check=False), lambda: ""
        )

    def flow(self, seconds: float, packets_per_s: float = PACKETS_PER_S) -> tuple[Probe, Probe]:
        """Numbered packets from the host in us-west-1 to the one in cn-hangzhou."""
        receiver = Probe(self.hangzhou.host, "follow", str(seconds + 2))
        sender = Probe(self.first.host, "send", "10.2.0.10", str(PAYLOAD_BYTES), str(packets_per_s), str(seconds))
        return receiver, sender


def said(what: str, flow: tuple[Probe, Probe]) -> tuple[int, dict[str, Any]]:
    """Packets lost, and all that was measured; printed, for the reader of the log."""
    receiver, sender = flow
    sent, measured = sender.result()["sent"], receiver.result()
    lost = sent - measured["distinct"]
    print(f"{what}: {sent} sent, {lost} lost, {measured['reordered']} reordered, gap {measured['longest_gap_s']:.2f} s")
    return lost, measured


def power_off(pair: Pair, site: Site) -> None:
    """The host is off: no agent, nothing in its kernel, no word from it. What is on its disk stays."""
    assert site.process is not None
    site.process.send_signal(signal.SIGKILL)
    site.process.wait()
    name = pair.namespace(site)
    inside(name, "ip", "link", "set", "lan0", "netns", f"/run/netns/{site.namespace}")
    run("ip", "netns", "delete", name)


@contextmanager
def cut_off(pair: Pair, site: Site, *, from_lan: bool) -> Iterator[None]:
    """Its control traffic is dropped; and nothing passes between it and the LAN."""
    drop = f"add rule ip cut in ip saddr {SERVER_ADDRESS} tcp sport {PORT} drop"
    hook = "add chain ip cut in { type filter hook input priority 0; }"
    inside(site.namespace, "nft", f"add table ip cut; {hook}; {drop}")
    leg = pair.sites.lan_leg(site)
    if from_lan:
        inside(pair.sites.switch, "ip", "link", "set", leg, "nomaster")
    try:
        yield
    finally:
        inside(site.namespace, "nft", "delete table ip cut")
        inside(pair.sites.switch, "ip", "link", "set", leg, "master", "lan")
