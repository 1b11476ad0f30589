"""After the session: no secret that the tests used is in a log, a database or what Prometheus was told.

Every answer that a test gets is looked through for what is shown once (passwords, keys' secrets, tokens); the first
start's `admin.json` and `secrets.key` are read where servers left them. Then each log, database and saved page of
metrics below this session's temporary directory is searched for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

SECRET_MEMBERS = frozenset({"password", "access_key_secret", "token", "secret", "credential", "private_key"})
SECRET_FILES = ("admin.json", "secrets.key", "vault.key")
SEARCHED = ("*.log", "*.db", "*.db-wal", "metrics.txt")
_SHORTEST = 16
_WORD = re.compile(rb"[A-Za-z0-9_-]{16,}")


class SecretSearch:
    """What is secret, and where it is."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def learn(self, document: Any) -> None:
        """Take the secrets out of a JSON document."""
        if isinstance(document, dict):
            for name, value in document.items():
                if name in SECRET_MEMBERS and isinstance(value, str) and len(value) >= _SHORTEST:
                    self.secrets.add(value)
                self.learn(value)
        elif isinstance(document, list):
            for value in document:
                self.learn(value)

    def learn_files(self, directory: Path) -> None:
        """What servers wrote for their operators."""
        for path in directory.rglob("admin.json"):
            self.learn(json.loads(path.read_text()))
        for name in SECRET_FILES[1:]:
            for path in directory.rglob(name):
                self.secrets.update(word for word in path.read_text().split() if len(word) >= _SHORTEST)

    def found(self, directory: Path) -> Iterator[str]:
        """A sentence for each secret in each file; it does not repeat the secret."""
        known = {secret.encode(): secret for secret in self.secrets}
        for pattern in SEARCHED:
            for path in directory.rglob(pattern):
                if path.is_file():
                    words = set(_WORD.findall(path.read_bytes()))
                    yield from (f"{path} holds the secret {known[word][:4]}…" for word in words & known.keys())


SEARCH = SecretSearch()


def watch_answers() -> None:
    """Learn from every JSON answer that any httpx client of this process gets."""
    send = httpx.Client.send

    def learning(self: httpx.Client, *given: Any, **named: Any) -> httpx.Response:
        answer = send(self, *given, **named)
        if not named.get("stream") and "json" in answer.headers.get("content-type", ""):
            with suppress(ValueError):
                SEARCH.learn(answer.json())
        return answer

    httpx.Client.send = learning  # type: ignore[method-assign]
