"""CEN instances and what is attached to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from opencen.api.rest.answers import page_of, tagged
from opencen.api.rest.callers import ActorOf, ContextOf, PageOf, SeenVersion
from opencen.services import attachments, instances, network_grants
from opencen.wire import rest as wire

router = APIRouter(tags=["instances"])


@router.post("/instances", status_code=201)
def create_instance(body: wire.InstanceCreate, context: ContextOf, actor: ActorOf, response: Response) -> wire.Instance:
    """Create a CEN instance."""
    instance = instances.create(context, actor, name=body.name, description=body.description)
    return tagged(response, wire.Instance.model_validate(instance))


@router.get("/instances")
def list_instances(
    context: ContextOf,
    actor: ActorOf,
    page: PageOf,
    name: str | None = None,
    search: Annotated[str | None, Query(description="part of a name or id")] = None,
) -> wire.Page[wire.Instance]:
    """The account's CEN instances, in the order of their creation."""
    names = None if name is None else [name]
    return page_of(wire.Instance, instances.search(context, actor, page, names=names, containing=search), page)


@router.get("/instances/{cen_id}")
def get_instance(cen_id: str, context: ContextOf, actor: ActorOf, response: Response) -> wire.Instance:
    """One CEN instance."""
    return tagged(response, wire.Instance.model_validate(instances.get(context, actor, cen_id)))


@router.patch("/instances/{cen_id}")
def modify_instance(
    cen_id: str, body: wire.InstanceModify, context: ContextOf, actor: ActorOf, seen: SeenVersion, response: Response
) -> wire.Instance:
    """Rename or describe a CEN instance."""
    instance = instances.modify(context, actor, cen_id, name=body.name, description=body.description, seen_version=seen)
    return tagged(response, wire.Instance.model_validate(instance))


@router.delete("/instances/{cen_id}", status_code=204)
def delete_instance(cen_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Delete a CEN instance that has no network attached and no package bound."""
    instances.delete(context, actor, cen_id)


@router.post("/instances/{cen_id}/attachments", status_code=201)
def attach_network(cen_id: str, body: wire.Attach, context: ContextOf, actor: ActorOf) -> wire.Attachment:
    """Attach a network of the account's, or one that another account has granted to the instance."""
    return wire.Attachment.model_validate(attachments.attach(context, actor, cen_id, body.network_id))


@router.get("/instances/{cen_id}/attachments")
def list_attachments(
    cen_id: str, context: ContextOf, actor: ActorOf, page: PageOf, region_id: str | None = None
) -> wire.Page[wire.Attachment]:
    """The networks attached to an instance, and whether gateways carry them."""
    return page_of(wire.Attachment, attachments.search(context, actor, cen_id, page, region_id=region_id), page)


@router.delete("/instances/{cen_id}/attachments/{network_id}", status_code=204)
def detach_network(cen_id: str, network_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Detach a network; its own account may, too. Region connections of its region stay, with their share."""
    attachments.detach(context, actor, cen_id, network_id)


@router.get("/instances/{cen_id}/grants")
def list_grants_to_instance(
    cen_id: str, context: ContextOf, actor: ActorOf, page: PageOf
) -> wire.Page[wire.NetworkGrant]:
    """The networks of other accounts that the instance may attach."""
    return page_of(wire.NetworkGrant, network_grants.received(context, actor, page, cen_id=cen_id), page)
