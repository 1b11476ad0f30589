"""Networks at real interfaces: in a bridge, on the host itself, with routers behind; and two that must never meet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import Vlan
from opencen.gateway.plan import namespace_name, plan
from support import Gateway, TwoRegions, inside, require_namespaces

pytestmark = pytest.mark.netns

SET_BPS = 10_000_000


@pytest.fixture(scope="module")
def regions() -> Iterator[TwoRegions]:
    require_namespaces()
    with TwoRegions(["cen-a", "cen-b"]) as made:
        for cen_id in made.instances:
            made.set_rate(cen_id, SET_BPS)
        yield made


def pings(namespace: str, address: str, *options: str) -> bool:
    said = inside(namespace, "ping", "-c", "1", "-W", "2", *options, address, check=False)
    return "1 received" in said


def redeclare(gateway: Gateway, network: str, wanted: DeclaredNetwork) -> None:
    gateway.networks = [wanted if item.network == network else item for item in gateway.networks]
    gateway.converge()
    assert gateway.converge().refused == {}


@pytest.fixture
def lan(regions: TwoRegions) -> Iterator[DeclaredNetwork]:
    """The physical interface of the west's cen-a, as it was before and is again afterwards."""
    before = next(item for item in regions.west.networks if item.network == "cen-a")
    yield before
    redeclare(regions.west, "cen-a", before)
    assert pings(regions.host(regions.west, "cen-a"), "10.2.0.10")


def test_a_bridge_of_the_host_carries_a_network_and_stays_the_hosts(regions: TwoRegions, lan: DeclaredNetwork) -> None:
    west, underlay = regions.west, regions.west.underlay
    inside(underlay, "ip", "link", "add", "br0", "type", "bridge")
    inside(underlay, "ip", "link", "set", "br0", "up")
    redeclare(west, "cen-a", DeclaredNetwork("cen-a", "br0", "10.1.0.1/24", kind="bridge"))
    inside(underlay, "ip", "link", "set", lan.interface, "master", "br0", "up")
    assert pings(regions.host(west, "cen-a"), "10.2.0.10")
    port = next(name for name in west.kernel.read().namespaces[west.namespace("cen-a")].ports if name != "lo")
    inside(underlay, "ip", "link", "set", port, "nomaster")
    west.converge()
    assert pings(regions.host(west, "cen-a"), "10.2.0.10"), "an end taken out of the bridge is put back"
    inside(underlay, "ip", "link", "set", lan.interface, "nomaster")
    redeclare(west, "cen-a", lan)
    assert "br0" in inside(underlay, "ip", "-br", "link")
    assert port not in inside(underlay, "ip", "-br", "link")
    inside(underlay, "ip", "link", "del", "br0")


