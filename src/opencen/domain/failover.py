"""Two gateways in a region: one active, one standby. When they change places, and what may be on the wire meanwhile.

The control plane is the arbiter, and judges by how long it has not heard a gateway, never by anybody's wall clock.
While it cannot judge (it has just started, or stood still itself) nobody is promoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

SILENT_AFTER_S: Final = 2.5
"""The active gateway is taken for dead after so long a silence; an agent that is started again is back before."""
HEARD_WITHIN_S: Final = 1.5
"""A standby is promoted only when it was heard as lately as this."""
PREFERRED_AFTER_S: Final = 60.0
"""The preferred gateway takes over again when it has been heard for so long without a break."""
_STALL_S: Final = 1.5
"""An arbiter that has not looked for so long was stopped: what it did not hear in that time says nothing."""

MOST_GATEWAYS: Final = 2
"""A region has at most an active and a standby gateway."""


@dataclass(frozen=True, slots=True)
class Member:
    """A gateway of a region as the arbiter sees it; `silent_s` and `steady_s` by the arbiter's own clock."""

    gateway_id: str
    is_active: bool
    preferred: bool
    silent_s: float
    steady_s: float
    """How long it has been heard without a break."""


@dataclass(frozen=True, slots=True)
class Succession:
    """Who takes over from whom, and why."""

    gateway_id: str
    from_gateway_id: str
    reason: str


def succession(members: Sequence[Member]) -> Succession | None:
    """Who is to be promoted in a region now; None: everything stays."""
    active = next((member for member in members if member.is_active), None)
    heard = [member for member in members if not member.is_active and member.silent_s <= HEARD_WITHIN_S]
    if active is None or not heard:
        return None
    standby = heard[0]
    if active.silent_s >= SILENT_AFTER_S:
        reason = f"not heard for {active.silent_s:.1f} s"
        return Succession(standby.gateway_id, active.gateway_id, reason)
    if standby.preferred and standby.steady_s >= PREFERRED_AFTER_S:
        reason = f"{standby.gateway_id} is preferred, and heard for {standby.steady_s:.0f} s without a break"
        return Succession(standby.gateway_id, active.gateway_id, reason)
    return None


@dataclass
class Watch:
    """How long gateways have been silent, from marks that change whenever one is heard. `now_s` is monotonic."""

    _marks: dict[str, object] = field(default_factory=dict)
    _heard_at_s: dict[str, float] = field(default_factory=dict)
    _steady_since_s: dict[str, float] = field(default_factory=dict)
    _looked_at_s: float | None = None

    def look(self, marks: Mapping[str, object], now_s: float) -> dict[str, tuple[float, float]]:
        """(silent_s, steady_s) by gateway. After a stall everybody is taken for just heard: silence begins anew."""
        stalled = self._looked_at_s is None or now_s - self._looked_at_s > _STALL_S
        self._looked_at_s = now_s
        for gateway_id, mark in marks.items():
            heard = self._marks.get(gateway_id) != mark
            if stalled or heard or gateway_id not in self._heard_at_s:
                silent_s = now_s - self._heard_at_s.get(gateway_id, now_s)
                if stalled or silent_s > HEARD_WITHIN_S or gateway_id not in self._steady_since_s:
                    self._steady_since_s[gateway_id] = now_s
                self._heard_at_s[gateway_id] = now_s
            self._marks[gateway_id] = mark
        for gone in self._marks.keys() - marks.keys():
            del self._marks[gone], self._heard_at_s[gone], self._steady_since_s[gone]
        return {
            gateway_id: (
                now_s - self._heard_at_s[gateway_id],
                self._heard_at_s[gateway_id] - self._steady_since_s[gateway_id],
            )
            for gateway_id in marks
        }
