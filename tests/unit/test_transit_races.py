"""Grants, routers and what joins them, changed by several at once on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from opencen.domain.errors import AlreadyConnectedError, NotGrantedError, RouterExistsError
from opencen.domain.ids import new_id
from opencen.domain.nouns import Account, Actor
from opencen.domain.transit import ConnectionNote
from opencen.services import attachments, check, connections, instances, network_grants, networks, packages
from opencen.services import transit_routers as routers
from opencen.services.context import Context
from opencen.store import identities as account_rows
from opencen.store import network_grants as grant_rows
from opencen.store import networks as network_rows
from test_postgres_races import _PATIENCE_S, _wait_until_blocked, admin, context, other

__all__ = ["admin", "context", "other"]
pytestmark = pytest.mark.postgres
WEST, EAST = "us-west-1", "cn-hangzhou"


def test_a_grant_taken_back_while_its_network_is_being_attached_counts(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    owner = replace(admin, account_id=new_id("acc"))
    with context.database.write() as tx:
        account_rows.add_account(tx, Account(owner.account_id, 42, "owner", context.clock()))
    cen_id = instances.create(context, admin).id
    network_id = networks.create(context, owner, region_id=EAST, cidr_blocks=["10.2.0.0/16"]).id
    network_grants.add(context, owner, network_id, cen_id)
    with context.database.write() as tx:
        network_rows.find(tx, owner.account_id, network_id, lock=True)
        attaching = other.submit(attachments.attach, context, admin, cen_id, network_id)
        _wait_until_blocked(context, attaching)
        grant_rows.remove(tx, network_id, cen_id)
    with pytest.raises(NotGrantedError):
        attaching.result(_PATIENCE_S)
    assert check.check(context) == []


def test_of_several_who_join_the_same_routers_one_does_and_the_cap_holds(context: Context, admin: Actor) -> None:
    cen_id = instances.create(context, admin).id
    package = packages.buy(context, admin, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    packages.bind(context, admin, package.id, cen_id)

    def join(number: int) -> bool:
        try:
            connections.join(context, admin, cen_id, ConnectionNote(WEST, f"by {number}"), EAST, 10 + number)
        except AlreadyConnectedError:
            return False
        return True

    def make(_: int) -> bool:
        try:
            routers.create(context, admin, cen_id, WEST)
        except RouterExistsError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        joined = pool.map(join, range(6))
        made = pool.map(make, range(6))
        assert (sum(joined), sum(made)) == (1, 1)
    assert check.check(context) == []
