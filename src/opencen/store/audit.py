"""The audit log: rows are added and read, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from opencen.domain.nouns import Actor, AuditEvent
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.schema import audit_events

_APPEND = insert(audit_events)


def append(
    tx: Transaction,
    at: datetime,
    actor: Actor,
    action: str,
    resource: str,
    outcome: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    tx.execute(
        _APPEND,
        {
            "at": at,
            "account_id": actor.account_id,
            "actor": actor.username.replace("\0", "\\0"),
            "access_key_id": actor.access_key_id,
            "source_address": actor.source_address,
            "request_id": actor.request_id,
            "action": action,
            "resource": resource.replace("\0", "\\0"),  # what PostgreSQL cannot keep is said all the same
            "outcome": outcome,
            "before": before,
            "after": after,
        },
    )


def search(
    tx: Transaction, account_id: str, page: Page, *, resource: str | None = None, after_id: int | None = None
) -> Listing[AuditEvent]:
    """Events of an account, the newest first; `resource` also matches what belongs to it (`cen-…:…`)."""
    statement = select(audit_events).where(audit_events.c.account_id == account_id)
    if resource is not None:
        statement = statement.where(
            (audit_events.c.resource == resource) | audit_events.c.resource.startswith(f"{resource}:", autoescape=True)
        )
    if after_id is not None:
        statement = statement.where(audit_events.c.id > after_id)
    rows, total = fetch_page(tx, statement, page, (audit_events.c.id.desc(),))
    return Listing(tuple(AuditEvent(**row._mapping) for row in rows), total)
