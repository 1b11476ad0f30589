"""Packages that were bought for a time: when they end, who is warned, and what a renewal makes of it."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

WARN_BEFORE = timedelta(days=7)
MAX_MONTHS = 36
_ENDS_AT_HOUR = 16
"""UTC: midnight in China, as clients of the RPC API expect it."""


def end_of_period(bought_at: datetime, months: int) -> datetime:
    """When a package that was bought for some months ends: the same day, `months` later, at 16:00 UTC."""
    years, month_index = divmod(bought_at.month - 1 + months, 12)
    year, month = bought_at.year + years, month_index + 1
    day = min(bought_at.day, calendar.monthrange(year, month)[1])
    return bought_at.replace(year=year, month=month, day=day, hour=_ENDS_AT_HOUR, minute=0, second=0, microsecond=0)


def renewed_until(expires_at: datetime, now: datetime, months: int) -> datetime:
    """When a package ends that is renewed: what is left is not lost, and what has passed is not paid for."""
    return end_of_period(max(expires_at, now), months)


def has_expired(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def is_ending(expires_at: datetime | None, now: datetime) -> bool:
    """Whether its end is near enough for a warning, or has come."""
    return expires_at is not None and expires_at - now <= WARN_BEFORE
