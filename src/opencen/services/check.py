"""`opencen check`: recompute every invariant from the rows, and say which does not hold."""

from __future__ import annotations

from opencen.services.context import Context
from opencen.store import invariants


def check(context: Context) -> list[str]:
    """One sentence for each broken invariant; empty when all hold."""
    with context.database.read() as tx:
        return invariants.broken(tx)


NAMES = invariants.NAMES
"""What is checked, a sentence each."""
