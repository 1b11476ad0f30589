"""What is said of an alarm, put on its way in the transaction that decides to say it."""

from __future__ import annotations

from dataclasses import replace

from opencen.domain.alarms import Alarm, Event, Kind, Rule, State, to_tell
from opencen.services.alarm_subjects import Subject, describe
from opencen.services.context import Context, Work, plain
from opencen.store import alarm_deliveries, alarms


def tell(context: Context, work: Work, rule: Rule, alarm: Alarm) -> Alarm:
    """Put on its way what is to be told of `alarm` now, if anything; keep the alarm, and return it as it then is."""
    event = to_tell(alarm, rule.remind_every_s, work.now)
    if event is not None:
        subject = describe(work.tx, rule.account_id, rule.kind, alarm.subject)
        _queue(context, work, rule, alarm, event, message_of(context, rule, alarm, subject, event))
        alarm = replace(alarm, told=alarm.state, told_at=work.now)
    alarms.save(work.tx, alarm)
    return alarm


def end(context: Context, work: Work, rule: Rule, alarm: Alarm, why: str) -> None:
    """Say that an alarm that was told is none any more, because what it was about is gone."""
    subject = describe(work.tx, rule.account_id, rule.kind, alarm.subject)
    cleared = replace(alarm, state=State.CLEAR, changed_at=work.now)
    message = message_of(context, rule, cleared, subject, Event.CLEARED, why=why)
    _queue(context, work, rule, alarm, Event.CLEARED, message)


def _queue(context: Context, work: Work, rule: Rule, alarm: Alarm, event: Event, message: dict[str, object]) -> None:
    places: list[str | None] = list(rule.channel_ids)
    if context.notifying.command is not None:
        places.append(None)
    for place in places:
        alarm_deliveries.add(work.tx, rule.account_id, place, alarm.id, event, message, work.now)


def message_of(
    context: Context, rule: Rule, alarm: Alarm, subject: Subject, event: Event, *, why: str | None = None
) -> dict[str, object]:
    """`subject` and `text` for people, the rest for programs."""
    what = finding(rule, alarm.value, subject)
    word = {Event.RAISED: "raised", Event.REMINDER: "still raised", Event.CLEARED: "cleared"}[event]
    headline = (
        f"{subject.label}: {what}" if event is not Event.CLEARED else f"{subject.label}: {rule.name or rule.kind}"
    )
    sentences = [f"Alarm {word}: {headline}"]
    if why is not None:
        sentences.append(why[0].upper() + why[1:])
    if event is not Event.CLEARED and subject.advice is not None:
        sentences.append(subject.advice.sentence[0].upper() + subject.advice.sentence[1:])
    base = context.notifying.console_url
    return {
        "event": event.value,
        "account_id": rule.account_id,
        "subject": f"[OpenCEN] {word}: {subject.label}: {rule.name or rule.kind}",
        "text": ". ".join(sentences) + ("" if sentences[-1].endswith("?") else "."),
        "link": f"{base}/alarms" if base else None,
        "alarm": {
            "id": alarm.id,
            "state": alarm.state.value,
            "kind": rule.kind.value,
            "subject": alarm.subject,
            "subject_label": subject.label,
            "value": alarm.value,
            "changed_at": alarm.changed_at.isoformat(),
            "rule_id": rule.id,
            "rule_name": rule.name,
            **plain(rule.condition),
        },
        "suggestion": plain(subject.advice.raise_to) if subject.advice and event is not Event.CLEARED else None,
    }


def finding(rule: Rule, value: float, subject: Subject) -> str:
    """What was found, with its number and the threshold that it reached."""
    threshold = f"{rule.condition.raise_at:g}"
    lasting = f" for {rule.condition.raise_for_s} s" if rule.condition.raise_for_s else ""
    match rule.kind:
        case Kind.CONNECTION_USE | Kind.PACKAGE_USE:
            of = f" of {subject.limit_mbps} Mbit/s" if subject.limit_mbps else ""
            return f"{value:.0f} %{of} in use (alarm from {threshold} %{lasting})"
        case Kind.PACKAGE_EXPIRY:
            return f"expires in {value:.1f} days (alarm from {threshold})" if value > 0 else "has expired"
        case Kind.CONNECTION_DROPS:
            return f"{value:.0f} packets a minute dropped by the limit (alarm from {threshold}{lasting})"
        case Kind.GATEWAY_GONE:
            return f"not heard from for {value:.0f} s (alarm from {threshold} s)"
        case Kind.GATEWAY_DRIFT:
            return f"{value:.0f} differences in its kernel repaired that nobody had ordered (alarm from {threshold})"
