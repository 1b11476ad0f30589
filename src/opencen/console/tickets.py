"""One-time tickets: what the server's side of a page hands to the next HTTP request of the same browser."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

LIFETIME_S = 30.0
_MAX_OPEN = 1000


class Tickets:
    """Each ticket can be redeemed once, within LIFETIME_S."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._open: dict[str, tuple[float, str]] = {}

    def issue(self, value: str) -> str:
        """A ticket for `value`."""
        now = self._now_s()
        self._open = {key: item for key, item in self._open.items() if item[0] > now}
        while len(self._open) >= _MAX_OPEN:
            self._open.pop(next(iter(self._open)))
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = (now + LIFETIME_S, value)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The value of a ticket; None when it is unknown, used or too old."""
        expires_s, value = self._open.pop(ticket, (0.0, ""))
        return value if expires_s > self._now_s() else None
