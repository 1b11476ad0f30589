"""The search that ends each test session finds what it is for."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from secret_search import SEARCH, SecretSearch

SECRET = "a-secret-of-thirty-characters-x"


@pytest.mark.parametrize("name", ["server.log", "opencen.db", "opencen.db-wal", "metrics.txt"])
def test_a_secret_is_found_wherever_it_may_leak(tmp_path: Path, name: str) -> None:
    search = SecretSearch()
    search.learn({"items": [{"access_key_secret": SECRET, "name": "no secret at all, only a name"}]})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(b"\0\xff user:" + SECRET.encode() + b"\n")
    (found,) = search.found(tmp_path)
    assert name in found
    assert SECRET not in found
    (tmp_path / "data" / name).write_bytes(b"something else\n")
    assert list(search.found(tmp_path)) == []


def test_what_servers_write_for_their_operators_is_known(tmp_path: Path) -> None:
    (tmp_path / "admin.json").write_text(f'{{"access_key_secret": "{SECRET}", "password": "another-long-password-1"}}')
    (tmp_path / "secrets.key").write_text("ab" * 32 + "\n")
    search = SecretSearch()
    search.learn_files(tmp_path)
    assert search.secrets == {SECRET, "another-long-password-1", "ab" * 32}


def test_answers_are_looked_through() -> None:
    made = f"made-by-{id(SEARCH)}-once"
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"user": {}, "password": made}))
    with httpx.Client(transport=transport) as client:
        client.get("http://server/")
    assert made in SEARCH.secrets
    SEARCH.secrets.discard(made)
