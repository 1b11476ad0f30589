"""How soon `opencen serve` answers, and how much memory it takes while nobody asks."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Result
from opencen.client import ApiError, Client, ServerUnreachableError

STARTS = 5
SETTLED_S = 10.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(data: str) -> tuple[subprocess.Popen[bytes], float]:
    port = _free_port()
    argv = [sys.executable, "-m", "opencen", "serve", "--data", data, "--listen", f"127.0.0.1:{port}"]
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            with Client(f"http://127.0.0.1:{port}", timeout_s=5) as client:
                client.get("/readyz")
        except (ServerUnreachableError, ApiError):
            time.sleep(0.005)
        else:
            return process, time.monotonic() - began


def _resident_mib(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _bare_import_s() -> float:
    """What the interpreter and the libraries take alone: the limit for a start in Python with these parts."""
    began = time.monotonic()
    libraries = "import sqlalchemy, starlette, uvicorn, cryptography, structlog, prometheus_client, psycopg"
    subprocess.run([sys.executable, "-c", libraries], check=True)
    return time.monotonic() - began


def run() -> Result:
    """Starts on a data directory that is there, console included; memory ten seconds after."""
    taken_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="opencen-bench-") as data:
        for _ in range(STARTS + 1):
            process, seconds = _start(data)
            taken_s.append(seconds)
            if len(taken_s) <= STARTS:
                process.terminate()
                process.wait(30)
        time.sleep(SETTLED_S)
        resident_mib = _resident_mib(process.pid)
        process.terminate()
        process.wait(30)
    first_s, start_s = taken_s[0], statistics.median(taken_s[1:])
    bare_s = statistics.median(_bare_import_s() for _ in range(STARTS))
    return Result(
        name="footprint",
        title="Start of `opencen serve` to its first answer, and its memory while idle; SQLite, with the console",
        promise="first answer within 2 s, less than 200 MiB",
        columns=("first start", "later starts, median", "the libraries' import alone", "ratio", "resident"),
        rows=[
            (
                f"{first_s:.2f} s",
                f"{start_s:.2f} s",
                f"{bare_s:.2f} s",
                f"{start_s / bare_s:.1f}",
                f"{resident_mib:.0f} MiB",
            )
        ],
        met=start_s < 2 and resident_mib < 200,
        notes=("The first start makes the database and its tables. The console is loaded after the first answer.",),
    )
