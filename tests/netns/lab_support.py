"""What tests of the lab share: whether it can run here, and a pair of hosts behind a plain router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface

from conftest import missing
from opencen.lab.commands import run, within
from opencen.lab.namespaces import batch, make_host, make_namespace, remove_namespace
from opencen.lab.requirements import missing_here
from opencen.lab.traffic import Endpoint


def need_lab() -> None:
    """Skips, with what is missing, where no lab can run; there a CI run fails."""
    absent = missing_here()
    if absent:
        missing(f"this machine cannot run a lab: {'; '.join(item.what for item in absent)}")


@contextmanager
def routed_pair(prefix: str, rate_mbps: int | None = None) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Two hosts and a router between them, which limits what goes to the second one."""
    router = f"{prefix}-router"
    ends = (
        Endpoint("host-a", f"{prefix}-a", IPv4Address("10.1.0.10")),
        Endpoint("host-b", f"{prefix}-b", IPv4Address("10.2.0.10")),
    )
    try:
        make_namespace(router)
        for end, lan in zip(ends, ("lan-a", "lan-b"), strict=True):
            gateway = end.ip - 9
            make_host(end.namespace, IPv4Interface(f"{end.ip}/24"), gateway, router, lan)
            batch(router, [f"address add {gateway}/24 dev {lan}", f"link set {lan} up"])
        run(within(router, ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))
        if rate_mbps:
            _limit(router, "lan-b", rate_mbps)
        yield ends
    finally:
        for namespace in (ends[0].namespace, ends[1].namespace, router):
            remove_namespace(namespace)


def _limit(namespace: str, interface: str, rate_mbps: int) -> None:
    """A plain HTB limit in bits of IP packets."""
    root = f"qdisc add dev {interface} root handle 1: stab overhead -14 linklayer ethernet htb default 1"
    rate = f"class add dev {interface} parent 1: classid 1:1 htb rate {rate_mbps}mbit burst 3000 cburst 3000"
    for command in (root, rate):
        run(["tc", "-n", namespace, *command.split()])
