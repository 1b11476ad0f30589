"""Plans: many connections and packages of one instance changed in one step, kept as versions, confirmed or undone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from opencen.domain import permissions
from opencen.domain import plans as rules
from opencen.domain.errors import (
    DomainError,
    EditConflictError,
    InvalidValueError,
    NotFoundError,
    PlanRefusedError,
    PlanSettledError,
)
from opencen.domain.nouns import Actor, Role
from opencen.domain.plans import Change, Document, Effect, PlanState, Present, Subject, Version
from opencen.services import connections, packages
from opencen.services import instances as instance_service
from opencen.services.context import Context, Work, plain
from opencen.services.joined import Joined, joined_change
from opencen.store import connections as connection_rows
from opencen.store import networks, plans, regions
from opencen.store import packages as package_rows
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page

MAX_CONFIRM_WITHIN_S = 7 * 24 * 3600
_NOTE_MAX = 256


@dataclass(frozen=True, slots=True)
class Preview:
    """What a document would do to what is there now; `base` names that state."""

    plan: rules.Plan
    base: str
    present: Document


class _UndoneError(Exception):
    """A rehearsal went well, and is undone."""


def base_of(document: Document) -> str:
    """A name for a state: two states with the same name are the same."""
    return hashlib.sha256(json.dumps(plain(document), sort_keys=True).encode()).hexdigest()[:16]


def present_document(context: Context, actor: Actor, cen_id: str) -> Document:
    """The present state as a document; applying it changes nothing. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        return _present(tx, cen_id).document


def preview(context: Context, actor: Actor, cen_id: str, wanted: Document) -> Preview:
    """What would change, and everything that would be refused; nothing is changed. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        present = _present(tx, cen_id)
    made = rules.plan(present, wanted)
    if not made.refusals and made.changes:
        made = replace(made, refusals=tuple(_rehearse(context, actor, cen_id, made.changes)))
    return Preview(made, base_of(present.document), present.document)


def _rehearse(context: Context, actor: Actor, cen_id: str, changes: Sequence[Change]) -> list[DomainError]:
    """What only carrying it out can tell, such as a capacity that all accounts share."""
    try:
        permissions.check_change(actor, "plan.apply")
        with context.database.write() as tx:
            joined = Joined(context, context.database.joined(tx))
            _lock(tx, actor, cen_id, changes)
            _carry_out(joined, actor, cen_id, changes)
            raise _UndoneError
    except _UndoneError:
        return []
    except DomainError as refusal:
        return [refusal]


def apply(
    context: Context,
    actor: Actor,
    cen_id: str,
    wanted: Document,
    *,
    seen_base: str | None = None,
    confirm_within_s: int | None = None,
    note: str = "",
) -> Version:
    """Carry a document out, all of it in one transaction or nothing. Durable when it returns.

    `seen_base` names the state that the caller saw; with another one it is refused. With `confirm_within_s` it is
    rolled back unless it is confirmed in time. A plan that still awaits its confirmation is confirmed by the next one.
    Raises PlanRefusedError with all refusals, EditConflictError, InvalidValueError, NotFoundError.
    """
    with joined_change(context, actor, "plan.apply", cen_id) as (work, joined):
        _check(confirm_within_s, note)
        version, made = _apply(work, joined, actor, cen_id, wanted, seen_base)
        for earlier in plans.awaiting(work.tx, cen_id):
            plans.settle(work.tx, earlier, PlanState.APPLIED, f"confirmed by plan {version.number}")
        if confirm_within_s is not None:
            deadline = work.now + timedelta(seconds=confirm_within_s)
            version = replace(version, state=PlanState.AWAITING, confirm_by=deadline)
        version = replace(version, note=note)
        plans.add(work.tx, version)
        work.tell(None, _told(version, made.changes))
    return version


def confirm(context: Context, actor: Actor, cen_id: str, number: int) -> Version:
    """Keep what a plan did. Raises PlanSettledError when it awaits nothing, NotFoundError."""
    with context.change(actor, "plan.confirm", cen_id) as work:
        version = _require_awaiting(work.tx, actor, cen_id, number)
        plans.settle(work.tx, version, PlanState.APPLIED, f"confirmed by {actor.username}")
        work.tell({"number": number, "state": version.state}, {"number": number, "state": PlanState.APPLIED})
    return get(context, actor, cen_id, number)


def roll_back(context: Context, actor: Actor, cen_id: str, number: int, *, why: str = "") -> Version:
    """Undo a plan that awaits its confirmation, where things are still as it left them.

    What others have changed since then stays. Raises PlanSettledError, NotFoundError, PlanRefusedError.
    """
    with joined_change(context, actor, "plan.roll_back", cen_id) as (work, joined):
        instance_service.lock(work.tx, actor, cen_id)
        version = _require_awaiting(work.tx, actor, cen_id, number)
        made = _undo(work, joined, actor, version)
        outcome = why or f"rolled back by {actor.username}"
        plans.settle(work.tx, version, PlanState.ROLLED_BACK, outcome)
        work.tell({"number": number}, {"number": number, "why": outcome, "changes": _spoken(made.changes)})
    return get(context, actor, cen_id, number)


def roll_back_due(context: Context) -> None:
    """Roll back what should have been confirmed by now, in the name of those who applied it."""
    with context.database.read() as tx:
        found = plans.due(tx, context.clock())
    for version in found:
        actor = Actor(version.account_id, version.user_id, version.username, Role.OPERATOR)
        try:
            roll_back(context, actor, version.cen_id, version.number, why="not confirmed in time")
        except PlanSettledError:
            continue
        except DomainError as refusal:
            _give_up(context, actor, version, refusal)


def _give_up(context: Context, actor: Actor, version: Version, refusal: DomainError) -> None:
    """Its room was given to others meanwhile: what is there stays, and the plan says why."""
    with context.change(actor, "plan.give_up", version.cen_id) as work:
        outcome = f"not confirmed in time, but could not be rolled back: {refusal.message}"
        plans.settle(work.tx, version, PlanState.APPLIED, outcome)
        work.tell({"number": version.number}, {"number": version.number, "why": outcome})


def get(context: Context, actor: Actor, cen_id: str, number: int) -> Version:
    """Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        return _require(tx, cen_id, number)


