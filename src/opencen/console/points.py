"""Columns of points that a chart shows, and what differs between two answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Points:
    """Columns of points `step_ms` apart; `from_ms` is the time of the first, by the browser's clock."""

    from_ms: int
    step_ms: int
    columns: Mapping[str, Sequence[int | None]]
    summary: str

    def payload(self) -> dict[str, Any]:
        columns = {name: tuple(column) for name, column in self.columns.items()}
        return {"from": self.from_ms, "step": self.step_ms, "columns": columns}


def difference(before: Points, now: Points) -> dict[str, Any] | None:
    """What a page that shows `before` has to be told; None: nothing. Without `tails` it is another picture."""
    if before.columns == now.columns and before.from_ms == now.from_ms:
        return None
    shift, odd = divmod(now.from_ms - before.from_ms, now.step_ms)
    same = before.step_ms == now.step_ms and before.columns.keys() == now.columns.keys() and not odd
    if not same or not 0 <= shift <= len(before.columns["limit"]):
        return {"points": now.payload()}
    start = min((_alike(before.columns[name][shift:], column) for name, column in now.columns.items()), default=0)
    tails = {name: list(column[start:]) for name, column in now.columns.items()}
    return {"from": now.from_ms, "shift": shift, "start": start, "tails": tails}


def _alike(before: Sequence[int | None], now: Sequence[int | None]) -> int:
    """How many points from the first on are the same."""
    for place, (old, new) in enumerate(zip(before, now, strict=False)):
        if old != new:
            return place
    return min(len(before), len(now))
