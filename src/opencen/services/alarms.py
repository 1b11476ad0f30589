"""Alarms as people see them: what is raised, what could be done, who has taken it over, who wants quiet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from opencen.domain.alarms import MAX_SILENCE, Alarm, Kind, Rule, State, is_silenced
from opencen.domain.errors import ConflictError, InvalidValueError, NotFoundError
from opencen.domain.nouns import Actor
from opencen.services.alarm_subjects import Subject, describe
from opencen.services.alarm_telling import finding
from opencen.services.context import Context
from opencen.store import alarms as rows
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm with its rule and what it is about, as they are now."""

    alarm: Alarm
    rule: Rule
    subject: Subject
    finding: str
    silenced: bool


def search(
    context: Context, actor: Actor, page: Page, *, state: State | None = None, subject: str | None = None
) -> Listing[AlarmView]:
    """Alarms of the account, those that are raised first."""
    with context.database.read() as tx:
        found = rows.search(tx, actor.account_id, page, state=state, subject=subject)
        views = [view for alarm in found.items if (view := _view(context, tx, alarm)) is not None]
    return Listing(tuple(views), found.total)


def get(context: Context, actor: Actor, alarm_id: str) -> AlarmView:
    """Raises NotFoundError."""
    with context.database.read() as tx:
        found = rows.find(tx, actor.account_id, alarm_id)
        view = _view(context, tx, found) if found else None
    if view is None:
        raise NotFoundError("alarm", alarm_id, field="alarm_id")
    return view


def _view(context: Context, tx: Transaction, alarm: Alarm) -> AlarmView | None:
    rule = rows.find_rule(tx, alarm.account_id, alarm.rule_id)
    if rule is None:
        return None
    subject = describe(tx, alarm.account_id, rule.kind, alarm.subject)
    return AlarmView(alarm, rule, subject, finding(rule, alarm.value, subject), is_silenced(alarm, context.clock()))


def acknowledge(context: Context, actor: Actor, alarm_id: str) -> Alarm:
    """Somebody sees to it: no more reminders until it is raised again. Raises ConflictError when it is not raised."""

    def change(alarm: Alarm, now: datetime) -> Alarm:
        if alarm.state is not State.RAISED:
            raise ConflictError(f"alarm {alarm_id} is not raised: there is nothing to acknowledge", alarm_id=alarm_id)
        if alarm.acknowledged_at is not None:
            raise ConflictError(
                f"alarm {alarm_id} was acknowledged by {alarm.acknowledged_by} already",
                alarm_id=alarm_id,
                acknowledged_by=alarm.acknowledged_by,
            )
        return replace(alarm, acknowledged_by=actor.username, acknowledged_at=now)

    return _change(context, actor, "alarm.acknowledge", alarm_id, change)


def silence(context: Context, actor: Actor, alarm_id: str, until: datetime) -> Alarm:
    """Nobody is told of it until then; what is still so then is told then."""

    def change(alarm: Alarm, now: datetime) -> Alarm:
        if not now < until <= now + MAX_SILENCE:
            raise InvalidValueError(
                f"an alarm is silenced until a time within the next {MAX_SILENCE.days} days",
                field="until",
                value=until.isoformat(),
            )
        return replace(alarm, silenced_until=until)

    return _change(context, actor, "alarm.silence", alarm_id, change)


def unsilence(context: Context, actor: Actor, alarm_id: str) -> Alarm:
    """Tell of it again; what is not known yet is told at the next look."""
    return _change(context, actor, "alarm.unsilence", alarm_id, lambda alarm, _: replace(alarm, silenced_until=None))


def _change(
    context: Context, actor: Actor, action: str, alarm_id: str, change: Callable[[Alarm, datetime], Alarm]
) -> Alarm:
    with context.change(actor, action, alarm_id) as work:
        work.revision()
        before = rows.find(work.tx, actor.account_id, alarm_id, lock=True)
        if before is None:
            raise NotFoundError("alarm", alarm_id, field="alarm_id")
        after = replace(change(before, work.now), version=before.version + 1)
        rows.save(work.tx, after)
        work.tell(before, after)
    return after


def count_raised(context: Context, kind: Kind) -> int:
    """How many alarms of a kind are raised, over all accounts."""
    with context.database.read() as tx:
        return rows.count_raised(tx).get(kind.value, 0)
