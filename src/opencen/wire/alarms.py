"""Alarms on the wire: rules, channels, alarms and messages. Times are RFC 3339, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from opencen.wire.rest import Given, Taken

KindName = Literal[
    "connection_use", "connection_drops", "package_use", "package_expiry", "gateway_gone", "gateway_drift"
]
StateName = Literal["clear", "raised"]


class AlarmRuleAdd(Taken):
    """What to watch: a region connection (`cen_id` and both regions), a package, an instance, or the whole account.

    Thresholds that are not given are the kind's usual ones.
    """

    kind: KindName
    name: str = ""
    cen_id: str | None = None
    region_a_id: str | None = None
    region_b_id: str | None = None
    package_id: str | None = None
    raise_at: float | None = Field(default=None, description="in `unit`: raised when at least this")
    raise_for_s: int | None = Field(default=None, description="for so long without a break")
    clear_at: float | None = Field(default=None, description="cleared when below this; at most raise_at")
    clear_for_s: int | None = None
    remind_every_s: int | None = Field(default=None, description="told again while raised and not acknowledged")
    channel_ids: list[str] = Field(default_factory=list, max_length=100)


class AlarmRuleModify(Taken):
    """What is not given stays; `remind_every_s` 0: no reminders."""

    name: str | None = None
    raise_at: float | None = None
    raise_for_s: int | None = None
    clear_at: float | None = None
    clear_for_s: int | None = None
    remind_every_s: int | None = None
    channel_ids: list[str] | None = Field(default=None, max_length=100)


class AlarmRule(Given):
    """`version` is its ETag."""

    id: str
    name: str
    kind: KindName
    unit: Literal["percent", "packets_per_minute", "days", "seconds", "repairs"]
    cen_id: str | None
    region_a_id: str | None
    region_b_id: str | None
    package_id: str | None
    raise_at: float
    raise_for_s: int
    clear_at: float
    clear_for_s: int
    remind_every_s: int | None
    channel_ids: list[str]
    created_at: datetime
    version: int


class AlarmChannelAdd(Taken):
    """A `url` for a webhook, or `recipients` for mail."""

    kind: Literal["webhook", "email"]
    name: str = ""
    url: str | None = None
    recipients: list[str] | None = Field(default=None, max_length=100)


class AlarmChannel(Given):
    id: str
    name: str
    kind: Literal["webhook", "email"]
    url: str | None
    recipients: list[str]
    created_at: datetime


class AlarmChannelSecret(Given):
    """A new channel; `secret`, which signs a webhook's messages, is shown this once."""

    channel: AlarmChannel
    secret: str | None


class AlarmSuggestion(Given):
    """One request that would do it: PUT the pair's `bandwidth_mbps` with If-Match `"version"`."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    package_id: str
    present_mbps: int
    bandwidth_mbps: int
    free_mbps: int
    package_mbps: int
    version: int


class Alarm(Given):
    """A rule and one thing that it watches. `version` is its ETag."""

    id: str
    rule_id: str
    rule_name: str
    kind: KindName
    unit: str
    subject: str = Field(description="the id of a connection, a package or a gateway")
    subject_label: str
    cen_id: str | None
    region_ids: list[str]
    package_id: str | None
    state: StateName
    value: float = Field(description="when the state last changed")
    raise_at: float
    finding: str
    advice: str | None
    suggestion: AlarmSuggestion | None
    changed_at: datetime
    told_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    silenced_until: datetime | None
    silenced: bool
    version: int


class AlarmSilence(Taken):
    until: datetime = Field(strict=False, description="with its zone; at most 30 days from now")


class AlarmMessage(Given):
    """A message of the last two weeks; `next_attempt_at` null: delivered, or (`delivered_at` null) given up."""

    id: int
    channel_id: str
    alarm_id: str | None
    event: Literal["raised", "reminder", "cleared", "test"]
    text: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error: str | None
    message: dict[str, Any]
