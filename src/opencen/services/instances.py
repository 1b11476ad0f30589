"""CEN instances."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.domain.errors import EditConflictError, NetworksAttachedError, NotFoundError, PackagesBoundError
from opencen.domain.ids import new_id
from opencen.domain.labels import ANY_LABELS, NO_LABELS, Labelled, Labels, WantedLabels
from opencen.domain.names import checked_description, checked_name
from opencen.domain.nouns import Actor, Instance, QuotaKind
from opencen.services import labels, quotas
from opencen.services.context import Context
from opencen.store import control, instances, links, networks, plans, remainders
from opencen.store.database import Transaction
from opencen.store.records import Listing, Page


def create(
    context: Context, actor: Actor, *, name: str = "", description: str = "", labelled: Labels = NO_LABELS
) -> Instance:
    cen_id = new_id("cen")
    with context.change(actor, "instance.create", cen_id) as work:
        instance = Instance(
            id=cen_id,
            account_id=actor.account_id,
            name=checked_name(name),
            description=checked_description(description),
            created_at=work.now,
            version=1,
            resource_group_id=labels.stored_group(work.tx, actor, labelled.resource_group_id),
        )
        quotas.take(work, QuotaKind.INSTANCES)
        instances.add(work.tx, instance)
        labels.apply(work.tx, actor, Labelled.INSTANCE, cen_id, labelled)
        work.tell(None, instance)
    return instance


def get(context: Context, actor: Actor, cen_id: str) -> Instance:
    with context.database.read() as tx:
        return require(tx, actor, cen_id)


def require(tx: Transaction, actor: Actor, cen_id: str) -> Instance:
    """The instance, when it is this account's. Raises NotFoundError."""
    instance = instances.find(tx, actor.account_id, cen_id)
    if instance is None:
        raise NotFoundError("CEN instance", cen_id, field="cen_id")
    return instance


def lock(tx: Transaction, actor: Actor, cen_id: str, *, to_remove: bool = False) -> Instance:
    """The same, and nobody else changes what belongs to it until this transaction ends."""
    instances.lock(tx, actor.account_id, cen_id, to_remove=to_remove)
    return require(tx, actor, cen_id)


def search(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    ids: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    containing: str | None = None,
    labelled: WantedLabels = ANY_LABELS,
) -> Listing[Instance]:
    with context.database.read() as tx:
        return instances.search(
            tx, actor.account_id, page, ids=ids, names=names, containing=containing, labelled=labelled
        )


def modify(
    context: Context,
    actor: Actor,
    cen_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    seen_version: int | None = None,
) -> Instance:
    """Change what is given. Raises EditConflictError when `seen_version` is not the present one."""
    with context.change(actor, "instance.modify", cen_id) as work:
        before = lock(work.tx, actor, cen_id)
        if seen_version is not None and seen_version != before.version:
            raise EditConflictError(
                f"{cen_id} was changed meanwhile; its name is now {before.name!r}",
                field="name",
                seen={"version": seen_version},
                current={"version": before.version, "name": before.name, "description": before.description},
            )
        instances.change(
            work.tx,
            cen_id,
            name=before.name if name is None else checked_name(name),
            description=before.description if description is None else checked_description(description),
            version=before.version + 1,
        )
        after = require(work.tx, actor, cen_id)
        work.tell(before, after)
    return after


def delete(context: Context, actor: Actor, cen_id: str) -> None:
    """Raises NetworksAttachedError or PackagesBoundError while it is in use."""
    with context.change(actor, "instance.delete", cen_id) as work:
        instance = lock(work.tx, actor, cen_id, to_remove=True)
        if instance.network_count:
            attached = [attachment.network_id for attachment in networks.attached(work.tx, cen_id)]
            raise NetworksAttachedError(
                f"{cen_id} still has {len(attached)} networks attached ({', '.join(attached[:5])}); detach them first",
                cen_id=cen_id,
                network_ids=attached,
            )
        if instance.package_ids:
            raise PackagesBoundError(
                f"{cen_id} still has bandwidth packages bound ({', '.join(instance.package_ids)}); unbind them first",
                cen_id=cen_id,
                package_ids=instance.package_ids,
            )
        remainders.keep_instance(work.tx, cen_id, work.revision())
        links.remove_instance(work.tx, cen_id)
        plans.forget(work.tx, cen_id)
        instances.remove(work.tx, cen_id)
        work.touch(cen_id, control.regions_of_instance(work.tx, cen_id))
        work.tell(instance, None)


def exists(tx: Transaction, actor: Actor, cen_id: str) -> bool:
    """Whether the instance is this account's, without counting what it holds."""
    return instances.exists(tx, actor.account_id, cen_id)
