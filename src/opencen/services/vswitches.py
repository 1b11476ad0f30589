"""VSwitches of networks."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.domain.errors import NotFoundError
from opencen.domain.ids import new_id
from opencen.domain.labels import ANY_LABELS, NO_LABELS, Labelled, Labels, WantedLabels
from opencen.domain.names import checked_description, checked_name
from opencen.domain.nouns import Actor, VSwitch
from opencen.domain.vswitches import check_zone, checked_block
from opencen.services import labels
from opencen.services import networks as network_service
from opencen.services.context import Context
from opencen.store import vswitches
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page


def create(
    context: Context,
    actor: Actor,
    *,
    network_id: str,
    zone_id: str,
    cidr_block: str,
    name: str = "",
    description: str = "",
    labelled: Labels = NO_LABELS,
) -> VSwitch:
    """A part of a network's blocks. Raises NotFoundError, InvalidValueError, OverlappingVSwitchesError."""
    vswitch_id = new_id("vsw")
    with context.change(actor, "vswitch.create", vswitch_id) as work:
        network = network_service.require(work.tx, actor, network_id, lock=True)
        check_zone(network.region_id, zone_id)
        vswitch = VSwitch(
            id=vswitch_id,
            account_id=actor.account_id,
            network_id=network_id,
            region_id=network.region_id,
            zone_id=zone_id,
            name=checked_name(name),
            description=checked_description(description),
            cidr_block=checked_block(cidr_block, network.cidr_blocks, vswitches.blocks(work.tx, network_id)),
            created_at=work.now,
        )
        vswitches.add(work.tx, vswitch)
        labels.apply(work.tx, actor, Labelled.VSWITCH, vswitch_id, labelled)
        work.tell(None, vswitch)
    return vswitch


def get(context: Context, actor: Actor, vswitch_id: str) -> VSwitch:
    with context.database.read() as tx:
        return _require(tx, actor, vswitch_id)


def _require(tx: Transaction, actor: Actor, vswitch_id: str) -> VSwitch:
    vswitch = vswitches.find(tx, actor.account_id, vswitch_id)
    if vswitch is None:
        raise NotFoundError("vSwitch", vswitch_id, field="vswitch_id")
    return vswitch


def search(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    network_id: str | None = None,
    region_id: str | None = None,
    zone_id: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[VSwitch]:
    with context.database.read() as tx:
        return vswitches.search(
            tx,
            actor.account_id,
            page,
            ids=ids,
            names=names,
            network_id=network_id,
            region_id=region_id,
            zone_id=zone_id,
            labelled=labelled,
        )


def of_networks(context: Context, network_ids: Sequence[str]) -> dict[str, list[str]]:
    """The vSwitches' ids of each of these networks, which the caller was allowed to see."""
    if not network_ids:
        return {}
    with context.database.read() as tx:
        return vswitches.of_networks(tx, network_ids)


def modify(
    context: Context, actor: Actor, vswitch_id: str, *, name: str | None = None, description: str | None = None
) -> VSwitch:
    with context.change(actor, "vswitch.modify", vswitch_id) as work:
        before = _require(work.tx, actor, vswitch_id)
        vswitches.change(
            work.tx,
            vswitch_id,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
        )
        after = _require(work.tx, actor, vswitch_id)
        work.tell(before, after)
    return after


def delete(context: Context, actor: Actor, vswitch_id: str) -> None:
    with context.change(actor, "vswitch.delete", vswitch_id) as work:
        vswitch = _require(work.tx, actor, vswitch_id)
        vswitches.remove(work.tx, vswitch_id)
        work.tell(vswitch, None)
