"""What a gateway believes of its partner, and what it does when it is fenced."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from opencen.gateway.converge import Converger
from opencen.gateway.kernel.fake import FakeKernel
from opencen.gateway.partner import IN_USE_S, Fence, beacon, gratuitous_arp, heard_since, ports_of
from opencen.gateway.plan import DeclaredNetwork, Site
from opencen.wire.gateway import GatewayState, InstanceState, LinkState, NetworkState

KEY = bytes(range(32))
SITE = Site("gw-1", "192.0.2.1", [DeclaredNetwork("vpc-a", "lan0", "10.1.0.1/24")], "bfifo", checks_sources=True)


def state(*, standby: bool, rate_bps: int = 10_000_000, peer: str = "192.0.2.2") -> GatewayState:
    link = LinkState(
        peer_region_id="east", vni=7, peer_endpoint=peer, remote_cidr_blocks=["10.2.0.0/16"], rate_bps=rate_bps
    )
    network = NetworkState(network_id="vpc-a", name="a", cidr_blocks=["10.1.0.0/16"])
    instance = InstanceState(cen_id="cen-a", revision=1, networks=[network], links=[link])
    return GatewayState(
        gateway_id="gw-1", region_id="west", revision=1, full=True, instances=[instance], standby=standby
    )


@given(st.binary(max_size=200))
def test_nobody_without_the_key_is_believed(payload: bytes) -> None:
    assert heard_since(KEY, "gw-1", payload) is None


@given(st.integers(0, 2**63), st.integers(0, 87), st.integers(1, 255))
def test_a_partners_beacon_says_since_when_and_one_altered_bit_ends_it(since: int, at: int, mask: int) -> None:
    sent = beacon(KEY, "gw-2", since)
    assert heard_since(KEY, "gw-1", sent + b"\0" * 20) == since, "Ethernet pads short frames"
    assert heard_since(KEY, "gw-2", sent) is None, "one's own"
    altered = bytearray(sent)
    altered[at] ^= mask
    assert heard_since(KEY, "gw-1", bytes(altered)) is None


def test_a_gratuitous_arp_names_the_address_as_sender_and_target() -> None:
    mac = bytes.fromhex("020000000001")
    frame = gratuitous_arp(mac, "10.1.0.1")
    assert (frame[:6], frame[6:12], frame[12:14]) == (b"\xff" * 6, mac, b"\x08\x06")
    assert struct.unpack("!6s4s6s4s", frame[22:42]) == (mac, b"\x0a\x01\x00\x01", b"\0" * 6, b"\x0a\x01\x00\x01")


def test_a_standby_has_all_in_its_kernel_and_passes_nothing_and_back() -> None:
    kernel = FakeKernel(interfaces={"lan0"})
    converger = Converger(kernel)
    name = "gw-1-cen-a"
    done = converger.converge(state(standby=True), SITE)
    assert done.refused == {}
    assert kernel.answer(name, "10.2.0.10") is None
    assert [port.addresses for port in ports_of(done.plan.namespaces)] == [()]
    report = converger.report("west", state(standby=True).instances[0], done, 0.0)
    assert report.links[0].in_kernel_bps is None, "it counts for nothing"
    assert converger.converge(state(standby=True), SITE).operations == []

    done = converger.converge(state(standby=False), SITE)
    delivery = kernel.answer(name, "10.2.0.10")
    assert delivery is not None
    assert (delivery.device, delivery.rate_bps) == ("to-east", 10_000_000)
    assert converger.report("west", state(standby=False).instances[0], done, 0.0).links[0].in_kernel_bps == 10_000_000

    operations = [type(operation).__name__ for operation in converger.converge(state(standby=True), SITE).operations]
    assert sorted(operations) == ["AttachPort", "SetDown"]
    assert kernel.answer(name, "10.2.0.10") is None


def test_packets_are_taken_from_the_endpoints_that_peers_have_now() -> None:
    kernel = FakeKernel(interfaces={"lan0"})
    converger = Converger(kernel)
    converger.converge(state(standby=False), SITE)
    assert kernel.sources == {"192.0.2.2"}
    converger.converge(state(standby=False, peer="192.0.2.3"), SITE, ["cen-a"])
    assert kernel.sources == {"192.0.2.3"}
    kernel.refuse = lambda operation: "no nft" if type(operation).__name__ == "SetSources" else None
    done = converger.converge(state(standby=False, peer="192.0.2.4"), SITE)
    assert converger.report("west", state(standby=False).instances[0], done, 0.0).links[0].error == "SetSources: no nft"


def test_a_fence_stays_until_the_control_plane_knows_of_the_change_that_put_it_up() -> None:
    fence = Fence()
    fence.partner_is_active(since=9)
    assert fence.around(state(standby=False)).standby
    assert not fence.take_down(role_since=5)
    assert fence.around(state(standby=False)).standby
    assert fence.take_down(role_since=9)
    assert not fence.around(state(standby=False)).standby


def test_a_host_that_is_refused_for_long_because_another_is_this_gateway_is_fenced() -> None:
    fence = Fence()
    assert not fence.refused(in_use=True, at_s=100)
    assert not fence.refused(in_use=False, at_s=105), "something else: it begins anew"
    assert not fence.refused(in_use=True, at_s=110)
    assert fence.refused(in_use=True, at_s=110 + IN_USE_S)
    assert fence.around(state(standby=False)).standby
    assert not fence.refused(in_use=True, at_s=140), "once"
    assert fence.take_down(role_since=0)
