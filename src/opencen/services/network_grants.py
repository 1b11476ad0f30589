"""Grants between accounts: an account lets another account's CEN instance attach one of its networks."""

from __future__ import annotations

from opencen.domain.errors import GrantExistsError, NetworkAttachedError, NotFoundError
from opencen.domain.nouns import Actor
from opencen.services import networks as network_service
from opencen.services.context import Context
from opencen.store import network_grants
from opencen.store.database import Transaction
from opencen.store.network_grants import NetworkGrant
from opencen.store.records import Listing, Page

__all__ = ["NetworkGrant", "account_of_number", "add", "given", "owner_number", "received", "remove"]


def add(
    context: Context, actor: Actor, network_id: str, cen_id: str, *, cen_account_number: int | None = None
) -> NetworkGrant:
    """Grant one's network to an instance; `cen_account_number`, when given, must be its owner's.

    Raises NotFoundError, GrantExistsError.
    """
    with context.change(actor, "network.grant", network_id) as work:
        network_service.require(work.tx, actor, network_id, lock=True)
        _require_instance(work.tx, cen_id, cen_account_number)
        if not network_grants.add(work.tx, network_id, cen_id, work.now):
            raise GrantExistsError(
                f"network {network_id} is granted to {cen_id} already",
                field="cen_id",
                network_id=network_id,
                cen_id=cen_id,
            )
        grant = network_grants.find(work.tx, network_id, cen_id)
        assert grant is not None
        work.tell(None, grant)
    return grant


def remove(
    context: Context, actor: Actor, network_id: str, cen_id: str, *, cen_account_number: int | None = None
) -> None:
    """Take a grant back. Raises NotFoundError; NetworkAttachedError while the instance has the network attached."""
    with context.change(actor, "network.revoke", network_id) as work:
        network = network_service.require(work.tx, actor, network_id, lock=True)
        grant = network_grants.find(work.tx, network_id, cen_id)
        if grant is None or cen_account_number not in (None, grant.cen_account_number):
            raise NotFoundError("grant", f"{network_id}/{cen_id}", field="cen_id")
        if network.cen_id == cen_id and grant.cen_account_id != actor.account_id:
            raise NetworkAttachedError(
                f"network {network_id} is attached to {cen_id}; detach it before taking the grant back",
                field="network_id",
                network_id=network_id,
                cen_id=cen_id,
            )
        network_grants.remove(work.tx, network_id, cen_id)
        work.tell(grant, None)


def given(context: Context, actor: Actor, network_id: str, page: Page) -> Listing[NetworkGrant]:
    """To which instances the account's network is granted. Raises NotFoundError."""
    with context.database.read() as tx:
        network_service.require(tx, actor, network_id)
        return network_grants.search(tx, page, network_account_id=actor.account_id, network_id=network_id)


def received(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    cen_id: str | None = None,
    network_id: str | None = None,
    region_id: str | None = None,
    network_account_number: int | None = None,
) -> Listing[NetworkGrant]:
    """Which networks are granted to the account's instances. Raises NotFoundError for the instance."""
    with context.database.read() as tx:
        if cen_id is not None and network_grants.account_of_instance(tx, cen_id) != actor.account_id:
            raise NotFoundError("CEN instance", cen_id, field="cen_id")
        return network_grants.search(
            tx,
            page,
            cen_account_id=actor.account_id,
            cen_id=cen_id,
            network_id=network_id,
            region_id=region_id,
            network_account_number=network_account_number,
        )


def account_of_number(context: Context, number: int) -> str | None:
    """The id of the account with this number."""
    with context.database.read() as tx:
        return network_grants.account_of_number(tx, number)


def owner_number(context: Context, cen_id: str) -> int | None:
    """The number of the account whose instance the caller's network is attached to."""
    with context.database.read() as tx:
        return network_grants.owner_number(tx, cen_id)


def _require_instance(tx: Transaction, cen_id: str, account_number: int | None) -> None:
    owner = network_grants.account_of_instance(tx, cen_id)
    expected = owner if account_number is None else network_grants.account_of_number(tx, account_number)
    if owner is None or owner != expected:
        raise NotFoundError("CEN instance", cen_id, field="cen_id")
