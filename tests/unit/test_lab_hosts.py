"""Which hosts a lab makes for the networks that the control plane has."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from opencen.lab.hosts import MAX_HOSTS_PER_REGION, CarriableNetwork, HostPlan, lan_addresses, plan_hosts
from opencen.lab.state import GatewayRecord
from opencen.lab.topology import default_topology

TOPOLOGY = default_topology()
GATEWAYS = [
    GatewayRecord(
        region_id=region.id,
        region_name=region.name,
        gateway_id=f"gw-{region.id}",
        namespace=f"opencen-gateway-{region.id}",
        endpoint=str(region.endpoint),
    )
    for region in TOPOLOGY.regions
]


def network(identifier: str, *blocks: str, name: str = "other", region_id: str = "us-west-1") -> CarriableNetwork:
    return CarriableNetwork(identifier, name, region_id, blocks)


def plan(*networks: CarriableNetwork, hosted: set[str] | None = None) -> HostPlan:
    return plan_hosts("opencen", TOPOLOGY, GATEWAYS, networks, hosted or set())


def test_a_network_of_the_topology_has_the_host_that_the_topology_names() -> None:
    (host,) = plan(network("vpc-0123456789abcdef", "10.1.0.0/16", name="lab-us-west-1")).hosts
    assert (host.name, host.namespace) == ("host-us-west-1", "opencen-host-us-west-1")
    assert (host.address, host.gateway_address) == (ip_interface("10.1.0.10/24"), ip_interface("10.1.0.1/24"))


def test_a_network_made_later_has_a_host_named_after_its_id() -> None:
    (host,) = plan(network("vpc-0123456789abcdef", "172.16.0.0/12")).hosts
    assert host.name == "host-us-west-1-abcdef"
    assert (host.address, host.gateway_address) == (ip_interface("172.16.0.10/24"), ip_interface("172.16.0.1/24"))
    assert host.gateway_namespace == "opencen-gateway-us-west-1"


def test_an_interface_name_fits_the_kernel_and_is_told_apart_by_the_network() -> None:
    hosts = plan(network("vpc-0123456789abcdef", "10.5.0.0/16"), network("vpc-0123456789abcdeg", "10.5.0.0/16")).hosts
    assert len({host.interface for host in hosts}) == 2
    assert all(len(host.interface) <= 15 and host.interface.startswith("lan-") for host in hosts)


def test_a_second_network_of_the_topologys_name_does_not_take_its_host() -> None:
    hosts = plan(
        network("vpc-aaaaaaaaaaaaaaaa", "10.1.0.0/16", name="lab-us-west-1"),
        network("vpc-bbbbbbbbbbbbbbbb", "10.1.0.0/16", name="lab-us-west-1"),
    ).hosts
    assert [host.name for host in hosts] == ["host-us-west-1", "host-us-west-1-bbbbbb"]


def test_a_network_of_a_region_outside_the_lab_is_none_of_its_business() -> None:
    assert plan(network("vpc-1", "10.5.0.0/16", region_id="eu-west-1")) == HostPlan((), ())


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (["10.5.0.0/16"], ("10.5.0.1/24", "10.5.0.10/24")),
        (["192.168.3.128/28"], ("192.168.3.129/28", "192.168.3.138/28")),
        (["192.168.3.8/29"], ("192.168.3.9/29", "192.168.3.10/29")),
        (["192.168.3.8/30"], ("192.168.3.9/30", "192.168.3.10/30")),
        (["fd00::/64", "10.5.0.0/16"], ("10.5.0.1/24", "10.5.0.10/24")),
        (["192.168.3.8/31"], None),
        (["fd00::/64"], None),
        ([], None),
    ],
)
def test_a_lan_has_the_gateway_first_and_the_host_tenth(blocks: list[str], expected: tuple[str, str] | None) -> None:
    assert lan_addresses(blocks) == (expected and tuple(map(ip_interface, expected)))


def test_a_network_without_room_for_a_host_is_not_carried_and_the_reason_is_said() -> None:
    (refused,) = plan(network("vpc-1", "fd00::/64")).uncarried
    assert (refused.network_id, refused.reason) == (
        "vpc-1",
        "no IPv4 block with room for two addresses among fd00::/64",
    )


def test_beyond_32_networks_in_a_region_those_with_a_host_keep_it() -> None:
    networks = [network(f"vpc-{number:016d}", "10.5.0.0/16") for number in range(MAX_HOSTS_PER_REGION + 1)]
    last = networks[-1].id
    made = plan(*networks, hosted={last})
    assert len(made.hosts) == MAX_HOSTS_PER_REGION
    assert last in {host.network_id for host in made.hosts}
    (refused,) = made.uncarried
    assert refused.reason == "the lab makes at most 32 hosts in a region"
