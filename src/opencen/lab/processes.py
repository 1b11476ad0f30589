"""Processes that outlive the one that started them: recognised before they are ended, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_GRACE_S = 5.0
_POLL_S = 0.02
_children: set[int] = set()
"""The processes that `start_background` has started here: no one else takes their exit codes."""


class ProcessRecord(BaseModel):
    """A process as of its start: a pid alone may belong to another one later."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str


def _start_of(pid: int) -> str | None:
    """When a process was started, unique on this machine; None when it is gone or dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, start_ticks = fields[0], fields[19]
    if state in {"Z", "X"}:
        if pid in _children:
            _reap(pid)
        return None
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot_id}:{start_ticks}"


def _reap(pid: int) -> None:
    _children.discard(pid)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def record_of(pid: int) -> ProcessRecord | None:
    """The record of a living process."""
    started = _start_of(pid)
    return ProcessRecord(pid=pid, started=started) if started else None


def is_alive(record: ProcessRecord | None) -> bool:
    return record is not None and _start_of(record.pid) == record.started


def start_background(
    argv: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None
) -> ProcessRecord:
    """Starts a process in a session of its own, so that a terminal's Ctrl-C is not sent to it; output goes to a log.

    Raises OSError when the program cannot be run.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        argv[0],
        list(argv),
        os.environ if environment is None else environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_file), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    _children.add(pid)
    return ProcessRecord(pid=pid, started=_start_of(pid) or "gone")


def send_signal(record: ProcessRecord | None, number: signal.Signals) -> bool:
    """Signals a process if it is still the recorded one; False when it is gone."""
    if record is None or not is_alive(record):
        return False
    try:
        os.kill(record.pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait_gone(records: Iterable[ProcessRecord], timeout_s: float) -> list[ProcessRecord]:
    deadline = time.monotonic() + timeout_s
    left = [record for record in records if is_alive(record)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [record for record in left if is_alive(record)]
    return left


def end_records(records: Iterable[ProcessRecord | None], grace_s: float = _GRACE_S) -> None:
    """Ends processes: SIGTERM, and SIGKILL to those still there after `grace_s`. Those that are gone are no error."""
    asked = [record for record in records if record is not None and send_signal(record, signal.SIGTERM)]
    stubborn = _wait_gone(asked, grace_s)
    for record in stubborn:
        send_signal(record, signal.SIGKILL)
    _wait_gone(stubborn, _GRACE_S)


def end_processes(pids: Iterable[int]) -> None:
    """The same for processes known by pid at this moment; never the calling one."""
    end_records(record_of(pid) for pid in pids if pid != os.getpid())
