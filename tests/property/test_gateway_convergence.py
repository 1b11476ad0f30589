"""After any states and interruptions the kernel is as wanted, and no link ever exceeds its old and new rate."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product

from hypothesis import given, settings
from hypothesis import strategies as st

from opencen.gateway import shaping
from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.diff import diff
from opencen.gateway.kernel.fake import FakeKernel
from opencen.gateway.kernel.model import SET_CLASS, Counters, KernelNow, Wanted
from opencen.gateway.keys import LocalKey
from opencen.gateway.plan import Site, plan, standing_by
from opencen.wire.gateway import (
    TEST_RATE_BPS,
    GatewayState,
    InstanceState,
    LinkState,
    NetworkState,
    PresharedKey,
    TunnelState,
    WireGuardState,
)

CENS = ("cen-a", "cen-b")
PEERS = ("cn-hangzhou", "cn-shanghai", "a-region-with-a-long-name")
KEYS = {
    (cen_id, peer, generation): LocalKey("private", f"public-{cen_id}-{peer}-{generation}", 51_820 + number)
    for number, (cen_id, peer, generation) in enumerate(product(CENS, PEERS, (1, 2, 3)))
}
SITE = Site(
    "gw-1",
    "100.64.0.1",
    [DeclaredNetwork("vpc-a", "lan0", "10.1.0.1/24"), DeclaredNetwork("vpc-b", "lan1", "10.2.0.1/24")],
    leaf_queue="bfifo",
    keys=KEYS,
)
RATES_BPS = st.sampled_from([TEST_RATE_BPS, 1_000_000, 5_000_000, 10_000_000, 1_000_000_000])


@st.composite
def encryptions(draw: st.DrawFn) -> WireGuardState | None:
    """Plain, or encrypted with one or two generations of keys, of which the peer's may be missing."""
    generations = draw(st.sampled_from([(), (1,), (1, 2), (2,), (2, 3)]))
    if not generations:
        return None
    tunnels = [
        TunnelState(
            generation=generation, peer_public_key=draw(st.sampled_from(["theirs", "another", None])), peer_port=51_820
        )
        for generation in generations
    ]
    preshared_keys = draw(st.lists(st.sampled_from([1, 2, 3]), unique=True, min_size=1, max_size=2))
    return WireGuardState(
        tunnels=tunnels,
        preshared_keys=[PresharedKey(id=number, key=f"key {number}") for number in preshared_keys],
        peer_is_behind_nat=draw(st.booleans()),
    )


@st.composite
def links(draw: st.DrawFn, cen_number: int) -> list[LinkState]:
    peers = draw(st.lists(st.sampled_from(PEERS), unique=True))
    return [
        LinkState(
            peer_region_id=peer,
            vni=1 + cen_number * 10 + PEERS.index(peer),
            peer_endpoint=draw(st.sampled_from(["100.64.0.2", "100.64.0.3", None])),
            remote_cidr_blocks=draw(st.lists(st.sampled_from(["10.8.0.0/16", "10.9.0.0/16"]), unique=True)),
            rate_bps=draw(RATES_BPS),
            wireguard=draw(encryptions()),
            refusal=draw(st.sampled_from([None, None, None, "the peer cannot encrypt"])),
        )
        for peer in peers
    ]


@st.composite
def states(draw: st.DrawFn) -> GatewayState:
    instances = []
    for number, cen_id in enumerate(CENS):
        if not draw(st.booleans()):
            continue
        block = f"10.{number + 1}.0.0/16"
        network = NetworkState(network_id=f"vpc-{cen_id[-1]}", name="n", cidr_blocks=[block])
        networks = [network] if draw(st.booleans()) else []
        instances.append(InstanceState(cen_id=cen_id, revision=1, networks=networks, links=draw(links(number))))
    standby = draw(st.sampled_from([False, False, True]))
    common = {"gateway_id": "gw-1", "region_id": "us-west-1", "revision": 1, "full": True}
    return GatewayState(**common, instances=instances, standby=standby)


def wanted_of(state: GatewayState, now: KernelNow) -> Wanted:
    made = plan(state, SITE, now)
    return (standing_by(made) if state.standby else made).namespaces


def rates_bps(kernel: FakeKernel) -> dict[tuple[str, str], int | None]:
    """What each link lets through; a link that is down or missing lets nothing through."""
    return {
        (name, device): shaping.rate_in(now.tunnel.tree)
        for name, namespace in kernel.namespaces.items()
        for device, now in namespace.tunnels.items()
        if now.tunnel.up
    }


def wanted_rates_bps(state: GatewayState, kernel: FakeKernel) -> dict[tuple[str, str], int | None]:
    wanted = wanted_of(state, kernel.read())
    return {
        (name, device): shaping.rate_in(tunnel.tree)
        for name, namespace in wanted.items()
        for device, tunnel in namespace.tunnels.items()
        if tunnel.up
    }


