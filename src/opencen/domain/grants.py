"""The package holds on the wire too (design, rule 9): who may grow now, and who waits for whom.

A change of a connection is durable at once, but what gateways are told, the grant, grows only when every shrink that
it depends on has been read back from the kernels. `held_bps` is the most that a gateway's kernel may still have: its
last acknowledged rate, or a later grant that it has not acknowledged yet. Rates are bit/s, 0 stands for the
connectivity-test rate, which counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opencen.domain.bandwidth import MBPS


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of regions that has, or had, a share of the package."""

    key: tuple[str, str, str]
    wanted_bps: int
    granted_bps: int
    held_bps: int
    waiting_since: int = 0
    """The revision since which it waits to grow: who waits longest is served first."""

    @property
    def on_wire_bps(self) -> int:
        return max(self.granted_bps, self.held_bps)


def regrant(package_mbps: int, links: Sequence[Link]) -> dict[tuple[str, str, str], int]:
    """The grants that change, bit/s by link.

    Every shrink is granted. A growth is granted when, with everything that may still be on the wire, it fits.
    Never makes the sum over links of max(granted, held) larger than the package, unless it was so before: then
    nothing grows.
    """
    grants = {link.key: min(link.granted_bps, link.wanted_bps) for link in links}
    free_bps = package_mbps * MBPS - sum(max(grants[link.key], link.held_bps) for link in links)
    growing = sorted((link for link in links if link.wanted_bps > link.granted_bps), key=_turn)
    for link in growing:
        more_bps = max(link.wanted_bps, link.held_bps) - max(grants[link.key], link.held_bps)
        if more_bps <= max(free_bps, 0):
            grants[link.key] = link.wanted_bps
            free_bps -= more_bps
    return {link.key: grants[link.key] for link in links if grants[link.key] != link.granted_bps}


def _turn(link: Link) -> tuple[int, tuple[str, str, str]]:
    return (link.waiting_since, link.key)
