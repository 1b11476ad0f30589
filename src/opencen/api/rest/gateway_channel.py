"""What gateways say and ask, each with its own credential, about its own region only."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from opencen.api.rest.callers import ContextOf, GatewayOf, get_gateway, source_address
from opencen.domain.errors import JoinTokenRefusedError
from opencen.domain.rotation import KeySide, PublicKey
from opencen.domain.wanted import TEST_RATE_BPS, Held, KernelInstance, KernelLink, WantedInstance, WantedWireGuard
from opencen.services import gateway_credentials, gateways, joining
from opencen.store.drift import Drift
from opencen.wire import gateway as wire
from opencen.wire.interfaces import Interface
from opencen.wire.join_token import JoinTokenText

router = APIRouter(prefix="/gateway", tags=["gateways' own"])


@router.post("/join", status_code=201)
def join(body: wire.Join, request: Request, context: ContextOf) -> wire.Welcome:
    """A host becomes a gateway, with a token that an operator made. Asked again by the same host: the same answer."""
    try:
        token = JoinTokenText.parse(body.token)
    except ValueError as error:
        raise JoinTokenRefusedError(str(error)) from error
    row = joining.join(
        context,
        token.id,
        token.secret,
        name=body.name,
        credential_sha256=gateway_credentials.hash_of(body.credential_sha256),
        source_address=source_address(request),
        request_id=request.state.request_id,
    )
    return wire.Welcome(gateway_id=row.id, region_id=row.region_id)


@router.post("/credential")
def offer_credential(body: wire.NextCredential, context: ContextOf, gateway: GatewayOf) -> wire.Welcome:
    """The gateway's next credential: accepted beside the present one from now on, and alone once it is used."""
    gateway_credentials.offer_next(context, gateway, gateway_credentials.hash_of(body.credential_sha256))
    return wire.Welcome(gateway_id=gateway.id, region_id=gateway.region_id)


@router.get("/self")
def who_am_i(gateway: GatewayOf) -> wire.Welcome:
    """Whether a credential is accepted, and whose it is. Asked with the next credential, it ends the present one."""
    return wire.Welcome(gateway_id=gateway.id, region_id=gateway.region_id)


@router.delete("/self", status_code=204)
def leave(context: ContextOf, gateway: GatewayOf) -> None:
    """The host ceases to be a gateway: peers drop its tunnels."""
    gateways.leave(context, gateway)


@router.post("/hello")
def hello(body: wire.Hello, context: ContextOf, gateway: GatewayOf) -> wire.Welcome:
    """A gateway has started."""
    gateways.hello(
        context,
        gateway,
        endpoint=body.endpoint,
        behind_nat=body.behind_nat,
        agent_version=body.agent_version,
        capabilities=body.capabilities.model_dump(),
        declared_networks=[network.model_dump() for network in body.declared_networks],
        host_id=body.host_id,
        knows_roles=body.knows_roles,
    )
    return wire.Welcome(gateway_id=gateway.id, region_id=gateway.region_id)


