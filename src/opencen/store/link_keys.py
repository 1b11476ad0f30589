"""Rows of what is chosen for links and pairs of areas, and of the keys of encrypted links.

Private keys are never here; pre-shared keys are, sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select, tuple_

from opencen.domain.encryption import Encryption
from opencen.domain.rotation import KeySide, LinkKeys, PublicKey
from opencen.store.database import Transaction
from opencen.store.gateway_schema import area_encryptions, link_encryptions, link_key_sides, link_keys
from opencen.store.links import Key
from opencen.store.upsert import upsert


@dataclass(frozen=True)
class KeyRow:
    """The keys of a link; `sealed` are its pre-shared keys by id."""

    key: Key
    keys: LinkKeys
    sealed: Mapping[int, bytes]
    keys_made_at: datetime
    preshared_key_made_at: datetime


def of_areas(tx: Transaction) -> dict[tuple[str, str], Encryption]:
    rows = tx.execute(select(area_encryptions).order_by(area_encryptions.c.area_a_id, area_encryptions.c.area_b_id))
    return {(row.area_a_id, row.area_b_id): Encryption(row.encryption) for row in rows}


def choose_for_areas(tx: Transaction, areas: tuple[str, str], encryption: Encryption) -> None:
    row = {"area_a_id": areas[0], "area_b_id": areas[1], "encryption": encryption.value}
    upsert(tx, area_encryptions, [row])


def forget_areas(tx: Transaction, areas: tuple[str, str]) -> None:
    this = and_(area_encryptions.c.area_a_id == areas[0], area_encryptions.c.area_b_id == areas[1])
    tx.execute(delete(area_encryptions).where(this))


def of_links(tx: Transaction, cen_ids: Sequence[str]) -> dict[Key, Encryption]:
    """What is chosen for single links of these instances."""
    rows = tx.execute(select(link_encryptions).where(link_encryptions.c.cen_id.in_(list(cen_ids))))
    return {(row.cen_id, row.region_a_id, row.region_b_id): Encryption(row.encryption) for row in rows}


def choose_for_link(tx: Transaction, key: Key, encryption: Encryption) -> None:
    upsert(tx, link_encryptions, [{**_columns(key), "encryption": encryption.value}])


def forget_link(tx: Transaction, key: Key) -> None:
    identity = tuple_(link_encryptions.c.cen_id, link_encryptions.c.region_a_id, link_encryptions.c.region_b_id)
    tx.execute(delete(link_encryptions).where(identity.in_([key])))


def _columns(key: Key) -> dict[str, Any]:
    return {"cen_id": key[0], "region_a_id": key[1], "region_b_id": key[2]}


def _key_row(row: Any) -> KeyRow:
    sealed = {item["id"]: bytes.fromhex(item["sealed"]) for item in row.preshared_keys}
    return KeyRow(
        (row.cen_id, row.region_a_id, row.region_b_id),
        LinkKeys(tuple(row.generations), tuple(sealed)),
        sealed,
        row.keys_made_at,
        row.preshared_key_made_at,
    )


def of_instances(tx: Transaction, cen_ids: Sequence[str]) -> dict[Key, KeyRow]:
    rows = map(_key_row, tx.execute(select(link_keys).where(link_keys.c.cen_id.in_(list(cen_ids)))))
    return {row.key: row for row in rows}


def due(tx: Transaction, keys_made_before: datetime, preshared_key_made_before: datetime, limit: int) -> list[KeyRow]:
    """Links with a key that is too old, the oldest first."""
    statement = select(link_keys).where(
        (link_keys.c.keys_made_at <= keys_made_before)
        | (link_keys.c.preshared_key_made_at <= preshared_key_made_before)
    )
    return [_key_row(row) for row in tx.execute(statement.order_by(link_keys.c.preshared_key_made_at).limit(limit))]


def save(tx: Transaction, row: KeyRow) -> None:
    preshared_keys = [{"id": number, "sealed": row.sealed[number].hex()} for number in row.keys.preshared_key_ids]
    values = {
        **_columns(row.key),
        "generations": list(row.keys.generations),
        "preshared_keys": preshared_keys,
        "keys_made_at": row.keys_made_at,
        "preshared_key_made_at": row.preshared_key_made_at,
    }
    upsert(tx, link_keys, [values])


def sides_of(tx: Transaction, cen_ids: Sequence[str]) -> dict[Key, dict[str, KeySide]]:
    """What gateways have said of the keys of these instances' links, by link and gateway."""
    sides: dict[Key, dict[str, KeySide]] = {}
    for row in tx.execute(select(link_key_sides).where(link_key_sides.c.cen_id.in_(list(cen_ids)))):
        side = KeySide(
            {item["generation"]: PublicKey(item["key"], item["port"]) for item in row.public_keys},
            row.sends_generation,
            tuple(row.held_preshared_key_ids),
            tuple(row.used_preshared_key_ids),
        )
        sides.setdefault((row.cen_id, row.region_a_id, row.region_b_id), {})[row.gateway_id] = side
    return sides


def save_side(tx: Transaction, key: Key, gateway_id: str, side: KeySide) -> None:
    public_keys = [
        {"generation": generation, "key": public.key, "port": public.port}
        for generation, public in sorted(side.public_keys.items())
    ]
    values = {
        **_columns(key),
        "gateway_id": gateway_id,
        "public_keys": public_keys,
        "sends_generation": side.sends_generation,
        "held_preshared_key_ids": sorted(side.held_preshared_key_ids),
        "used_preshared_key_ids": sorted(side.used_preshared_key_ids),
    }
    upsert(tx, link_key_sides, [values])


def forget_gateway(tx: Transaction, gateway_id: str) -> None:
    tx.execute(delete(link_key_sides).where(link_key_sides.c.gateway_id == gateway_id))
