"""Whether a host can be a gateway, said for a person: what works, what is missing, and the command that gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from opencen.gateway.probe import LEAF_QUEUES, MissingCapabilityError
from opencen.wire.gateway import Capabilities

Verdict = Literal["works", "could be better", "missing"]

_FAIR_QUEUES: Final = LEAF_QUEUES[:-1]


@dataclass(frozen=True)
class Finding:
    """One thing that a gateway needs or is better with. `remedy` is empty when it works or when nothing is to do."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


def findings(probed: Capabilities | MissingCapabilityError) -> list[Finding]:
    """What a probe's outcome means. A probe stops at the first thing missing, so that is then the only finding."""
    if isinstance(probed, MissingCapabilityError):
        return [Finding(probed.subject, "missing", str(probed), probed.remedy)]
    return [
        Finding("kernel", "works", f"{probed.kernel}: namespaces, VXLAN, HTB and u32 filters"),
        _leaf_queue(probed.leaf_queue),
        _encryption(probed.encryption),
        _source_check(probed.source_check),
    ]


def _leaf_queue(found: str) -> Finding:
    if found in _FAIR_QUEUES:
        return Finding("queue", "works", found)
    return Finding(
        "queue",
        "could be better",
        f"{found}: limits hold, but one flow of a link can delay the others",
        " or ".join(f"modprobe sch_{kind}" for kind in _FAIR_QUEUES),
    )


def _encryption(found: str) -> Finding:
    if found == "wireguard":
        return Finding("encryption", "works", "wireguard: links are encrypted by the kernel")
    if found == "wireguard-go":
        text = "wireguard-go: links are encrypted by a process each, at some hundreds of Mbit/s a link"
        return Finding("encryption", "could be better", text, "modprobe wireguard")
    return Finding(
        "encryption",
        "could be better",
        "no WireGuard on this host: links are refused unless plain VXLAN is chosen, for private circuits only",
        "apt-get install wireguard-tools wireguard-go",
    )


def membership(gateway_id: str | None, *, systemd: bool) -> list[Finding]:
    """What joining finds on this host: whether it has joined already, and what keeps the agent running."""
    found = []
    if gateway_id is not None:
        found.append(Finding("membership", "works", f"this host has joined: it is {gateway_id}"))
    if systemd:
        found.append(Finding("service", "works", "systemd: joining enables and starts the agent"))
    else:
        text = "no systemd: the agent must be started, and started again after a reboot, by something else"
        found.append(Finding("service", "could be better", text))
    return found


def server_finding(server: str, *, trouble: str | None) -> Finding:
    """Whether the control plane can be joined from here."""
    if trouble is None:
        return Finding("server", "works", f"{server} answers")
    return Finding("server", "missing", trouble, "see docs/gateways.md: opencen serve with --tls-cert")


def _source_check(found: str) -> Finding:
    if found == "nftables":
        return Finding("source check", "works", "nftables: tunnelled packets are taken from present peers only")
    text = "no nftables: when a peer's standby takes over, it waits until the former gateway has said that it is off"
    return Finding("source check", "could be better", text, "apt-get install nftables")


def is_able(found: list[Finding]) -> bool:
    return all(finding.verdict != "missing" for finding in found)
