"""The gateway's credential on its host: used, and changed for a new one without a moment in which none is valid.

Beside the credential file FILE there may be FILE.next, made but not yet taken into use, and FILE.previous, for a
control plane that was restored from a copy which does not know the present one.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from opencen.client import Client, Credential
from opencen.gateway.files import move, write_whole
from opencen.wire.join_token import hash_of_secret

_UNAUTHORIZED: Final = 401


class CredentialError(Exception):
    """The credential file cannot be used; the text names it."""


def read(path: Path) -> Credential:
    """One line `gw-…:secret`, readable by its owner alone. Raises CredentialError."""
    try:
        mode = path.stat().st_mode
        line = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"credential_file {path}: {getattr(error, 'strerror', None) or error}") from error
    if mode & 0o077:
        raise CredentialError(f"credential_file {path} can be read by others: chmod 600 {path}")
    identifier, colon, secret = line.partition(":")
    if not colon or not secret or not identifier.startswith("gw-"):
        raise CredentialError(f"credential_file {path} must hold one line like gw-…:secret")
    return Credential(identifier, secret, bearer=True)


def write(path: Path, credential: Credential) -> None:
    """On the disk when this returns. Raises OSError."""
    write_whole(path, f"{credential.identifier}:{credential.secret}\n")


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


class FileAuth(httpx.Auth):
    """Authenticates with what is in the file; looks again when the server refuses it.

    So a rotation needs no restart of the agent, and a control plane that went back in time still knows its gateway.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_use = read(path)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        refused: set[str] = set()
        for path in (None, self._path, _previous(self._path)):
            try:
                credential = read(path) if path else self._in_use
            except CredentialError:
                continue
            if credential.secret in refused:
                continue
            request.headers.update(credential.headers())
            response = yield request
            if response.status_code != _UNAUTHORIZED:
                self._in_use = credential
                return
            refused.add(credential.secret)


def rotate(path: Path, connect: Callable[[httpx.Auth], Client]) -> None:
    """A new credential in place of the one in the file.

    It is on the disk before the server hears of it, the server accepts both before the file changes, and the old one
    ends when the new one is first used: here. Stopped anywhere, the next call goes on from there. Raises
    CredentialError, OSError, and what the client raises; once the file has changed it raises nothing more.
    """
    with _alone(path):
        present, following = read(path), _next(path)
        if not following.exists():
            write(following, Credential(present.identifier, new_secret(), bearer=True))
        with connect(FileAuth(path)) as client:
            client.post("/v1/gateway/credential", {"credential_sha256": hash_of_secret(read(following).secret)})
        write(_previous(path), present)
        move(following, path)
        with connect(FileAuth(path)) as client:
            client.get("/v1/gateway/self")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The agent and an operator on the host may rotate at the same time: one after the other."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _next(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def forget(path: Path) -> None:
    """Remove the credential and what is kept beside it."""
    for suffix in ("", ".next", ".previous", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
