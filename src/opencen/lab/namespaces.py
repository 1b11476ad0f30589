"""Namespaces and the wires between them. Everything here is in a namespace of the lab, nothing in the machine's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface

from opencen.lab.commands import NAMESPACES, loss_based_congestion_control, run, within
from opencen.lab.errors import CommandError
from opencen.lab.processes import end_processes

UNDERLAY_PREFIX = 16
_HOST_MTU = 1500


def existing_namespaces() -> set[str]:
    """The names of all network namespaces of this machine."""
    return set(os.listdir(NAMESPACES)) if NAMESPACES.is_dir() else set()  # noqa: PTH208 - names are wanted


def batch(namespace: str, lines: Sequence[str]) -> None:
    """`ip` commands in a namespace, one process for all. Raises CommandError at the first that fails."""
    run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def make_namespace(namespace: str) -> None:
    run(["ip", "netns", "add", namespace])
    batch(namespace, ["link set lo up"])


def remove_namespace(namespace: str) -> None:
    """Ends the processes in a namespace and removes it. One that is not there is no error."""
    if namespace not in existing_namespaces():
        return
    end_processes(namespace_pids(namespace))
    run(["ip", "netns", "delete", namespace])


def namespace_pids(namespace: str) -> list[int]:
    """The processes whose network namespace is this one."""
    return [int(pid) for pid in run(["ip", "netns", "pids", namespace]).split()]


def set_offloads_off(namespace: str, interface: str) -> None:
    """Packets of at most MTU size leave and reach an interface: the limit's arithmetic counts packets (design, 5)."""
    run(within(namespace, ["ethtool", "-K", interface, "tso", "off", "gso", "off", "gro", "off"]))


def make_underlay(namespace: str, mtu: int) -> None:
    """A bridge that joins the gateways, and nothing else."""
    make_namespace(namespace)
    batch(namespace, [f"link add underlay mtu {mtu} type bridge", "link set underlay addrgenmode none up"])


def make_gateway_namespace(namespace: str, underlay: str, port: int, endpoint: IPv4Address, mtu: int) -> None:
    """A gateway's namespace with its wire to the underlay; `port` numbers the wire's end there."""
    make_namespace(namespace)
    address = IPv4Interface(f"{endpoint}/{UNDERLAY_PREFIX}")
    batch(
        namespace,
        [
            f"link add underlay mtu {mtu} type veth peer name gateway{port} mtu {mtu} netns {underlay}",
            "link set underlay addrgenmode none",
            f"address add {address} dev underlay",
            "link set underlay up",
        ],
    )
    batch(underlay, [f"link set gateway{port} addrgenmode none master underlay up"])


def _set_congestion_control(namespace: str) -> None:
    """What a host's programs use. A kernel may keep cubic from namespaces; it never keeps reno."""
    for name in dict.fromkeys((loss_based_congestion_control(), "reno")):
        try:
            run(within(namespace, ["sh", "-c", f"echo {name} > /proc/sys/net/ipv4/tcp_congestion_control"]))
        except CommandError:
            if name == "reno":
                raise
        else:
            return


def make_host(
    namespace: str, address: IPv4Interface, router: IPv4Address, gateway_namespace: str, gateway_interface: str
) -> None:
    """A host with one wire to its gateway. The gateway's end is left down, for the agent to take."""
    make_namespace(namespace)
    batch(
        namespace,
        [
            f"link add eth0 mtu {_HOST_MTU} type veth "
            f"peer name {gateway_interface} mtu {_HOST_MTU} netns {gateway_namespace}",
            "link set eth0 addrgenmode none",
            f"address add {address} dev eth0",
            "link set eth0 up",
            f"route add default via {router}",
        ],
    )
    batch(gateway_namespace, [f"link set {gateway_interface} addrgenmode none"])
    _set_congestion_control(namespace)
    set_offloads_off(namespace, "eth0")
    set_offloads_off(gateway_namespace, gateway_interface)
