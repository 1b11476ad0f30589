"""What gateways meter, as it comes: each batch is kept once, its times mapped to this server's clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opencen.domain.errors import InvalidValueError
from opencen.domain.usage import BASE_STEP_S, LATEST_S
from opencen.services.context import Context
from opencen.store import control, instances, usage
from opencen.store.database import Transaction
from opencen.store.gateways import GatewayRow

_SAMPLES: Final = 8
_TOLERANCE_S: Final = 0.75


@dataclass(frozen=True, slots=True)
class Clock:
    """A gateway's clocks when it sent something."""

    boot_id: str
    boot_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """What passed in the `for_s` seconds before `at_s` of the boot clock, a column a figure."""

    at_s: int
    for_s: int
    columns: tuple[bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Taken:
    """`wants_roster`: nothing was taken, the roster is not known. `offset_s`: what the boot clock is behind ours."""

    wants_roster: bool
    offset_s: int = 0
    new: bool = False
    too_old: int = 0
    """Ticks that were left out because they ended more than a day ago."""


def take(
    context: Context,
    gateway: GatewayRow,
    *,
    spool_id: str,
    sequence: int,
    clock: Clock,
    boot_id: str,
    boot_wall_s: float,
    roster_sha256: str,
    roster: Sequence[tuple[str, str]] | None,
    ticks: Sequence[Tick],
) -> Taken:
    """Keep a batch; it is on disk when this returns. `roster` is (instance, peer region) of each link.

    Raises InvalidValueError when the columns are not as long as the roster.
    """
    now_s = context.clock().timestamp()
    with context.database.usage_read() as tx:
        known = usage.find_roster(tx, gateway.id, roster_sha256)
    if known is None and roster is None:
        return Taken(wants_roster=True)
    accounts = _accounts(context, gateway, roster) if known is None and roster is not None else {}
    with context.database.usage_write() as tx:
        if known is None:
            assert roster is not None
            known = _add_roster(tx, gateway, roster_sha256, roster, accounts, int(now_s))
        roster_id, links = known
        _check_columns(ticks, links)
        offset_s = _offset_s(tx, gateway.id, clock, boot_id, boot_wall_s, now_s)
        mapped = [(tick.at_s + offset_s, tick) for tick in ticks]
        kept = [(end_s, tick) for end_s, tick in mapped if end_s > now_s - LATEST_S]
        new = usage.add_batch(
            tx,
            gateway_id=gateway.id,
            region_id=gateway.region_id,
            spool_id=spool_id,
            sequence=sequence,
            roster_id=roster_id,
            ticks=[(end_s, tick.for_s) for end_s, tick in kept],
            body=b"".join(column for _, tick in kept for column in tick.columns),
        )
    return Taken(wants_roster=False, offset_s=offset_s, new=new, too_old=len(mapped) - len(kept))


def align_s(offset_s: int) -> int:
    """What to add to a boot clock for its tens of seconds to be ours."""
    return offset_s % BASE_STEP_S


def _accounts(context: Context, gateway: GatewayRow, roster: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Whose the instances are that this gateway's region carries; what it says of others is not kept."""
    with context.database.read() as tx:
        carried = set(control.instances_of_region(tx, gateway.region_id))
        return instances.accounts_of(tx, sorted(carried.intersection(cen_id for cen_id, _ in roster)))


def _add_roster(
    tx: Transaction,
    gateway: GatewayRow,
    sha256: str,
    roster: Sequence[tuple[str, str]],
    accounts: dict[str, str],
    now_s: int,
) -> tuple[int, int]:
    """A link of an instance that is gone goes on in its region's series; one that never had a series is not kept."""
    region_id = gateway.region_id
    old = {
        series.cen_id: series.account_id
        for series in usage.series_of_instances(tx, [c for c, _ in roster])
        if series.from_region_id == region_id
    }
    owners = {**old, **accounts}
    wanted = [
        {
            "account_id": owners[cen_id],
            "cen_id": cen_id,
            "from_region_id": region_id,
            "to_region_id": peer_region_id,
        }
        for cen_id, peer_region_id in dict.fromkeys(roster)
        if cen_id in owners and peer_region_id != region_id
    ]
    ids = usage.ensure_series(tx, wanted)
    in_order = [ids.get((cen_id, region_id, peer_region_id), 0) for cen_id, peer_region_id in roster]
    return usage.add_roster(tx, gateway.id, sha256, region_id, in_order, now_s)


def _check_columns(ticks: Sequence[Tick], links: int) -> None:
    for tick in ticks:
        widths = (8, 4, 4, 4)
        if any(len(column) != links * width for column, width in zip(tick.columns, widths, strict=True)):
            raise InvalidValueError(
                f"a tick's columns must have {links} numbers each, as many as the roster has links", field="ticks"
            )


def _offset_s(tx: Transaction, gateway_id: str, clock: Clock, boot_id: str, boot_wall_s: float, now_s: float) -> int:
    """What the ticks' boot clock is behind ours, in whole seconds, the same for as long as it is about right.

    A message takes time, so the least of the latest differences is the best; one that was slow moves nothing.
    """
    known = usage.clock(tx, gateway_id, boot_id)
    if boot_id != clock.boot_id:
        return known[0] if known else round(boot_wall_s + now_s - clock.wall_s)
    samples = [*(known[1] if known else ()), now_s - clock.boot_s][-_SAMPLES:]
    offset_s, best = known[0] if known else round(min(samples)), min(samples)
    if abs(best - offset_s) > _TOLERANCE_S:
        offset_s = round(best)
    usage.set_clock(tx, gateway_id, boot_id, offset_s, samples, int(now_s))
    return offset_s


def watched_links(context: Context, region_id: str) -> list[tuple[str, str]]:
    """The links of a region, (instance, peer region), that somebody looks at now."""
    now = time.monotonic()
    return [
        (cen_id, b if a == region_id else a)
        for (cen_id, a, b), until_s in list(context.watched_connections.items())
        if until_s >= now and region_id in (a, b)
    ]