def search(context: Context, actor: Actor, cen_id: str, page: Page) -> Listing[Version]:
    """The plans of an instance, the newest first. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        return plans.search(tx, cen_id, page)


def difference(context: Context, actor: Actor, cen_id: str, number: int, since: int | None = None) -> rules.Plan:
    """What a plan changed; with `since`, what leads from the state after that plan (0: before the first) to it."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
        present = _present(tx, cen_id)
        version = _require(tx, cen_id, number)
        first = version.before if since is None else _state_after(tx, cen_id, since)
    was = replace(present, packages=first.packages or (), connections=first.connections or ())
    return replace(rules.plan(was, version.after), refusals=())


def _state_after(tx: Transaction, cen_id: str, number: int) -> Document:
    return _require(tx, cen_id, 1).before if number == 0 else _require(tx, cen_id, number).after


def _require(tx: Transaction, cen_id: str, number: int) -> Version:
    version = plans.find(tx, cen_id, number)
    if version is None:
        raise NotFoundError("plan", f"{cen_id}/{number}", field="number")
    return version


def _require_awaiting(tx: Transaction, actor: Actor, cen_id: str, number: int) -> Version:
    instance_service.require(tx, actor, cen_id)
    version = _require(tx, cen_id, number)
    if version.confirm_by is None:
        said = f" ({version.outcome})" if version.outcome else ""
        raise PlanSettledError(f"plan {number} of {cen_id} awaits no confirmation: it is {version.state.value}{said}")
    return version


def _check(confirm_within_s: int | None, note: str) -> None:
    if confirm_within_s is not None and not 1 <= confirm_within_s <= MAX_CONFIRM_WITHIN_S:
        raise InvalidValueError(
            f"a plan is confirmed within 1 to {MAX_CONFIRM_WITHIN_S} seconds, not {confirm_within_s}",
            field="confirm_within_s",
            value=confirm_within_s,
        )
    if len(note) > _NOTE_MAX:
        raise InvalidValueError(f"a note has at most {_NOTE_MAX} characters", field="note", value=note)


def _apply(
    work: Work, joined: Context, actor: Actor, cen_id: str, wanted: Document, seen_base: str | None
) -> tuple[Version, rules.Plan]:
    instance_service.lock(work.tx, actor, cen_id)
    _lock(work.tx, actor, cen_id, rules.plan(_present(work.tx, cen_id), wanted).changes)
    present = _present(work.tx, cen_id)
    base = base_of(present.document)
    made = rules.plan(present, wanted)
    if seen_base not in (None, base):
        raise EditConflictError(
            f"{cen_id} was changed since this plan was made; look at the plan again",
            field="if-match",
            seen={"base": seen_base},
            current={"base": base, **plain(present.document)},
        )
    if made.refusals:
        raise PlanRefusedError(made.refusals)
    bought = _carry_out(joined, actor, cen_id, made.changes)
    version = Version(
        cen_id=cen_id,
        number=plans.next_number(work.tx, cen_id),
        account_id=actor.account_id,
        applied_at=work.now,
        user_id=actor.user_id,
        username=actor.username,
        note="",
        before=present.document,
        after=_present(work.tx, cen_id).document,
        bought_package_ids=tuple(bought),
        state=PlanState.APPLIED,
    )
    return version, made