@router.get("/state")
async def get_state(
    request: Request,
    context: ContextOf,
    gateway: GatewayOf,
    after: Annotated[int, Query(ge=0)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 25,
    epoch: Annotated[str, Query(description="the epoch of `after`, or of `held`")] = "",
    held: Annotated[int, Query(ge=0, description="the revision that the gateway has saved")] = 0,
    host_id: str | None = None,
) -> wire.GatewayState:
    """What the gateway should carry, as soon as it differs from what it was at revision `after`."""
    known = Held(epoch, held) if epoch else None
    await anyio.to_thread.run_sync(gateways.check_host, context, gateway, host_id)
    state = await anyio.to_thread.run_sync(gateways.wanted_state, context, gateway, after, known)
    unchanged = after and state.continues and not state.instances and not state.removed_cen_ids
    if unchanged and await context.feed.wait(gateway.region_id, after, wait_s):
        # who was revoked while waiting is told nothing more
        gateway = await anyio.to_thread.run_sync(get_gateway, request, context)
        state = await anyio.to_thread.run_sync(gateways.wanted_state, context, gateway, after, known)
    return wire.GatewayState(
        gateway_id=gateway.id,
        region_id=gateway.region_id,
        revision=state.revision,
        full=state.full,
        instances=[_instance(instance) for instance in state.instances],
        removed_cen_ids=list(state.removed_cen_ids),
        watched=context.watched,
        epoch=state.epoch,
        continues=state.continues,
        standby=not state.place.is_active,
        role_since=state.place.since,
        partner_key=state.place.partner_key.hex() if state.place.partner_key else None,
    )


def _instance(instance: WantedInstance) -> wire.InstanceState:
    return wire.InstanceState(
        cen_id=instance.cen_id,
        revision=instance.revision,
        networks=[
            wire.NetworkState(
                network_id=network.network_id,
                name=network.name,
                cidr_blocks=list(network.cidr_blocks),
                interface=None if network.interface is None else Interface.model_validate(network.interface),
            )
            for network in instance.networks
        ],
        links=[
            wire.LinkState(
                peer_region_id=link.peer_region_id,
                vni=link.vni,
                peer_endpoint=link.peer_endpoint,
                remote_cidr_blocks=list(link.remote_cidr_blocks),
                rate_bps=link.granted_bps or TEST_RATE_BPS,
                wireguard=_wireguard(link.wireguard),
                refusal=link.refusal,
            )
            for link in instance.links
        ],
    )


def _wireguard(wanted: WantedWireGuard | None) -> wire.WireGuardState | None:
    if wanted is None:
        return None
    return wire.WireGuardState(
        tunnels=[
            wire.TunnelState(
                generation=tunnel.generation, peer_public_key=tunnel.peer_public_key, peer_port=tunnel.peer_port
            )
            for tunnel in wanted.tunnels
        ],
        preshared_keys=[wire.PresharedKey(id=number, key=key) for number, key in wanted.preshared_keys],
        peer_is_behind_nat=wanted.peer_is_behind_nat,
    )


@router.post("/report")
def report(body: wire.GatewayReport, context: ContextOf, gateway: GatewayOf) -> wire.ReportAnswer:
    """What the gateway's kernel has, read back, and what passes."""
    revision = gateways.report(
        context,
        gateway,
        applied_revision=body.applied_revision,
        repairs=body.repairs,
        instances=[_found(instance) for instance in body.instances],
        epoch=body.epoch,
        host_id=body.host_id,
        drifted=[Drift(gateway.id, event.id, event.at, event.cen_id, event.part, event.found) for event in body.drift],
    )
    return wire.ReportAnswer(revision=revision, watched=context.watched, rotate_credential=gateway.rotation_wanted)


def _found(instance: wire.InstanceReport) -> KernelInstance:
    return KernelInstance(
        cen_id=instance.cen_id,
        revision=instance.revision,
        removed=instance.removed,
        links=tuple(
            KernelLink(link.peer_region_id, link.in_kernel_bps, link.error, _keys(link)) for link in instance.links
        ),
        live_links={} if instance.removed else {link.peer_region_id: link.model_dump() for link in instance.links},
        networks={} if instance.removed else {item.network_id: item.model_dump() for item in instance.networks},
    )


def _keys(link: wire.LinkReport) -> KeySide | None:
    if not link.tunnels:
        return None
    used = {tunnel.preshared_key_id for tunnel in link.tunnels if tunnel.preshared_key_id is not None}
    return KeySide(
        {tunnel.generation: PublicKey(tunnel.public_key, tunnel.port) for tunnel in link.tunnels},
        next((tunnel.generation for tunnel in link.tunnels if tunnel.sends), None),
        tuple(sorted(link.held_preshared_key_ids)),
        tuple(sorted(used)),
    )
