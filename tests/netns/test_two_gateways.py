"""A region with two gateways, with real hosts and traffic: one dies, comes back, is cut off; limits are never doubled.

The tests follow one another: each begins with both gateways alive, and says which one is active.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from opencen.gateway.plan import namespace_name, tunnel_name
from sites import PORT, SERVER_ADDRESS, Site, Sites, made_sites, wait_until
from support import Probe, inside, require_namespaces, run

pytestmark = pytest.mark.netns

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
        links = json.loads(inside(self.namespace(site), "ip", "-j", "address"))
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


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    require_namespaces()
    with made_sites(tmp_path_factory.mktemp("pair")) as sites:
        yield Pair(sites)


def _said(what: str, flow: tuple[Probe, Probe]) -> tuple[int, dict[str, Any]]:
    """Packets lost, and all that was measured; printed, for the reader of the log."""
    receiver, sender = flow
    sent, measured = sender.result()["sent"], receiver.result()
    lost = sent - measured["distinct"]
    print(f"{what}: {sent} sent, {lost} lost, {measured['reordered']} reordered, gap {measured['longest_gap_s']:.2f} s")
    return lost, measured


def _wipe(pair: Pair, site: Site) -> None:
    """The host is off: no agent, nothing in its kernel, no word from it. What is on its disk stays."""
    assert site.process is not None
    site.process.send_signal(signal.SIGKILL)
    site.process.wait()
    name = pair.namespace(site)
    inside(name, "ip", "link", "set", "lan0", "netns", f"/run/netns/{site.namespace}")
    run("ip", "netns", "delete", name)


def test_the_standby_has_everything_in_its_kernel_and_passes_nothing(pair: Pair) -> None:
    assert (pair.active(), pair.standby()) == (pair.first, pair.second)
    pair.settled(pair.first)
    device = tunnel_name(HANGZHOU)
    classes = inside(pair.namespace(pair.second), "tc", "class", "show", "dev", device)
    assert f"rate {LIMIT_MBPS}Mbit" in classes
    assert not pair.passes(pair.second)


def test_when_the_active_gateway_dies_its_partner_carries_the_traffic_within_5_s(pair: Pair) -> None:
    pair.settled(pair.first)
    flow = pair.flow(9)
    time.sleep(1.5)  # into the flow
    _wipe(pair, pair.first)
    _, measured = _said("the active gateway dies", flow)
    assert measured["received"] > 1_000
    assert measured["reordered"] == 0
    assert measured["longest_gap_s"] < 5
    assert measured["most_bps"] <= LIMIT_MBPS * 1_050_000
    assert pair.active() is pair.second
    sides = pair.sites.admin().get("/v1/region-connections", cen_id=pair.cen_id)["items"][0]["sides"]
    assert next(side["gateway_id"] for side in sides if side["region_id"] == WEST) == pair.second.gateway_id


def test_a_gateway_that_comes_back_was_the_active_one_and_stands_by_without_a_lost_packet(pair: Pair) -> None:
    """Its saved state says that it is the active one; it asks before it takes the address."""
    assert pair.active() is pair.second
    flow = pair.flow(5)
    pair.first.start()
    lost, measured = _said("the former active gateway comes back", flow)
    assert (lost, measured["reordered"]) == (0, 0)
    pair.settled(pair.second)


def test_an_operator_changes_places_under_way(pair: Pair) -> None:
    pair.settled(pair.second)
    flow = pair.flow(4)
    time.sleep(1)  # into the flow
    with pair.sites.admin() as client:
        client.post(f"/v1/gateways/{pair.first.gateway_id}/promote", {})
    _, measured = _said("an operator changes places", flow)
    assert measured["longest_gap_s"] < 1.5
    assert measured["most_bps"] <= LIMIT_MBPS * 1_050_000
    pair.settled(pair.first)


@contextmanager
def _cut_off(pair: Pair, site: Site, *, from_lan: bool) -> Iterator[None]:
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


def test_one_that_is_cut_off_from_the_control_plane_sees_its_partner_and_fences_itself(pair: Pair) -> None:
    pair.settled(pair.first)
    with _cut_off(pair, pair.first, from_lan=False):
        wait_until(lambda: pair.active() is pair.second, lambda: str(pair.all()), 8)
        wait_until(lambda: not pair.passes(pair.first), lambda: pair.first.log_text[-2_000:], 3)
        assert "the partner is the active gateway since revision" in pair.first.log_text
        pair.ping()
    pair.settled(pair.second)


def test_two_that_cannot_see_each_other_are_not_two_limits(pair: Pair) -> None:
    """The former one believes that it is active, and sends: its peer takes nothing of it, measured in bytes."""
    pair.settled(pair.second)
    with _cut_off(pair, pair.second, from_lan=True):
        wait_until(lambda: pair.active() is pair.first, lambda: str(pair.all()), 8)
        pair.sites.wait_active(pair.cen_id)
        assert pair.passes(pair.second), "it has heard nothing"
        receiver = Probe(pair.hangzhou.host, "follow", "6")
        flood = (str(PAYLOAD_BYTES), str(LIMIT_MBPS * 150), "4")
        senders = [
            Probe(pair.first.host, "send", "10.2.0.10", *flood),
            Probe(pair.namespace(pair.second), "send", "10.2.0.10", *flood),
        ]
        sent = [sender.result()["sent"] for sender in senders]
        most_bps = receiver.result()["most_bps"]
        print(f"both send {sent} packets: {most_bps / 1e6:.2f} Mbit/s of {LIMIT_MBPS} at the most in a second")
        assert LIMIT_MBPS * 900_000 < most_bps <= LIMIT_MBPS * 1_050_000
        alone = Probe(pair.hangzhou.host, "receive", "2")
        Probe(pair.namespace(pair.second), "send", "10.2.0.10", *flood[:2], "1").result()
        assert alone.result()["received"] == 0, "nothing of what only the fenced one sends"
    pair.settled(pair.first)


def test_no_control_plane_no_promotion_and_traffic_goes_on(pair: Pair) -> None:
    """Fail static. What it means: a gateway that dies while the control plane is down is not replaced."""
    pair.settled(pair.first)
    flow = pair.flow(6)
    pair.sites.stop_server()
    time.sleep(3.5)  # longer than a silence
    pair.sites.start_server()
    lost, measured = _said("the control plane is gone for a while", flow)
    assert (lost, measured["reordered"]) == (0, 0)
    assert pair.active() is pair.first, "a server that has just started has not heard anybody for long, and waits"
    pair.settled(pair.first)
