"""What tells two hosts with one credential apart, also when one is a copy of the other's disk."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from opencen.gateway.files import write_whole

_NAME: Final = "host-id"
_OF_THE_MACHINE: Final = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))


def host_id(state_dir: Path) -> str:
    """The same for each run of the agent until the host is booted again. Raises OSError."""
    path = state_dir / _NAME
    if not path.exists():
        write_whole(path, secrets.token_hex(16) + "\n")
    parts = [path.read_text().strip(), *(known.read_text().strip() for known in _OF_THE_MACHINE if known.exists())]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def forget(state_dir: Path) -> None:
    (state_dir / _NAME).unlink(missing_ok=True)
