"""Rows of plans that were applied."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from opencen.domain.plans import Document, PlannedConnection, PlannedPackage, PlanState, Version
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.schema import plan_versions as versions


def _to_row(document: Document) -> dict[str, Any]:
    return {
        "packages": [
            {"areas": list(item.areas), "bandwidth_mbps": item.bandwidth_mbps, "id": item.id, "name": item.name}
            for item in document.packages or ()
        ],
        "connections": [
            {"regions": list(item.regions), "bandwidth_mbps": item.bandwidth_mbps}
            for item in document.connections or ()
        ],
    }


def _document(row: dict[str, Any]) -> Document:
    return Document(
        tuple(
            PlannedPackage((item["areas"][0], item["areas"][1]), item["bandwidth_mbps"], item["id"], item["name"])
            for item in row["packages"]
        ),
        tuple(
            PlannedConnection((item["regions"][0], item["regions"][1]), item["bandwidth_mbps"])
            for item in row["connections"]
        ),
    )


def _version(row: Any) -> Version:
    return Version(
        **{
            **row._mapping,
            "before": _document(row.before),
            "after": _document(row.after),
            "bought_package_ids": tuple(row.bought_package_ids),
            "state": PlanState(row.state),
        }
    )


def next_number(tx: Transaction, cen_id: str) -> int:
    """Call it with the instance locked."""
    latest = tx.execute(select(func.max(versions.c.number)).where(versions.c.cen_id == cen_id)).scalar()
    return (latest or 0) + 1


def add(tx: Transaction, version: Version) -> None:
    tx.execute(
        insert(versions).values(
            cen_id=version.cen_id,
            number=version.number,
            account_id=version.account_id,
            applied_at=version.applied_at,
            user_id=version.user_id,
            username=version.username,
            note=version.note,
            before=_to_row(version.before),
            after=_to_row(version.after),
            bought_package_ids=list(version.bought_package_ids),
            state=version.state.value,
            confirm_by=version.confirm_by,
            outcome=version.outcome,
        )
    )


def settle(tx: Transaction, version: Version, state: PlanState, outcome: str) -> None:
    """It awaits nothing any more."""
    this = (versions.c.cen_id == version.cen_id, versions.c.number == version.number)
    tx.execute(update(versions).where(*this).values(state=state.value, confirm_by=None, outcome=outcome))


def find(tx: Transaction, cen_id: str, number: int) -> Version | None:
    row = tx.execute(select(versions).where(versions.c.cen_id == cen_id, versions.c.number == number)).first()
    return None if row is None else _version(row)


def search(tx: Transaction, cen_id: str, page: Page) -> Listing[Version]:
    """The plans of an instance, the newest first."""
    statement = select(versions).where(versions.c.cen_id == cen_id)
    rows, total = fetch_page(tx, statement, page, (versions.c.number.desc(),))
    return Listing(tuple(map(_version, rows)), total)


def awaiting(tx: Transaction, cen_id: str) -> list[Version]:
    """Those of an instance that await their confirmation; there is one at the most."""
    rows = tx.execute(select(versions).where(versions.c.cen_id == cen_id, versions.c.confirm_by.is_not(None)))
    return [_version(row) for row in rows]


def due(tx: Transaction, now: datetime) -> list[Version]:
    """Those that should have been confirmed by now."""
    statement = select(versions).where(versions.c.confirm_by <= now).order_by(versions.c.confirm_by)
    return [_version(row) for row in tx.execute(statement)]


def forget(tx: Transaction, cen_id: str) -> None:
    """An instance goes, and its plans with it; the audit log keeps what they did."""
    tx.execute(delete(versions).where(versions.c.cen_id == cen_id))
