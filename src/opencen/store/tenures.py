"""What connections were set to and out of which packages, from when to when. `allocations.py` writes it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, or_, select

from opencen.store.database import Transaction
from opencen.store.schema import connection_tenures as tenures


@dataclass(frozen=True, slots=True)
class Tenure:
    """[since_s, until_s) of a connection (regions sorted); `until_s` None: still."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    since_s: int
    until_s: int | None
    account_id: str
    package_id: str
    bandwidth_mbps: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.cen_id, self.region_a_id, self.region_b_id


_COLUMNS = [column for column in tenures.c if column.name != "id"]


def between(
    tx: Transaction,
    from_s: int,
    to_s: int,
    *,
    account_id: str | None = None,
    package_id: str | None = None,
    key: tuple[str, str, str] | None = None,
) -> list[Tenure]:
    """Those that held at some time in [from_s, to_s), in their order."""
    conditions = [tenures.c.since_s < to_s, or_(tenures.c.until_s.is_(None), tenures.c.until_s > from_s)]
    if account_id is not None:
        conditions.append(tenures.c.account_id == account_id)
    if package_id is not None:
        conditions.append(tenures.c.package_id == package_id)
    if key is not None:
        cen_id, region_a_id, region_b_id = key
        conditions += [
            tenures.c.cen_id == cen_id,
            tenures.c.region_a_id == region_a_id,
            tenures.c.region_b_id == region_b_id,
        ]
    rows = tx.execute(select(*_COLUMNS).where(*conditions).order_by(tenures.c.since_s, tenures.c.id))
    return [Tenure(**row._mapping) for row in rows]


def forget(tx: Transaction, before_s: int) -> None:
    """Those that ended before."""
    tx.execute(delete(tenures).where(tenures.c.until_s < before_s))
