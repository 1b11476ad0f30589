"""The processes of a round, what can be done to them, and who starts them again: a supervisor, as systemd would."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from opencen.client import ApiError, Client, ServerUnreachableError
from servers import PostgresProcess, ServerProcess

_LOOK_EVERY_S = 0.05
_READY_WITHIN_S = 60.0
_OPTIONS = ("--no-console",)


class Site:
    """Servers over one database. `kind` is `sqlite` (one server, on a filesystem of its own) or `postgresql` (two)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.directory = Path(tempfile.mkdtemp(prefix="opencen-faults-"))
        self.postgres: PostgresProcess | None = None
        self.filesystem: Path | None = None
        self._lock = threading.Lock()
        self._down = threading.Event()
        if kind == "sqlite":
            self.filesystem = self.directory / "disk"
            self.filesystem.mkdir()
            if os.geteuid() == 0 and not _mount(self.filesystem):
                self.filesystem = None
            self.servers = [ServerProcess(self.directory / "disk" / "data", None, *_OPTIONS)]
            self.servers[0].start()
        else:
            cluster = self.directory / "postgres"
            cluster.mkdir()
            self.directory.chmod(0o755)
            self.postgres = PostgresProcess(cluster)
            self.postgres.start()
            self.servers = [
                ServerProcess(self.directory / name, self.postgres.url, *_OPTIONS) for name in ("first", "second")
            ]
            self.servers[0].start()
            self.servers[1].start_beside(self.servers[0])
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def close(self) -> None:
        self._down.set()
        self._supervisor.join()
        for server in self.servers:
            server.stop(signal.SIGKILL)
        if self.postgres is not None:
            self.postgres.stop(kill=True)
        if self.filesystem is not None:
            subprocess.run(["umount", "--lazy", str(self.filesystem)], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_ready(self) -> float:
        """Seconds until every server says that it is ready, with no hand but the supervisor's."""
        began = time.monotonic()
        for server in self.servers:
            while True:
                try:
                    with Client(server.url, timeout_s=30) as client:
                        client.get("/readyz")
                    break
                except (ApiError, ServerUnreachableError):
                    if time.monotonic() - began > _READY_WITHIN_S:
                        raise AssertionError(f"{server.data.name} is not ready after {_READY_WITHIN_S} s") from None
                    time.sleep(_LOOK_EVERY_S)
        return time.monotonic() - began

    def _supervise(self) -> None:
        while not self._down.wait(_LOOK_EVERY_S):
            with self._lock:
                if self.postgres is not None and (
                    self.postgres.process is None or self.postgres.process.poll() is not None
                ):
                    with contextlib.suppress(AssertionError):
                        self.postgres.start()
                for server in self.servers:
                    if server.process is None or server.process.poll() is not None:
                        with contextlib.suppress(AssertionError):
                            server.spawn()

    def faults(self) -> dict[str, Callable[[random.Random], None]]:
        """What can be done to it, by name."""
        common = {
            "kill -9 a server": self._kill_server,
            "stop a server politely": self._stop_server,
            "a server stands still": self._freeze_server,
        }
        if self.postgres is None:
            return common | ({"the disk is full": self._fill_disk} if self.filesystem else {})
        return common | {
            "kill -9 the database": lambda _: self._kill_database(),
            "kill -9 the database and every server": lambda _: self._kill_all(),
            "the database stops immediately": lambda _: self._quit_database(),
            "the database stands still": self._freeze_database,
            "the database drops its connections": lambda _: self._drop_connections(),
            "the database only reads": self._read_only,
        }

    def _kill_server(self, choice: random.Random) -> None:
        with self._lock:
            choice.choice(self.servers).stop(signal.SIGKILL)

    def _stop_server(self, choice: random.Random) -> None:
        process = choice.choice(self.servers).process
        if process is not None:
            process.send_signal(signal.SIGTERM)

    def _freeze_server(self, choice: random.Random) -> None:
        process = choice.choice(self.servers).process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(choice.uniform(0.1, 0.8))
            process.send_signal(signal.SIGCONT)

    def _fill_disk(self, choice: random.Random) -> None:
        assert self.filesystem is not None
        filler = self.filesystem / "filler"
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        time.sleep(choice.uniform(0.1, 0.6))
        filler.unlink()

    def _kill_database(self) -> None:
        assert self.postgres is not None
        with self._lock:
            self.postgres.stop(kill=True)

    def _kill_all(self) -> None:
        assert self.postgres is not None
        with self._lock:
            for server in self.servers:
                server.stop(signal.SIGKILL)
            self.postgres.stop(kill=True)

    def _quit_database(self) -> None:
        assert self.postgres is not None
        if self.postgres.process is not None:
            self.postgres.process.send_signal(signal.SIGQUIT)

    def _freeze_database(self, choice: random.Random) -> None:
        assert self.postgres is not None
        with self._lock:
            if self.postgres.process is None:
                return
            self.postgres.signal(signal.SIGSTOP)
            time.sleep(choice.uniform(0.1, 0.8))
            self.postgres.signal(signal.SIGCONT)

    def _drop_connections(self) -> None:
        self._sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def _read_only(self, choice: random.Random) -> None:
        self._sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        time.sleep(choice.uniform(0.1, 0.6))
        deadline = time.monotonic() + 30
        writes = ("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only")
        while not self._sql(*writes, "SELECT pg_reload_conf()"):
            assert time.monotonic() < deadline, "the database cannot be told to write again"
            time.sleep(_LOOK_EVERY_S)

    def _sql(self, *statements: str) -> bool:
        assert self.postgres is not None
        try:
            with psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=5) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
        except psycopg.Error:
            return False  # it is down already: another fault was first
        return True


def _mount(directory: Path) -> bool:
    argv = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(directory)]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0
