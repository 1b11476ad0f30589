"""Rows of usage: batches as they came, and blocks of points. All in transactions of `usage_read` and `usage_write`."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update

from opencen.domain.usage import BASE, BILLED, HOURS, LAYERS, MINUTES, Layer, Points, pack, unpack
from opencen.store.database import Transaction
from opencen.store.upsert import insert_all_new, insert_new, upsert
from opencen.store.usage_schema import (
    usage_batches,
    usage_blocks,
    usage_clocks,
    usage_months,
    usage_progress,
    usage_rosters,
    usage_series,
)

_CODES = {BASE.step_s: 0, MINUTES.step_s: 1, BILLED.step_s: 2, HOURS.step_s: 3}
_SERIES_SHIFT, _CODE_SHIFT = 24, 21
_SOME = 900
"""Values in one IN: SQLite takes at least 999 variables."""


@dataclass(frozen=True, slots=True)
class Series:
    """A direction: what `from_region_id` sends to `to_region_id`."""

    id: int
    account_id: str
    cen_id: str
    from_region_id: str
    to_region_id: str

    @property
    def pair(self) -> tuple[str, str]:
        """The regions, sorted."""
        return min(self.from_region_id, self.to_region_id), max(self.from_region_id, self.to_region_id)


@dataclass(frozen=True, slots=True)
class Batch:
    """Ticks of the series of a roster: (end, seconds) each, on our clock; `body` as `tick_columns` reads it."""

    id: int
    gateway_id: str
    roster_id: int
    ticks: tuple[tuple[int, int], ...]
    body: bytes


def chunks(values: Sequence[Any], size: int = _SOME) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


# series and rosters


def find_series(tx: Transaction, cen_id: str, region_a_id: str, region_b_id: str) -> dict[str, Series]:
    """Both directions of a pair, by the sending region; a direction of which nothing was metered is missing."""
    regions = (region_a_id, region_b_id)
    statement = select(usage_series).where(
        usage_series.c.cen_id == cen_id,
        usage_series.c.from_region_id.in_(regions),
        usage_series.c.to_region_id.in_(regions),
    )
    return {row.from_region_id: Series(**row._mapping) for row in tx.execute(statement)}


def series_of_account(tx: Transaction, account_id: str | None) -> list[Series]:
    """All series of an account; None: of all accounts."""
    statement = select(usage_series).order_by(usage_series.c.id)
    if account_id is not None:
        statement = statement.where(usage_series.c.account_id == account_id)
    return [Series(**row._mapping) for row in tx.execute(statement)]


def series_of_instances(tx: Transaction, cen_ids: Sequence[str]) -> list[Series]:
    found = []
    for some in chunks(sorted(set(cen_ids))):
        statement = select(usage_series).where(usage_series.c.cen_id.in_(some)).order_by(usage_series.c.id)
        found += [Series(**row._mapping) for row in tx.execute(statement)]
    return found


def series_ids(tx: Transaction) -> list[int]:
    return list(tx.execute(select(usage_series.c.id).order_by(usage_series.c.id)).scalars())


def ensure_series(tx: Transaction, wanted: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], int]:
    """The ids of these directions (account_id, cen_id, from_region_id, to_region_id), made where they are new."""
    cen_ids = [row["cen_id"] for row in wanted]
    known = {(s.cen_id, s.from_region_id, s.to_region_id): s.id for s in series_of_instances(tx, cen_ids)}
    new = [row for row in wanted if (row["cen_id"], row["from_region_id"], row["to_region_id"]) not in known]
    if new:
        insert_all_new(tx, usage_series, new)
        fresh = series_of_instances(tx, [row["cen_id"] for row in new])
        known |= {(s.cen_id, s.from_region_id, s.to_region_id): s.id for s in fresh}
    return known


def find_roster(tx: Transaction, gateway_id: str, sha256: str) -> tuple[int, int] | None:
    """A roster's id and how many links it has."""
    row = tx.execute(
        select(usage_rosters.c.id, func.length(usage_rosters.c.series_ids)).where(
            usage_rosters.c.gateway_id == gateway_id, usage_rosters.c.sha256 == sha256
        )
    ).first()
    return None if row is None else (row[0], row[1] // 8)


def add_roster(
    tx: Transaction, gateway_id: str, sha256: str, region_id: str, ids: Sequence[int], now_s: int
) -> tuple[int, int]:
    row = {
        "gateway_id": gateway_id,
        "sha256": sha256,
        "region_id": region_id,
        "series_ids": array("q", ids).tobytes(),
        "used_s": now_s,
    }
    insert_new(tx, usage_rosters, row)
    found = find_roster(tx, gateway_id, sha256)
    assert found is not None
    return found


def roster(tx: Transaction, roster_id: int) -> list[int]:
    """The series of a roster, 0 for one that is not kept."""
    body = tx.execute(select(usage_rosters.c.series_ids).where(usage_rosters.c.id == roster_id)).scalar()
    return array("q", body or b"").tolist()


# batches


def clock(tx: Transaction, gateway_id: str, boot_id: str) -> tuple[int, list[float]] | None:
    """What we last knew of a gateway's boot clock: what it is behind ours, and the latest differences."""
    row = tx.execute(
        select(usage_clocks.c.offset_s, usage_clocks.c.samples).where(
            usage_clocks.c.gateway_id == gateway_id, usage_clocks.c.boot_id == boot_id
        )
    ).first()
    return None if row is None else (row.offset_s, json.loads(row.samples))


def set_clock(
    tx: Transaction, gateway_id: str, boot_id: str, offset_s: int, samples: Sequence[float], now_s: int
) -> None:
    row = {
        "gateway_id": gateway_id,
        "boot_id": boot_id,
        "offset_s": offset_s,
        "samples": json.dumps(list(samples)),
        "used_s": now_s,
    }
    upsert(tx, usage_clocks, [row])


def add_batch(
    tx: Transaction,
    *,
    gateway_id: str,
    region_id: str,
    spool_id: str,
    sequence: int,
    roster_id: int,
    ticks: Sequence[tuple[int, int]],
    body: bytes,
) -> bool:
    """Keep what a gateway sent; False when it came before."""
    row = {
        "gateway_id": gateway_id,
        "spool_id": spool_id,
        "sequence": sequence,
        "region_id": region_id,
        "roster_id": roster_id,
        "first_s": min((end - lasted for end, lasted in ticks), default=0),
        "last_s": max((end for end, _ in ticks), default=0),
        "ticks": json.dumps(list(ticks), separators=(",", ":")),
        "body": body,
        "rolled": not ticks,
    }
    return insert_new(tx, usage_batches, row)


_BATCH = select(
    usage_batches.c.id,
    usage_batches.c.gateway_id,
    usage_batches.c.roster_id,
    usage_batches.c.ticks,
    usage_batches.c.body,
)


def _batch(row: Any) -> Batch:
    ticks = tuple((end, lasted) for end, lasted in json.loads(row.ticks))
    return Batch(row.id, row.gateway_id, row.roster_id, ticks, row.body)


def _batches(tx: Transaction, statement: Select[Any]) -> Iterator[Batch]:
    for row in tx.execute(statement):
        if row.body:
            yield _batch(row)


def batches_between(
    tx: Transaction, from_s: int, to_s: int, *, region_ids: Sequence[str] | None = None, rolled: bool | None = None
) -> Iterator[Batch]:
    """What came with something of [from_s, to_s), from gateways of these regions."""
    statement = _BATCH.where(usage_batches.c.last_s > from_s, usage_batches.c.first_s < to_s)
    if region_ids is not None:
        statement = statement.where(usage_batches.c.region_id.in_(region_ids))
    if rolled is not None:
        statement = statement.where(usage_batches.c.rolled.is_(rolled))
    return _batches(tx, statement.order_by(usage_batches.c.id))


def gateways_with_news(tx: Transaction) -> list[str]:
    """Gateways with batches that no block has yet."""
    statement = select(usage_batches.c.gateway_id).where(usage_batches.c.rolled.is_(False)).distinct()
    return sorted(tx.execute(statement).scalars())


def news_of(tx: Transaction, gateway_id: str, at_most: int) -> list[Batch]:
    """A gateway's oldest batches that no block has yet."""
    statement = _BATCH.where(usage_batches.c.rolled.is_(False), usage_batches.c.gateway_id == gateway_id)
    return list(_batches(tx, statement.order_by(usage_batches.c.id).limit(at_most)))


def set_rolled(tx: Transaction, batch_ids: Sequence[int]) -> None:
    for some in chunks(batch_ids):
        tx.execute(update(usage_batches).where(usage_batches.c.id.in_(some)).values(rolled=True))


# blocks


def block_key(series_id: int, layer: Layer, at_s: int) -> int:
    """Series, layer and number of the block that holds `at_s`, in one number that sorts so."""
    return (series_id << _SERIES_SHIFT) | (_CODES[layer.step_s] << _CODE_SHIFT) | (at_s // layer.block_s)


def _start_s(key: int, layer: Layer) -> int:
    return (key & ((1 << _CODE_SHIFT) - 1)) * layer.block_s


_FIND_BLOCKS = select(usage_blocks.c.key, usage_blocks.c.body).where(
    usage_blocks.c.key >= bindparam("first"), usage_blocks.c.key <= bindparam("last")
)


def blocks(tx: Transaction, series_id: int, layer: Layer, from_s: int, to_s: int) -> list[Points]:
    """The blocks of a series that hold something of [from_s, to_s), in their order."""
    keys = {"first": block_key(series_id, layer, from_s), "last": block_key(series_id, layer, to_s - 1)}
    return [unpack(_start_s(key, layer), layer, body) for key, body in tx.execute(_FIND_BLOCKS, keys)]


def points(tx: Transaction, series_id: int, layer: Layer, from_s: int, to_s: int) -> Points:
    """Points of [from_s, to_s), which are multiples of the layer's step, as the blocks have them."""
    found = Points.none(from_s, layer.step_s, (to_s - from_s) // layer.step_s)
    for block in blocks(tx, series_id, layer, from_s, to_s):
        found.add(block)
    return found


def blocks_at(tx: Transaction, ids: Sequence[int], layer: Layer, at_s: int) -> dict[int, Points]:
    """The block that holds `at_s`, of each of these series that has one."""
    start_s = at_s - at_s % layer.block_s
    found = {}
    for some in chunks(ids):
        keys = [block_key(series_id, layer, at_s) for series_id in some]
        statement = select(usage_blocks.c.key, usage_blocks.c.body).where(usage_blocks.c.key.in_(keys))
        for key, body in tx.execute(statement):
            found[key >> _SERIES_SHIFT] = unpack(start_s, layer, body)
    return found


def packed(layer: Layer, of_series: Mapping[int, Points]) -> list[dict[str, Any]]:
    """Whole blocks as `put_blocks` takes them; made before the transaction, for it takes time."""
    return [
        {"key": block_key(series_id, layer, block.start_s), "body": pack(block)}
        for series_id, block in of_series.items()
    ]


def put_blocks(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Write whole blocks, over what was there."""
    if rows:
        upsert(tx, usage_blocks, rows)


def progress(tx: Transaction, name: str) -> int:
    return tx.execute(select(usage_progress.c.value).where(usage_progress.c.name == name)).scalar() or 0


def set_progress(tx: Transaction, name: str, value: int) -> None:
    upsert(tx, usage_progress, [{"name": name, "value": value}])


# expiry


def empty_batches(tx: Transaction, before_s: int) -> None:
    """Let go of what batches carried that are in blocks and ended before; that they came stays known."""
    old = (usage_batches.c.last_s < before_s, usage_batches.c.rolled.is_(True), usage_batches.c.body.is_not(None))
    tx.execute(update(usage_batches).where(*old).values(body=None))


def forget_batches(tx: Transaction, before_s: int) -> None:
    """Forget that batches came which ended before, and what only they needed."""
    tx.execute(delete(usage_batches).where(usage_batches.c.last_s < before_s, usage_batches.c.rolled.is_(True)))
    used = select(usage_batches.c.roster_id)
    tx.execute(delete(usage_rosters).where(usage_rosters.c.used_s < before_s, usage_rosters.c.id.not_in(used)))
    tx.execute(delete(usage_clocks).where(usage_clocks.c.used_s < before_s))


_FORGET_BLOCKS = delete(usage_blocks).where(
    usage_blocks.c.key >= bindparam("first"), usage_blocks.c.key < bindparam("past")
)


def forget_blocks(tx: Transaction, ids: Iterable[int], now_s: int) -> None:
    """Remove the blocks of these series that ended longer ago than their layer is kept."""
    rows = [
        {"first": block_key(series_id, layer, 0), "past": block_key(series_id, layer, now_s - layer.kept_s)}
        for series_id in ids
        for layer in LAYERS
    ]
    if rows:
        tx.execute(_FORGET_BLOCKS, rows)


def forget_empty_series(tx: Transaction) -> None:
    """Remove series that have no block and no roster any more."""
    listed = {i for body in tx.execute(select(usage_rosters.c.series_ids)).scalars() for i in array("q", body)}
    for series_id in series_ids(tx):
        if series_id in listed:
            continue
        first = {"first": series_id << _SERIES_SHIFT, "last": ((series_id + 1) << _SERIES_SHIFT) - 1}
        if tx.execute(_FIND_BLOCKS.limit(1), first).first() is None:
            tx.execute(delete(usage_series).where(usage_series.c.id == series_id))


# months


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A monthly 95th percentile; `kind` is connection or package."""

    month: str
    kind: str
    id: str
    account_id: str
    a_to_b_bps: int
    b_to_a_bps: int
    sent_bytes: int


def months(tx: Transaction, month: str, account_id: str | None) -> list[MonthRow]:
    """Final percentiles of a month, of one account or of all."""
    statement = select(usage_months).where(usage_months.c.month == month)
    if account_id is not None:
        statement = statement.where(usage_months.c.account_id == account_id)
    return [MonthRow(**row._mapping) for row in tx.execute(statement.order_by(usage_months.c.kind, usage_months.c.id))]


def put_months(tx: Transaction, rows: Sequence[MonthRow]) -> None:
    columns = [column.name for column in usage_months.c]
    if rows:
        upsert(tx, usage_months, [{name: getattr(row, name) for name in columns} for row in rows])


def forget_months(tx: Transaction, before: str) -> None:
    tx.execute(delete(usage_months).where(usage_months.c.month < before))


def summary(tx: Transaction) -> tuple[int, int]:
    """Series, and batches that no block has yet: for /metrics."""
    series = tx.execute(select(func.count()).select_from(usage_series)).scalar_one()
    waiting = select(func.count()).select_from(usage_batches).where(usage_batches.c.rolled.is_(False))
    return series, tx.execute(waiting).scalar_one()