def _undo(work: Work, joined: Context, actor: Actor, version: Version) -> rules.Plan:
    present = _present(work.tx, version.cen_id)
    made = rules.plan(present, rules.undo(present, version.before, version.after))
    if made.refusals:
        raise PlanRefusedError(made.refusals)
    _lock(work.tx, actor, version.cen_id, made.changes)
    _carry_out(joined, actor, version.cen_id, made.changes)
    gone = {change.package_id for change in made.changes if change.subject is Subject.PACKAGE}
    for package_id in version.bought_package_ids:
        if package_id in gone:
            packages.delete(joined, actor, package_id)
    return made


def _present(tx: Transaction, cen_id: str) -> Present:
    bound = package_rows.bound(tx, cen_id)
    set_now = connection_rows.of_packages(tx, [package.id for package in bound])
    by_areas = sorted(bound, key=lambda package: (package.area_a_id, package.area_b_id))
    return Present(
        packages=tuple(
            rules.PlannedPackage((item.area_a_id, item.area_b_id), item.bandwidth_mbps, item.id, item.name)
            for item in by_areas
        ),
        connections=tuple(
            rules.PlannedConnection((item.region_a_id, item.region_b_id), item.bandwidth_mbps)
            for item in sorted(set_now, key=lambda item: item.id)
        ),
        area_of={region.id: region.area_id for region in regions.find_regions(tx)},
        attached_regions=networks.attached_regions(tx, cen_id),
        areas=frozenset(area.id for area in regions.find_areas(tx)),
    )


def _lock(tx: Transaction, actor: Actor, cen_id: str, changes: Sequence[Change]) -> None:
    """Nobody else changes the packages concerned until this transaction ends; always taken in the same order."""
    named = {change.package_id for change in changes if change.package_id}
    bound = {package.id for package in package_rows.bound(tx, cen_id)}
    for package_id in sorted(named | bound):
        package_rows.find(tx, actor.account_id, package_id, lock=True)


def _carry_out(context: Context, actor: Actor, cen_id: str, changes: Sequence[Change]) -> list[str]:
    """The changes in their order; the ids of packages that were bought for it."""
    bought = []
    for change in changes:
        if change.subject is Subject.CONNECTION:
            if change.effect is Effect.GOES:
                connections.delete(context, actor, cen_id, *change.ends)
            else:
                mbps = change.after_mbps
                connections.set_bandwidth(context, actor, cen_id, *change.ends, mbps, keeps_automatic=True)
        elif change.effect is Effect.GOES:
            packages.unbind(context, actor, change.package_id or "", cen_id=cen_id)
        elif change.effect is Effect.APPEARS:
            bought += _bring(context, actor, cen_id, change)
        else:
            packages.modify(context, actor, change.package_id or "", bandwidth_mbps=change.after_mbps)
    return bought


def _bring(context: Context, actor: Actor, cen_id: str, change: Change) -> list[str]:
    """Bind a package that is there, resized when need be, or buy one. The id of one that was bought."""
    if change.package_id is None:
        package = packages.buy(
            context,
            actor,
            area_a_id=change.ends[0],
            area_b_id=change.ends[1],
            bandwidth_mbps=change.after_mbps,
            name=change.name,
        )
        packages.bind(context, actor, package.id, cen_id)
        return [package.id]
    package = packages.get(context, actor, change.package_id)
    if (package.area_a_id, package.area_b_id) != change.ends:
        raise InvalidValueError(
            f"package {package.id} joins {package.area_a_id} and {package.area_b_id}, not {' and '.join(change.ends)}",
            field="packages",
            value=package.id,
        )
    if package.bandwidth_mbps != change.after_mbps:
        packages.modify(context, actor, package.id, bandwidth_mbps=change.after_mbps)
    packages.bind(context, actor, package.id, cen_id)
    return []


def _told(version: Version, changes: Sequence[Change]) -> dict[str, object]:
    return {
        "number": version.number,
        "state": version.state,
        "confirm_by": version.confirm_by,
        "note": version.note,
        "changes": _spoken(changes),
    }


def _spoken(changes: Sequence[Change]) -> list[str]:
    return [
        f"{change.subject.value} {' - '.join(change.ends)} {change.effect.value}: "
        f"{change.before_mbps} -> {change.after_mbps} Mbit/s"
        for change in changes
    ]
