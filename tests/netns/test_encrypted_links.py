"""Encrypted links between two gateways, with real WireGuard: what goes over the wire, and what arrives."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opencen.gateway.kernel.model import Front, WireGuardNow
from opencen.wire.gateway import PresharedKey
from support import Gateway, TwoRegions, inside, require_namespaces, start_inside

pytestmark = pytest.mark.netns

SET_BPS = 20_000_000
SECRET = b"the inner secret"


def require_wireguard() -> None:
    require_namespaces()
    for tool in ("wg", "wireguard-go", "tcpdump", "nft"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def preshared_key(number: int) -> PresharedKey:
    return PresharedKey(id=number, key=base64.b64encode(bytes([number]) * 32).decode())


def encrypt(regions: TwoRegions, folder: Path) -> None:
    """As the control plane does: each side makes its keys, is handed the other's, and builds."""
    sides = (regions.west, regions.east)
    for gateway, peer in (sides, sides[::-1]):
        state_dir = folder / gateway.region_id
        state_dir.mkdir(exist_ok=True)
        gateway.encrypt(peer, state_dir)
        gateway.preshared_keys = (preshared_key(1),)
    for gateway in sides:
        gateway.public_keys()
    for gateway in sides:
        gateway.converge()


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRegions]:
    require_wireguard()
    with TwoRegions(["cen-a"], underlay_mtu=1500) as made:
        made.set_rate("cen-a", SET_BPS)
        encrypt(made, tmp_path_factory.mktemp("keys"))
        wait_for_handshake(made)
        yield made


def wireguards(gateway: Gateway) -> dict[str, WireGuardNow]:
    return dict(gateway.kernel.read().namespaces[gateway.namespace("cen-a")].wireguards)


def wait_for_handshake(regions: TwoRegions, timeout_s: float = 15) -> None:
    deadline_s = time.monotonic() + timeout_s
    sides = (regions.west, regions.east)
    while any(device.handshake_age_s is None for side in sides for device in wireguards(side).values()):
        assert time.monotonic() < deadline_s, [wireguards(side) for side in (regions.west, regions.east)]
        time.sleep(0.05)


def ping(regions: TwoRegions, *arguments: str) -> str:
    host = regions.host(regions.west, "cen-a")
    return inside(host, "ping", "-c", "3", "-i", "0.05", "-W", "2", *arguments, "10.2.0.10", check=False)


def test_hosts_reach_each_other_and_the_kernel_is_as_wanted(regions: TwoRegions) -> None:
    assert " 0% packet loss" in ping(regions)
    tunnel = regions.west.tunnel("cen-a").tunnel
    assert isinstance(tunnel.device, Front)
    assert tunnel.path in wireguards(regions.west)
    assert regions.west.converge().refused == {}
    before = {name: device.device for name, device in wireguards(regions.west).items()}
    regions.west.converge()
    assert {name: device.device for name, device in wireguards(regions.west).items()} == before


def captured(regions: TwoRegions) -> bytes:
    """What the underlay carries while a host sends a known text to the other side."""
    capture = subprocess.Popen(
        ["ip", "netns", "exec", regions.west.underlay, "tcpdump", "-i", "u0", "-U", "-w", "-", "-c", "20", "udp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert capture.stderr is not None
    assert b"listening" in capture.stderr.readline()
    ping(regions, "-c", "10", "-p", SECRET.hex(), "-s", "200")
    output, _ = capture.communicate(timeout=20)
    return output


def test_a_capture_of_the_underlay_shows_no_inner_plaintext(regions: TwoRegions) -> None:
    encrypted = captured(regions)
    assert len(encrypted) > 20 * 200
    assert SECRET not in encrypted
    with TwoRegions(["cen-a"]) as plain:
        plain.set_rate("cen-a", SET_BPS)
        assert SECRET in captured(plain), "the check can fail: VXLAN shows it"


def test_a_1500_byte_lan_works_over_a_1500_byte_underlay(regions: TwoRegions) -> None:
    """Hosts are told what fits (ICMP), TCP never tries more (MSS), and nothing is cut into fragments on the way."""
    assert_big_packets_work(regions, inner_mtu=1440)


def test_plain_links_tell_hosts_what_fits_as_well() -> None:
    require_wireguard()
    with TwoRegions(["cen-a"], underlay_mtu=1500) as plain:
        plain.set_rate("cen-a", SET_BPS)
        assert_big_packets_work(plain, inner_mtu=1450)


def assert_big_packets_work(regions: TwoRegions, inner_mtu: int) -> None:
    west, east = regions.host(regions.west, "cen-a"), regions.host(regions.east, "cen-a")
    too_big = ping(regions, "-M", "do", "-s", str(1500 - 28))
    assert f"mtu={inner_mtu}" in too_big or f"mtu = {inner_mtu}" in too_big, too_big
    assert " 0% packet loss" in ping(regions, "-M", "do", "-s", str(inner_mtu - 28))
    inside(west, "ip", "route", "flush", "cache")
    sniffer = start_inside(
        east, "timeout", "10", "tcpdump", "-ni", "eth0", "-c", "1", "-v", "tcp[tcpflags] & tcp-syn != 0"
    )
    server = start_inside(east, "iperf3", "-s", "-1")
    time.sleep(0.5)  # iperf3 says nothing when it listens
    inside(west, "iperf3", "-c", "10.2.0.10", "-t", "2")
    server.communicate(timeout=10)
    seen, _ = sniffer.communicate(timeout=15)
    assert f"mss {inner_mtu - 40}" in seen, seen
    fragments = inside(east, "cat", "/proc/net/snmp").split("Ip:")[2].split()
    assert fragments[13] == "0", "no datagram had to be put together again"


@pytest.fixture
def behind_nat(tmp_path: Path) -> Iterator[TwoRegions]:
    """West's host is behind a router that masquerades: its peer is not told where it is, and cannot call it."""
    require_wireguard()
    with TwoRegions(["cen-a"], nat_before_west=True) as made:
        made.set_rate("cen-a", SET_BPS)
        encrypt(made, tmp_path)
        yield made


def test_a_gateway_behind_nat_calls_its_peer_and_what_was_learnt_is_not_undone(behind_nat: TwoRegions) -> None:
    wait_for_handshake(behind_nat)
    assert " 0% packet loss" in ping(behind_nat)
    (device,) = wireguards(behind_nat.east).values()
    assert device.device.endpoint is not None
    assert device.device.endpoint.startswith("100.64.0.1:"), "the router's address, learnt from a packet"
    behind_nat.east.converge()
    assert [now.device.endpoint for now in wireguards(behind_nat.east).values()] == [device.device.endpoint]
    assert " 0% packet loss" in ping(behind_nat)
