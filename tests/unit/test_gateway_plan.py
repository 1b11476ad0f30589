"""What the control plane wants, as kernel objects."""

from __future__ import annotations

import pytest

from opencen.gateway import shaping
from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.kernel.model import SET_CLASS, HostNow, KernelNow, NamespaceNow, Port, Vlan
from opencen.gateway.plan import Plan, Site, plan, tunnel_mac, tunnel_name
from opencen.wire.gateway import TEST_RATE_BPS, GatewayState, InstanceState, LinkState, NetworkReport, NetworkState
from opencen.wire.interfaces import Interface

DECLARED = DeclaredNetwork("web", "lan0", "10.1.0.1/24")
NAMESPACE = "gw-1-cen-a"


def planned(
    *,
    networks: list[NetworkState] | None = None,
    links: list[LinkState] | None = None,
    declared: DeclaredNetwork = DECLARED,
    interfaces: frozenset[str] = frozenset({"lan0"}),
    namespaces: dict[str, NamespaceNow] | None = None,
    underlay_mtu: int | None = 1_600,
    cen_id: str = "cen-a",
) -> Plan:
    web = NetworkState(network_id="vpc-1", name="web", cidr_blocks=["10.1.0.0/16"])
    instance = InstanceState(
        cen_id=cen_id, revision=1, networks=[web] if networks is None else networks, links=links or []
    )
    state = GatewayState(gateway_id="gw-1", region_id="west", revision=1, full=True, instances=[instance])
    site = Site("gw-1", "100.64.0.1", [declared], "bfifo")
    return plan(state, site, KernelNow(HostNow(interfaces, underlay_mtu), namespaces or {}))


def link(peer: str = "east", endpoint: str | None = "100.64.0.2", *blocks: str) -> LinkState:
    return LinkState(
        peer_region_id=peer,
        vni=5,
        peer_endpoint=endpoint,
        remote_cidr_blocks=list(blocks) or ["10.2.0.0/16"],
        rate_bps=TEST_RATE_BPS,
    )


def report(done: Plan) -> NetworkReport:
    return done.networks["cen-a"][0]


@pytest.mark.parametrize("named", ["web", "vpc-1"])
def test_a_network_is_carried_by_the_interface_declared_for_its_name_or_id(named: str) -> None:
    done = planned(declared=DeclaredNetwork(named, "lan0", "10.1.0.1/24"))
    assert report(done).carried
    assert done.namespaces[NAMESPACE].ports == {"lan0": Port(frozenset({"10.1.0.1/24"}), up=True, segments=True)}


def test_an_interface_already_in_the_instances_namespace_counts_as_there() -> None:
    there = NamespaceNow(prepared=True, ports={"lan0": Port(frozenset(), up=False, segments=True)})
    assert report(planned(interfaces=frozenset(), namespaces={NAMESPACE: there})).carried


@pytest.mark.parametrize(
    ("done", "reason"),
    [
        (
            planned(declared=DeclaredNetwork("other", "lan0", "10.1.0.1/24")),
            "no interface is declared for it on this gateway",
        ),
        (planned(interfaces=frozenset()), "there is no interface lan0 on this gateway"),
        (
            planned(declared=DeclaredNetwork("web", "lan0", "10.9.0.1/24")),
            "10.9.0.1/24 on lan0 is not within 10.1.0.0/16",
        ),
        (
            planned(declared=DeclaredNetwork("web", "lan0", "10.1.0.1/24", prefixes=(("10.9.0.0/24", "10.1.0.2"),))),
            "10.9.0.0/24 behind lan0 is not within 10.1.0.0/16",
        ),
        (planned(declared=DeclaredNetwork("web", "lan0", "10.1.0.1/24", kind="bridge")), "lan0 is no bridge"),
        (
            planned(declared=DeclaredNetwork("web", "lan0", "10.1.0.1/24", kind="host")),
            "lan0 exists on the host already",
        ),
        (
            planned(declared=DeclaredNetwork("web", "lan1", "10.1.0.1/24", kind="vlan", vlan_id=7)),
            "there is no interface lan1 on this gateway",
        ),
    ],
)
def test_a_network_that_cannot_be_carried_says_why(done: Plan, reason: str) -> None:
    assert not report(done).carried
    assert report(done).reason == reason
    assert done.namespaces[NAMESPACE].ports == {}


