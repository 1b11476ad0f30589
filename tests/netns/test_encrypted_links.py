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
from support import Gateway, TwoRegions, inside, require_namespaces

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
