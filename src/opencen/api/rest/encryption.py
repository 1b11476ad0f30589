"""How links are carried: encrypted or plain, by pair of areas and by pair of regions."""

from __future__ import annotations

from fastapi import APIRouter

from opencen.api.rest.answers import whole
from opencen.api.rest.callers import ActorOf, ContextOf
from opencen.services import encryption
from opencen.wire import rest as wire

router = APIRouter(tags=["encryption"])
PAIR = "/instances/{cen_id}/encryption/{region_id}/{other_region_id}"


@router.get("/encryption")
def list_area_encryption(context: ContextOf, actor: ActorOf) -> wire.Page[wire.AreaEncryption]:
    """What was chosen for pairs of areas. Links between other areas are encrypted."""
    return whole(wire.AreaEncryption, encryption.find_area_choices(context))


@router.put("/encryption/{area_id}/{other_area_id}")
def choose_area_encryption(
    area_id: str, other_area_id: str, body: wire.EncryptionChoice, context: ContextOf, actor: ActorOf
) -> wire.AreaEncryption:
    """How links between two areas are carried (administrators); links that are there change at once."""
    chosen = encryption.choose_for_areas(context, actor, area_id, other_area_id, body.encryption)
    return wire.AreaEncryption.model_validate(chosen)


@router.delete("/encryption/{area_id}/{other_area_id}", status_code=204)
def forget_area_encryption(area_id: str, other_area_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Links between two areas are encrypted again, unless chosen otherwise (administrators)."""
    encryption.forget_for_areas(context, actor, area_id, other_area_id)


@router.get("/instances/{cen_id}/encryption")
def list_link_encryption(cen_id: str, context: ContextOf, actor: ActorOf) -> wire.Page[wire.LinkEncryption]:
    """The links of an instance: how each is carried, who chose that, and how old its keys are."""
    return whole(wire.LinkEncryption, encryption.find_links(context, actor, cen_id))


@router.put(PAIR)
def choose_link_encryption(
    cen_id: str,
    region_id: str,
    other_region_id: str,
    body: wire.EncryptionChoice,
    context: ContextOf,
    actor: ActorOf,
) -> wire.LinkEncryption:
    """How one pair of regions is carried, whatever its areas are."""
    chosen = encryption.choose_for_link(context, actor, cen_id, region_id, other_region_id, body.encryption)
    return wire.LinkEncryption.model_validate(chosen)


@router.delete(PAIR)
def forget_link_encryption(
    cen_id: str, region_id: str, other_region_id: str, context: ContextOf, actor: ActorOf
) -> wire.LinkEncryption:
    """One pair of regions is carried as its areas are."""
    chosen = encryption.choose_for_link(context, actor, cen_id, region_id, other_region_id, None)
    return wire.LinkEncryption.model_validate(chosen)


@router.post("/gateways/{gateway_id}/rotate-keys")
def rotate_gateway_keys(gateway_id: str, context: ContextOf, actor: ActorOf) -> wire.KeyRotation:
    """Begin to rotate all keys of a gateway's links, the new ones beside the old ones (administrators)."""
    return wire.KeyRotation(links=encryption.rotate_gateway(context, actor, gateway_id))
