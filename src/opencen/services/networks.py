"""Private networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opencen.domain.errors import InvalidValueError, NetworkAttachedError, NotFoundError, VSwitchesExistError
from opencen.domain.ids import new_id
from opencen.domain.labels import ANY_LABELS, NO_LABELS, Labelled, Labels, WantedLabels
from opencen.domain.names import checked_cidr_blocks, checked_description, checked_name
from opencen.domain.nouns import Actor, Network, QuotaKind
from opencen.services import labels, quotas
from opencen.services.context import Context
from opencen.store import networks, regions, vswitches
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page


def create(
    context: Context,
    actor: Actor,
    *,
    region_id: str,
    cidr_blocks: Iterable[str],
    name: str = "",
    description: str = "",
    labelled: Labels = NO_LABELS,
) -> Network:
    network_id = new_id("vpc")
    with context.change(actor, "network.create", network_id) as work:
        if region_id not in regions.areas_of(work.tx, [region_id]):
            raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)
        network = Network(
            id=network_id,
            account_id=actor.account_id,
            region_id=region_id,
            name=checked_name(name),
            description=checked_description(description),
            cidr_blocks=checked_cidr_blocks(cidr_blocks),
            created_at=work.now,
            resource_group_id=labels.stored_group(work.tx, actor, labelled.resource_group_id),
        )
        quotas.take(work, QuotaKind.NETWORKS)
        networks.add(work.tx, network)
        labels.apply(work.tx, actor, Labelled.NETWORK, network_id, labelled)
        work.tell(None, network)
    return network


def get(context: Context, actor: Actor, network_id: str) -> Network:
    with context.database.read() as tx:
        return require(tx, actor, network_id)


def require(tx: Transaction, actor: Actor, network_id: str, *, lock: bool = False) -> Network:
    """The network, when it is this account's. Raises NotFoundError."""
    network = networks.find(tx, actor.account_id, network_id, lock=lock)
    if network is None:
        raise NotFoundError("network", network_id, field="network_id")
    return network


def search(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    region_id: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Network]:
    with context.database.read() as tx:
        return networks.search(tx, actor.account_id, page, ids=ids, names=names, region_id=region_id, labelled=labelled)


def group_ids(context: Context, network_ids: Sequence[str]) -> dict[str, str | None]:
    """The resource groups of these networks, which the caller was allowed to see; None is the default group."""
    with context.database.read() as tx:
        return networks.group_ids(tx, network_ids)


def modify(
    context: Context, actor: Actor, network_id: str, *, name: str | None = None, description: str | None = None
) -> Network:
    with context.change(actor, "network.modify", network_id) as work:
        before = require(work.tx, actor, network_id, lock=True)
        networks.change(
            work.tx,
            network_id,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
        )
        after = require(work.tx, actor, network_id)
        if after.cen_id is not None:
            work.touch(after.cen_id, [after.region_id])
        work.tell(before, after)
    return after


def delete(context: Context, actor: Actor, network_id: str) -> None:
    """Raises NetworkAttachedError while it is attached, VSwitchesExistError while it has vSwitches."""
    with context.change(actor, "network.delete", network_id) as work:
        network = require(work.tx, actor, network_id, lock=True)
        if network.cen_id is not None:
            raise NetworkAttachedError(
                f"network {network_id} is attached to {network.cen_id}; detach it first",
                network_id=network_id,
                cen_id=network.cen_id,
            )
        inside = vswitches.of_networks(work.tx, [network_id]).get(network_id, ())
        if inside:
            raise VSwitchesExistError(
                f"network {network_id} still has {len(inside)} vSwitches ({', '.join(inside[:5])}); delete them first",
                network_id=network_id,
                vswitch_ids=inside,
            )
        networks.remove(work.tx, network_id)
        work.tell(network, None)
