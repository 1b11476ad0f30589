"""The kernel tells what others change: at once, of the namespace concerned, and nothing of our own changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import TwoRegions, inside, require_namespaces

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def regions() -> Iterator[TwoRegions]:
    require_namespaces()
    with TwoRegions(["cen-a", "cen-b"]) as made:
        yield made


@pytest.mark.parametrize(
    "damage",
    [
        "tc qdisc del dev to-cn-hangzhou root",
        "tc class change dev to-cn-hangzhou parent 1: classid 1:10 htb rate 99mbit",
        "tc filter del dev to-cn-hangzhou parent 1: prio 1",
        "ip route flush dev to-cn-hangzhou",
        "ip neigh flush nud permanent dev to-cn-hangzhou",
        "ip link set to-cn-hangzhou down",
        "ip link del to-cn-hangzhou",
        "ip address flush dev lan0",
        "sysctl -qw net.ipv4.ip_forward=0",
    ],
)
def test_what_somebody_else_changes_is_known_of_that_instance_alone(regions: TwoRegions, damage: str) -> None:
    west = regions.west
    for cen_id in regions.instances:
        regions.set_rate(cen_id, 10_000_000)
    west.kernel.read()
    assert west.kernel.changed() == set(), "what the gateway itself did is no news"
    inside(west.namespace("cen-a"), *damage.split())
    assert west.kernel.changed() == {west.namespace("cen-a")}
    assert west.converge().refused == {}
    west.kernel.read()
    assert west.kernel.changed() == set()


def test_what_hosts_do_is_no_change(regions: TwoRegions) -> None:
    regions.west.converge()
    regions.west.kernel.read()
    host = regions.host(regions.west, "cen-a")
    inside(host, "ip", "neigh", "flush", "all")
    assert "1 received" in inside(host, "ping", "-c", "1", "-W", "2", "10.1.0.1")
    assert regions.west.kernel.changed() == set()
