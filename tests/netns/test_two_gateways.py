"""A region with two gateways, with real hosts and traffic: one dies, comes back, is cut off; limits are never doubled.

The tests follow one another: each begins with both gateways alive, and says which one is active.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from opencen.gateway.plan import tunnel_name
from sites import made_sites, wait_until
from support import Probe, inside, require_namespaces
from two_gateways import HANGZHOU, LIMIT_MBPS, PAYLOAD_BYTES, WEST, Pair, cut_off, power_off, said

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    require_namespaces()
    with made_sites(tmp_path_factory.mktemp("pair")) as sites:
        yield Pair(sites)


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
    power_off(pair, pair.first)
    _, measured = said("the active gateway dies", flow)
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
    lost, measured = said("the former active gateway comes back", flow)
    assert (lost, measured["reordered"]) == (0, 0)
    pair.settled(pair.second)


def test_an_operator_changes_places_under_way(pair: Pair) -> None:
    pair.settled(pair.second)
    flow = pair.flow(4)
    time.sleep(1)  # into the flow
    with pair.sites.admin() as client:
        client.post(f"/v1/gateways/{pair.first.gateway_id}/promote", {})
    _, measured = said("an operator changes places", flow)
    assert measured["longest_gap_s"] < 1.5
    assert measured["most_bps"] <= LIMIT_MBPS * 1_050_000
    pair.settled(pair.first)


def test_one_that_is_cut_off_from_the_control_plane_sees_its_partner_and_fences_itself(pair: Pair) -> None:
    pair.settled(pair.first)
    with cut_off(pair, pair.first, from_lan=False):
        wait_until(lambda: pair.active() is pair.second, lambda: str(pair.all()), 8)
        wait_until(lambda: not pair.passes(pair.first), lambda: pair.first.log_text[-2_000:], 3)
        assert "the partner is the active gateway since revision" in pair.first.log_text
        pair.ping()
    pair.settled(pair.second)


def test_two_that_cannot_see_each_other_are_not_two_limits(pair: Pair) -> None:
    """The former one believes that it is active, and sends: its peer takes nothing of it, measured in bytes."""
    pair.settled(pair.second)
    with cut_off(pair, pair.second, from_lan=True):
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
    lost, measured = said("the control plane is gone for a while", flow)
    assert (lost, measured["reordered"]) == (0, 0)
    assert pair.active() is pair.first, "a server that has just started has not heard anybody for long, and waits"
    pair.settled(pair.first)


def test_an_encrypted_link_is_taken_over_too(pair: Pair) -> None:
    """The standby's keys are known to the control plane beforehand; peers turn to them."""
    pair.settled(pair.first)
    pair.encrypt("wireguard")
    pair.sites.wait_active(pair.cen_id)
    wait_until(lambda: "wg" in inside(pair.namespace(pair.second), "ip", "-br", "link"), lambda: pair.second.log_text)
    pair.settled(pair.first)
    flow = pair.flow(9)
    time.sleep(1.5)  # into the flow
    power_off(pair, pair.first)
    _, measured = said("the active gateway of an encrypted link dies", flow)
    assert measured["received"] > 2_000
    assert measured["longest_gap_s"] < 5
    assert measured["most_bps"] <= LIMIT_MBPS * 1_050_000
    assert pair.active() is pair.second
    pair.first.start()
    pair.settled(pair.second)
