"""Alarms: what is watched, who is told, what is raised."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from opencen.api.rest.answers import page_of, tagged
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf, SeenVersion
from opencen.domain.alarms import MEANINGS, Channel, Delivery, Kind, Rule, Scope, State, condition_of
from opencen.domain.errors import InvalidValueError
from opencen.services import alarm_channels, alarm_rules, alarms
from opencen.services.alarms import AlarmView
from opencen.wire import alarms as wire
from opencen.wire.rest import Page

router = APIRouter(tags=["alarms"])
_CONDITION = ("raise_at", "raise_for_s", "clear_at", "clear_for_s")


def _rule(rule: Rule) -> wire.AlarmRule:
    return wire.AlarmRule(
        id=rule.id,
        name=rule.name,
        kind=rule.kind.value,
        unit=MEANINGS[rule.kind].unit,  # type: ignore[arg-type]
        **asdict(rule.scope),
        **asdict(rule.condition),
        remind_every_s=rule.remind_every_s,
        channel_ids=list(rule.channel_ids),
        created_at=rule.created_at,
        version=rule.version,
    )


def _given(body: wire.AlarmRuleAdd | wire.AlarmRuleModify) -> dict[str, Any]:
    """Those thresholds and durations that a body says."""
    return {name: value for name in _CONDITION if (value := getattr(body, name)) is not None}


def _channel(channel: Channel) -> wire.AlarmChannel:
    return wire.AlarmChannel(
        id=channel.id,
        name=channel.name,
        kind=channel.kind.value,  # type: ignore[arg-type]
        url=channel.url,
        recipients=list(channel.recipients),
        created_at=channel.created_at,
    )


def _alarm(view: AlarmView) -> wire.Alarm:
    alarm, rule, subject, advice = view.alarm, view.rule, view.subject, view.subject.advice
    return wire.Alarm(
        id=alarm.id,
        rule_id=rule.id,
        rule_name=rule.name,
        kind=rule.kind.value,
        unit=MEANINGS[rule.kind].unit,
        subject=alarm.subject,
        subject_label=subject.label,
        cen_id=subject.cen_id,
        region_ids=list(subject.region_ids),
        package_id=subject.package_id,
        state=alarm.state.value,
        value=alarm.value,
        raise_at=rule.condition.raise_at,
        finding=view.finding,
        advice=advice.sentence if advice else None,
        suggestion=wire.AlarmSuggestion.model_validate(advice.raise_to) if advice and advice.raise_to else None,
        changed_at=alarm.changed_at,
        told_at=alarm.told_at,
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=alarm.acknowledged_at,
        silenced_until=alarm.silenced_until,
        silenced=view.silenced,
        version=alarm.version,
    )


def _message(delivery: Delivery) -> wire.AlarmMessage:
    return wire.AlarmMessage(
        id=delivery.id,
        channel_id=delivery.channel_id or "",
        alarm_id=delivery.alarm_id,
        event=delivery.event.value,
        text=str(delivery.message.get("text", "")),
        created_at=delivery.created_at,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        delivered_at=delivery.delivered_at,
        error=delivery.error,
        message=delivery.message,
    )


@router.get("/alarm-rules")
def list_rules(context: ContextOf, actor: ActorOf, page: PageOf) -> Page[wire.AlarmRule]:
    """What is watched."""
    return page_of(wire.AlarmRule, alarm_rules.search(context, actor, page), page, _rule)


@router.post("/alarm-rules", status_code=201)
def add_rule(body: wire.AlarmRuleAdd, context: ContextOf, actor: ActorOf, response: Response) -> wire.AlarmRule:
    """Watch a connection, a package, an instance, or everything of the account."""
    kind = Kind(body.kind)
    rule = alarm_rules.add(
        context,
        actor,
        name=body.name,
        kind=kind,
        scope=Scope(body.cen_id, body.region_a_id, body.region_b_id, body.package_id),
        condition=condition_of(kind, MEANINGS[kind].usual, _given(body)),
        remind_every_s=body.remind_every_s,
        channel_ids=body.channel_ids,
    )
    return tagged(response, _rule(rule))


@router.get("/alarm-rules/{rule_id}")
def get_rule(rule_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.AlarmRule:
    """One rule."""
    return tagged(response, _rule(alarm_rules.get(context, actor, rule_id)))


@router.patch("/alarm-rules/{rule_id}")
def modify_rule(
    rule_id: str,
    body: wire.AlarmRuleModify,
    context: ContextOf,
    actor: ActorOf,
    seen: SeenVersion,
    response: Response,
) -> wire.AlarmRule:
    """Other thresholds, channels or name; the alarms that it has raised stay."""
    rule = alarm_rules.modify(
        context,
        actor,
        rule_id,
        name=body.name,
        condition=_given(body),
        remind_every_s=body.remind_every_s,
        channel_ids=body.channel_ids,
        seen_version=seen,
    )
    return tagged(response, _rule(rule))


@router.delete("/alarm-rules/{rule_id}", status_code=204)
def remove_rule(rule_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Watch it no more; whoever was told of one of its alarms is told so."""
    alarm_rules.remove(context, actor, rule_id)


