"""What a topology file may say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencen.lab.errors import TopologyError
from opencen.lab.topology import default_topology, load_topology, parse_topology

REGION = """
[[regions]]
id = "us-west-1"
name = "US West 1"
area = "North-America"
endpoint = "100.64.0.1"

[[regions.networks]]
name = "lab-us-west-1"
cidr = "10.1.0.0/16"
gateway_address = "10.1.0.1/24"
host = "host-us-west-1"
host_address = "10.1.0.10"
"""


def test_the_default_lab_is_four_regions_in_two_areas_with_20_mbit_between_them() -> None:
    topology = default_topology()
    assert {region.id: region.area for region in topology.regions} == {
        "us-west-1": "North-America",
        "cn-hangzhou": "China",
        "cn-shanghai": "China",
        "cn-shenzhen": "China",
    }
    assert [network.host for _, network in topology.networks] == [f"host-{region.id}" for region in topology.regions]
    (package,) = topology.packages
    assert package.bandwidth_mbps == 20
    assert set(package.areas) == {"China", "North-America"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"nowhere\.toml"):
        load_topology(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regions = [", "not TOML"),
        ("regions = []", "at least one region"),
        (REGION + 'color = "red"\n', r"networks.0.color: Unexpected keyword"),
        (REGION.replace('cidr = "10.1.0.0/16"\n', ""), r"regions.0.networks.0.cidr: Field required"),
        (REGION.replace("10.1.0.0/16", "10.1.0.9/16"), r"networks.0.cidr: .*not a valid IPv4 network"),
        (REGION + REGION, "region id us-west-1 is used 2 times"),
        (REGION + REGION, "endpoint 100.64.0.1 is used 2 times"),
        (REGION + REGION, "host name host-us-west-1 is used 2 times"),
        (REGION.replace("10.1.0.1/24", "10.9.0.1/24"), "gateway_address 10.9.0.1/24 is not within 10.1.0.0/16"),
        (REGION.replace("10.1.0.10", "10.1.7.10"), "host_address 10.1.7.10 is not within 10.1.0.0/24"),
        (REGION.replace("10.1.0.10", "10.1.0.1"), "the same address 10.1.0.1"),
        (REGION.replace("host-us-west-1", "../etc"), "networks.0.host: String should match pattern"),
        ("underlay_mtu = 1500\n" + REGION, "underlay_mtu is 1550 to 65535"),
        (
            '[[packages]]\nname = "p"\nareas = ["North-America", "Europe"]\nbandwidth_mbps = 5\n' + REGION,
            "package p: no region is in area Europe",
        ),
        (
            '[[packages]]\nname = "p"\nareas = ["North-America", "North-America"]\nbandwidth_mbps = 0\n' + REGION,
            "bandwidth_mbps is at least 1, not 0",
        ),
    ],
)
def test_what_is_wrong_in_a_topology_is_said(text: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        parse_topology(text)
