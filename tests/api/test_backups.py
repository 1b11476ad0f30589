"""Backups: of one moment while the server writes, whole or refused, restored to either kind of database."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from opencen.client import Client
from rest_scenario import Scenario, make_scenario
from servers import ServerProcess


def _opencen(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "opencen", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def _where(server: ServerProcess) -> list[str]:
    return ["--data", str(server.data), *(["--database", server.database] if server.database else [])]


def _facts(client: Client, scenario: Scenario) -> dict[str, object]:
    events = client.get("/v1/audit", page_size=100)["items"]
    return {
        "instances": client.get("/v1/instances")["items"],
        "networks": client.get("/v1/networks")["items"],
        "packages": client.get("/v1/bandwidth-packages")["items"],
        "connections": Scenario(client, scenario.cen_id, scenario.package_id, scenario.network_ids).connections(),
        "changes": [event for event in events if event["action"].startswith(("instance.", "connection.", "network."))],
    }


@pytest.mark.postgres
@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_a_backup_of_a_busy_server_is_of_one_moment_and_restores_everything(
    tmp_path: Path, database_url: str | None, new_database: Callable[[], str], to: str
) -> None:
    server = ServerProcess(tmp_path / "old", database_url, "--no-console")
    file = tmp_path / "backup.gz"
    try:
        server.start()
        with server.client() as client:
            scenario = make_scenario(client)
            scenario.set("us-west-1", "cn-hangzhou", 7)
            done = threading.Event()

            def write() -> None:
                with server.client() as own:
                    turn = 0
                    while not done.is_set():
                        turn += 1
                        pair, mbps = (("cn-shanghai", 5), ("cn-shenzhen", 8))[turn % 2]
                        own.request("PUT", scenario.path("us-west-1", pair), body={"bandwidth_mbps": mbps})
                        own.delete(scenario.path("us-west-1", pair))

            writing = threading.Thread(target=write)
            writing.start()
            busy = _opencen("backup", str(file), *_where(server))
            done.set()
            writing.join()
            assert busy.returncode == 0, busy.stderr
            assert file.stat().st_mode & 0o777 == 0o600
            _check_restored(tmp_path / "busy", None, file)

            assert _opencen("backup", str(file), *_where(server)).returncode == 0
            before = _facts(client, scenario)
    finally:
        server.stop()
    new = ServerProcess(tmp_path / "new", new_database() if to == "postgresql" else None, "--no-console")
    new.data.mkdir()
    restored = _opencen("restore", str(file), *_where(new))
    assert restored.returncode == 0, restored.stderr
    try:
        new.start_beside(server)
        with new.client() as client:
            assert _facts(client, scenario) == before
            client.request("PUT", scenario.path("us-west-1", "cn-hangzhou"), body={"bandwidth_mbps": 9})
    finally:
        new.stop()
    new.check()
    again = _opencen("restore", str(file), *_where(new))
    assert again.returncode == 1
    assert "holds 1 accounts already" in again.stderr


def _check_restored(data: Path, database: str | None, file: Path) -> None:
    copy = ServerProcess(data, database)
    assert _opencen("restore", str(file), *_where(copy)).returncode == 0
    checked = _opencen("check", *_where(copy))
    sums = [line for line in checked.stderr.splitlines() if "Mbit/s" in line]
    assert sums == [], "a set and the sum that it is part of are of one moment"


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("backed-up")
    server = ServerProcess(directory / "data", None, "--no-console")
    try:
        server.start()
        assert _opencen("backup", str(directory / "file.gz"), *_where(server)).returncode == 0
    finally:
        server.stop()
    return directory / "file.gz"


def test_a_damaged_or_shortened_backup_is_refused_before_anything_is_written(backed_up: Path, tmp_path: Path) -> None:
    whole = backed_up.read_bytes()
    for name, content in {
        "shortened": whole[: len(whole) // 2],
        "damaged": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "foreign": b"PK something else",
    }.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        refused = _opencen("restore", str(bad), "--data", str(tmp_path / f"data-{name}"))
        assert refused.returncode == 1, name
        assert "damaged" in refused.stderr or "cut off" in refused.stderr or "no backup" in refused.stderr
        assert not (tmp_path / f"data-{name}" / "opencen.db").exists() or _is_empty(tmp_path / f"data-{name}")


def _is_empty(data: Path) -> bool:
    checked = _opencen("backup", str(data / "probe.gz"), "--data", str(data))
    return checked.returncode != 0


@pytest.mark.postgres
def test_a_database_moves_from_sqlite_to_postgresql(tmp_path: Path, new_database: Callable[[], str]) -> None:
    old = ServerProcess(tmp_path / "old", None, "--no-console")
    try:
        old.start()
        with old.client() as client:
            scenario = make_scenario(client)
            scenario.set("us-west-1", "cn-hangzhou", 7)
            before = _facts(client, scenario)
    finally:
        old.stop()
    new = ServerProcess(tmp_path / "new", new_database(), "--no-console")
    moved = _opencen("migrate-database", f"sqlite:{old.data}", str(new.database))
    assert moved.returncode == 0, moved.stderr
    try:
        new.start_beside(old)
        with new.client() as client:
            assert _facts(client, scenario) == before
            scenario = Scenario(client, scenario.cen_id, scenario.package_id, scenario.network_ids)
            scenario.set("us-west-1", "cn-shanghai", 5)
    finally:
        new.stop()
    new.check()