def step_by_step(kernel: FakeKernel, state: GatewayState, stop_after: int | None) -> None:
    """Carry a diff out one operation at a time, checking every step; perhaps die on the way."""
    before, after = rates_bps(kernel), wanted_rates_bps(state, kernel)
    now = kernel.read()
    operations = diff(now, wanted_of(state, now))
    for operation in operations[:stop_after]:
        outcome = kernel.apply([operation])
        assert outcome.refused == {}, (operation, outcome.refused)
        for link, rate_bps in rates_bps(kernel).items():
            assert rate_bps is not None, f"{link} is not limited after {operation}"
            assert rate_bps <= max(before.get(link) or 0, after.get(link) or 0), operation
            assert_leads_nowhere_else(kernel, link, operation)


def assert_leads_nowhere_else(kernel: FakeKernel, link: tuple[str, str], operation: object) -> None:
    """A front that is up leads into a WireGuard device of its own namespace, or its packets are dropped."""
    there = kernel.namespaces[link[0]]
    path = there.tunnels[link[1]].tunnel.path
    assert path is None or path in there.wireguards, operation


def let_peers_answer(kernel: FakeKernel, ages_s: Iterator[float | None]) -> None:
    """Whether and when the peer of each WireGuard device has answered last."""
    for name, namespace in list(kernel.namespaces.items()):
        for device in list(namespace.wireguards):
            kernel.shake_hands(name, device, next(ages_s))


AGES_S = st.lists(st.sampled_from([None, 1.0, 100.0, 1_000.0]), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(states(), st.none() | st.integers(0, 40)), min_size=1, max_size=4), states(), AGES_S)
def test_any_history_with_interruptions_converges(
    history: list[tuple[GatewayState, int | None]], last: GatewayState, ages_s: list[float | None]
) -> None:
    kernel = FakeKernel(interfaces={"lan0", "lan1"})
    answers = cycle(ages_s)
    for state, stop_after in history:
        step_by_step(kernel, state, stop_after)
        let_peers_answer(kernel, answers)
    step_by_step(kernel, last, None)
    let_peers_answer(kernel, answers)
    step_by_step(kernel, last, None)
    now = kernel.read()
    assert diff(now, wanted_of(last, now)) == []
    assert rates_bps(kernel) == wanted_rates_bps(last, kernel)


@settings(max_examples=60, deadline=None)
@given(states(), states())
def test_nothing_grows_before_all_that_shrinks_has_shrunk(first: GatewayState, second: GatewayState) -> None:
    kernel = FakeKernel(interfaces={"lan0", "lan1"})
    step_by_step(kernel, first, None)
    before, after = rates_bps(kernel), wanted_rates_bps(second, kernel)
    now = kernel.read()
    for operation in diff(now, wanted_of(second, now)):
        kernel.apply([operation])
        rates = rates_bps(kernel)
        grown = [link for link, rate_bps in rates.items() if (rate_bps or 0) > (before.get(link) or 0)]
        to_shrink = [link for link, rate_bps in rates.items() if (rate_bps or 0) > (after.get(link) or 0)]
        assert not (grown and to_shrink), f"{grown} grew before {to_shrink} shrank"


@settings(max_examples=60, deadline=None)
@given(states())
def test_a_restart_changes_nothing(state: GatewayState) -> None:
    kernel = FakeKernel(interfaces={"lan0", "lan1"})
    step_by_step(kernel, state, None)
    now = kernel.read()
    assert diff(KernelNow(now.host, now.namespaces), wanted_of(state, now)) == []


@settings(max_examples=60, deadline=None)
@given(RATES_BPS, RATES_BPS, st.integers(0, 5_000_000))
def test_a_queue_is_trimmed_only_when_it_would_wait_too_long(old_bps: int, new_bps: int, queued_bytes: int) -> None:
    def state(rate_bps: int) -> GatewayState:
        link = LinkState(
            peer_region_id="p", vni=1, peer_endpoint="100.64.0.2", remote_cidr_blocks=["10.9.0.0/16"], rate_bps=rate_bps
        )
        instance = InstanceState(cen_id="cen-a", revision=1, networks=[], links=[link])
        return GatewayState(gateway_id="gw-1", region_id="r", revision=1, full=True, instances=[instance])

    kernel = FakeKernel()
    step_by_step(kernel, state(old_bps), None)
    if TEST_RATE_BPS in (old_bps, new_bps):
        return
    kernel.queue("gw-1-cen-a", "to-p", SET_CLASS, Counters(queued_packets=7, queued_bytes=queued_bytes))
    now = kernel.read()
    outcome = kernel.apply(diff(now, plan(state(new_bps), SITE, now).namespaces))
    too_long = new_bps < old_bps and queued_bytes * 8 / new_bps > 0.5
    assert sum(outcome.trimmed_packets.values()) == (7 if too_long else 0)
