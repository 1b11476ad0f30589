"""System commands, run to their end, with their message kept when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from opencen.lab.errors import CommandError

NAMESPACES = Path("/run/netns")
_TIMEOUT_S = 30.0


def run(argv: Sequence[str], stdin: str | None = None) -> str:
    """The standard output of a command. Raises CommandError when it fails, is missing or takes 30 s."""
    try:
        done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise CommandError(argv, 127, f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(argv, 124, f"no end within {_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def loss_based_congestion_control() -> str:
    """TCP that fills a link until packets are lost: cubic, or reno where there is no cubic.

    A machine's default may be BBR, which paces itself: on a lab's links of no delay it takes too little as soon as
    the other direction is busy too, and what is measured is BBR, not the limit.
    """
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text("ascii").split()
    return "cubic" if "cubic" in available else "reno"


def within(namespace: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a network namespace.

    Not `ip netns exec`: that gives the process a mount namespace of its own, and the namespaces that a gateway makes
    in there would be seen by nobody else.
    """
    return ["nsenter", f"--net={NAMESPACES / namespace}", "--", *argv]
