"""Rows of alarm rules and of the alarms that they have raised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from opencen.domain.alarms import Alarm, Condition, Kind, Rule, Scope, State
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page, fetch_page
from opencen.store.schema import alarm_channels, alarm_rule_channels, alarm_rules, alarms


def _rule(row: Any, channel_ids: Iterable[str]) -> Rule:
    return Rule(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        kind=Kind(row.kind),
        scope=Scope(row.cen_id, row.region_a_id, row.region_b_id, row.package_id),
        condition=Condition(row.raise_at, row.raise_for_s, row.clear_at, row.clear_for_s),
        remind_every_s=row.remind_every_s,
        channel_ids=tuple(sorted(channel_ids)),
        created_at=row.created_at,
        version=row.version,
    )


def _columns(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "account_id": rule.account_id,
        "name": rule.name,
        "kind": rule.kind.value,
        **asdict(rule.scope),
        **asdict(rule.condition),
        "remind_every_s": rule.remind_every_s,
        "created_at": rule.created_at,
        "version": rule.version,
    }


def _with_channels(tx: Transaction, rows: Iterable[Any]) -> list[Rule]:
    found = list(rows)
    channels: dict[str, list[str]] = defaultdict(list)
    statement = select(alarm_rule_channels).where(alarm_rule_channels.c.rule_id.in_([row.id for row in found]))
    for link in tx.execute(statement) if found else ():
        channels[link.rule_id].append(link.channel_id)
    return [_rule(row, channels[row.id]) for row in found]


def save_rule(tx: Transaction, rule: Rule) -> None:
    """A rule as it now is, new or again."""
    columns = _columns(rule)
    if tx.execute(update(alarm_rules).where(alarm_rules.c.id == rule.id).values(columns)).rowcount == 0:
        tx.execute(insert(alarm_rules).values(columns))
    tx.execute(delete(alarm_rule_channels).where(alarm_rule_channels.c.rule_id == rule.id))
    links = [{"rule_id": rule.id, "channel_id": channel_id} for channel_id in rule.channel_ids]
    if links:
        tx.execute(insert(alarm_rule_channels), links)


def find_rule(tx: Transaction, account_id: str, rule_id: str) -> Rule | None:
    row = tx.execute(select(alarm_rules).where(alarm_rules.c.id == rule_id, alarm_rules.c.account_id == account_id))
    return next(iter(_with_channels(tx, row)), None)


def search_rules(tx: Transaction, account_id: str, page: Page) -> Listing[Rule]:
    statement = select(alarm_rules).where(alarm_rules.c.account_id == account_id)
    rows, total = fetch_page(tx, statement, page, (alarm_rules.c.created_at, alarm_rules.c.id))
    return Listing(tuple(_with_channels(tx, rows)), total)


def all_rules(tx: Transaction) -> list[Rule]:
    """The rules of all accounts."""
    return _with_channels(tx, tx.execute(select(alarm_rules).order_by(alarm_rules.c.id)))


def count_rules(tx: Transaction, account_id: str) -> int:
    statement = select(func.count()).select_from(alarm_rules).where(alarm_rules.c.account_id == account_id)
    return int(tx.execute(statement).scalar_one())


def remove_rule(tx: Transaction, rule_id: str) -> None:
    """A rule and the alarms that it raised."""
    tx.execute(delete(alarm_rules).where(alarm_rules.c.id == rule_id))


def known_channels(tx: Transaction, account_id: str, channel_ids: Iterable[str]) -> set[str]:
    """Those of these channels that are the account's."""
    statement = select(alarm_channels.c.id).where(
        alarm_channels.c.account_id == account_id, alarm_channels.c.id.in_(list(channel_ids))
    )
    return set(tx.execute(statement).scalars())


def _alarm(row: Any) -> Alarm:
    values = dict(row._mapping)
    return Alarm(**values | {"state": State(row.state), "told": State(row.told)})


def save(tx: Transaction, alarm: Alarm) -> None:
    """An alarm as it now is, new or again."""
    columns = asdict(alarm) | {"state": alarm.state.value, "told": alarm.told.value}
    if tx.execute(update(alarms).where(alarms.c.id == alarm.id).values(columns)).rowcount == 0:
        tx.execute(insert(alarms).values(columns))


def find(tx: Transaction, account_id: str, alarm_id: str, *, lock: bool = False) -> Alarm | None:
    statement = select(alarms).where(alarms.c.id == alarm_id, alarms.c.account_id == account_id)
    row = tx.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else _alarm(row)


def search(
    tx: Transaction, account_id: str, page: Page, *, state: State | None = None, subject: str | None = None
) -> Listing[Alarm]:
    """Alarms of an account, those that are raised first, then the latest change first."""
    statement = select(alarms).where(alarms.c.account_id == account_id)
    if state is not None:
        statement = statement.where(alarms.c.state == state.value)
    if subject is not None:
        statement = statement.where(alarms.c.subject == subject)
    order = (alarms.c.state.desc(), alarms.c.changed_at.desc(), alarms.c.id)
    rows, total = fetch_page(tx, statement, page, order)
    return Listing(tuple(map(_alarm, rows)), total)


def all_alarms(tx: Transaction) -> dict[tuple[str, str], Alarm]:
    """The alarms of all accounts, by rule and subject."""
    return {(row.rule_id, row.subject): _alarm(row) for row in tx.execute(select(alarms))}


def of_rule(tx: Transaction, rule_id: str) -> list[Alarm]:
    return [_alarm(row) for row in tx.execute(select(alarms).where(alarms.c.rule_id == rule_id))]


def remove(tx: Transaction, alarm_id: str) -> None:
    tx.execute(delete(alarms).where(alarms.c.id == alarm_id))


def count_raised(tx: Transaction) -> dict[str, int]:
    """How many alarms are raised, over all accounts, by the kind of their rule."""
    statement = (
        select(alarm_rules.c.kind, func.count())
        .select_from(alarms.join(alarm_rules, alarms.c.rule_id == alarm_rules.c.id))
        .where(alarms.c.state == State.RAISED.value)
        .group_by(alarm_rules.c.kind)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}
