"""Identifiers: a prefix that says what it names, and 16 random characters."""

from __future__ import annotations

import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LENGTH = 16


def new_id(prefix: str) -> str:
    """A fresh id such as `cen-7f…`; 82 bits of chance."""
    return f"{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
