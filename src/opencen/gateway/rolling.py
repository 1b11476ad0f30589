"""Which instances a check looks at, so that a gateway with thousands of them does nothing else only seldom. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BUDGET_S: Final = 0.5
"""Of a check that comes every 5 s: a tenth of one core."""
_FIRST_GUESS_S: Final = 0.01
_WEIGHT: Final = 0.3


@dataclass
class Rolling:
    """Goes through all instances, as many at a time as the budget allows; all at once when they are few."""

    cost_s: float = _FIRST_GUESS_S
    """What one instance takes, as measured."""
    _last: str = ""

    def next(self, cen_ids: Sequence[str]) -> list[str]:
        """The instances of this check, out of all."""
        ordered = sorted(cen_ids)
        count = max(1, int(BUDGET_S / self.cost_s))
        if count >= len(ordered):
            return ordered
        after = [cen_id for cen_id in ordered if cen_id > self._last]
        chosen = (after + ordered)[:count]
        self._last = chosen[-1]
        return chosen

    def took(self, instances: int, seconds: float) -> None:
        """How long a check of so many took."""
        if instances:
            self.cost_s += _WEIGHT * (max(seconds / instances, 1e-6) - self.cost_s)
