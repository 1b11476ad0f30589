"""Gateways and hosts in network namespaces of one test, joined by an underlay, for tests with the real kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.diff import diff
from opencen.gateway.kernel.model import TunnelNow
from opencen.gateway.kernel.netlink import NetlinkKernel
from opencen.gateway.kernel.operations import Outcome
from opencen.gateway.keys import KeyId, KeyStore, LocalKey
from opencen.gateway.plan import Site, namespace_name, plan, tunnel_name
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

_TOOLS = ("ip", "tc", "ping", "iperf3", "ethtool")
_numbers = count()


def require_namespaces() -> None:
    """Skip, with the reason, where network namespaces cannot be made; with CI=true that is a failure."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    reason = "needs root" if os.geteuid() != 0 else f"needs {', '.join(missing)}" if missing else None
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def run(*command: str, check: bool = True, timeout_s: float = 30) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def inside(namespace: str, *command: str, check: bool = True, timeout_s: float = 30) -> str:
    return run("ip", "netns", "exec", namespace, *command, check=check, timeout_s=timeout_s)


def start_inside(namespace: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ip", "netns", "exec", namespace, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@dataclass
class Gateway:
    """One side: its underlay namespace, its kernel, and what it has been told."""

    gateway_id: str
    region_id: str
    peer_region_id: str
    endpoint: str
    peer_endpoint: str
    octet: int
    peer_octet: int
    networks: list[DeclaredNetwork] = field(default_factory=list)
    rates_bps: dict[str, int] = field(default_factory=dict)
    keys: KeyStore | None = None
    peer: Gateway | None = None
    """With keys and a peer, links are encrypted."""
    generations: tuple[int, ...] = (1,)
    preshared_keys: tuple[PresharedKey, ...] = ()
    local_address: str | None = None
    behind_nat: bool = False
    known_keys: Mapping[KeyId, LocalKey] = field(default_factory=dict)

    @property
    def underlay(self) -> str:
        return f"{self.gateway_id}-host"

    def __post_init__(self) -> None:
        run("ip", "netns", "add", self.underlay)
        inside(self.underlay, "ip", "link", "set", "lo", "up")
        address = self.local_address or self.endpoint
        self.kernel = NetlinkKernel(f"{self.gateway_id}-cen-", address, self.underlay, self._private_key)

    def _private_key(self, public_key: str) -> str:
        assert self.keys is not None
        return self.keys.private_key(public_key)

    def encrypt(self, peer: Gateway, state_dir: Path) -> None:
        """From now on, links to the peer are encrypted."""
        self.peer, self.keys = peer, KeyStore(state_dir, max_links=200)

    def public_keys(self) -> Mapping[KeyId, LocalKey]:
        """What the control plane is told."""
        assert self.keys is not None
        self.known_keys = self.keys.serve(self.state().instances, complete=True)
        return self.known_keys

    def _wireguard(self, cen_id: str) -> WireGuardState | None:
        if self.keys is None or self.peer is None:
            return None
        tunnels = []
        for generation in self.generations:
            theirs = self.peer.known_keys.get((cen_id, self.region_id, generation))
            tunnels.append(
                TunnelState(
                    generation=generation,
                    peer_public_key=theirs.public_key if theirs else None,
                    peer_port=theirs.port if theirs else None,
                )
            )
        return WireGuardState(
            tunnels=tunnels, preshared_keys=list(self.preshared_keys), peer_is_behind_nat=self.peer.behind_nat
        )

    def state(self, revision: int = 1) -> GatewayState:
        return GatewayState(
            gateway_id=self.gateway_id,
            region_id=self.region_id,
            revision=revision,
            full=True,
            instances=[self._instance(cen_id, revision) for cen_id in self.rates_bps],
        )

    def _instance(self, cen_id: str, revision: int) -> InstanceState:
        number = list(self.rates_bps).index(cen_id)
        link = LinkState(
            peer_region_id=self.peer_region_id,
            vni=100 + number,
            peer_endpoint=self.peer_endpoint,
            remote_cidr_blocks=[f"10.{self.peer_octet}.0.0/16"],
            rate_bps=self.rates_bps[cen_id],
            wireguard=self._wireguard(cen_id),
        )
        network = NetworkState(network_id=f"vpc-{cen_id}", name=cen_id, cidr_blocks=[f"10.{self.octet}.0.0/16"])
        return InstanceState(cen_id=cen_id, revision=revision, networks=[network], links=[link])

    def site(self) -> Site:
        return Site(
            self.gateway_id,
            self.endpoint,
            self.networks,
            leaf_queue="bfifo",
            local_address=self.local_address,
            behind_nat=self.behind_nat,
            keys=self.known_keys,
        )

    def converge(self) -> Outcome:
        now = self.kernel.read()
        operations = diff(now, plan(self.state(), self.site(), now).namespaces)
        outcome = self.kernel.apply(operations)
        assert outcome.refused == {}
        return outcome

    def set_rate(self, cen_id: str, rate_bps: int) -> Outcome:
        self.rates_bps[cen_id] = rate_bps
        return self.converge()

    def namespace(self, cen_id: str) -> str:
        return namespace_name(self.gateway_id, cen_id)

    @property
    def device(self) -> str:
        return tunnel_name(self.peer_region_id)

    def tunnel(self, cen_id: str) -> TunnelNow:
        return self.kernel.read().namespaces[self.namespace(cen_id)].tunnels[self.device]


@dataclass
class TwoRegions:
    """Two gateways with `instances` CEN instances, and in each of these a host on either side."""

    instances: Sequence[str]
    underlay_mtu: int = 1_600
    nat_before_west: bool = False

    def __enter__(self) -> TwoRegions:
        self.name = f"gt{os.getpid()}x{next(_numbers)}"
        self.hosts: list[str] = []
        self.west = self._gateway("a", "us-west-1", "cn-hangzhou", 1, 2)
        self.east = self._gateway("b", "cn-hangzhou", "us-west-1", 2, 1)
        try:
            self._join()
            for cen_id in self.instances:
                self._add_hosts(cen_id)
            for gateway in (self.west, self.east):
                gateway.converge()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for gateway in (self.west, self.east):
            gateway.rates_bps.clear()
            gateway.converge()
            gateway.kernel.close()
        for namespace in [*self.hosts, self.west.underlay, self.east.underlay, f"{self.name}-nat"]:
            run("ip", "netns", "delete", namespace, check=False)

    def _gateway(self, letter: str, region_id: str, peer_region_id: str, octet: int, peer_octet: int) -> Gateway:
        return Gateway(
            f"gw-{self.name}{letter}",
            region_id,
            peer_region_id,
            f"100.64.0.{octet}",
            f"100.64.0.{peer_octet}",
            octet,
            peer_octet,
            local_address="192.168.77.2" if self.nat_before_west and letter == "a" else None,
            behind_nat=self.nat_before_west and letter == "a",
        )

    def _join_by_nat(self) -> None:
        """West's host has a private address; a router in front of it has the endpoint's and masquerades."""
        router = f"{self.name}-nat"
        run("ip", "netns", "add", router)
        for namespace, device in ((self.west.underlay, "inner"), (self.east.underlay, "outer")):
            inside(router, "ip", "link", "add", device, "type", "veth", "peer", "name", "u0", "netns", namespace)
            inside(router, "ip", "link", "set", device, "up")
            inside(namespace, "ip", "link", "set", "u0", "up")
        inside(router, "ip", "address", "add", "192.168.77.1/24", "dev", "inner")
        inside(router, "ip", "address", "add", f"{self.west.endpoint}/24", "dev", "outer")
        inside(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        rules = "table ip nat { chain out { type nat hook postrouting priority srcnat; oifname outer masquerade; }; }"
        inside(router, "nft", rules)
        inside(self.west.underlay, "ip", "address", "add", "192.168.77.2/24", "dev", "u0")
        inside(self.west.underlay, "ip", "route", "add", "default", "via", "192.168.77.1")
        inside(self.east.underlay, "ip", "address", "add", f"{self.east.endpoint}/24", "dev", "u0")

    def _join(self) -> None:
        if self.nat_before_west:
            self._join_by_nat()
            return
        west, east = self.west.underlay, self.east.underlay
        mtu = str(self.underlay_mtu)
        peer = ["peer", "name", "u0", "mtu", mtu, "netns", east]
        inside(west, "ip", "link", "add", "u0", "mtu", mtu, "type", "veth", *peer)
        for gateway in (self.west, self.east):
            inside(gateway.underlay, "ip", "address", "add", f"{gateway.endpoint}/24", "dev", "u0")
            inside(gateway.underlay, "ip", "link", "set", "u0", "up")

    def _add_hosts(self, cen_id: str) -> None:
        for gateway in (self.west, self.east):
            host = self.host(gateway, cen_id)
            run("ip", "netns", "add", host)
            self.hosts.append(host)
            lan = f"lan{len(gateway.networks)}"
            peer = ["peer", "name", "eth0", "netns", host]
            inside(gateway.underlay, "ip", "link", "add", lan, "type", "veth", *peer)
            inside(host, "ip", "address", "add", f"10.{gateway.octet}.0.10/24", "dev", "eth0")
            inside(host, "ip", "link", "set", "eth0", "up")
            inside(host, "ip", "link", "set", "lo", "up")
            inside(host, "ip", "route", "add", "default", "via", f"10.{gateway.octet}.0.1")
            inside(host, "ethtool", "-K", "eth0", "tso", "off", "gso", "off")
            gateway.networks.append(DeclaredNetwork(cen_id, lan, f"10.{gateway.octet}.0.1/24"))
            gateway.rates_bps[cen_id] = TEST_RATE_BPS

    def host(self, gateway: Gateway, cen_id: str) -> str:
        return f"{gateway.gateway_id}-h-{cen_id}"

    def set_rate(self, cen_id: str, rate_bps: int) -> list[Outcome]:
        return [gateway.set_rate(cen_id, rate_bps) for gateway in (self.west, self.east)]


def received(host: str) -> tuple[int, int]:
    """IP bytes and packets that a host's interface has received."""
    rows = json.loads(inside(host, "ip", "-s", "-j", "link", "show", "dev", "eth0"))
    counted = rows[0]["stats64"]["rx"]
    return counted["bytes"] - 14 * counted["packets"], counted["packets"]


def received_bps(hosts: Sequence[str], over_s: float) -> dict[str, float]:
    """The rates of IP bytes that hosts receive, over a time from now on."""
    before = {host: (time.monotonic(), received(host)[0]) for host in hosts}
    time.sleep(over_s)  # the measured interval itself
    rates = {}
    for host, (began, bytes_before) in before.items():
        bytes_after = received(host)[0]
        rates[host] = (bytes_after - bytes_before) * 8 / (time.monotonic() - began)
    return rates


class Probe:
    """A run of udp_probe.py on a host; `result` waits for its end."""

    def __init__(self, host: str, *arguments: str) -> None:
        script = str(Path(__file__).with_name("udp_probe.py"))
        self._process = start_inside(host, sys.executable, script, *arguments)
        if arguments[0] != "send":
            assert self._process.stdout is not None
            assert self._process.stdout.readline().strip() == "ready"

    def result(self) -> dict[str, Any]:
        output, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, output
        return dict(json.loads(output.splitlines()[-1]))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
