"""A lab ends the processes that it started, and no other."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from opencen.lab.processes import end_records, is_alive, record_of, send_signal, start_background

SLEEP = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('awake', flush=True); time.sleep(60)",
]


def wait_for_text(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def test_a_background_process_is_alive_until_it_is_ended(tmp_path: Path) -> None:
    record = start_background(SLEEP, tmp_path / "log")
    assert is_alive(record)
    assert record_of(record.pid) == record
    end_records([record])
    assert not is_alive(record)
    assert record_of(record.pid) is None


def test_a_process_that_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    record = start_background(STUBBORN, tmp_path / "log")
    wait_for_text(tmp_path / "log", "awake")
    end_records([record], grace_s=0.1)
    assert not is_alive(record)


def test_a_stale_pid_that_belongs_to_another_process_now_is_left_alone(tmp_path: Path) -> None:
    living = start_background(SLEEP, tmp_path / "log")
    stale = living.model_copy(update={"started": "an-earlier-boot:1"})
    end_records([stale])
    assert not send_signal(stale, signal.SIGKILL)
    assert is_alive(living)
    end_records([living])


def test_ending_what_is_gone_is_no_error(tmp_path: Path) -> None:
    record = start_background([sys.executable, "-c", ""], tmp_path / "log")
    end_records([record, None])
    end_records([record])
    assert not is_alive(record)