def test_the_host_itself_is_a_member_and_keeps_all_its_interfaces(regions: TwoRegions, lan: DeclaredNetwork) -> None:
    west, underlay, east_host = regions.west, regions.west.underlay, regions.host(regions.east, "cen-a")
    interfaces = inside(underlay, "ip", "-br", "link")
    redeclare(west, "cen-a", DeclaredNetwork("cen-a", "cen0", "10.1.0.77/32", kind="host"))
    assert pings(underlay, "10.2.0.10")
    assert pings(east_host, "10.1.0.77")
    route = json.loads(inside(underlay, "ip", "-j", "route", "get", "10.2.0.10"))[0]
    assert (route["dev"], route["prefsrc"]) == ("cen0", "10.1.0.77")
    # the host is a member, not a router: nothing that its own LAN sends gets in, and nothing that comes out goes on
    inside(underlay, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    west.converge()
    assert not pings(underlay, "10.2.0.10", "-I", west.endpoint)
    assert inside(underlay, "cat", "/proc/sys/net/ipv4/conf/cen0/forwarding").strip() == "0"
    redeclare(west, "cen-a", lan)
    assert "cen0" not in inside(underlay, "ip", "-br", "link")
    assert set(interfaces.split()) <= set(inside(underlay, "ip", "-br", "link").split()) | set(lan.interface)


def test_what_is_behind_a_router_of_the_network_is_reached_through_it(
    regions: TwoRegions, lan: DeclaredNetwork
) -> None:
    west, router = regions.west, regions.host(regions.west, "cen-a")
    inside(router, "ip", "address", "add", "10.1.8.1/24", "dev", "lo")
    behind = DeclaredNetwork("cen-a", lan.interface, lan.address, prefixes=(("10.1.8.0/24", "10.1.0.10"),))
    assert not pings(regions.host(regions.east, "cen-a"), "10.1.8.1")
    redeclare(west, "cen-a", behind)
    assert pings(regions.host(regions.east, "cen-a"), "10.1.8.1")
    redeclare(west, "cen-a", lan)
    assert not pings(regions.host(regions.east, "cen-a"), "10.1.8.1")
    inside(router, "ip", "address", "del", "10.1.8.1/24", "dev", "lo")


def vlans_are_there(underlay: str) -> bool:
    added = subprocess.run(
        ["ip", "-n", underlay, "link", "add", "link", "u0", "name", "u0.9", "type", "vlan", "id", "9"],
        capture_output=True,
        check=False,
    )
    inside(underlay, "ip", "link", "del", "u0.9", check=False)
    return added.returncode == 0


def test_a_vlan_of_an_interface_carries_a_network(regions: TwoRegions, lan: DeclaredNetwork) -> None:
    west, host = regions.west, regions.host(regions.west, "cen-a")
    if not vlans_are_there(west.underlay):
        scope = ops.Scope(west.namespace("cen-a"), "net-vlan")
        port = west.kernel.read().namespaces[scope.namespace].ports[lan.interface]
        outcome = west.kernel.apply([ops.AttachPort(scope, replace(port, outside=Vlan("u0", 100)))])
        assert outcome.refused[scope] == "AttachPort: this kernel lacks VLANs (8021q): modprobe 8021q"
        pytest.skip("this kernel lacks 8021q (CONFIG_VLAN_8021Q)")
    redeclare(west, "cen-a", DeclaredNetwork("cen-a", lan.interface, "10.1.0.1/24", kind="vlan", vlan_id=100))
    inside(west.underlay, "ip", "link", "set", lan.interface, "up")
    inside(host, "ip", "link", "add", "link", "eth0", "name", "eth0.100", "type", "vlan", "id", "100")
    inside(host, "ip", "address", "add", "10.1.0.11/24", "dev", "eth0.100")
    inside(host, "ip", "link", "set", "eth0.100", "up")
    inside(host, "ip", "route", "replace", "default", "via", "10.1.0.1", "dev", "eth0.100")
    assert pings(host, "10.2.0.10", "-I", "10.1.0.11")
    inside(host, "ip", "link", "del", "eth0.100")
    inside(host, "ip", "route", "replace", "default", "via", "10.1.0.1")


CAPTURE = """
import json, select, socket, sys
seen = {}
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as capture:
    capture.settimeout(0.2)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([capture, sys.stdin], [], [], 5)
        if sys.stdin in ready or not ready:
            break
        packet = capture.recv(65535)
        for mark in (b"only-for-a", b"only-for-b"):
            if mark in packet:
                seen[mark.decode()] = seen.get(mark.decode(), 0) + 1
print(json.dumps(seen))
"""

SEND = """
import socket, struct, sys
mark, destination, *sources = sys.argv[1:]
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    for source in sources:
        payload = mark.encode()
        udp = struct.pack("!HHHH", 4242, 4242, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                           socket.inet_aton(source), socket.inet_aton(destination))
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        raw.sendto(head + udp, (destination, 0))
"""


class Capture:
    """All frames at every interface of a namespace, counted by the marks in them."""

    def __init__(self, namespace: str) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", CAPTURE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def seen(self) -> dict[str, int]:
        output, _ = self._process.communicate("stop\n", timeout=20)
        return dict(json.loads(output))


def test_no_packet_crosses_between_instances_with_the_same_addresses(regions: TwoRegions) -> None:
    """All namespaces of both are captured while hosts send, also with each other's and the gateways' addresses."""
    own = {"a": "cen-a", "b": "cen-b"}
    places = {
        letter: [
            *(regions.host(gateway, cen_id) for gateway in (regions.west, regions.east)),
            *(namespace_name(gateway.gateway_id, cen_id) for gateway in (regions.west, regions.east)),
        ]
        for letter, cen_id in own.items()
    }
    captures = {(letter, place): Capture(place) for letter, named in places.items() for place in named}
    captures |= {("host", gateway.underlay): Capture(gateway.underlay) for gateway in (regions.west, regions.east)}
    spoofed = ["10.1.0.10", "10.1.0.1", "10.2.0.10", "10.2.0.1", "100.64.0.1", "100.64.0.2", "127.0.0.1", "169.254.0.1"]
    for letter, cen_id in own.items():
        for gateway in (regions.west, regions.east):
            for destination in ("10.1.0.10", "10.2.0.10", "100.64.0.1", "100.64.0.2", "169.254.0.1", "169.254.0.2"):
                inside(
                    regions.host(gateway, cen_id),
                    sys.executable,
                    "-c",
                    SEND,
                    f"only-for-{letter}",
                    destination,
                    *spoofed,
                )
    time.sleep(0.5)  # what is under way arrives
    seen = {where: capture.seen() for where, capture in captures.items()}
    for letter, other in (("a", "b"), ("b", "a")):
        arrived = sum(found.get(f"only-for-{letter}", 0) for (of, _), found in seen.items() if of == letter)
        assert arrived > 0, "the packets were really sent"
        for (of, place), found in seen.items():
            if of == other:
                assert f"only-for-{letter}" not in found, f"a packet of cen-{letter} came to {place}"
    delivered = seen["a", regions.host(regions.east, "cen-a")]
    assert delivered.get("only-for-a", 0) >= 1


def test_the_interface_of_the_underlay_is_not_taken(regions: TwoRegions) -> None:
    gateway = regions.west
    wanted = DeclaredNetwork("cen-a", "u0", "10.1.0.1/24")
    before = list(gateway.networks)
    gateway.networks = [wanted if item.network == "cen-a" else item for item in before]
    reports = plan(gateway.state(), gateway.site(), gateway.kernel.read()).networks["cen-a"]
    gateway.networks = before
    assert [report.carried for report in reports] == [False]
    assert reports[0].reason == "u0 has this gateway's underlay address: without it no tunnel would be left"
