"""The text of a join token, as an operator copies it: `jt-….SECRET` or `jt-….SECRET.PIN`.

PIN is the SHA-256 of the public key of the authority that vouches for the server's certificate, in URL-safe base64
without padding: who holds the token can tell the right server from a wrong one before it says anything to it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

_FORM = re.compile(r"(jt-[a-z0-9]+)\.([A-Za-z0-9_-]{20,})(?:\.([A-Za-z0-9_-]{43}))?")


@dataclass(frozen=True, slots=True)
class JoinTokenText:
    """`pin` is None when the server speaks no TLS itself."""

    id: str
    secret: str = field(repr=False)
    pin: str | None = None

    def __str__(self) -> str:
        return ".".join(part for part in (self.id, self.secret, self.pin) if part)

    @classmethod
    def parse(cls, text: str) -> JoinTokenText:
        """Raises ValueError, which does not repeat the text: it may be a secret."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError("this is no join token: it looks like jt-….….…, in one piece; was a part cut off?")
        return cls(*found.groups())


def hash_of_secret(secret: str) -> str:
    """What is sent of a credential's secret: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
