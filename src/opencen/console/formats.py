"""Numbers with units, and times in the viewer's zone, as people read them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NOTHING = "–"
_UNITS = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"))


def rate(rate_bps: float | None) -> tuple[str, str]:
    """A rate as number and unit, three digits: `("9.98", "Mbit/s")`."""
    if rate_bps is None:
        return NOTHING, ""
    for factor, unit in _UNITS:
        if abs(rate_bps) >= factor * 0.9995:
            return _three_digits(rate_bps / factor), unit
    return f"{rate_bps:.0f}", "bit/s"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def zone_of(name: str | None) -> ZoneInfo:
    """The viewer's zone by its IANA name; UTC when unknown."""
    try:
        return ZoneInfo(name) if name else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_time(value: str | None, zone: ZoneInfo) -> str:
    """An RFC 3339 time as `2026-11-23 16:05:09` of `zone`, with the zone's abbreviation."""
    if value is None:
        return NOTHING
    return datetime.fromisoformat(value).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
