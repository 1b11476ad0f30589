"""The server's reasons for a status, in the viewer's language. A sentence that is not known is shown as it came."""

from __future__ import annotations

import re

from opencen.console.texts import Texts

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("reason.no_network", re.compile(r"(?P<region>\S+) has no network attached: nothing to carry")),
    ("reason.no_gateway", re.compile(r"(?P<region>\S+) has no gateway: nothing enforces it there")),
    ("reason.silent", re.compile(r"enforcement unconfirmed: gateway (?P<gateway>\S+) of (?P<region>\S+) is silent")),
    ("reason.pending", re.compile(r"gateway (?P<gateway>\S+) of (?P<region>\S+) has not acknowledged yet")),
    (
        "reason.holds",
        re.compile(
            r"gateway (?P<gateway>\S+) of (?P<region>\S+) still holds (?P<held>\S+) Mbit/s of (?P<a>\S+) - (?P<b>\S+)"
        ),
    ),
    (
        "reason.expired",
        re.compile(r"package (?P<package>\S+) expired: 1 kbit/s since (?P<since>\S+ \S+) UTC, until renewed"),
    ),
    ("reason.turn", re.compile(r"waits for its turn to grow")),
)


def translate(texts: Texts, reason: str) -> str:
    """One reason."""
    for key, pattern in _PATTERNS:
        if found := pattern.fullmatch(reason):
            return texts(key, **found.groupdict()) if found.groupdict() else texts(key)
    return reason
