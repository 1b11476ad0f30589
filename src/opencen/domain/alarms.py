"""When an alarm is raised and cleared, when it is told, and when a message is tried again. Pure; times are UTC.

A rule has two thresholds and two durations, so that a value that wavers around one of them does not ring every minute.
What is not known never decides: a gap ends a run, but neither raises nor clears.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from opencen.domain.errors import InvalidValueError

GAP_S = 60.0
"""Two points further apart than this do not belong to one run: nobody knows what was between them."""
MAX_DURATION_S = 7 * 86_400
MAX_SILENCE = timedelta(days=30)
MIN_REMIND_S = 300
FIRST_RETRY_S = 5.0
MAX_RETRY_S = 3600.0
GIVE_UP_AFTER = timedelta(hours=24)


class Kind(StrEnum):
    """What a rule watches."""

    CONNECTION_USE = "connection_use"
    CONNECTION_DROPS = "connection_drops"
    PACKAGE_USE = "package_use"
    PACKAGE_EXPIRY = "package_expiry"
    GATEWAY_GONE = "gateway_gone"
    GATEWAY_DRIFT = "gateway_drift"


class State(StrEnum):
    CLEAR = "clear"
    RAISED = "raised"


class Event(StrEnum):
    """What a message is about."""

    RAISED = "raised"
    REMINDER = "reminder"
    CLEARED = "cleared"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Condition:
    """RAISED once a value was at least `raise_at` for `raise_for_s`; CLEAR once below `clear_at` for `clear_for_s`."""

    raise_at: float
    raise_for_s: int
    clear_at: float
    clear_for_s: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind's value is, and the condition that a rule has unless it says otherwise."""

    unit: str
    usual: Condition
    most: float
    falls: bool = False
    """Low values are the alarming ones: raised at or below `raise_at`, cleared above it."""


