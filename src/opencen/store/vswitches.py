"""Rows of vSwitches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from opencen.domain.labels import ANY_LABELS, Labelled, WantedLabels
from opencen.domain.nouns import VSwitch
from opencen.store import labels
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page, matching
from opencen.store.schema import networks, vswitches


def _select() -> Select[Any]:
    return select(vswitches, networks.c.region_id).join(networks, networks.c.id == vswitches.c.network_id)


def add(tx: Transaction, vswitch: VSwitch) -> None:
    tx.execute(
        insert(vswitches).values(
            id=vswitch.id,
            account_id=vswitch.account_id,
            network_id=vswitch.network_id,
            zone_id=vswitch.zone_id,
            name=vswitch.name,
            description=vswitch.description,
            cidr_block=vswitch.cidr_block,
            created_at=vswitch.created_at,
        )
    )


def find(tx: Transaction, account_id: str, vswitch_id: str) -> VSwitch | None:
    statement = _select().where(vswitches.c.id == vswitch_id, vswitches.c.account_id == account_id)
    row = tx.execute(statement).first()
    return None if row is None else VSwitch(**row._mapping)


def blocks(tx: Transaction, network_id: str) -> list[tuple[str, str]]:
    """The id and block of each vSwitch of a network."""
    statement = select(vswitches.c.id, vswitches.c.cidr_block).where(vswitches.c.network_id == network_id)
    return [(row.id, row.cidr_block) for row in tx.execute(statement.order_by(vswitches.c.created_at))]


def of_networks(tx: Transaction, network_ids: Sequence[str]) -> dict[str, list[str]]:
    """The vSwitches' ids of each of these networks that has any."""
    statement = select(vswitches.c.network_id, vswitches.c.id).where(vswitches.c.network_id.in_(network_ids))
    found: dict[str, list[str]] = {}
    for row in tx.execute(statement.order_by(vswitches.c.created_at, vswitches.c.id)):
        found.setdefault(row.network_id, []).append(row.id)
    return found


def search(
    tx: Transaction,
    account_id: str,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    network_id: str | None = None,
    region_id: str | None = None,
    zone_id: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[VSwitch]:
    conditions = [
        vswitches.c.account_id == account_id,
        *matching(vswitches.c.id, ids),
        *matching(vswitches.c.name, names),
        *labels.conditions(vswitches, Labelled.VSWITCH, account_id, labelled),
        *labels.conditions(networks, Labelled.NETWORK, account_id, WantedLabels((), labelled.resource_group_id)),
    ]
    wanted = ((vswitches.c.network_id, network_id), (networks.c.region_id, region_id), (vswitches.c.zone_id, zone_id))
    conditions += [column == value for column, value in wanted if value is not None]
    rows, total = fetch_page(tx, _select().where(*conditions), page, (vswitches.c.created_at, vswitches.c.id))
    return Listing(tuple(VSwitch(**row._mapping) for row in rows), total)


def change(tx: Transaction, vswitch_id: str, *, name: str, description: str) -> None:
    tx.execute(update(vswitches).where(vswitches.c.id == vswitch_id).values(name=name, description=description))


def remove(tx: Transaction, vswitch_id: str) -> None:
    labels.remove_tags(tx, Labelled.VSWITCH, [vswitch_id], None)
    tx.execute(delete(vswitches).where(vswitches.c.id == vswitch_id))
