"""Looking at what gateways report, for all rules of all accounts. The duty of one server process.

What is raised is a row; runs towards another state are kept in this process. A process that takes over begins its runs
anew, so that it may raise an alarm later by the rule's duration, never wrongly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from opencen.domain.alarms import GAP_S, Alarm, Kind, Point, Rule, Scope, State, Watch, changed, step_of, to_tell
from opencen.domain.bandwidth import MBPS
from opencen.domain.connection import Connection
from opencen.domain.ids import new_id
from opencen.domain.nouns import Actor, Package, Role
from opencen.services import alarm_telling as telling
from opencen.services.context import Context
from opencen.store import alarms as rows
from opencen.store import connections, gateways, packages
from opencen.store.database import Transaction
from opencen.store.gateways import GatewayRow, Presence

WATCHER = "alarms"
EVERY_S = 5.0
_STOOD_STILL_S = 30.0
_log = structlog.get_logger()
Key = tuple[str, str]
"""A rule and a subject."""


@dataclass(frozen=True, slots=True)
class _Passing:
    """One direction of a connection at one look: what the gateways of `region_id` send."""

    at: datetime
    measured_bps: float | None
    drops_per_minute: float | None


@dataclass
class _Look:
    """All that is known at one look."""

    now: datetime
    rules: Sequence[Rule]
    alarms: dict[Key, Alarm]
    connections: dict[str, list[Connection]]
    packages: dict[str, list[Package]]
    areas: dict[str, str]
    gateways: dict[str, list[GatewayRow]]
    presences: dict[str, Presence]
    passing: dict[tuple[str, str], _Passing] = field(default_factory=dict)
    """By connection id and sending region."""
    repairs: dict[str, Point] = field(default_factory=dict)
    """New ones by gateway."""


class Watcher:
    """Remembers, from look to look, runs and counters. One per server process."""

    def __init__(self) -> None:
        self._runs: dict[Key, Watch] = {}
        self._counters: dict[tuple[str, str], tuple[int, datetime]] = {}
        self._looks_since: datetime | None = None
        self._looked_at: datetime | None = None

    def look(self, context: Context) -> None:
        """Take the next points of everything that is watched; raise, clear and tell."""
        look = _read(context)
        self._note_look(look.now)
        if not look.rules:
            return
        self._measure(look)
        present: set[Key] = set()
        for rule in look.rules:
            for subject, point in _points(rule, look, self._looks_since or look.now):
                key = (rule.id, subject)
                present.add(key)
                if point is not None:
                    self._take(context, rule, key, point, look.alarms.get(key))
        for key in [key for key in self._runs if key not in present]:
            del self._runs[key]
        by_id = {rule.id: rule for rule in look.rules}
        for key, alarm in look.alarms.items():
            self._follow_up(context, by_id[alarm.rule_id], alarm, look.now, gone=key not in present)

    def _note_look(self, now: datetime) -> None:
        """After a pause nobody knows what gateways would have said: how long they are silent counts from now."""
        still = self._looked_at is None or not 0 <= (now - self._looked_at).total_seconds() <= _STOOD_STILL_S
        if still:
            self._looks_since = now
        self._looked_at = now

    def _measure(self, look: _Look) -> None:
        wanted = {connection.id: connection for each in look.connections.values() for connection in each}
        for connection in wanted.values():
            for region_id, peer_id in _directions(connection):
                found = self._passing(look, f"{connection.cen_id}/{peer_id}", look.gateways.get(region_id, ()))
                if found is not None:
                    look.passing[connection.id, region_id] = found
        for presence in look.presences.values():
            more = self._more((presence.gateway_id, ""), presence.repairs, presence.seen_at)
            if more is not None:
                look.repairs[presence.gateway_id] = Point(presence.seen_at, more[0])
        known = {*look.presences}
        self._counters = {key: value for key, value in self._counters.items() if key[0] in known}

    def _passing(self, look: _Look, link: str, rows_of_region: Iterable[GatewayRow]) -> _Passing | None:
        at: datetime | None = None
        measured: list[float] = []
        drops: list[float] = []
        for row in rows_of_region:
            presence = look.presences.get(row.id)
            figures = presence.links.get(link) if presence else None
            if presence is None or figures is None or look.now - presence.seen_at > timedelta(seconds=GAP_S):
                continue
            at = max(at, presence.seen_at) if at else presence.seen_at
            if figures.get("measured_bps") is not None:
                measured.append(float(figures["measured_bps"]))
            more = self._more((row.id, link), int(figures.get("dropped_packets") or 0), presence.seen_at)
            if more is not None:
                drops.append(60 * more[0] / more[1])
        if at is None:
            return None
        return _Passing(at, sum(measured) if measured else None, sum(drops) if drops else None)

    def _more(self, key: tuple[str, str], count: int, at: datetime) -> tuple[int, float] | None:
        """What a counter has grown by, and in how many seconds; one that is lower than before began anew."""
        before = self._counters.get(key)
        if before is not None and at <= before[1]:
            return None
        self._counters[key] = (count, at)
        if before is None:
            return None
        return count - before[0] if count >= before[0] else count, (at - before[1]).total_seconds()

    def _take(self, context: Context, rule: Rule, key: Key, point: Point, alarm: Alarm | None) -> None:
        state = alarm.state if alarm else State.CLEAR
        watch = self._runs.get(key, Watch(state))
        if watch.state is not state:  # another process has changed it meanwhile
            watch = Watch(state, None, watch.last_at)
        after = step_of(rule.kind, rule.condition, watch, point)
        if after.state is not state:
            _change_state(context, rule, key[1], after.state, point.value)
        self._runs[key] = after

    def _follow_up(self, context: Context, rule: Rule, alarm: Alarm, now: datetime, *, gone: bool) -> None:
        if gone:
            _forget(context, rule, alarm)
        elif to_tell(alarm, rule.remind_every_s, now) is not None:
            _tell_later(context, rule, alarm)


def _read(context: Context) -> _Look:
    with context.database.read() as tx:
        rules = rows.all_rules(tx)
        account_ids = sorted({rule.account_id for rule in rules})
        found = connections.of_accounts(tx, account_ids)
        bought = packages.of_accounts(tx, account_ids)
        regions = {region_id for items in found.values() for item in items for region_id in _ends(item)}
        look = _Look(
            now=context.clock(),
            rules=rules,
            alarms=rows.all_alarms(tx),
            connections=found,
            packages=bought,
            areas=context.areas_of(tx, sorted(regions)),
            gateways=_by_region(tx) if rules else {},
            presences={},
        )
    ids = [row.id for each in look.gateways.values() for row in each]
    with context.database.volatile() as tx:
        look.presences = gateways.presences(tx, ids, {item.cen_id for each in found.values() for item in each})
    return look


def _by_region(tx: Transaction) -> dict[str, list[GatewayRow]]:
    found: dict[str, list[GatewayRow]] = defaultdict(list)
    for row in gateways.find_all(tx):
        found[row.region_id].append(row)
    return found


def _ends(connection: Connection) -> tuple[str, str]:
    return connection.region_a_id, connection.region_b_id


def _directions(connection: Connection) -> tuple[tuple[str, str], tuple[str, str]]:
    a, b = _ends(connection)
    return (a, b), (b, a)


def _within(scope: Scope, connection: Connection) -> bool:
    if scope.package_id is not None:
        return connection.package_id == scope.package_id
    if scope.region_a_id is not None:
        return (scope.cen_id, scope.region_a_id, scope.region_b_id) == (connection.cen_id, *_ends(connection))
    return scope.cen_id in (None, connection.cen_id)


def _points(rule: Rule, look: _Look, looks_since: datetime) -> Iterator[tuple[str, Point | None]]:
    """What a rule watches now, each with what is new of it, None when nothing is."""
    watched = [item for item in look.connections.get(rule.account_id, ()) if _within(rule.scope, item)]
    match rule.kind:
        case Kind.CONNECTION_USE:
            yield from ((item.id, _use(look, item)) for item in watched)
        case Kind.CONNECTION_DROPS:
            yield from ((item.id, _drops(look, item)) for item in watched)
        case Kind.PACKAGE_USE:
            yield from _package_points(rule, look)
        case Kind.PACKAGE_EXPIRY:
            for package in look.packages.get(rule.account_id, ()):
                if package.expires_at is not None and _covers(rule.scope, package):
                    yield package.id, Point(look.now, (package.expires_at - look.now) / timedelta(days=1))
        case Kind.GATEWAY_GONE | Kind.GATEWAY_DRIFT:
            region_ids = {region_id for item in watched for region_id in _ends(item)}
            for row in (row for region_id in sorted(region_ids) for row in look.gateways.get(region_id, ())):
                if rule.kind is Kind.GATEWAY_DRIFT:
                    yield row.id, look.repairs.get(row.id)
                else:
                    yield row.id, _silence(look, row, looks_since)


def _sides(look: _Look, connection: Connection) -> list[_Passing]:
    found = (look.passing.get((connection.id, region_id)) for region_id in _ends(connection))
    return [passing for passing in found if passing is not None]


def _use(look: _Look, connection: Connection) -> Point | None:
    """The busier direction, percent of what the connection may have."""
    known = [side for side in _sides(look, connection) if side.measured_bps is not None]
    if not known:
        return None
    most_bps = max(side.measured_bps or 0.0 for side in known)
    return Point(max(side.at for side in known), 100 * most_bps / connection.most_bps)


def _drops(look: _Look, connection: Connection) -> Point | None:
    """Both directions together, packets a minute."""
    known = [side for side in _sides(look, connection) if side.drops_per_minute is not None]
    if not known:
        return None
    return Point(max(side.at for side in known), sum(side.drops_per_minute or 0.0 for side in known))


def _covers(scope: Scope, package: Package) -> bool:
    return scope.package_id in (None, package.id) and scope.cen_id in (None, package.cen_id)


def _package_points(rule: Rule, look: _Look) -> Iterator[tuple[str, Point | None]]:
    """The busier direction of all of a package's connections together, percent of the package."""
    for package in look.packages.get(rule.account_id, ()):
        if not _covers(rule.scope, package):
            continue
        totals: dict[str, float] = defaultdict(float)
        at: datetime | None = None
        for item in look.connections.get(rule.account_id, ()):
            if item.package_id != package.id:
                continue
            for region_id, _ in _directions(item):
                passing = look.passing.get((item.id, region_id))
                if passing is None or passing.measured_bps is None:
                    continue
                at = max(at, passing.at) if at else passing.at
                totals[_direction(look, package, item, region_id)] += passing.measured_bps
        busiest = max(totals.values(), default=0.0)
        yield package.id, Point(at, 100 * busiest / (package.bandwidth_mbps * MBPS)) if at else None


