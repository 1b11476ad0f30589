"""Rows of what administrators have said of networks' interfaces on gateways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select

from opencen.domain.nouns import NetworkInterface
from opencen.store.database import Transaction
from opencen.store.gateway_schema import network_interfaces
from opencen.store.upsert import upsert


def save(tx: Transaction, declared: NetworkInterface) -> None:
    row = {"network_id": declared.network_id, "gateway_id": declared.gateway_id, "interface": declared.interface}
    upsert(tx, network_interfaces, [row])


def remove(tx: Transaction, network_id: str, gateway_id: str) -> None:
    tx.execute(
        delete(network_interfaces).where(
            network_interfaces.c.network_id == network_id, network_interfaces.c.gateway_id == gateway_id
        )
    )


def of_networks(tx: Transaction, network_ids: Sequence[str]) -> list[NetworkInterface]:
    statement = select(network_interfaces).where(network_interfaces.c.network_id.in_(list(network_ids)))
    rows = tx.execute(statement.order_by(network_interfaces.c.network_id, network_interfaces.c.gateway_id))
    return [NetworkInterface(**row._mapping) for row in rows]


def of_gateway(tx: Transaction, gateway_id: str, network_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By network: how it is reached on this gateway."""
    statement = select(network_interfaces.c.network_id, network_interfaces.c.interface).where(
        network_interfaces.c.gateway_id == gateway_id, network_interfaces.c.network_id.in_(list(network_ids))
    )
    return {row.network_id: row.interface for row in tx.execute(statement)} if network_ids else {}
