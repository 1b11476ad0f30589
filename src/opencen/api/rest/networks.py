"""Private networks."""

from __future__ import annotations

from fastapi import APIRouter

from opencen.api.rest.answers import page_of, whole
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf
from opencen.services import network_grants, network_interfaces, networks
from opencen.wire import rest as wire
from opencen.wire.interfaces import InterfaceDeclare

router = APIRouter(tags=["networks"])


@router.post("/networks", status_code=201)
def create_network(body: wire.NetworkCreate, context: ContextOf, actor: ActorOf) -> wire.Network:
    """Declare a private network: its region and address blocks."""
    network = networks.create(
        context,
        actor,
        region_id=body.region_id,
        cidr_blocks=body.cidr_blocks,
        name=body.name,
        description=body.description,
    )
    return wire.Network.model_validate(network)


@router.get("/networks")
def list_networks(
    context: ContextOf, actor: ActorOf, page: PageOf, region_id: str | None = None, name: str | None = None
) -> wire.Page[wire.Network]:
    """The account's networks, in the order of their creation."""
    names = None if name is None else [name]
    return page_of(wire.Network, networks.search(context, actor, page, names=names, region_id=region_id), page)


@router.get("/networks/{network_id}")
def get_network(network_id: str, context: ContextOf, actor: ActorOf) -> wire.Network:
    """One network."""
    return wire.Network.model_validate(networks.get(context, actor, network_id))


@router.patch("/networks/{network_id}")
def modify_network(network_id: str, body: wire.NetworkModify, context: ContextOf, actor: ActorOf) -> wire.Network:
    """Rename or describe a network."""
    network = networks.modify(context, actor, network_id, name=body.name, description=body.description)
    return wire.Network.model_validate(network)


@router.delete("/networks/{network_id}", status_code=204)
def delete_network(network_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Delete a network that is not attached."""
    networks.delete(context, actor, network_id)


@router.get("/networks/{network_id}/interfaces")
def list_interfaces(network_id: str, context: ContextOf, actor: ActorOf) -> wire.Page[wire.NetworkInterface]:
    """At which interfaces of gateways the network is, as administrators have said (administrators)."""
    return whole(wire.NetworkInterface, network_interfaces.of_network(context, actor, network_id))


@router.put("/networks/{network_id}/interfaces/{gateway_id}")
def declare_interface(
    network_id: str, gateway_id: str, body: InterfaceDeclare, context: ContextOf, actor: ActorOf
) -> wire.NetworkInterface:
    """Say at which interface of a gateway the network is (administrators). What the gateway's own file says counts
    before."""
    made = network_interfaces.declare(context, actor, network_id, gateway_id, body.model_dump())
    return wire.NetworkInterface.model_validate(made)


@router.delete("/networks/{network_id}/interfaces/{gateway_id}", status_code=204)
def undeclare_interface(network_id: str, gateway_id: str, context: ContextOf, actor: ActorOf) -> None:
    """The network is at no interface of the gateway any more, unless its own file says so (administrators)."""
    network_interfaces.undeclare(context, actor, network_id, gateway_id)


@router.post("/networks/{network_id}/grants", status_code=201)
def grant_network(network_id: str, body: wire.GrantAdd, context: ContextOf, actor: ActorOf) -> wire.NetworkGrant:
    """Let an instance of another account attach the network."""
    grant = network_grants.add(context, actor, network_id, body.cen_id, cen_account_number=body.cen_account_number)
    return wire.NetworkGrant.model_validate(grant)


@router.get("/networks/{network_id}/grants")
def list_grants_of_network(
    network_id: str, context: ContextOf, actor: ActorOf, page: PageOf
) -> wire.Page[wire.NetworkGrant]:
    """The instances that may attach the network."""
    return page_of(wire.NetworkGrant, network_grants.given(context, actor, network_id, page), page)


@router.delete("/networks/{network_id}/grants/{cen_id}", status_code=204)
def revoke_network(network_id: str, cen_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Take a grant back; the network must not be attached by it."""
    network_grants.remove(context, actor, network_id, cen_id)
