"""A gateway's cold start with thousands of links, beside `ip -batch` and `tc -batch` making the same objects."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

from bench.report import Result
from opencen.gateway.converge import Converger
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import NEXT_HOP, HtbClass, RootQueue, Tree, Tunnel, WantedNamespace
from opencen.gateway.kernel.netlink import NetlinkKernel
from opencen.gateway.plan import Site, plan
from opencen.wire.gateway import GatewayState, InstanceState, LinkState

LINKS = 10_000
LINKS_PER_INSTANCE = 10
SLOWER_AT_MOST = 2.0
_ENDPOINT, _PEER = "100.64.0.1", "100.64.0.2"
_TICK_NS = 64


def state_of(gateway_id: str, links: int, rate_bps: int = 10_000_000) -> GatewayState:
    """What a gateway with so many links is told: a CEN instance for each ten."""
    instances = []
    for first in range(0, links, LINKS_PER_INSTANCE):
        made = [
            LinkState(
                peer_region_id=f"region-{number}",
                vni=1 + first + number,
                peer_endpoint=_PEER,
                remote_cidr_blocks=[f"10.{number + 1}.0.0/16"],
                rate_bps=rate_bps,
            )
            for number in range(min(LINKS_PER_INSTANCE, links - first))
        ]
        instances.append(InstanceState(cen_id=f"cen-{first}", revision=1, networks=[], links=made))
    return GatewayState(gateway_id=gateway_id, region_id="us-west-1", revision=1, full=True, instances=instances)


def site_of(gateway_id: str) -> Site:
    return Site(gateway_id, _ENDPOINT, [], leaf_queue="bfifo")


@contextmanager
def underlay(name: str) -> Iterator[None]:
    """A namespace that stands for a gateway's host, with its endpoint address."""
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "add", "u0", "type", "veth", "peer", "name", "u1")
        _ip("-n", name, "address", "add", f"{_ENDPOINT}/24", "dev", "u0")
        for device in ("lo", "u0", "u1"):
            _ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        _ip("netns", "delete", name)


@contextmanager
def kernel_of(gateway_id: str) -> Iterator[NetlinkKernel]:
    """The kernel as this gateway sees it; all that was made in it is removed."""
    with underlay(f"{gateway_id}-host"):
        kernel = NetlinkKernel(f"{gateway_id}-cen-", _ENDPOINT, f"{gateway_id}-host")
        try:
            yield kernel
        finally:
            there = [line.split()[0] for line in _ip("netns", "list").splitlines() if line]
            kernel.close()
            for name in there:
                if name.startswith(f"{gateway_id}-cen-"):
                    _ip("netns", "delete", name)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def run() -> Result:
    """Both make the same objects; the agent reads them back and has its reports ready within its time."""
    baseline_s, agent_s, check_s = measure(LINKS)
    ratio = agent_s / baseline_s
    return Result(
        name="cold_start",
        title="Cold start of a gateway",
        promise=f"no slower than {SLOWER_AT_MOST:g} times ip -batch and tc -batch",
        columns=("links", "CEN instances", "ip and tc s", "gateway s", "ratio", "nothing to do s"),
        rows=[
            (
                f"{LINKS}",
                f"{LINKS // LINKS_PER_INSTANCE}",
                f"{baseline_s:.1f}",
                f"{agent_s:.1f}",
                f"{ratio:.2f}",
                f"{check_s:.1f}",
            )
        ],
        met=ratio <= SLOWER_AT_MOST,
        notes=[
            "ip and tc: `ip netns add`, `ip -batch`, `tc -batch` and `ip -batch` for each instance; the gateway: from "
            "its saved state to objects made, read back and reported. Nothing to do: all read, compared and reported "
            "once more, as after a restart."
        ],
    )


def measure(links: int) -> tuple[float, float, float]:
    """Seconds of `ip` and `tc`, of the gateway, and of the gateway once more when everything is there."""
    baseline_id, gateway_id = f"gw-b{os.getpid()}", f"gw-c{os.getpid()}"
    with kernel_of(baseline_id) as kernel:
        state = state_of(baseline_id, links)
        wanted = plan(state, site_of(baseline_id), kernel.read([])).namespaces
        batches = {name: _batches(namespace) for name, namespace in wanted.items()}
        baseline_s = _seconds(lambda: _make_by_batch(f"{baseline_id}-host", batches))
        left = Converger(kernel).converge(
            state.model_copy(update={"instances": state.instances[:20]}),
            site_of(baseline_id),
            [i.cen_id for i in state.instances[:20]],
        )
        # settings of a namespace are no objects, and tc rounds bursts
        allowed = {ops.CreateNamespace.__name__, ops.ChangeClass.__name__}
        not_made = {type(operation).__name__ for operation in left.operations} - allowed
        assert not not_made, f"ip and tc made something else: {not_made}"
    saved = state_of(gateway_id, links).model_dump_json()
    with kernel_of(gateway_id) as kernel:
        converger = Converger(kernel)
        agent_s = _seconds(lambda: _start(converger, gateway_id, saved))
        check_s = _seconds(lambda: _start(converger, gateway_id, saved))
    return baseline_s, agent_s, check_s