@router.get("/alarm-channels")
def list_channels(context: ContextOf, actor: ActorOf, page: PageOf) -> Page[wire.AlarmChannel]:
    """Where alarms are told."""
    return page_of(wire.AlarmChannel, alarm_channels.search(context, actor, page), page, _channel)


@router.post("/alarm-channels", status_code=201)
def add_channel(body: wire.AlarmChannelAdd, context: ContextOf, actor: ActorOf) -> wire.AlarmChannelSecret:
    """A webhook (the answer holds the secret that signs its messages, once) or mail addresses."""
    wanted, other = ("url", "recipients") if body.kind == "webhook" else ("recipients", "url")
    if getattr(body, wanted) is None or getattr(body, other) is not None:
        raise InvalidValueError(f"a channel of kind {body.kind} has {wanted}, and no {other}", field=wanted)
    if body.url is not None:
        channel, secret = alarm_channels.add_webhook(context, actor, name=body.name, url=body.url)
        return wire.AlarmChannelSecret(channel=_channel(channel), secret=secret)
    channel = alarm_channels.add_email(context, actor, name=body.name, recipients=body.recipients or [])
    return wire.AlarmChannelSecret(channel=_channel(channel), secret=None)


@router.get("/alarm-channels/{channel_id}")
def get_channel(channel_id: str, context: ContextOf, actor: ActorOf) -> wire.AlarmChannel:
    """One channel."""
    return _channel(alarm_channels.get(context, actor, channel_id))


@router.delete("/alarm-channels/{channel_id}", status_code=204)
def remove_channel(channel_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Tell nothing there any more; what was on its way is dropped."""
    alarm_channels.remove(context, actor, channel_id)


@router.post("/alarm-channels/{channel_id}/test", status_code=202)
def test_channel(channel_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Send a message that says that messages arrive; `/alarm-messages` says how it went."""
    alarm_channels.send_test(context, actor, channel_id)


@router.get("/alarm-messages")
def list_messages(
    context: ContextOf, actor: ActorOf, page: PageOf, channel_id: str | None = None
) -> Page[wire.AlarmMessage]:
    """What was told in the last two weeks, and how it went."""
    found = alarm_channels.deliveries(context, actor, page, channel_id=channel_id)
    return page_of(wire.AlarmMessage, found, page, _message)


@router.get("/alarms")
def list_alarms(
    context: ContextOf,
    actor: ActorOf,
    page: PageOf,
    state: wire.StateName | None = None,
    subject: str | None = None,
) -> Page[wire.Alarm]:
    """Alarms, those that are raised first, each with what could be done now."""
    wanted = State(state) if state else None
    return page_of(wire.Alarm, alarms.search(context, actor, page, state=wanted, subject=subject), page, _alarm)


@router.get("/alarms/{alarm_id}")
def get_alarm(alarm_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.Alarm:
    """One alarm."""
    return tagged(response, _alarm(alarms.get(context, actor, alarm_id)))


@router.post("/alarms/{alarm_id}/acknowledgement")
def acknowledge(alarm_id: str, context: ContextOf, actor: ActorOf) -> wire.Alarm:
    """The caller sees to it: no more reminders until it is raised again."""
    alarms.acknowledge(context, actor, alarm_id)
    return _alarm(alarms.get(context, actor, alarm_id))


@router.put("/alarms/{alarm_id}/silence")
def silence(alarm_id: str, body: wire.AlarmSilence, context: ContextOf, actor: ActorOf) -> wire.Alarm:
    """Nobody is told of it until then; what is still so then is told then."""
    if body.until.tzinfo is None:
        raise InvalidValueError(
            "until needs a zone, such as 2026-11-24T20:00:00Z", field="until", value=body.until.isoformat()
        )
    alarms.silence(context, actor, alarm_id, body.until)
    return _alarm(alarms.get(context, actor, alarm_id))


@router.delete("/alarms/{alarm_id}/silence")
def unsilence(alarm_id: str, context: ContextOf, actor: ActorOf) -> wire.Alarm:
    """Tell of it again."""
    alarms.unsilence(context, actor, alarm_id)
    return _alarm(alarms.get(context, actor, alarm_id))
