"""Secrets that the server must be able to read back are kept sealed (AES-256-GCM); others only as hashes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Vault:
    """Seals and opens secrets with one key. What is sealed is bound to its `label` and opens under no other."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """The key in `path`, which is made, readable by the owner alone, when it is missing."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(bytes.fromhex(path.read_text().strip()))
        key = AESGCM.generate_key(256)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(key)

    def seal(self, secret: str, label: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), label.encode())

    def open(self, sealed: bytes, label: str) -> str:
        """Raises cryptography's InvalidTag when it was sealed with another key or label."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode()).decode()
