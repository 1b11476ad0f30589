"""The private keys of encrypted links: made once, kept from others, and no more of them than the host can carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencen.gateway import keys
from opencen.gateway.kernel.model import HostNow, KernelNow
from opencen.gateway.keys import KeyStore
from opencen.gateway.plan import Site, plan
from opencen.wire.gateway import GatewayState, InstanceState, LinkState, PresharedKey, TunnelState, WireGuardState


def instance(*peers: str, generations: tuple[int, ...] = (1,)) -> InstanceState:
    wireguard = WireGuardState(
        tunnels=[TunnelState(generation=number, peer_public_key="theirs", peer_port=51_820) for number in generations],
        preshared_keys=[PresharedKey(id=1, key="shared")],
    )
    links = [
        LinkState(
            peer_region_id=peer,
            vni=number,
            peer_endpoint="192.0.2.2",
            remote_cidr_blocks=["10.9.0.0/16"],
            rate_bps=1_000,
            wireguard=wireguard,
        )
        for number, peer in enumerate(peers, 1)
    ]
    return InstanceState(cen_id="cen-a", revision=1, networks=[], links=links)


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    made = KeyStore(tmp_path, max_links=9).serve([instance("east")], complete=True)
    again = KeyStore(tmp_path, max_links=9)
    assert again.serve([instance("east")], complete=True) == made
    (key,) = made.values()
    assert again.private_key(key.public_key) == key.private_key
    assert (tmp_path / keys.NAME).stat().st_mode & 0o777 == 0o600
    assert key.private_key not in repr(key)


def test_generations_have_keys_and_ports_of_their_own_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, max_links=9)
    first = store.serve([instance("east")], complete=True)["cen-a", "east", 1]
    both = store.serve([instance("east", generations=(1, 2))], complete=True)
    assert both["cen-a", "east", 1] == first
    assert both["cen-a", "east", 2].port != first.port
    store.serve([instance("east", generations=(2,))], complete=True)
    with pytest.raises(OSError, match="is not in"):
        store.private_key(first.public_key)


def test_a_link_beyond_the_maximum_is_refused_and_those_that_are_there_stay(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, max_links=2)
    store.serve([instance("east", "west")], complete=True)
    wanted = instance("a-new-one", "east", "west")
    site = Site("gw-1", "192.0.2.1", [], "bfifo", keys=store.serve([wanted], complete=True))
    state = GatewayState(gateway_id="gw-1", region_id="north", revision=1, full=True, instances=[wanted])
    done = plan(state, site, KernelNow(HostNow(frozenset(), 1_500)))
    assert set(done.namespaces["gw-1-cen-a"].tunnels) == {"to-east", "to-west"}
    assert done.link_errors == {
        ("cen-a", "a-new-one"): "this gateway carries 2 encrypted links already, which is its maximum"
    }


def test_a_file_that_cannot_be_used_is_replaced_by_new_keys(tmp_path: Path) -> None:
    before = KeyStore(tmp_path, max_links=9).serve([instance("east")], complete=True)
    (tmp_path / keys.NAME).write_text("[{")
    after = KeyStore(tmp_path, max_links=9).serve([instance("east")], complete=True)
    assert after.keys() == before.keys()
    assert after != before
