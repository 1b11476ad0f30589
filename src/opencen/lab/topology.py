"""What a lab consists of, read from TOML and checked as a whole before anything is made."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from opencen.lab.errors import TopologyError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,47}$")]
"""A name that may be part of a namespace's name, which is a file name."""

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class NetworkTopology:
    """A network, this region's gateway on it (`gateway_address`, with its prefix length) and one host."""

    name: Name
    cidr: IPv4Network
    gateway_address: IPv4Interface
    host: Name
    host_address: IPv4Address


@dataclass(frozen=True, config=_STRICT)
class RegionTopology:
    """A region: one gateway, reached by its peers at `endpoint` on the underlay, and its networks."""

    id: Name
    name: str
    area: str
    endpoint: IPv4Address
    networks: tuple[NetworkTopology, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class PackageTopology:
    """A bandwidth package that is made at the start and bound to the lab's instance."""

    name: Name
    areas: tuple[str, str]
    bandwidth_mbps: Annotated[int, "Mbit/s"]


@dataclass(frozen=True, config=_STRICT)
class Topology:
    """A whole lab. With an `instance`, that CEN instance is made and all networks are attached to it."""

    regions: tuple[RegionTopology, ...]
    instance: Name | None = None
    packages: tuple[PackageTopology, ...] = ()
    underlay_mtu: int = field(default=9000)
    encryption: Literal["wireguard", "vxlan"] = "vxlan"
    """How its links are carried; `wireguard` needs that on this machine, and one gateway's userspace is slow."""

    @property
    def networks(self) -> tuple[tuple[RegionTopology, NetworkTopology], ...]:
        return tuple((region, network) for region in self.regions for network in region.networks)


def _repeated(what: str, values: Iterable[object]) -> list[str]:
    return [f"{what} {value} is used {count} times" for value, count in Counter(values).items() if count > 1]


def _network_faults(network: NetworkTopology) -> list[str]:
    lan = network.gateway_address.network
    faults = []
    if not lan.subnet_of(network.cidr):
        faults.append(f"network {network.name}: gateway_address {network.gateway_address} is not within {network.cidr}")
    elif network.host_address not in lan:
        faults.append(f"network {network.name}: host_address {network.host_address} is not within {lan}")
    if network.host_address == network.gateway_address.ip:
        faults.append(f"network {network.name}: host and gateway have the same address {network.host_address}")
    return faults


def topology_faults(topology: Topology) -> list[str]:
    """Everything that is wrong between the parts of a topology, a sentence each."""
    networks = [network for _, network in topology.networks]
    areas = {region.area for region in topology.regions}
    faults = [] if topology.regions else ["a lab has at least one region"]
    faults += _repeated("region id", (region.id for region in topology.regions))
    faults += _repeated("endpoint", (region.endpoint for region in topology.regions))
    faults += _repeated("network name", (network.name for network in networks))
    faults += _repeated("host name", (network.host for network in networks))
    for network in networks:
        faults += _network_faults(network)
    for package in topology.packages:
        absent = sorted(set(package.areas) - areas)
        faults += [f"package {package.name}: no region is in area {area}" for area in absent]
        if package.bandwidth_mbps < 1:
            faults.append(f"package {package.name}: bandwidth_mbps is at least 1, not {package.bandwidth_mbps}")
    if topology.packages and topology.instance is None:
        faults.append("packages are bound to an instance, and `instance` is not given")
    if not 1550 <= topology.underlay_mtu <= 65535:
        faults.append(f"underlay_mtu is 1550 to 65535 (a 1500-byte packet in its tunnel), not {topology.underlay_mtu}")
    return faults


def parse_topology(text: str, source: str = "topology") -> Topology:
    """A checked topology from TOML. Raises TopologyError that lists every fault; `source` names the file in it."""
    try:
        document = tomllib.loads(text)
        topology = TypeAdapter(Topology).validate_python(document)
    except tomllib.TOMLDecodeError as error:
        raise TopologyError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()]
    else:
        faults = topology_faults(topology)
        if not faults:
            return topology
    raise TopologyError(f"{source} is not a valid topology:\n" + "\n".join(f"  {fault}" for fault in faults))


def default_topology() -> Topology:
    """The packaged one: four regions in two areas."""
    return parse_topology(files("opencen.lab").joinpath("default.toml").read_text("utf-8"), "default.toml")


def load_topology(path: Path | None) -> Topology:
    """The topology in a file, or the default one. Raises TopologyError."""
    if path is None:
        return default_topology()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"cannot read topology {path}: {error}") from error
    return parse_topology(text, str(path))
