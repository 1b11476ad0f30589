"""Plans: many connections and packages of an instance changed in one step."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from opencen.api.rest.answers import page_of
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf
from opencen.domain.plans import Document, Plan, PlannedConnection, PlannedPackage, Version
from opencen.services import plans
from opencen.services.context import plain
from opencen.wire import plans as wire
from opencen.wire.rest import Page as WirePage

router = APIRouter(tags=["plans"], prefix="/instances/{cen_id}")


def get_seen_base(
    if_match: Annotated[str | None, Header(description="`base` of the preview; 412 when it is another now")] = None,
) -> str | None:
    return None if if_match is None or if_match.strip() == "*" else if_match.strip().strip('"')


SeenBase = Annotated[str | None, Depends(get_seen_base)]


def _document(body: wire.PlanDocument) -> Document:
    packages = connections = None
    if body.packages is not None:
        packages = tuple(
            PlannedPackage((item.areas[0], item.areas[1]), item.bandwidth_mbps, item.id, item.name)
            for item in body.packages
        )
    if body.connections is not None:
        connections = tuple(
            PlannedConnection((item.regions[0], item.regions[1]), item.bandwidth_mbps) for item in body.connections
        )
    return Document(packages, connections)


def _given(document: Document) -> wire.PlanDocument:
    return wire.PlanDocument(
        packages=[
            wire.PlanPackage(areas=list(item.areas), bandwidth_mbps=item.bandwidth_mbps, id=item.id, name=item.name)
            for item in document.packages or ()
        ],
        connections=[
            wire.PlanConnection(regions=list(item.regions), bandwidth_mbps=item.bandwidth_mbps)
            for item in document.connections or ()
        ],
    )


def _preview(plan: Plan, base: str) -> wire.PlanPreview:
    return wire.PlanPreview(
        base=base,
        changes=[wire.PlanChange.model_validate(change) for change in plan.changes],
        packages=[wire.PlanBudget.model_validate(budget) for budget in plan.budgets],
        refusals=[{"code": item.code, "message": item.message, **plain(item.numbers)} for item in plan.refusals],
    )


def _version(version: Version) -> wire.PlanVersionDocument:
    return wire.PlanVersionDocument(
        number=version.number,
        applied_at=version.applied_at,
        username=version.username,
        note=version.note,
        state=version.state.value,
        confirm_by=version.confirm_by,
        outcome=version.outcome,
        before=_given(version.before),
        after=_given(version.after),
    )


@router.get("/plan-document")
def export_document(cen_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.PlanDocument:
    """The present state as a document; applying it changes nothing."""
    document = plans.present_document(context, actor, cen_id)
    response.headers["etag"] = f'"{plans.base_of(document)}"'
    return _given(document)


@router.post("/plan-preview")
def preview_plan(cen_id: str, body: wire.PlanDocument, context: ContextOf, actor: ActorOf) -> wire.PlanPreview:
    """What a document would change, what each package has left, and what would be refused. Nothing is changed."""
    made = plans.preview(context, actor, cen_id, _document(body))
    return _preview(made.plan, made.base)


@router.post("/plans", status_code=201)
def apply_plan(
    cen_id: str, body: wire.PlanApply, context: ContextOf, actor: ActorOf, seen: SeenBase
) -> wire.PlanVersionDocument:
    """Carry a document out, all of it or nothing. Gateways shrink before others grow."""
    version = plans.apply(
        context,
        actor,
        cen_id,
        _document(body.document),
        seen_base=seen,
        confirm_within_s=body.confirm_within_s,
        note=body.note,
    )
    return _version(version)


@router.get("/plans")
def list_plans(cen_id: str, context: ContextOf, actor: ActorOf, page: PageOf) -> WirePage[wire.PlanVersion]:
    """The plans that were applied, the newest first."""
    return page_of(wire.PlanVersion, plans.search(context, actor, cen_id, page), page)


@router.get("/plans/{number}")
def get_plan(cen_id: str, number: int, context: ContextOf, actor: ActorOf) -> wire.PlanVersionDocument:
    """A plan that was applied, with the states before and after it."""
    return _version(plans.get(context, actor, cen_id, number))


@router.get("/plans/{number}/changes")
def get_plan_changes(
    cen_id: str,
    number: int,
    context: ContextOf,
    actor: ActorOf,
    since: Annotated[
        int | None, Query(description="the state after this plan; 0: before the first; not given: before this one")
    ] = None,
) -> wire.PlanPreview:
    """What a plan changed, or what was changed since the state after an earlier (or later) one."""
    return _preview(plans.difference(context, actor, cen_id, number, since), "")


@router.post("/plans/{number}/confirmation")
def confirm_plan(cen_id: str, number: int, context: ContextOf, actor: ActorOf) -> wire.PlanVersionDocument:
    """Keep what a plan did that awaits its confirmation."""
    return _version(plans.confirm(context, actor, cen_id, number))


@router.post("/plans/{number}/rollback")
def roll_back_plan(cen_id: str, number: int, context: ContextOf, actor: ActorOf) -> wire.PlanVersionDocument:
    """Undo a plan that awaits its confirmation; what others have changed since then stays."""
    return _version(plans.roll_back(context, actor, cen_id, number))
