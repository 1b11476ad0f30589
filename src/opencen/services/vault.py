"""Secrets that the server must be able to read back are kept sealed (AES-256-GCM); others only as hashes.

The keys are in a file of mode 0600, or in OPENCEN_SECRETS_KEY: 64 hexadecimal digits each. The first one seals; the
others only open, which is what `opencen secrets rotate` needs on the way from one to the next.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from opencen.domain.errors import UnavailableError

KEY_VARIABLE = "OPENCEN_SECRETS_KEY"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_log = structlog.get_logger()


class SecretsKeyError(Exception):
    """The file or variable holds no key that can be used."""


@dataclass(frozen=True, slots=True)
class _Key:
    """`key` is for sealing; `tag_key`, derived from it, for tags alone."""

    key: bytes
    tag_key: bytes

    @classmethod
    def of(cls, key: bytes) -> _Key:
        return cls(key, HKDF(hashes.SHA256(), _KEY_BYTES, None, b"opencen audit chain").derive(key))

    def __repr__(self) -> str:
        return "_Key(…)"


class Vault:
    """Seals and opens secrets. What is sealed is bound to its `label` and opens under no other."""

    def __init__(self, keys: Sequence[bytes], path: Path | None = None) -> None:
        self._keys = tuple(map(_Key.of, keys))
        self._path = path
        self._read_at_ns = _changed_ns(path)

    def derived(self, label: str) -> bytes:
        """32 secret bytes for a purpose, the same each time, from which neither the key nor others can be told."""
        return HKDF(hashes.SHA256(), 32, None, f"opencen partner {label}".encode()).derive(self._keys[0].key)

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """The keys in OPENCEN_SECRETS_KEY, or else in `path`, which is made if missing. Raises SecretsKeyError."""
        given = os.environ.get(KEY_VARIABLE)
        if given:
            return cls(_parsed(given, KEY_VARIABLE))
        if not path.exists():
            write_private(path, AESGCM.generate_key(256).hex() + "\n", new=True)
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            _log.warning("others could read the secrets key: the file's mode is 0600 now", path=str(path))
            path.chmod(0o600)
        return cls(_parsed(path.read_text(), str(path)), path)

    @property
    def path(self) -> Path | None:
        """The file with the keys; None when they come from the environment."""
        return self._path

    @property
    def key_count(self) -> int:
        return len(self._keys)

    def newest_alone(self) -> Vault:
        """A vault that knows the newest key only."""
        return Vault([self._keys[0].key])

    def rotated(self) -> Vault:
        """With a new key in front of the present ones, in the file too."""
        if self._path is None:
            raise SecretsKeyError(f"the keys come from {KEY_VARIABLE}; put the new one in front of the old one there")
        return self._rewritten([AESGCM.generate_key(256), *(known.key for known in self._keys)])

    def without_old(self) -> Vault:
        """With the newest key alone, in the file too."""
        return self._rewritten([self._keys[0].key]) if self._path else self.newest_alone()

    def _rewritten(self, keys: Sequence[bytes]) -> Vault:
        assert self._path is not None
        write_private(self._path, "".join(key.hex() + "\n" for key in keys))
        return Vault(keys, self._path)

    def _refresh(self) -> bool:
        """Read the file again when it was changed since; True when it was."""
        if self._path is None or _changed_ns(self._path) == self._read_at_ns:
            return False
        self._read_at_ns = _changed_ns(self._path)
        self._keys = tuple(map(_Key.of, _parsed(self._path.read_text(), str(self._path))))
        return True

    def seal(self, secret: str, label: str) -> bytes:
        """Call it inside of the transaction that stores the result, so that a rotation finds it."""
        self._refresh()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._keys[0].key).encrypt(nonce, secret.encode(), label.encode())

    def open(self, sealed: bytes, label: str) -> str:
        """Raises UnavailableError when it was sealed with another key or label."""
        opened = self._try_to_open(sealed, label)
        if opened is None and self._refresh():
            opened = self._try_to_open(sealed, label)
        if opened is None:
            raise UnavailableError("a secret cannot be opened: it was sealed with another key than the server has")
        return opened

    def opens(self, sealed: bytes, label: str) -> bool:
        """Whether it was sealed with one of the keys."""
        return self._try_to_open(sealed, label) is not None

    def _try_to_open(self, sealed: bytes, label: str) -> str | None:
        for known in self._keys:
            try:
                return AESGCM(known.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode()).decode()
            except InvalidTag:
                continue
        return None

    def tag(self, message: bytes) -> bytes:
        """What only somebody with the newest key can make of `message` (HMAC-SHA256)."""
        self._refresh()
        made = HMAC(self._keys[0].tag_key, hashes.SHA256())
        made.update(message)
        return made.finalize()

    def made_tag(self, tag: bytes, message: bytes) -> bool:
        """Whether `tag` was made of `message` with one of the keys."""
        self._refresh()
        for known in self._keys:
            check = HMAC(known.tag_key, hashes.SHA256())
            check.update(message)
            try:
                check.verify(tag)
            except InvalidSignature:
                continue
            return True
        return False


def _changed_ns(path: Path | None) -> int:
    try:
        return path.stat().st_mtime_ns if path else 0
    except OSError:
        return 0


def _parsed(text: str, where: str) -> list[bytes]:
    try:
        keys = [bytes.fromhex(part) for part in text.replace(",", " ").split()]
    except ValueError:
        keys = []
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise SecretsKeyError(f"{where} holds no key: 64 hexadecimal digits, or several such separated by blanks")
    return keys


def write_private(path: Path, content: str, *, new: bool = False) -> None:
    """Whole or not at all, readable by the owner alone; `new`: not over a file that is there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        if new:
            os.link(temporary, path)
        else:
            temporary.replace(path)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