def _direction(look: _Look, package: Package, connection: Connection, region_id: str) -> str:
    if package.area_a_id == package.area_b_id:
        return "forth" if region_id == connection.region_a_id else "back"
    return look.areas.get(region_id, "")


def _silence(look: _Look, row: GatewayRow, looks_since: datetime) -> Point | None:
    """How long a gateway that was heard from once is silent, seconds."""
    presence = look.presences.get(row.id)
    if presence is None:
        return None
    heard_at = max(presence.seen_at, looks_since)
    return Point(look.now, max((look.now - heard_at).total_seconds(), 0.0))


def _actor(account_id: str) -> Actor:
    return Actor(account_id, WATCHER, WATCHER, Role.OPERATOR)


def _change_state(context: Context, rule: Rule, subject: str, state: State, value: float) -> None:
    action = "alarm.raise" if state is State.RAISED else "alarm.clear"
    with context.change(_actor(rule.account_id), action, subject) as work:
        work.revision()
        current = rows.find_rule(work.tx, rule.account_id, rule.id)
        if current is None:
            return
        before = next((alarm for alarm in rows.of_rule(work.tx, rule.id) if alarm.subject == subject), None)
        if before is not None and before.state is state:
            return
        fresh = before or Alarm(
            new_id("alm"), rule.id, rule.account_id, subject, State.CLEAR, value, work.now, version=0
        )
        after = telling.tell(context, work, current, changed(fresh, state, value, work.now))
        work.tell(before, after)
    _log.info("alarm " + state.value, rule=rule.id, subject=subject, value=round(value, 1))


def _tell_later(context: Context, rule: Rule, alarm: Alarm) -> None:
    """What was silenced when it happened, or is to be told again."""
    with context.change(_actor(rule.account_id), "alarm.tell", alarm.subject, audited=False) as work:
        work.revision()
        current = rows.find(work.tx, rule.account_id, alarm.id, lock=True)
        if current is not None:
            telling.tell(context, work, rule, current)


def _forget(context: Context, rule: Rule, alarm: Alarm) -> None:
    """What it was about is gone, or does not belong to the rule any more."""
    with context.change(_actor(rule.account_id), "alarm.forget", alarm.subject) as work:
        work.revision()
        current = rows.find(work.tx, rule.account_id, alarm.id, lock=True)
        if current is None:
            return
        if current.told is State.RAISED:
            telling.end(context, work, rule, replace(current, told=State.CLEAR), "it is not there any more")
        rows.remove(work.tx, alarm.id)
        work.tell(current, None)
