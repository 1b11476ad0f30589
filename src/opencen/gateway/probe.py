"""What this host's kernel can do, found out by building a tunnel in a namespace made for that."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from opencen.gateway.diff import diff
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel import sources
from opencen.gateway.kernel.model import Device, KernelNow, Tunnel, WantedNamespace
from opencen.gateway.kernel.netlink import NetlinkKernel
from opencen.gateway.shaping import tree_for
from opencen.wire.gateway import Capabilities

LEAF_QUEUES: Final = ("cake", "fq_codel", "bfifo")
MAX_ENCRYPTED_LINKS: Final = {"wireguard": 1_000, "wireguard-go": 200, "none": 0}
"""What one gateway carries. A `wireguard-go` process takes about 6 MB and a dozen threads."""
_RATE_BPS: Final = 1_000_000
_DEVICE: Final = Device(vni=(1 << 24) - 1, local="192.0.2.1", remote="192.0.2.2", mac="02:00:00:00:00:01", mtu=1_450)


class MissingCapabilityError(Exception):
    """The host lacks something that a gateway cannot do without; the text names it and what the kernel said."""

    def __init__(self, subject: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.subject = subject
        self.remedy = remedy


def probe() -> Capabilities:
    """Try, and leave nothing behind. Needs root. Raises MissingCapabilityError."""
    if os.geteuid() != 0:
        raise MissingCapabilityError(
            "root",
            "a gateway needs root: it makes network namespaces and devices",
            "run the same command with sudo",
        )
    if shutil.which("ip") is None:
        raise MissingCapabilityError(
            "ip", "a gateway needs the program ip (package iproute2)", "apt-get install iproute2"
        )
    name = f"opencen-probe-{os.getpid()}"
    kernel = NetlinkKernel(name, _DEVICE.local)
    scope = ops.Scope(name)
    try:
        made = kernel.apply([ops.CreateNamespace(scope)])
        if made.refused:
            raise MissingCapabilityError(
                "network namespaces",
                f"network namespaces: {made.refused[scope]}",
                "use a host or a virtual machine of its own, or a privileged container",
            )
        encryption = _encryption(name)
        return Capabilities(
            kernel=os.uname().release,
            leaf_queue=_leaf_queue(kernel, name),
            encryption=encryption,
            max_encrypted_links=MAX_ENCRYPTED_LINKS[encryption],
            source_check="nftables" if sources.is_possible() else "none",
        )
    finally:
        kernel.apply([ops.DeleteNamespace(scope)])
        kernel.close()


def _leaf_queue(kernel: NetlinkKernel, namespace: str) -> str:
    """The first leaf queue that a whole tree can be built with."""
    reason = ""
    for kind in LEAF_QUEUES:
        refused = _build(kernel, namespace, kind)
        if refused is None:
            return kind
        if not refused.startswith(ops.PutLeaf.__name__):
            raise lacking(refused)
        reason = refused
    raise lacking(reason)


def _build(kernel: NetlinkKernel, namespace: str, leaf_queue: str) -> str | None:
    tunnel = Tunnel(_DEVICE, tree_for(_RATE_BPS, leaf_queue), next_hop_mac=None, routes=frozenset(), up=True)
    scope = ops.Scope(namespace, "to-probe")
    wanted = {namespace: WantedNamespace({scope.part: tunnel})}
    before = kernel.read()
    empty = KernelNow(before.host, {})
    # the device stays down: bringing it up would open its UDP port
    operations = [o for o in diff(empty, wanted) if not isinstance(o, ops.SetUp | ops.CreateNamespace)]
    outcome = kernel.apply(operations)
    kernel.apply([ops.DeleteTunnel(scope)])
    return outcome.refused.get(scope)


_FEATURES: Final = {
    "CreateTunnel": ("VXLAN devices", "vxlan"),
    "PutRoot": ("HTB (sch_htb)", "sch_htb"),
    "AddClass": ("HTB (sch_htb)", "sch_htb"),
    "PutLeaf": ("a FIFO queue", "sch_fifo"),
    "AddFilter": ("u32 filters (cls_u32)", "cls_u32"),
}


def lacking(refused: str) -> MissingCapabilityError:
    """A refusal in the words of the feature that is missing, with the command that loads it."""
    operation, _, reason = refused.partition(": ")
    feature, module = _FEATURES.get(operation, (operation, ""))
    remedy = f"modprobe {module}" if module else ""
    return MissingCapabilityError(feature, f"this kernel lacks {feature}: {reason}", remedy)


def _encryption(namespace: str) -> str:
    if shutil.which("wg") is None:
        return "none"
    command = ["ip", "-n", namespace, "link", "add", "wg-probe", "type", "wireguard"]
    if subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0:
        return "wireguard"
    return "wireguard-go" if shutil.which("wireguard-go") and Path("/dev/net/tun").exists() else "none"
