"""Reading the audit log."""

from __future__ import annotations

from opencen.domain.nouns import Actor, AuditEvent
from opencen.services.context import Context
from opencen.store import audit
from opencen.store.records import Listing, Page


def search(
    context: Context, actor: Actor, page: Page, *, resource: str | None = None, after_id: int | None = None
) -> Listing[AuditEvent]:
    """Events of the account, the newest first, of everything or of one resource and what belongs to it."""
    with context.database.read() as tx:
        return audit.search(tx, actor.account_id, page, resource=resource, after_id=after_id)
