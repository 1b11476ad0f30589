"""A database that is full, gone, or stands still: clean refusals, truth from /readyz, and no hand needed afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from cbn_server import set_limit
from conftest import missing
from opencen.api.cbn.protocol.signature import rpc_signature, rpc_string_to_sign
from opencen.domain.errors import UnavailableError
from opencen.store import postgres
from opencen.store.database import Database
from rest_scenario import Scenario, make_scenario
from servers import PostgresProcess, ServerProcess, postgres_binaries, running_server

REFILL_BYTES = 1 << 16


@contextmanager
def _small_filesystem(directory: Path, size: str = "24m") -> Iterator[Path]:
    directory.mkdir()
    if os.geteuid() != 0:
        missing("a small filesystem needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(directory)], check=False
    )
    if done.returncode != 0:
        missing("this machine does not let root mount a tmpfs")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def _fill(directory: Path) -> Path:
    filler = directory / "filler"
    with filler.open("ab", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * REFILL_BYTES)
            except OSError:
                return filler


def _put(server: ServerProcess, scenario: Scenario, mbps: int) -> httpx.Response:
    return httpx.put(
        server.url + scenario.path("us-west-1", "cn-hangzhou"),
        json={"bandwidth_mbps": mbps},
        headers=server.credential.headers(),
        timeout=60,
    )


def _rpc_set(server: ServerProcess, scenario: Scenario, mbps: int) -> httpx.Response:
    given = {
        "Action": "SetCenInterRegionBandwidthLimit",
        "Version": "2017-09-12",
        "AccessKeyId": server.credential.identifier,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid4().hex,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{name: str(value) for name, value in set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", mbps).items()},
    }
    given["Signature"] = rpc_signature(server.credential.secret, rpc_string_to_sign("POST", given))
    return httpx.post(server.url, data=given, timeout=60)


def _until_refused(server: ServerProcess, scenario: Scenario) -> int:
    """Sets until one is refused, which is clean; what was acknowledged last."""
    acknowledged = 0
    for turn in range(20_000):
        mbps = turn % 19 + 1
        answer = _put(server, scenario, mbps)
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            assert answer.json()["code"] == "Unavailable"
            assert answer.headers["retry-after"] == "1"
            return acknowledged
        acknowledged = mbps
    raise AssertionError("the disk never became full")


def _until(condition: object, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _ready(server: ServerProcess) -> bool:
    return httpx.get(server.url + "/readyz", timeout=60).status_code == 200


def _full_and_not_again(server: ServerProcess, directory: Path) -> None:
    with server.client() as client:
        _fill_and_empty(server, make_scenario(client), directory)


def _fill_and_empty(server: ServerProcess, scenario: Scenario, directory: Path) -> None:
    assert _ready(server)
    filler = _fill(directory)
    acknowledged = _until_refused(server, scenario)
    assert not _ready(server)
    assert httpx.get(server.url + "/healthz").status_code == 200, "it lives: no reason to restart it"
    refused = _rpc_set(server, scenario, 3)
    assert (refused.status_code, refused.json()["Code"]) == (503, "ServiceUnavailable")
    assert refused.headers["retry-after"] == "1"
    if acknowledged:
        assert scenario.connections() == {("cn-hangzhou", "us-west-1"): acknowledged}
    filler.unlink()
    _until(lambda: _ready(server))
    assert _put(server, scenario, 11).status_code == 200
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 11}


def test_a_full_disk_refuses_cleanly_and_works_again_once_there_is_room_sqlite(tmp_path: Path) -> None:
    with _small_filesystem(tmp_path / "disk") as disk, running_server(disk / "data") as server:
        _full_and_not_again(server, disk)


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A PostgreSQL that a test may ill-treat."""
    if postgres_binaries() is None:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    directory = Path(tempfile.mkdtemp(prefix="opencen-pg-"))
    process = PostgresProcess(directory)
    process.start()
    yield process
    process.stop(kill=True)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.postgres
def test_a_full_disk_refuses_cleanly_and_works_again_once_there_is_room_postgresql(
    tmp_path: Path, own_postgres: PostgresProcess
) -> None:
    """The tables are on the full disk, the log of PostgreSQL is not: without room for that, it ends itself."""
    with _small_filesystem(own_postgres.directory / "disk") as disk:
        space = disk / "space"
        space.mkdir()
        shutil.chown(space, "postgres", "postgres")
        with psycopg.connect(own_postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
            connection.execute("CREATE DATABASE small TABLESPACE small")
        with running_server(tmp_path / "data", own_postgres.url.replace("/postgres?", "/small?")) as server:
            _full_and_not_again(server, disk)
        own_postgres.stop(kill=True)


@pytest.mark.postgres
def test_a_database_that_is_gone_is_said_so_and_needs_no_restart_of_the_server(
    tmp_path: Path, own_postgres: PostgresProcess
) -> None:
    with running_server(tmp_path / "data", own_postgres.url) as server, server.client() as client:
        scenario = make_scenario(client)
        own_postgres.stop(kill=True)
        assert _put(server, scenario, 5).status_code == 503
        assert _rpc_set(server, scenario, 5).json()["Code"] == "ServiceUnavailable"
        assert not _ready(server)
        own_postgres.start()
        _until(lambda: _ready(server))
        assert _put(server, scenario, 6).status_code == 200


@pytest.mark.postgres
def test_a_database_that_stands_still_keeps_nobody_waiting_for_ever(
    own_postgres: PostgresProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "MOST_TAKEN_S", 1.0)
    database = Database.from_url(own_postgres.url)
    database.upgrade()
    own_postgres.signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        database.check_ready()
    assert time.monotonic() - began < 10
    own_postgres.signal(signal.SIGCONT)
    _until(lambda: _is_ready(database))
    database.close()


def _is_ready(database: Database) -> bool:
    try:
        database.check_ready()
    except UnavailableError:
        return False
    return True


@pytest.mark.postgres
def test_a_database_that_only_reads_is_not_ready_until_it_writes_again(
    tmp_path: Path, own_postgres: PostgresProcess
) -> None:
    """As after a failover, as long as the server is connected to what was the primary."""
    with running_server(tmp_path / "data", own_postgres.url) as server, server.client() as client:
        scenario = make_scenario(client)
        with psycopg.connect(own_postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
            _until(lambda: _put(server, scenario, 5).status_code == 503)
            assert not _ready(server)
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = off")
            connection.execute("SELECT pg_reload_conf()")
        _until(lambda: _ready(server))
        assert _put(server, scenario, 6).status_code == 200
