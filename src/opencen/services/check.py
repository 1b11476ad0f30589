"""`opencen check`: recompute every invariant from the rows, and say which does not hold."""

from __future__ import annotations

from opencen.services import audit_seals
from opencen.services.context import Context
from opencen.store import invariants


def check(context: Context) -> list[str]:
    """One sentence for each broken invariant; empty when all hold."""
    with context.database.read() as tx:
        return [*invariants.broken(tx), *audit_seals.amiss(tx, context.vault)]


NAMES = (*invariants.NAMES, (audit_seals.amiss.__doc__ or "").partition("\n")[0])
"""What is checked, a sentence each."""