ASKED = Interface(interface="lan0", kind="vlan", vlan_id=7, address="10.1.0.1/24")


def test_the_control_plane_says_where_a_network_is_unless_the_operator_of_the_host_does() -> None:
    web = NetworkState(network_id="vpc-1", name="web", cidr_blocks=["10.1.0.0/16"], interface=ASKED)
    asked = planned(networks=[web], declared=DeclaredNetwork("other", "lan9", "10.1.0.1/24"))
    assert (report(asked).carried, report(asked).interface) == (True, "lan0 VLAN 7")
    port = asked.namespaces[NAMESPACE].ports[asked.port_names["vpc-1"]]
    assert port.outside == Vlan("lan0", 7)
    assert report(planned(networks=[web])).interface == "lan0"


def test_an_interface_carries_one_network_and_another_vlan_of_it_another() -> None:
    networks = [
        NetworkState(network_id=f"vpc-{number}", name="", cidr_blocks=["10.1.0.0/16"], interface=interface)
        for number, interface in enumerate([ASKED, ASKED, ASKED.model_copy(update={"vlan_id": 8})])
    ]
    said = planned(networks=networks, declared=DeclaredNetwork("other", "lan9", "10.1.0.1/24")).networks["cen-a"]
    assert [item.carried for item in said] == [True, False, True]
    assert said[1].reason == "lan0 VLAN 7 already carries vpc-0"


def test_a_peer_region_without_a_gateway_gets_no_tunnel() -> None:
    assert planned(links=[link("east", None)]).namespaces[NAMESPACE].tunnels == {}


def test_both_ends_of_a_tunnel_agree_on_mac_addresses_without_asking() -> None:
    tunnel = planned(links=[link()]).namespaces[NAMESPACE].tunnels["to-east"]
    assert tunnel.device.mac == tunnel_mac("cen-a", "west")
    assert tunnel.next_hop_mac == tunnel_mac("cen-a", "east")
    assert tunnel.device.mac.startswith("02:")


@pytest.mark.parametrize(("underlay_mtu", "tunnel_mtu"), [(9_000, 1_500), (1_550, 1_500), (1_500, 1_450)])
def test_the_tunnels_mtu_leaves_room_for_its_own_headers(underlay_mtu: int, tunnel_mtu: int) -> None:
    done = planned(links=[link()], underlay_mtu=underlay_mtu)
    assert done.namespaces[NAMESPACE].tunnels["to-east"].device.mtu == tunnel_mtu


def test_an_ipv6_block_is_refused_aloud_and_the_others_are_carried() -> None:
    done = planned(links=[link("east", "100.64.0.2", "10.2.0.0/16", "2001:db8::/32")])
    assert done.link_errors["cen-a", "east"] == "IPv6 is not carried: 2001:db8::/32"
    assert done.namespaces[NAMESPACE].tunnels["to-east"].routes == {"10.2.0.0/16"}


def test_a_missing_endpoint_address_is_said_of_every_link() -> None:
    done = planned(links=[link()], underlay_mtu=None)
    assert done.link_errors["cen-a", "east"] == "no interface of this gateway has its underlay address 100.64.0.1"


def test_an_instance_id_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no id of a CEN instance"):
        planned(cen_id="cen-../../etc")


def test_device_names_fit_the_kernel_and_differ() -> None:
    regions = ["us-west-1", "ap-southeast-1", "ap-southeast-11", "ap-southeast-12"]
    names = [tunnel_name(region) for region in regions]
    assert names[0] == "to-us-west-1"
    assert all(len(name) <= 15 for name in names)
    assert len(set(names)) == len(regions)


@pytest.mark.parametrize("mbps", [1, 10, 100, 1_000, 5_000, 100_000])
def test_bursts_are_at_most_two_packets_or_two_milliseconds(mbps: int) -> None:
    burst_bytes = shaping.burst_bytes(mbps * 1_000_000)
    assert burst_bytes <= max(2 * 1_500, mbps * 1_000_000 / 8 * 0.002)
    assert burst_bytes <= 1 << 20


@pytest.mark.parametrize("mbps", [1, 10, 1_000])
def test_a_full_queue_waits_a_tenth_of_a_second_or_holds_ten_packets(mbps: int) -> None:
    limit_bytes = shaping.tree_for(mbps * 1_000_000, "bfifo").leaves[SET_CLASS].limit
    assert limit_bytes == max(15_000, mbps * 1_000_000 / 80)
