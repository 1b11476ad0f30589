"""Spans of time as people type them: `90s`, `30m`, `8h`, `2d`."""

from __future__ import annotations

import re

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int:
    """The seconds of a span; a bare number is seconds. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no span of time such as 90s, 30m, 8h or 2d")
    return int(found[1]) * _UNITS[found[2] or "s"]


def span_of(seconds: int) -> str:
    """Seconds in the largest unit that says them exactly."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
