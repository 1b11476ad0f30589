"""Plans: from the present state of a CEN instance to a wanted one, in one step. Pure.

A document says what packages an instance has bound and what its region connections are set to. What a document does
not mention (no `packages`, or no `connections`) stays as it is; within a list that is given, what is missing goes.
Amounts are whole Mbit/s. The order of a plan's changes keeps every rule at every step: what goes and shrinks first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from opencen.domain.bandwidth import allocated_after_set, connection_mbps, package_mbps
from opencen.domain.errors import (
    AreaPairTakenError,
    DomainError,
    InvalidValueError,
    PackageNotBoundError,
    RegionWithoutNetworkError,
)
from opencen.domain.geography import area_pair, region_pair

Pair = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlannedPackage:
    """A package bound to the instance. Without `id`: the one bound between these areas, or a new one."""

    areas: Pair
    bandwidth_mbps: int
    id: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class PlannedConnection:
    regions: Pair
    bandwidth_mbps: int


@dataclass(frozen=True, slots=True)
class Document:
    """A wanted or a present state; None stands for "as it is"."""

    packages: tuple[PlannedPackage, ...] | None = None
    connections: tuple[PlannedConnection, ...] | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What a plan is made against. Each package has its id."""

    packages: tuple[PlannedPackage, ...]
    connections: tuple[PlannedConnection, ...]
    area_of: Mapping[str, str]
    """The area of each region there is."""
    attached_regions: AbstractSet[str]
    areas: AbstractSet[str]

    @property
    def document(self) -> Document:
        return Document(self.packages, self.connections)


class Effect(StrEnum):
    """What becomes of a package or a region connection."""

    GOES = "goes"
    SHRINKS = "shrinks"
    GROWS = "grows"
    APPEARS = "appears"


class Subject(StrEnum):
    PACKAGE = "package"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Change:
    """One step. `ends` are areas for a package, regions for a connection; 0 Mbit/s stands for nothing there."""

    subject: Subject
    effect: Effect
    ends: Pair
    before_mbps: int
    after_mbps: int
    package_id: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a package has before and after; `left_mbps` is negative when the plan asks for too much."""

    areas: Pair
    package_id: str | None
    before_mbps: int
    after_mbps: int
    allocated_before_mbps: int
    allocated_after_mbps: int

    @property
    def left_mbps(self) -> int:
        return self.after_mbps - self.allocated_after_mbps


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in the order in which they are carried out, and everything that stands in the way of them."""

    changes: tuple[Change, ...]
    budgets: tuple[Budget, ...]
    refusals: tuple[DomainError, ...]


class PlanState(StrEnum):
    APPLIED = "applied"
    AWAITING = "awaiting confirmation"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class Version:
    """A plan that was carried out: the state before and after it, and what becomes of it."""

    cen_id: str
    number: int
    account_id: str
    applied_at: datetime
    user_id: str
    username: str
    note: str
    before: Document
    after: Document
    bought_package_ids: tuple[str, ...]
    state: PlanState
    confirm_by: datetime | None = None
    outcome: str = ""


def plan(present: Present, wanted: Document) -> Plan:
    """How to get from `present` to `wanted`. All that is wrong with it is collected, nothing is raised."""
    refusals: list[DomainError] = []
    before_packages = {package.areas: package for package in present.packages}
    before = {connection.regions: connection.bandwidth_mbps for connection in present.connections}
    packages = before_packages if wanted.packages is None else _checked_packages(present, wanted.packages, refusals)
    after = before if wanted.connections is None else _checked_connections(present, wanted.connections, refusals)
    replaced = {
        areas
        for areas, package in packages.items()
        if areas in before_packages and package.id not in (None, before_packages[areas].id)
    }
    budgets = _budgets(present, before_packages, packages, before, after)
    refusals += _misfits(present, packages, before, after, budgets)
    changes = _connection_changes(present, before, after, replaced)
    changes += _package_changes(before_packages, packages, replaced)
    return Plan(tuple(sorted(changes, key=_turn)), tuple(budgets), tuple(refusals))


