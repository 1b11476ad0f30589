"""Measured against set, from 1 Mbit/s to 5 Gbit/s, with plain `tc … htb rate` beside it."""

from __future__ import annotations

import json
import subprocess

from bench.report import Result
from bench.site import Site, running_site

RATES_MBPS = (1, 10, 100, 1000, 5000)
SMALL_UDP_UP_TO_MBPS = 10
A, B = "us-west-1", "cn-hangzhou"
MBPS = 1_000_000


def _tunnel(site: Site, region_id: str, peer_region_id: str) -> tuple[str, str]:
    namespace = site.namespace(region_id)
    links = json.loads(subprocess.check_output(["ip", "-n", namespace, "-j", "-d", "link"]))
    names = [link["ifname"] for link in links if link.get("linkinfo", {}).get("info_kind") == "vxlan"]
    return namespace, next(name for name in names if name in peer_region_id or peer_region_id in name)


def _plain_htb(site: Site, mbps: int) -> None:
    """What a hand-written script does: `htb rate`, nothing else. The agents are stopped, or they would repair it."""
    for region_id, peer_id in ((A, B), (B, A)):
        namespace, device = _tunnel(site, region_id, peer_id)
        tc = ["tc", "-n", namespace]
        subprocess.run([*tc, "qdisc", "del", "dev", device, "root"], check=True)
        if mbps:
            subprocess.run(
                [*tc, "qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", "1"], check=True
            )
            rate = ["classid", "1:1", "htb", "rate", f"{mbps}mbit"]
            subprocess.run([*tc, "class", "add", "dev", device, "parent", "1:", *rate], check=True)
        else:
            subprocess.run([*tc, "qdisc", "add", "dev", device, "root", "pfifo"], check=True)


def _ratio(site: Site, mbps: int, transport: str, length: int | None = None) -> float:
    measured = site.lab.traffic(A, B, transport=transport, length=length).measured_bps  # type: ignore[arg-type]
    return measured / (mbps * MBPS)


def run() -> Result:
    """The table of ratios."""
    ours: dict[tuple[int, str], float] = {}
    plain: dict[tuple[int, str], float] = {}
    with running_site() as site:
        for mbps in RATES_MBPS:
            site.set(A, B, mbps)
            ours[mbps, "tcp"] = _ratio(site, mbps, "tcp")
            if mbps <= SMALL_UDP_UP_TO_MBPS:
                ours[mbps, "udp64"] = _ratio(site, mbps, "udp", 64)
        for region_id in (A, B):
            site.lab.stop_gateway(region_id)
        for mbps in RATES_MBPS:
            _plain_htb(site, mbps)
            plain[mbps, "tcp"] = _ratio(site, mbps, "tcp")
            if mbps <= SMALL_UDP_UP_TO_MBPS:
                plain[mbps, "udp64"] = _ratio(site, mbps, "udp", 64)
        _plain_htb(site, 0)
        unshaped_mbps = _ratio(site, 1, "tcp")

    def text(ratios: dict[tuple[int, str], float], key: tuple[int, str]) -> str:
        return f"{ratios[key]:.4f}" if key in ratios else "-"

    possible = [mbps for mbps in RATES_MBPS if mbps < unshaped_mbps * 0.95]
    rows = [
        (
            f"{mbps}",
            text(ours, (mbps, "tcp")),
            text(plain, (mbps, "tcp")),
            text(ours, (mbps, "udp64")),
            text(plain, (mbps, "udp64")),
            "" if mbps in possible else "this machine cannot",
        )
        for mbps in RATES_MBPS
    ]
    met = all(
        abs(ratio - 1) <= (0.02 if mbps >= 5000 else 0.01) for (mbps, _), ratio in ours.items() if mbps in possible
    )
    return Result(
        name="rates",
        title="Measured layer-3 rate / set rate",
        promise="within 1 % from 1 to 1000 Mbit/s, 2 % at 5000",
        columns=("set Mbit/s", "TCP", "TCP, plain htb", "UDP 64 bytes", "UDP 64 bytes, plain htb", ""),
        rows=rows,
        met=met,
        notes=(
            f"The limit of this machine: {unshaped_mbps:.0f} Mbit/s of TCP through the same tunnel, unshaped, with "
            "packets of at most 1,500 bytes (segmentation offload off, as the limit's arithmetic needs it).",
        ),
    )
