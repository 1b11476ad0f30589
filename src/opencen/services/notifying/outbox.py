"""The messages on their way. They are rows, so that a server that is stopped or killed loses none of them.

A message may arrive twice: when the server ends between sending it and writing that down. Its number, which goes along,
says so. Messages of one alarm to one place keep their order.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from opencen.domain.alarms import Channel, ChannelKind, Delivery, next_attempt_at
from opencen.services.context import Context
from opencen.services.notifying.senders import SendError, send_command, send_mail, send_webhook
from opencen.store import alarm_deliveries as rows

KEEP = timedelta(days=14)
_AT_ONCE = 64
_SIDE_BY_SIDE = 16
_MOST_ERROR = 500
_log = structlog.get_logger()


def deliver(context: Context) -> None:
    """Send what is due, and note how it went. The duty of one server process."""
    now = context.clock()
    with context.database.read() as tx:
        due = rows.due(tx, now, _AT_ONCE)
    if due:
        asyncio.run(_send_all(context, due))


def forget_old(context: Context) -> None:
    """Drop messages that ended two weeks ago."""
    with context.database.write() as tx:
        rows.forget(tx, context.clock() - KEEP)


def count_waiting(context: Context) -> int:
    """Messages of all accounts that are on their way."""
    with context.database.read() as tx:
        return rows.count_waiting(tx)


async def _send_all(context: Context, due: list[tuple[Delivery, Channel | None]]) -> None:
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(delivery: Delivery, channel: Channel | None) -> None:
        async with room:
            try:
                await _send(context, delivery, channel)
            except SendError as error:
                await asyncio.to_thread(_note, context, delivery, str(error)[:_MOST_ERROR])
            except Exception:
                _log.exception("a message could not be sent", delivery=delivery.id)
                await asyncio.to_thread(_note, context, delivery, "the server failed; its log says why")
            else:
                await asyncio.to_thread(_note, context, delivery, None)

    await asyncio.gather(*(one(delivery, channel) for delivery, channel in due))


async def _send(context: Context, delivery: Delivery, channel: Channel | None) -> None:
    settings = context.notifying
    if delivery.channel_id is None:
        if settings.command is None:
            raise SendError("the server has no command configured any more")
        await asyncio.to_thread(send_command, settings.command, delivery.id, delivery.message)
    elif channel is None:
        raise SendError("the channel is gone")
    elif channel.kind is ChannelKind.EMAIL:
        if settings.smtp is None:
            raise SendError("the server has no mail server configured")
        await asyncio.to_thread(send_mail, settings.smtp, channel.recipients, delivery.id, delivery.message)
    else:
        secret = context.vault.open(channel.secret_sealed or b"", channel.id)
        await send_webhook(channel.url or "", secret, delivery.id, delivery.message, settings.webhook_networks)


def _note(context: Context, delivery: Delivery, error: str | None) -> None:
    now = context.clock()
    attempts = delivery.attempts + 1
    again_at = None if error is None else next_attempt_at(attempts, delivery.created_at, now)
    if error is not None:
        _log.warning(
            "a message did not arrive", delivery=delivery.id, attempts=attempts, error=error, again_at=again_at
        )
    with context.database.write() as tx:
        rows.note_attempt(
            tx,
            delivery.id,
            attempts=attempts,
            next_attempt_at=again_at,
            delivered_at=now if error is None else None,
            error=error,
        )
