"""Passwords are kept as argon2id hashes; checking one takes about 50 ms of CPU on purpose."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()


@cache
def nobodys_hash() -> str:
    """Checked for unknown users too, so that the time of an answer does not tell who exists."""
    return _hasher.hash(secrets.token_urlsafe(16))


def hash_of(password: str) -> str:
    return _hasher.hash(password)


def verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