MEANINGS: dict[Kind, Meaning] = {
    Kind.CONNECTION_USE: Meaning("percent", Condition(80, 300, 70, 300), 100),
    Kind.CONNECTION_DROPS: Meaning("packets_per_minute", Condition(60, 300, 6, 300), 1e9),
    Kind.PACKAGE_USE: Meaning("percent", Condition(80, 300, 70, 300), 100),
    Kind.PACKAGE_EXPIRY: Meaning("days", Condition(7, 0, 7, 0), 366, falls=True),
    Kind.GATEWAY_GONE: Meaning("seconds", Condition(30, 0, 10, 30), 86_400),
    Kind.GATEWAY_DRIFT: Meaning("repairs", Condition(1, 0, 1, 3600), 1e9),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and when it was so."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Watch:
    """An alarm's state, and the run under way towards the other one (`since` None: no run)."""

    state: State = State.CLEAR
    since: datetime | None = None
    last_at: datetime | None = None


def step(condition: Condition, watch: Watch, point: Point) -> Watch:
    """`watch` after one more point. A point that is not later than the last one changes nothing."""
    if watch.last_at is not None and point.at <= watch.last_at:
        return watch
    if watch.state is State.CLEAR:
        goes, needed_s, other = point.value >= condition.raise_at, condition.raise_for_s, State.RAISED
    else:
        goes, needed_s, other = point.value < condition.clear_at, condition.clear_for_s, State.CLEAR
    if not goes:
        return Watch(watch.state, None, point.at)
    connected = watch.last_at is not None and (point.at - watch.last_at).total_seconds() <= GAP_S
    since = watch.since if connected and watch.since is not None else point.at
    if (point.at - since).total_seconds() >= needed_s:
        return Watch(other, None, point.at)
    return Watch(watch.state, since, point.at)


def step_of(kind: Kind, condition: Condition, watch: Watch, point: Point) -> Watch:
    """`step` for a kind of which low values may be the alarming ones."""
    if MEANINGS[kind].falls:
        condition = replace(condition, raise_at=-condition.raise_at, clear_at=-condition.clear_at)
        point = Point(point.at, -point.value)
    return step(condition, watch, point)


def condition_of(kind: Kind, before: Condition, given: Mapping[str, Any]) -> Condition:
    """`before` but for what is `given`, by name; the clearing threshold follows the other one down."""
    if "raise_at" in given and "clear_at" not in given:
        follows = given["raise_at"] if MEANINGS[kind].falls else min(before.clear_at, given["raise_at"])
        given = {**given, "clear_at": follows}
    return replace(before, **given)


def checked_condition(kind: Kind, condition: Condition) -> Condition:
    """`condition`, when it makes sense for `kind`. Raises InvalidValueError."""
    most = MEANINGS[kind].most
    for name in ("raise_at", "clear_at"):
        value = getattr(condition, name)
        if not math.isfinite(value) or not 0 < value <= most:
            raise InvalidValueError(
                f"{name} of {kind} is more than 0 and at most {most:g} ({MEANINGS[kind].unit}), not {value:g}",
                field=name,
                value=value if math.isfinite(value) else repr(value),
            )
    if MEANINGS[kind].falls and condition.clear_at != condition.raise_at:
        raise InvalidValueError(
            f"{kind} has one threshold: clear_at is raise_at, {condition.raise_at:g}, or not given",
            field="clear_at",
            value=condition.clear_at,
        )
    if condition.clear_at > condition.raise_at:
        raise InvalidValueError(
            f"clear_at ({condition.clear_at:g}) is at most raise_at ({condition.raise_at:g}): above it the alarm is on",
            field="clear_at",
            value=condition.clear_at,
        )
    for name in ("raise_for_s", "clear_for_s"):
        value = getattr(condition, name)
        if not 0 <= value <= MAX_DURATION_S:
            raise InvalidValueError(f"{name} is 0 to {MAX_DURATION_S} seconds, not {value}", field=name, value=value)
    return condition


@dataclass(frozen=True, slots=True)
class Scope:
    """What of an account a rule watches: one region connection, one package, one instance, or (all None) everything."""

    cen_id: str | None = None
    region_a_id: str | None = None
    region_b_id: str | None = None
    package_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    account_id: str
    name: str
    kind: Kind
    scope: Scope
    condition: Condition
    remind_every_s: int | None
    """How often it is told again while it is raised and nobody has acknowledged it; None: never."""
    channel_ids: tuple[str, ...]
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule and one thing that it watches (`subject`: the id of a connection, a package or a gateway)."""

    id: str
    rule_id: str
    account_id: str
    subject: str
    state: State
    value: float
    """When the state last changed."""
    changed_at: datetime
    told: State = State.CLEAR
    told_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    silenced_until: datetime | None = None
    version: int = 1


def changed(alarm: Alarm, state: State, value: float, now: datetime) -> Alarm:
    """The alarm once its state has changed; what was acknowledged before is not this time's."""
    return replace(
        alarm,
        state=state,
        value=value,
        changed_at=now,
        acknowledged_by=None,
        acknowledged_at=None,
        version=alarm.version + 1,
    )


def is_silenced(alarm: Alarm, now: datetime) -> bool:
    return alarm.silenced_until is not None and now < alarm.silenced_until


def to_tell(alarm: Alarm, remind_every_s: int | None, now: datetime) -> Event | None:
    """What is to be told now, if anything. While it is silenced nothing; afterwards what is not known then."""
    if is_silenced(alarm, now):
        return None
    if alarm.state is not alarm.told:
        return Event.RAISED if alarm.state is State.RAISED else Event.CLEARED
    if alarm.state is State.CLEAR or remind_every_s is None or alarm.acknowledged_at or alarm.told_at is None:
        return None
    return Event.REMINDER if now - alarm.told_at >= timedelta(seconds=remind_every_s) else None


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Channel:
    """Where an account's alarms are told: `url` of a webhook, or `recipients` of mail."""

    id: str
    account_id: str
    name: str
    kind: ChannelKind
    url: str | None
    recipients: tuple[str, ...]
    created_at: datetime
    secret_sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way. `channel_id` None: to the server's own command."""

    id: int
    account_id: str
    channel_id: str | None
    alarm_id: str | None
    event: Event
    message: dict[str, object]
    created_at: datetime
    next_attempt_at: datetime | None
    """None: delivered, or given up."""
    attempts: int = 0
    delivered_at: datetime | None = None
    error: str | None = None


def next_attempt_at(attempts: int, created_at: datetime, now: datetime) -> datetime | None:
    """When a message that has failed `attempts` times is tried again; None: it is a day old, and given up."""
    later = now + timedelta(seconds=min(FIRST_RETRY_S * 2 ** min(attempts - 1, 20), MAX_RETRY_S))
    return None if later - created_at > GIVE_UP_AFTER else later