def _checked_packages(
    present: Present, wanted: Iterable[PlannedPackage], refusals: list[DomainError]
) -> dict[Pair, PlannedPackage]:
    checked: dict[Pair, PlannedPackage] = {}
    for package in wanted:
        areas = area_pair(*package.areas)
        try:
            unknown = next((area for area in areas if area not in present.areas), None)
            if unknown is not None:
                raise InvalidValueError(
                    f"there is no area {unknown!r}; there are {', '.join(sorted(present.areas))}",
                    field="areas",
                    value=unknown,
                )
            if areas in checked:
                raise AreaPairTakenError(
                    f"the document has two packages between {areas[0]} and {areas[1]}; an instance has one for a pair "
                    "of areas",
                    field="packages",
                    area_a_id=areas[0],
                    area_b_id=areas[1],
                )
            package_mbps(package.bandwidth_mbps)
        except DomainError as refusal:
            refusals.append(refusal)
        checked[areas] = PlannedPackage(areas, package.bandwidth_mbps, package.id, package.name)
    return checked


def _checked_connections(
    present: Present, wanted: Iterable[PlannedConnection], refusals: list[DomainError]
) -> dict[Pair, int]:
    checked: dict[Pair, int] = {}
    for connection in wanted:
        try:
            pair = region_pair(*connection.regions)
            unknown = next((region for region in pair if region not in present.area_of), None)
            if unknown is not None:
                raise InvalidValueError(f"there is no region {unknown!r}", field="regions", value=unknown)
            if pair in checked:
                raise InvalidValueError(
                    f"the document sets {pair[0]} - {pair[1]} twice: to {checked[pair]} and to "
                    f"{connection.bandwidth_mbps} Mbit/s",
                    field="connections",
                    value=list(pair),
                )
            checked[pair] = connection_mbps(connection.bandwidth_mbps)
        except DomainError as refusal:
            refusals.append(refusal)
    return checked


def _areas(present: Present, pair: Pair) -> Pair:
    return area_pair(present.area_of[pair[0]], present.area_of[pair[1]])


def _allocated(present: Present, connections: Mapping[Pair, int]) -> Counter[Pair]:
    allocated: Counter[Pair] = Counter()
    for pair, bandwidth_mbps in connections.items():
        allocated[_areas(present, pair)] += bandwidth_mbps
    return allocated


def _budgets(
    present: Present,
    before_packages: Mapping[Pair, PlannedPackage],
    packages: Mapping[Pair, PlannedPackage],
    before: Mapping[Pair, int],
    after: Mapping[Pair, int],
) -> list[Budget]:
    allocated_before, allocated_after = _allocated(present, before), _allocated(present, after)
    budgets = []
    for areas in sorted({*before_packages, *packages}):
        old, new = before_packages.get(areas), packages.get(areas)
        budgets.append(
            Budget(
                areas,
                (new.id if new and new.id else None) or (old.id if old else None),
                old.bandwidth_mbps if old else 0,
                new.bandwidth_mbps if new else 0,
                allocated_before[areas],
                allocated_after[areas],
            )
        )
    return budgets


def _misfits(
    present: Present,
    packages: Mapping[Pair, PlannedPackage],
    before: Mapping[Pair, int],
    after: Mapping[Pair, int],
    budgets: Sequence[Budget],
) -> list[DomainError]:
    """Connections that no package serves or that have no network, and packages that would be exceeded."""
    refusals: list[DomainError] = []
    for pair, bandwidth_mbps in sorted(after.items()):
        areas = _areas(present, pair)
        if areas not in packages:
            refusals.append(
                PackageNotBoundError(
                    f"{pair[0]} - {pair[1]}: no package would be bound between {areas[0]} and {areas[1]}",
                    field="connections",
                    area_a_id=areas[0],
                    area_b_id=areas[1],
                    region_ids=pair,
                )
            )
        without = [region for region in pair if region not in present.attached_regions]
        if without and before.get(pair) != bandwidth_mbps:  # what is set already may have lost its network since
            refusals.append(
                RegionWithoutNetworkError(
                    f"{pair[0]} - {pair[1]}: no network of {' and '.join(without)} is attached; attach one first",
                    field="connections",
                    region_ids=without,
                )
            )
    for budget in budgets:
        if budget.areas not in packages:
            continue
        name = budget.package_id or f"between {budget.areas[0]} and {budget.areas[1]} (new)"
        try:
            allocated_after_set(
                name,
                bandwidth_mbps=budget.after_mbps,
                allocated_mbps=budget.allocated_before_mbps,
                own_mbps=budget.allocated_before_mbps,
                asked_mbps=budget.allocated_after_mbps,
            )
        except DomainError as refusal:
            refusals.append(refusal)
    return refusals


