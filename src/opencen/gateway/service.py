"""The agent as a systemd unit, where there is systemd. Raises ServiceError with what systemctl said."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Final

UNIT: Final = "opencen-gateway.service"
BOOTED: Final = Path("/run/systemd/system")
ADMIN_UNITS: Final = Path("/etc/systemd/system")
PACKAGED_PROGRAM: Final = "/opt/opencen/bin/opencen"
_MARK: Final = "# Written by `opencen gateway join`; `opencen gateway leave` removes it.\n"
_TIMEOUT_S: Final = 60


class ServiceError(Exception):
    """systemd did not do as it was asked."""


def is_here() -> bool:
    """Whether this host was booted with systemd."""
    return BOOTED.is_dir() and shutil.which("systemctl") is not None


def start() -> None:
    """Now and at every boot. The unit is the package's, or is written when the program came as a wheel."""
    if not _is_known():
        path = ADMIN_UNITS / UNIT
        path.write_text(_MARK + unit_text(UNIT))
        _systemctl("daemon-reload")
    _systemctl("enable", "--now", UNIT)


def end() -> None:
    """Neither now nor at boot; the kernel stays as it is. A unit that `start` wrote is removed."""
    if _is_known():
        _systemctl("disable", "--now", UNIT)
    path = ADMIN_UNITS / UNIT
    if path.is_file() and path.read_text().startswith(_MARK):
        path.unlink()
        _systemctl("daemon-reload")


def unit_text(name: str) -> str:
    """A unit of ours, for the program that runs now."""
    program = Path(sys.executable).parent / "opencen"
    return resources.files("opencen").joinpath("units", name).read_text().replace(PACKAGED_PROGRAM, str(program))


def _is_known() -> bool:
    done = subprocess.run(["systemctl", "cat", UNIT], capture_output=True, timeout=_TIMEOUT_S, check=False)
    return done.returncode == 0


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise ServiceError(f"systemctl {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
