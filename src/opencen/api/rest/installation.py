"""The installation itself: geography, accounts, gateways, audit, check, changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from opencen.api.rest.answers import page_of, whole
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf
from opencen.changes.feed import ANY_REGION
from opencen.domain import geography as domain
from opencen.domain import permissions
from opencen.domain.nouns import Actor, Gateway, Role
from opencen.domain.status import Liveness, liveness
from opencen.services import audit, audit_seals, check, gateway_credentials, gateways, geography, identities, pairs
from opencen.services.context import Context
from opencen.wire import rest as wire

router = APIRouter(tags=["installation"])


@router.get("/areas")
def list_areas(context: ContextOf, actor: ActorOf) -> wire.Page[wire.Area]:
    """The areas between which bandwidth is bought."""
    return whole(wire.Area, geography.find_areas(context))


@router.get("/regions")
def list_regions(context: ContextOf, actor: ActorOf) -> wire.Page[wire.Region]:
    """The regions, each in one area."""
    return whole(wire.Region, geography.find_regions(context))


@router.post("/regions", status_code=201)
def add_region(body: wire.RegionCreate, context: ContextOf, actor: ActorOf) -> wire.Region:
    """Add a region of one's own (administrators)."""
    region = domain.Region(body.id, body.name, body.name_zh or body.name, body.area_id)
    return wire.Region.model_validate(geography.add_region(context, actor, region))


@router.get("/me")
def get_me(actor: ActorOf) -> wire.Me:
    """Who the caller is."""
    return wire.Me.model_validate(actor)


@router.get("/accounts")
def list_accounts(context: ContextOf, actor: ActorOf) -> wire.Page[wire.Account]:
    """The accounts of the installation (administrators)."""
    permissions.check_read(actor, "account.list")
    return whole(wire.Account, identities.find_accounts(context))


def _gateway(context: Context, actor: Actor, gateway: Gateway) -> wire.Gateway:
    seen = gateway.last_seen_at
    open_to_all = actor.role is Role.ADMINISTRATOR  # hosts and interfaces are the operators' of the installation
    state = Liveness.ABSENT if seen is None else liveness(seen, context.clock())
    return wire.Gateway(
        id=gateway.id,
        region_id=gateway.region_id,
        name=gateway.name,
        role=gateway.role,
        preferred=gateway.preferred,
        trouble=gateway.trouble if open_to_all else None,
        liveness=state.value,
        endpoint=gateway.endpoint if open_to_all else None,
        agent_version=gateway.agent_version,
        capabilities=gateway.capabilities if open_to_all else {},
        declared_networks=list(gateway.declared_networks) if open_to_all else [],
        applied_revision=gateway.applied_revision,
        wanted_revision=gateway.wanted_revision,
        repairs=gateway.repairs,
        drift_count=gateway.drift_count,
        credential_since=gateway.credential_since,
        rotation_wanted=gateway.rotation_wanted,
        last_seen_at=seen,
        created_at=gateway.created_at,
    )


@router.get("/gateways")
def list_gateways(context: ContextOf, actor: ActorOf) -> wire.Page[wire.Gateway]:
    """Every gateway: its region, what it can do, and how far it has followed; to administrators also its addresses."""
    return whole(wire.Gateway, gateways.find_all(context), lambda gateway: _gateway(context, actor, gateway))


@router.get("/gateways/{gateway_id}")
def get_gateway(gateway_id: str, context: ContextOf, actor: ActorOf) -> wire.Gateway:
    """One gateway."""
    return _gateway(context, actor, gateways.get(context, gateway_id))


@router.get("/gateways/{gateway_id}/drift")
def list_drift(gateway_id: str, context: ContextOf, actor: ActorOf, page: PageOf) -> wire.Page[wire.Drift]:
    """What the gateway found otherwise than it should be, and repaired; the newest first (administrators)."""
    return page_of(wire.Drift, gateways.search_drift(context, actor, gateway_id, page), page)


@router.delete("/gateways/{gateway_id}", status_code=204)
def remove_gateway(gateway_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Revoke a gateway: peers drop its tunnels (administrators)."""
    gateways.remove(context, actor, gateway_id)


@router.post("/gateways/{gateway_id}/rotate-credential", status_code=202)
def ask_rotation(gateway_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Ask a gateway to make itself a new credential; it does within seconds of its next report (administrators)."""
    gateway_credentials.ask_rotation(context, actor, gateway_id)


@router.post("/gateways/{gateway_id}/release", status_code=204)
def release_gateway(gateway_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Vouch that a silent gateway passes nothing: what it held may go to others (administrators)."""
    gateways.release(context, actor, gateway_id)


@router.post("/gateways/{gateway_id}/promote", status_code=204)
def promote_gateway(gateway_id: str, body: wire.GatewayPromote, context: ContextOf, actor: ActorOf) -> None:
    """Make a region's standby its active gateway (administrators)."""
    pairs.promote(context, actor, gateway_id, prefer=body.prefer)


@router.get("/audit")
def list_audit(
    context: ContextOf,
    actor: ActorOf,
    page: PageOf,
    resource: Annotated[str | None, Query(description="an id; an instance's also finds its connections")] = None,
    after_id: int | None = None,
) -> wire.Page[wire.AuditEvent]:
    """Changes and refusals, the newest first."""
    return page_of(wire.AuditEvent, audit.search(context, actor, page, resource=resource, after_id=after_id), page)


@router.get("/audit/head")
def get_audit_head(context: ContextOf, actor: ActorOf) -> wire.AuditChain:
    """How far the audit log is sealed (administrators)."""
    chain = audit_seals.find_chain(context, actor)
    return wire.AuditChain(
        head=chain.head.head if chain.head else None,
        sealed_at=chain.head.sealed_at if chain.head else None,
        sealed_events=chain.sealed_events,
        unsealed_events=chain.unsealed_events,
    )


@router.get("/check")
def run_check(context: ContextOf, actor: ActorOf) -> wire.CheckResult:
    """Recompute every invariant from the rows (administrators)."""
    permissions.check_read(actor, "check.run")
    return wire.CheckResult(checked=list(check.NAMES), broken=check.check(context))


@router.get("/changes")
async def wait_for_changes(
    context: ContextOf,
    actor: ActorOf,
    after: Annotated[int, Query(ge=0)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 25,
) -> wire.ChangesAnswer:
    """Answers when something changed after a revision, or when `wait_s` has passed: then look again."""
    await context.feed.wait(ANY_REGION, after, wait_s)
    return wire.ChangesAnswer(revision=max(after, context.feed.latest(ANY_REGION)))