def _connection_changes(
    present: Present, before: Mapping[Pair, int], after: Mapping[Pair, int], replaced: AbstractSet[Pair]
) -> list[Change]:
    changes = []
    for pair in {*before, *after}:
        old, new = before.get(pair, 0), after.get(pair, 0)
        if old and new and _areas(present, pair) in replaced:  # it leaves one package for another
            changes.append(Change(Subject.CONNECTION, Effect.GOES, pair, old, 0))
            changes.append(Change(Subject.CONNECTION, Effect.APPEARS, pair, 0, new))
        elif old != new:
            changes.append(Change(Subject.CONNECTION, _effect(old, new), pair, old, new))
    return changes


def _package_changes(
    before: Mapping[Pair, PlannedPackage], after: Mapping[Pair, PlannedPackage], replaced: AbstractSet[Pair]
) -> list[Change]:
    changes = []
    for areas in {*before, *after}:
        old, new = before.get(areas), after.get(areas)
        if old and (new is None or areas in replaced):
            changes.append(Change(Subject.PACKAGE, Effect.GOES, areas, old.bandwidth_mbps, 0, old.id, old.name))
        if new and (old is None or areas in replaced):
            changes.append(Change(Subject.PACKAGE, Effect.APPEARS, areas, 0, new.bandwidth_mbps, new.id, new.name))
        elif old and new and old.bandwidth_mbps != new.bandwidth_mbps:
            effect = _effect(old.bandwidth_mbps, new.bandwidth_mbps)
            changes.append(
                Change(Subject.PACKAGE, effect, areas, old.bandwidth_mbps, new.bandwidth_mbps, old.id, old.name)
            )
    return changes


def _effect(before_mbps: int, after_mbps: int) -> Effect:
    if not after_mbps:
        return Effect.GOES
    if not before_mbps:
        return Effect.APPEARS
    return Effect.GROWS if after_mbps > before_mbps else Effect.SHRINKS


_TURNS = (
    (Subject.CONNECTION, Effect.GOES),
    (Subject.CONNECTION, Effect.SHRINKS),
    (Subject.PACKAGE, Effect.GOES),
    (Subject.PACKAGE, Effect.SHRINKS),
    (Subject.PACKAGE, Effect.APPEARS),
    (Subject.PACKAGE, Effect.GROWS),
    (Subject.CONNECTION, Effect.GROWS),
    (Subject.CONNECTION, Effect.APPEARS),
)


def _turn(change: Change) -> tuple[int, Pair]:
    return (_TURNS.index((change.subject, change.effect)), change.ends)


def undo(present: Present, before: Document, after: Document) -> Document:
    """What brings back `before` where things are still as the plan left them (`after`).

    What somebody else has changed since then stays as it is now.
    """
    packages = _merged(
        {package.areas: package for package in present.packages},
        {package.areas: package for package in before.packages or ()},
        {package.areas: package for package in after.packages or ()},
    )
    connections = _merged(
        {connection.regions: connection for connection in present.connections},
        {connection.regions: connection for connection in before.connections or ()},
        {connection.regions: connection for connection in after.connections or ()},
    )
    return Document(tuple(packages.values()), tuple(connections.values()))


def _merged(present: Mapping[Pair, T], before: Mapping[Pair, T], after: Mapping[Pair, T]) -> dict[Pair, T]:
    merged: dict[Pair, T] = {}
    for key in sorted({*present, *before, *after}):
        chosen = before.get(key) if present.get(key) == after.get(key) else present.get(key)
        if chosen is not None:
            merged[key] = chosen
    return merged
