"""Whether this machine can run a lab, and if not, what is missing and the command that gets it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from opencen.lab.commands import run
from opencen.lab.errors import CommandError, RequirementsError

_PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "timeout": "coreutils",
    "ethtool": "ethtool",
    "nft": "nftables",
    "iperf3": "iperf3",
}
_NAMESPACES = "network namespaces"
_DEVICES = {
    "veth": "link add probe0 type veth peer name probe1",
    "bridge": "link add probe2 type bridge",
    "vxlan": "link add probe3 type vxlan id 1 dstport 4789 local 127.0.0.1 remote 127.0.0.2",
}


@dataclass(frozen=True)
class Missing:
    """Something that a lab needs and this machine lacks."""

    what: str
    remedy: str


def missing_from(platform: str, user_id: int, binaries: Iterable[str], kernel_faults: dict[str, str]) -> list[Missing]:
    """What a machine lacks. `kernel_faults` has, per kernel feature tried, what the kernel said."""
    if not platform.startswith("linux"):
        return [Missing(f"Linux: a lab is made of network namespaces, and this is {platform}", "use a Linux machine")]
    missing = []
    if user_id != 0:
        missing.append(Missing("root: only root makes network namespaces", "run the same command with sudo"))
    present = set(binaries)
    for package in sorted({package for binary, package in _PACKAGES.items() if binary not in present}):
        absent = sorted(binary for binary, owner in _PACKAGES.items() if owner == package and binary not in present)
        missing.append(Missing(f"the command {', '.join(absent)}", f"apt-get install {package}"))
    for feature, message in kernel_faults.items():
        remedy = f"modprobe {feature}" if feature != _NAMESPACES else "use a virtual machine, or a privileged container"
        missing.append(Missing(f"the kernel's {feature} ({message})", remedy))
    return missing


def _kernel_faults() -> dict[str, str]:
    """Tries each kernel feature in a namespace of its own."""
    namespace = f"opencen-probe-{os.getpid()}"
    try:
        run(["ip", "netns", "add", namespace])
    except CommandError as error:
        return {_NAMESPACES: error.output}
    faults = {}
    try:
        for feature, command in _DEVICES.items():
            try:
                run(["ip", "-n", namespace, *command.split()])
            except CommandError as error:
                faults[feature] = error.output
        try:
            run(["tc", "-n", namespace, "qdisc", "add", "dev", "lo", "root", "htb"])
        except CommandError as error:
            faults["sch_htb"] = error.output
    finally:
        with contextlib.suppress(CommandError):
            run(["ip", "netns", "delete", namespace])
    return faults


def missing_here() -> list[Missing]:
    """What this machine lacks; empty when a lab can run."""
    binaries = [binary for binary in _PACKAGES if shutil.which(binary)]
    able = sys.platform.startswith("linux") and os.geteuid() == 0 and {"ip", "tc"} <= set(binaries)
    return missing_from(sys.platform, os.geteuid(), binaries, _kernel_faults() if able else {})


def require_lab() -> None:
    """Raises RequirementsError, with what is missing and how to get it."""
    missing = missing_here()
    if missing:
        lines = [f"  missing: {item.what}\n      get it: {item.remedy}" for item in missing]
        raise RequirementsError("this machine cannot run a lab\n" + "\n".join(lines))