def _start(converger: Converger, gateway_id: str, saved: str) -> None:
    state = GatewayState.model_validate_json(saved)
    site = site_of(gateway_id)
    done = converger.converge(state, site)
    assert not done.refused, list(done.refused.items())[:3]
    for instance in state.instances:
        converger.report(state.region_id, instance, done, 0.0)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _make_by_batch(host: str, batches: dict[str, tuple[str, str, str]]) -> None:
    for name, (devices, queues, reach) in batches.items():
        _ip("netns", "add", name)
        _batch(["ip", "-n", host], devices.replace("NAMESPACE", name))
        _batch(["tc", "-n", name], queues)
        _batch(["ip", "-n", name], reach)


def _batch(command: list[str], lines: str) -> None:
    with NamedTemporaryFile("w") as file:
        file.write(lines)
        file.flush()
        subprocess.run([*command, "-batch", file.name], check=True, capture_output=True)


def _batches(namespace: WantedNamespace) -> tuple[str, str, str]:
    devices, queues, reach = [], [], ["link set lo up"]
    for name, tunnel in namespace.tunnels.items():
        device = tunnel.device
        devices.append(
            f"link add {name} netns NAMESPACE arp off mtu {device.mtu} address {device.mac} type vxlan id {device.vni} "
            f"local {device.local} remote {device.remote} dstport 4789 nolearning"
        )
        queues += _tree_lines(name, tunnel.tree)
        reach += _reach_lines(name, tunnel)
    return "\n".join(devices) + "\n", "\n".join(queues) + "\n", "\n".join(reach) + "\n"


def _reach_lines(name: str, tunnel: Tunnel) -> list[str]:
    return [
        f"neighbour add {NEXT_HOP} lladdr {tunnel.next_hop_mac} nud permanent dev {name}",
        f"link set {name} up",
        *(f"route add {block} via {NEXT_HOP} dev {name} onlink proto static" for block in sorted(tunnel.routes)),
    ]


def _tree_lines(name: str, tree: Tree) -> list[str]:
    assert tree.root is not None
    lines = [_root_line(name, tree.root)]
    lines += [_class_line(name, minor, htb) for minor, htb in sorted(tree.classes.items())]
    lines += [
        f"qdisc add dev {name} parent 1:{minor:x} handle {minor << 4:x}: {leaf.kind} limit {leaf.limit}"
        for minor, leaf in sorted(tree.leaves.items())
    ]
    for item in sorted(tree.filters, key=lambda item: item.priority):
        matches = " ".join(f"match u32 {m.value:#x} {m.mask:#x} at {m.offset}" for m in item.matches)
        protocol = "all" if item.protocol == 3 else f"{item.protocol:#06x}"
        lines.append(
            f"filter add dev {name} parent 1: prio {item.priority} protocol {protocol} u32 {matches} "
            f"flowid 1:{item.target:x}"
        )
    return lines


def _root_line(name: str, root: RootQueue) -> str:
    return (
        f"qdisc add dev {name} root handle 1: stab overhead {root.overhead_bytes} linklayer ethernet "
        f"htb default {root.default_class:x} direct_qlen {root.direct_packets}"
    )


def _class_line(name: str, minor: int, htb: HtbClass) -> str:
    parent = f"1:{htb.parent:x}" if htb.parent else "1:"
    burst = round(htb.burst_ticks * _TICK_NS * htb.rate_bps / 8e9)
    ceil_burst = round(htb.ceil_burst_ticks * _TICK_NS * htb.ceil_bps / 8e9)
    return (
        f"class add dev {name} parent {parent} classid 1:{minor:x} htb rate {htb.rate_bps}bit ceil {htb.ceil_bps}bit "
        f"burst {burst} cburst {ceil_burst} quantum {htb.quantum_bytes} prio {htb.priority}"
    )
