"""What must be readable again is sealed, and sealed again with another key while the server runs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opencen.client import ApiError, Client, Credential
from opencen.domain.errors import UnavailableError
from opencen.services import people
from opencen.services import secrets as rotation
from opencen.services.context import Context
from opencen.services.identities import authenticate_key
from opencen.services.vault import KEY_VARIABLE, SecretsKeyError, Vault
from opencen.store import sealed
from opencen.store.schema import main
from servers import ServerProcess, running_server

A, B = "aa" * 32, "bb" * 32


@pytest.fixture
def running(tmp_path: Path, database_url: str | None) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "data", database_url) as server:
        yield server


def rotate(server: ServerProcess, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "opencen", "secrets", "rotate", "--data", str(server.data)]
    argv += ["--database", server.database] if server.database else []
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


def works(server: ServerProcess, credential: Credential) -> bool:
    with Client(server.url, credential) as client:
        try:
            client.get("/v1/me")
        except ApiError as refusal:
            assert refusal.status == 401
            return False
    return True


def make_key(server: ServerProcess) -> Credential:
    with server.client() as client:
        user_id = client.get("/v1/me")["user_id"]
        made = client.post("/v1/access-keys", {"user_id": user_id})
    return Credential(made["access_key"]["id"], made["access_key_secret"])


def test_the_key_is_rotated_under_a_running_server(running: ServerProcess) -> None:
    before = (running.data / "secrets.key").read_text()
    old = make_key(running)
    done = rotate(running)
    assert (done.returncode, done.stdout) == (0, "2 secrets sealed with a new key\n"), done.stderr
    after = running.data / "secrets.key"
    assert after.read_text() != before
    assert len(after.read_text().split()) == 1
    assert stat.S_IMODE(after.stat().st_mode) == 0o600
    assert works(running, old)
    new = make_key(running)
    assert works(running, new)
    running.stop()
    running.start()
    assert works(running, old)
    assert works(running, new)
    assert rotate(running).stdout == "3 secrets sealed with a new key\n"


class CrashError(Exception):
    pass


@pytest.mark.parametrize("where", ["rotated", "_seal_again", "without_old"])
def test_a_crash_in_the_middle_loses_nothing(context: Context, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    path = context.vault.path
    assert path is not None
    target = rotation if where == "_seal_again" else Vault
    whole = getattr(target, where)

    def crash(*given: Any) -> Any:
        if where == "rotated":
            whole(*given)  # the file is written, and nothing more is done
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(target, where, crash)
        with pytest.raises(CrashError):
            rotation.rotate(context)
    context.vault = Vault.from_file(path)  # the next start
    (key,) = people.find_keys(context, _admin(context))
    secret = _secret(context)
    context.access_keys.clear()
    assert authenticate_key(context, key.id, secret, source_address=None, request_id=None).username == "admin"
    assert rotation.rotate(context) == 1
    assert len(path.read_text().split()) == 1


def _admin(context: Context) -> Any:
    from conftest import administrator  # noqa: PLC0415

    return administrator(context)


def _secret(context: Context) -> str:
    import json  # noqa: PLC0415

    assert context.vault.path is not None
    return str(json.loads((context.vault.path.parent / "admin.json").read_text())["access_key_secret"])


def test_every_sealed_column_is_rotated() -> None:
    declared = {f"{table.name}.{column.name}" for table in main.sorted_tables for column in table.c}
    known = {f"{entry.column.table.name}.{entry.column.name}" for entry in sealed.COLUMNS}
    assert {name for name in declared if name.endswith("_sealed")} == known


def test_keys_from_the_environment(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEY_VARIABLE, A)
    only = Vault.from_file(tmp_path / "no" / "file")
    assert only.path is None
    sealed_secret = only.seal("s", "l")
    context.vault = only
    with pytest.raises(SecretsKeyError, match="the new key and the old one"):
        rotation.rotate(context)
    monkeypatch.setenv(KEY_VARIABLE, f"{B} {A}")
    both = Vault.from_file(tmp_path / "no" / "file")
    assert both.open(sealed_secret, "l") == "s"
    assert Vault([bytes.fromhex(B)]).opens(both.seal("s", "l"), "l")


@pytest.mark.parametrize("text", ["", "short", "zz" * 32, A[:-2]])
def test_a_key_that_is_none_is_said_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(text)
    with pytest.raises(SecretsKeyError, match="64 hexadecimal digits"):
        Vault.from_file(path)


def test_what_is_sealed_opens_under_its_label_and_key_only() -> None:
    vault = Vault([bytes.fromhex(A)])
    made = vault.seal("a secret", "key-1")
    assert b"a secret" not in made
    assert vault.open(made, "key-1") == "a secret"
    for other, label in ((vault, "key-2"), (Vault([bytes.fromhex(B)]), "key-1")):
        with pytest.raises(UnavailableError):
            other.open(made, label)


def test_a_key_file_that_others_can_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(A)
    path.chmod(0o644)
    Vault.from_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_that_holds_a_secret_shows_it(context: Context) -> None:
    from opencen.services.identities import find_access_key  # noqa: PLC0415

    (entry,) = people.find_keys(context, _admin(context))
    key, secret = find_access_key(context, entry.id), _secret(context)
    assert key is not None
    assert key.secret == secret
    for shown in (repr(key), str(key), repr(context), repr(context.vault), repr(Credential("id", secret)), repr(entry)):
        assert secret not in shown
        assert (context.vault.path or Path()).read_text().strip() not in shown
