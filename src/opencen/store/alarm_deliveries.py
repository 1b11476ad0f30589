"""Rows of where alarms are told, and of the messages on their way there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from opencen.domain.alarms import Channel, ChannelKind, Delivery, Event
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.schema import alarm_channels as channels
from opencen.store.schema import alarm_deliveries as deliveries


def _channel(row: Any) -> Channel:
    return Channel(**dict(row._mapping) | {"kind": ChannelKind(row.kind), "recipients": tuple(row.recipients)})


def add_channel(tx: Transaction, channel: Channel) -> None:
    tx.execute(
        insert(channels).values(
            id=channel.id,
            account_id=channel.account_id,
            name=channel.name,
            kind=channel.kind.value,
            url=channel.url,
            recipients=list(channel.recipients),
            secret_sealed=channel.secret_sealed,
            created_at=channel.created_at,
        )
    )


def find_channel(tx: Transaction, account_id: str, channel_id: str) -> Channel | None:
    row = tx.execute(select(channels).where(channels.c.id == channel_id, channels.c.account_id == account_id)).first()
    return None if row is None else _channel(row)


def search_channels(tx: Transaction, account_id: str, page: Page) -> Listing[Channel]:
    statement = select(channels).where(channels.c.account_id == account_id)
    rows, total = fetch_page(tx, statement, page, (channels.c.created_at, channels.c.id))
    return Listing(tuple(map(_channel, rows)), total)


def count_channels(tx: Transaction, account_id: str) -> int:
    statement = select(func.count()).select_from(channels).where(channels.c.account_id == account_id)
    return int(tx.execute(statement).scalar_one())


def remove_channel(tx: Transaction, channel_id: str) -> None:
    """A channel, with what was on its way there."""
    tx.execute(delete(channels).where(channels.c.id == channel_id))


def _delivery(row: Any) -> Delivery:
    return Delivery(**dict(row._mapping) | {"event": Event(row.event)})


def add(
    tx: Transaction,
    account_id: str,
    channel_id: str | None,
    alarm_id: str | None,
    event: Event,
    message: dict[str, object],
    now: datetime,
) -> None:
    """A message that is to be sent at once."""
    tx.execute(
        insert(deliveries).values(
            account_id=account_id,
            channel_id=channel_id,
            alarm_id=alarm_id,
            event=event.value,
            message=message,
            created_at=now,
            next_attempt_at=now,
            attempts=0,
        )
    )


def due(tx: Transaction, now: datetime, limit: int) -> list[tuple[Delivery, Channel | None]]:
    """Messages whose time has come, the oldest first; never one of an alarm whose earlier one waits for that place."""
    earlier = deliveries.alias("earlier")
    waits = (
        select(earlier.c.id)
        .where(
            earlier.c.next_attempt_at.is_not(None),
            earlier.c.id < deliveries.c.id,
            earlier.c.alarm_id == deliveries.c.alarm_id,
            earlier.c.channel_id.is_not_distinct_from(deliveries.c.channel_id),
        )
        .exists()
    )
    statement = (
        select(deliveries).where(deliveries.c.next_attempt_at <= now, ~waits).order_by(deliveries.c.id).limit(limit)
    )
    found = [_delivery(row) for row in tx.execute(statement)]
    wanted = {delivery.channel_id for delivery in found if delivery.channel_id}
    rows = tx.execute(select(channels).where(channels.c.id.in_(sorted(wanted)))) if wanted else ()
    known = {row.id: _channel(row) for row in rows}
    return [(delivery, known.get(delivery.channel_id or "")) for delivery in found]


def note_attempt(
    tx: Transaction,
    delivery_id: int,
    *,
    attempts: int,
    next_attempt_at: datetime | None,
    delivered_at: datetime | None,
    error: str | None,
) -> None:
    tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(attempts=attempts, next_attempt_at=next_attempt_at, delivered_at=delivered_at, error=error)
    )


def search(tx: Transaction, account_id: str, page: Page, *, channel_id: str | None = None) -> Listing[Delivery]:
    """Messages of an account, the newest first; those to the server's own command are not the account's to see."""
    statement = select(deliveries).where(deliveries.c.account_id == account_id, deliveries.c.channel_id.is_not(None))
    if channel_id is not None:
        statement = statement.where(deliveries.c.channel_id == channel_id)
    rows, total = fetch_page(tx, statement, page, (deliveries.c.id.desc(),))
    return Listing(tuple(map(_delivery, rows)), total)


def waiting_tests(tx: Transaction, channel_id: str) -> int:
    """Test messages to a channel that are still on their way."""
    statement = (
        select(func.count())
        .select_from(deliveries)
        .where(
            deliveries.c.channel_id == channel_id,
            deliveries.c.event == Event.TEST.value,
            deliveries.c.next_attempt_at.is_not(None),
        )
    )
    return int(tx.execute(statement).scalar_one())


def forget(tx: Transaction, before: datetime) -> int:
    """Drop messages that ended before; how many."""
    statement = delete(deliveries).where(deliveries.c.next_attempt_at.is_(None), deliveries.c.created_at < before)
    return tx.execute(statement).rowcount


def count_waiting(tx: Transaction) -> int:
    """Messages of all accounts that are on their way."""
    statement = select(func.count()).select_from(deliveries).where(deliveries.c.next_attempt_at.is_not(None))
    return int(tx.execute(statement).scalar_one())
