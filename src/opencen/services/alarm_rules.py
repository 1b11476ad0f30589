"""What an account has watched, and for which values it wants to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from opencen.domain.alarms import (
    MAX_DURATION_S,
    MIN_REMIND_S,
    Condition,
    Kind,
    Rule,
    Scope,
    State,
    checked_condition,
    condition_of,
)
from opencen.domain.errors import ConflictError, EditConflictError, InvalidValueError, NotFoundError
from opencen.domain.geography import region_pair
from opencen.domain.ids import new_id
from opencen.domain.names import checked_name
from opencen.domain.nouns import Actor
from opencen.services import alarm_telling as telling
from opencen.services import instances as instance_service
from opencen.services.context import Context
from opencen.store import alarms as rows
from opencen.store import connections, packages
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page

MAX_RULES = 500
_SCOPES: dict[Kind, tuple[str, ...]] = {
    Kind.CONNECTION_USE: ("connection", "instance", "package", "account"),
    Kind.CONNECTION_DROPS: ("connection", "instance", "package", "account"),
    Kind.PACKAGE_USE: ("instance", "package", "account"),
    Kind.PACKAGE_EXPIRY: ("instance", "package", "account"),
    Kind.GATEWAY_GONE: ("connection", "instance", "package", "account"),
    Kind.GATEWAY_DRIFT: ("connection", "instance", "package", "account"),
}


def search(context: Context, actor: Actor, page: Page) -> Listing[Rule]:
    with context.database.read() as tx:
        return rows.search_rules(tx, actor.account_id, page)


def get(context: Context, actor: Actor, rule_id: str) -> Rule:
    """Raises NotFoundError."""
    with context.database.read() as tx:
        return _require(tx, actor, rule_id)


def add(
    context: Context,
    actor: Actor,
    *,
    name: str,
    kind: Kind,
    scope: Scope,
    condition: Condition,
    remind_every_s: int | None,
    channel_ids: Sequence[str],
) -> Rule:
    """Watch something. Raises InvalidValueError and NotFoundError."""
    rule_id = new_id("alr")
    with context.change(actor, "alarm_rule.add", rule_id) as work:
        work.revision()
        if rows.count_rules(work.tx, actor.account_id) >= MAX_RULES:
            raise ConflictError(f"an account has at most {MAX_RULES} alarm rules", most=MAX_RULES)
        rule = Rule(
            id=rule_id,
            account_id=actor.account_id,
            name=checked_name(name),
            kind=kind,
            scope=_checked_scope(work.tx, actor, kind, scope),
            condition=checked_condition(kind, condition),
            remind_every_s=_checked_remind(remind_every_s),
            channel_ids=_checked_channels(work.tx, actor, channel_ids),
            created_at=work.now,
            version=1,
        )
        rows.save_rule(work.tx, rule)
        work.tell(None, rule)
    return rule


def modify(
    context: Context,
    actor: Actor,
    rule_id: str,
    *,
    name: str | None = None,
    condition: Mapping[str, Any] = MappingProxyType({}),
    remind_every_s: int | None = None,
    channel_ids: Sequence[str] | None = None,
    seen_version: int | None = None,
) -> Rule:
    """Other thresholds (by the names of `Condition`), channels or name; what is not given stays.

    So does what it watches, and the alarms that it has raised. `remind_every_s` 0: no reminders any more.
    """
    with context.change(actor, "alarm_rule.modify", rule_id) as work:
        work.revision()
        before = _require(work.tx, actor, rule_id)
        if seen_version not in (None, before.version):
            raise EditConflictError(
                f"alarm rule {rule_id} was changed meanwhile",
                seen={"version": seen_version},
                current={"version": before.version},
            )
        after = replace(
            before,
            name=before.name if name is None else checked_name(name),
            condition=checked_condition(before.kind, condition_of(before.kind, before.condition, condition)),
            remind_every_s=before.remind_every_s if remind_every_s is None else _checked_remind(remind_every_s or None),
            channel_ids=before.channel_ids if channel_ids is None else _checked_channels(work.tx, actor, channel_ids),
            version=before.version + 1,
        )
        rows.save_rule(work.tx, after)
        work.tell(before, after)
    return after


def remove(context: Context, actor: Actor, rule_id: str) -> None:
    """Watch it no more. Who was told of an alarm is told that nobody watches any more."""
    with context.change(actor, "alarm_rule.remove", rule_id) as work:
        work.revision()
        rule = _require(work.tx, actor, rule_id)
        for alarm in rows.of_rule(work.tx, rule_id):
            if alarm.told is State.RAISED:
                telling.end(context, work, rule, alarm, "the rule was deleted")
        rows.remove_rule(work.tx, rule_id)
        work.tell(rule, None)


def _require(tx: Transaction, actor: Actor, rule_id: str) -> Rule:
    found = rows.find_rule(tx, actor.account_id, rule_id)
    if found is None:
        raise NotFoundError("alarm rule", rule_id, field="rule_id")
    return found


def _checked_scope(tx: Transaction, actor: Actor, kind: Kind, scope: Scope) -> Scope:
    given = "account"
    if scope.package_id is not None:
        given = "package"
        if packages.find(tx, actor.account_id, scope.package_id) is None:
            raise NotFoundError("bandwidth package", scope.package_id, field="package_id")
        if scope.cen_id is not None:
            raise InvalidValueError("a rule watches a package or an instance, not both", field="package_id")
    elif scope.cen_id is not None:
        given = "instance"
        if not instance_service.exists(tx, actor, scope.cen_id):
            raise NotFoundError("CEN instance", scope.cen_id, field="cen_id")
    if scope.region_a_id is not None or scope.region_b_id is not None:
        if scope.region_a_id is None or scope.region_b_id is None or scope.cen_id is None:
            raise InvalidValueError("a region connection is cen_id, region_a_id and region_b_id", field="region_a_id")
        given = "connection"
        pair = region_pair(scope.region_a_id, scope.region_b_id)
        if connections.find(tx, scope.cen_id, *pair) is None:
            raise NotFoundError("region connection", ":".join((scope.cen_id, *pair)), field="region_a_id")
        scope = replace(scope, region_a_id=pair[0], region_b_id=pair[1])
    if given not in _SCOPES[kind]:
        raise InvalidValueError(
            f"{kind} watches one {', one '.join(_SCOPES[kind][:-1])} or the whole account, not one {given}",
            field="kind",
            value=kind.value,
        )
    return scope


def _checked_channels(tx: Transaction, actor: Actor, channel_ids: Sequence[str]) -> tuple[str, ...]:
    known = rows.known_channels(tx, actor.account_id, channel_ids)
    for channel_id in channel_ids:
        if channel_id not in known:
            raise NotFoundError("alarm channel", channel_id, field="channel_ids")
    return tuple(sorted(known))


def _checked_remind(remind_every_s: int | None) -> int | None:
    if remind_every_s is not None and not MIN_REMIND_S <= remind_every_s <= MAX_DURATION_S:
        raise InvalidValueError(
            f"remind_every_s is {MIN_REMIND_S} to {MAX_DURATION_S} seconds, or not given",
            field="remind_every_s",
            value=remind_every_s,
        )
    return remind_every_s
