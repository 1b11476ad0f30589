"""Join tokens: each lets one host become a gateway of one region, once, before it expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from opencen.domain.errors import InvalidValueError

MIN_LIFETIME: Final = timedelta(minutes=1)
MAX_LIFETIME: Final = timedelta(days=30)


class TokenState(StrEnum):
    """A token that was used stays so, also when it would have expired since."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What is known of a token. Its secret is known only to whom it was shown, once."""

    id: str
    region_id: str
    account_id: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    used_from: str | None = None
    gateway_id: str | None = None

    def state(self, now: datetime) -> TokenState:
        """By the server's clock alone: what time a host believes it is does not matter."""
        if self.used_at is not None:
            return TokenState.USED
        if self.revoked_at is not None:
            return TokenState.REVOKED
        return TokenState.EXPIRED if self.expires_at <= now else TokenState.OPEN

    def why_refused(self, now: datetime) -> str:
        """Why a host cannot join with it. Only for a token that is not open."""
        match self.state(now):
            case TokenState.USED:
                return (
                    f"was used at {_said(self.used_at)} from {self.used_from or 'this machine'}, for {self.gateway_id}"
                )
            case TokenState.REVOKED:
                return f"was revoked at {_said(self.revoked_at)}"
            case TokenState.EXPIRED:
                return f"expired at {_said(self.expires_at)}"
            case TokenState.OPEN:
                return "can be used"


def checked_lifetime(lifetime_s: int) -> timedelta:
    """Raises InvalidValueError."""
    if not MIN_LIFETIME.total_seconds() <= lifetime_s <= MAX_LIFETIME.total_seconds():
        raise InvalidValueError(
            f"a join token is good for one minute to 30 days, not for {lifetime_s} s",
            field="lifetime_s",
            value=lifetime_s,
        )
    return timedelta(seconds=lifetime_s)


def _said(at: datetime | None) -> str:
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")
