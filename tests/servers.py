"""Real servers for tests: `opencen serve` as a process, and a private PostgreSQL. Ended by their pids."""

from __future__ import annotations

import contextlib
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

import httpx
import psycopg

from opencen.client import ApiError, Client, Credential, ServerUnreachableError

_START_TIMEOUT_S = 40.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.02


class ServerProcess:
    """`opencen serve` on a free port of 127.0.0.1 and on a Unix socket in its data directory."""

    def __init__(self, data: Path, database: str | None = None, *options: str) -> None:
        self.data = data
        self.options = options
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
        self.spawn()
        assert self.process is not None
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

    def spawn(self) -> None:
        """Start it without waiting."""
        self.data.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "opencen", "serve", "--data", str(self.data)]
        argv += ["--listen", f"127.0.0.1:{self.port}", "--listen", f"unix:{self.socket}"]
        argv += ["--database", self.database] if self.database else []
        argv += self.options
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCEN_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, politely or with SIGKILL."""
        if self.process is None:
            return
        self._save_metrics()
        self.process.send_signal(how)
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def start_beside(self, first: ServerProcess) -> None:
        """Start as one more server of the same database."""
        self.data.mkdir(parents=True, exist_ok=True)
        for name in ("secrets.key", "admin.json"):
            shutil.copy(first.data / name, self.data / name)
        self.start()

    def _save_metrics(self) -> None:
        """What Prometheus was told: searched for secrets when all tests have ended."""
        try:
            (self.data / "metrics.txt").write_text(httpx.get(f"{self.url}/metrics", timeout=5).text)
        except (httpx.HTTPError, OSError):
            return  # it is gone, or stands still: some tests make it so

    def check(self) -> str:
        """What `opencen check` prints. Raises AssertionError when an invariant is broken."""
        argv = [sys.executable, "-m", "opencen", "check", "--data", str(self.data)]
        argv += ["--database", self.database] if self.database else []
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def running_server(data: Path, database: str | None = None, *options: str) -> Iterator[ServerProcess]:
    """A server, ended with the block. Its invariants are checked at the end."""
    server = ServerProcess(data, database, *options)
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


class PostgresProcess:
    """A PostgreSQL of its own in `directory`, on a Unix socket there; its data outlives its processes."""

    def __init__(self, directory: Path) -> None:
        binaries = postgres_binaries()
        assert binaries is not None, "PostgreSQL is not installed"
        self._binaries = binaries
        self.directory = directory
        self._cluster = directory / "cluster"
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(directory, "postgres", "postgres")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://opencen@/postgres?host={self.directory}"

    def start(self) -> None:
        """Returns when it accepts connections; the first time it makes its data."""
        if not self._cluster.exists():
            setup = [*self._as_user, str(self._binaries / "initdb"), "--auth=trust", "--username=opencen"]
            subprocess.run([*setup, "--pgdata", str(self._cluster)], check=True, capture_output=True, timeout=60)
        argv = [*self._as_user, str(self._binaries / "postgres"), "-D", str(self._cluster), "-k", str(self.directory)]
        argv += ["-c", "listen_addresses=", "-c", "max_connections=300"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        ready = [str(self._binaries / "pg_isready"), "-h", str(self.directory)]
        while self.process.poll() is None and time.monotonic() < deadline:
            if subprocess.run(ready, capture_output=True, timeout=10, check=False).returncode == 0:
                return
            time.sleep(_POLL_S)
        raise AssertionError(f"PostgreSQL did not start: {(self.directory / 'log').read_text()[-2000:]}")

    def pids(self) -> list[int]:
        """Of all its processes, the first one first."""
        assert self.process is not None
        listed = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "pid="], capture_output=True, check=False)
        return [self.process.pid, *map(int, listed.stdout.split())]

    def signal(self, what: signal.Signals) -> None:
        """Send it to every process of its."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def stop(self, *, kill: bool = False) -> None:
        """Ends it, politely or with SIGKILL to every process."""
        if self.process is None:
            return
        if kill:
            self.signal(signal.SIGKILL)
        else:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.process = None


@contextmanager
def running_postgres() -> Iterator[str]:
    """A PostgreSQL of its own in a temporary directory; its address is `postgresql://…`."""
    directory = Path(tempfile.mkdtemp(prefix="opencen-pg-"))
    postgres = PostgresProcess(directory)
    try:
        postgres.start()
        yield postgres.url
    finally:
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)


def new_postgres_database(url: str, name: str) -> str:
    """Makes a database in a running PostgreSQL; its address."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return url.replace("/postgres?", f"/{name}?")
