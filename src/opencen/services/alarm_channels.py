"""Where an account's alarms are told: webhooks and mail. The server's own command is not an account's."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from opencen.domain.alarms import Channel, ChannelKind, Delivery, Event
from opencen.domain.errors import ConflictError, InvalidValueError, NotFoundError
from opencen.domain.ids import new_id
from opencen.domain.names import checked_name
from opencen.domain.nouns import Actor
from opencen.services.context import Context, Work
from opencen.services.notifying.addresses import checked_url, literal_refusal
from opencen.services.notifying.settings import is_mail_address
from opencen.store import alarm_deliveries as rows
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page

MAX_CHANNELS = 100
MAX_RECIPIENTS = 20


def search(context: Context, actor: Actor, page: Page) -> Listing[Channel]:
    with context.database.read() as tx:
        return rows.search_channels(tx, actor.account_id, page)


def get(context: Context, actor: Actor, channel_id: str) -> Channel:
    """Raises NotFoundError."""
    with context.database.read() as tx:
        return require(tx, actor, channel_id)


def require(tx: Transaction, actor: Actor, channel_id: str) -> Channel:
    """Raises NotFoundError."""
    found = rows.find_channel(tx, actor.account_id, channel_id)
    if found is None:
        raise NotFoundError("alarm channel", channel_id, field="channel_id")
    return found


def add_webhook(context: Context, actor: Actor, *, name: str, url: str) -> tuple[Channel, str]:
    """A webhook, and the secret with which its messages are signed: shown this once. Raises InvalidValueError."""
    channel_id = new_id("ach")
    secret = secrets.token_urlsafe(32)
    with context.change(actor, "alarm_channel.add", channel_id) as work:
        refusal = literal_refusal(checked_url(url), context.notifying.webhook_networks)
        if refusal:
            raise InvalidValueError(refusal, field="url", value=url)
        channel = _add(
            work, actor, channel_id, name, ChannelKind.WEBHOOK, url, (), context.vault.seal(secret, channel_id)
        )
    return channel, secret


def add_email(context: Context, actor: Actor, *, name: str, recipients: Sequence[str]) -> Channel:
    """Mail to these addresses. Raises InvalidValueError, and ConflictError when the server cannot send mail."""
    channel_id = new_id("ach")
    with context.change(actor, "alarm_channel.add", channel_id) as work:
        if context.notifying.smtp is None:
            raise ConflictError("this server sends no mail: its operator has to give it [smtp] in --alarms-config")
        if not 1 <= len(recipients) <= MAX_RECIPIENTS:
            raise InvalidValueError(
                f"mail goes to 1 to {MAX_RECIPIENTS} addresses, not {len(recipients)}",
                field="recipients",
                value=len(recipients),
            )
        for text in recipients:
            if not is_mail_address(text):
                raise InvalidValueError(f"{text!r} is no mail address", field="recipients", value=text)
        return _add(work, actor, channel_id, name, ChannelKind.EMAIL, None, tuple(recipients), None)


def _add(
    work: Work,
    actor: Actor,
    channel_id: str,
    name: str,
    kind: ChannelKind,
    url: str | None,
    recipients: tuple[str, ...],
    secret_sealed: bytes | None,
) -> Channel:
    work.revision()
    if rows.count_channels(work.tx, actor.account_id) >= MAX_CHANNELS:
        raise ConflictError(f"an account has at most {MAX_CHANNELS} alarm channels", most=MAX_CHANNELS)
    channel = Channel(channel_id, actor.account_id, checked_name(name), kind, url, recipients, work.now, secret_sealed)
    rows.add_channel(work.tx, channel)
    work.tell(None, replace(channel, secret_sealed=None))
    return channel


def remove(context: Context, actor: Actor, channel_id: str) -> None:
    """A channel, out of every rule; what was on its way there is dropped."""
    with context.change(actor, "alarm_channel.remove", channel_id) as work:
        work.revision()
        before = require(work.tx, actor, channel_id)
        rows.remove_channel(work.tx, channel_id)
        work.tell(replace(before, secret_sealed=None), None)


def send_test(context: Context, actor: Actor, channel_id: str) -> None:
    """Queue a message that says that messages arrive. Raises ConflictError while an earlier one is on its way."""
    with context.change(actor, "alarm_channel.test", channel_id) as work:
        work.revision()
        channel = require(work.tx, actor, channel_id)
        if rows.waiting_tests(work.tx, channel_id):
            raise ConflictError(f"a test message to {channel_id} is still on its way", channel_id=channel_id)
        text = (
            f"A test of the channel {channel.name or channel.id}, asked for by {actor.username}: messages arrive here."
        )
        message: dict[str, object] = {
            "event": Event.TEST.value,
            "account_id": actor.account_id,
            "subject": "[OpenCEN] test message",
            "text": text,
            "link": None,
            "alarm": None,
        }
        rows.add(work.tx, actor.account_id, channel_id, None, Event.TEST, message, work.now)


def deliveries(context: Context, actor: Actor, page: Page, *, channel_id: str | None = None) -> Listing[Delivery]:
    """Messages of the last two weeks, the newest first."""
    with context.database.read() as tx:
        if channel_id is not None:
            require(tx, actor, channel_id)
        return rows.search(tx, actor.account_id, page, channel_id=channel_id)
