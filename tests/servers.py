"""Real servers for tests: `opencen serve` as a process, and a private PostgreSQL. Ended by their pids."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from opencen.client import ApiError, Client, Credential, ServerUnreachableError

_START_TIMEOUT_S = 40.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.02


class ServerProcess:
    """`opencen serve` on a free port of 127.0.0.1 and on a Unix socket in its data directory."""

    def __init__(self, data: Path, database: str | None = None) -> None:
        self.data = data
        self.database = database
        self.socket = data / "opencen.sock"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def credential(self) -> Credential:
        admin = json.loads((self.data / "admin.json").read_text())
        return Credential(admin["access_key_id"], admin["access_key_secret"])

    def client(self, timeout_s: float = 30.0) -> Client:
        return Client(self.url, self.credential, timeout_s)

    def start(self) -> None:
        """Returns when it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "opencen", "serve", "--data", str(self.data)]
        argv += ["--listen", f"127.0.0.1:{self.port}", "--listen", f"unix:{self.socket}"]
        argv += ["--database", self.database] if self.database else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCEN_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with Client(self.url, timeout_s=5) as client:
                    client.get("/readyz")
            except (ServerUnreachableError, ApiError):
                time.sleep(_POLL_S)
            else:
                return
        raise AssertionError(f"the server did not become ready: {self.log.read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, politely or with SIGKILL."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def check(self) -> str:
        """What `opencen check` prints. Raises AssertionError when an invariant is broken."""
        argv = [sys.executable, "-m", "opencen", "check", "--data", str(self.data)]
        argv += ["--database", self.database] if self.database else []
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def running_server(data: Path, database: str | None = None) -> Iterator[ServerProcess]:
    """A server, ended with the block. Its invariants are checked at the end."""
    server = ServerProcess(data, database)
    try:
        server.start()
        yield server
    finally:
        server.stop()
    server.check()


def postgres_binaries() -> Path | None:
    """Where PostgreSQL's server programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """A PostgreSQL of its own in a temporary directory, on a Unix socket; its address is `postgresql://…`."""
    binaries = postgres_binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    directory = Path(tempfile.mkdtemp(prefix="opencen-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(directory, "postgres", "postgres")
    cluster = directory / "cluster"
    setup = [*as_user, str(binaries / "initdb"), "--auth=trust", "--username=opencen", "--pgdata", str(cluster)]
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(setup, check=True, capture_output=True, timeout=60)
        argv = [*as_user, str(binaries / "postgres"), "-D", str(cluster), "-k", str(directory)]
        argv += ["-c", "listen_addresses=", "-c", "max_connections=300"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log)
        _wait_for_postgres(process, binaries, directory)
        yield f"postgresql://opencen@/postgres?host={directory}"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_postgres(process: subprocess.Popen[bytes], binaries: Path, directory: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    ready = [str(binaries / "pg_isready"), "-h", str(directory)]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, capture_output=True, timeout=10, check=False).returncode == 0:
            return
        time.sleep(_POLL_S)
    raise AssertionError(f"PostgreSQL did not start: {(directory / 'log').read_text()[-2000:]}")


def new_postgres_database(url: str, name: str) -> str:
    """Makes a database in a running PostgreSQL; its address."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return url.replace("/postgres?", f"/{name}?")
