"""Two who change related things at once, on PostgreSQL: who comes second waits, and then sees what the first did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from conftest import administrator
from joined import join, join_with
from opencen.changes.feed import ChangeFeed
from opencen.domain.errors import GatewayExistsError, NetworkAttachedError, RegionWithoutNetworkError
from opencen.domain.nouns import Actor
from opencen.services import attachments, check, connections, identities, instances, joining, networks, packages
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import allocations, control, links
from opencen.store import gateways as gateway_rows
from opencen.store import instances as instance_rows
from opencen.store import networks as network_rows
from opencen.store import packages as package_rows
from opencen.store.database import Database
from opencen.store.records import Page

pytestmark = pytest.mark.postgres
_PATIENCE_S = 10.0


@pytest.fixture
def context(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Context]:
    database = Database.from_url(new_database())
    database.upgrade()
    made = Context(database, ChangeFeed(), Vault.from_file(tmp_path / "secrets.key"))
    identities.bootstrap(made, tmp_path / "admin.json")
    yield made
    database.close()


@pytest.fixture
def admin(context: Context) -> Actor:
    return administrator(context)


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    """Who comes second."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def _network(context: Context, admin: Actor, region_id: str, block: str) -> str:
    return networks.create(context, admin, region_id=region_id, cidr_blocks=[block]).id


def _joined(context: Context, admin: Actor) -> str:
    """An instance of two regions, with a package."""
    cen_id = instances.create(context, admin).id
    for region_id, block in (("us-west-1", "10.1.0.0/16"), ("cn-hangzhou", "10.2.0.0/16")):
        attachments.attach(context, admin, cen_id, _network(context, admin, region_id, block))
    package = packages.buy(context, admin, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    packages.bind(context, admin, package.id, cen_id)
    return cen_id


def _wait_until_blocked(context: Context, second: Future[object]) -> None:
    """Returns when the second one waits for a lock of the first."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        assert not second.done(), f"it did not wait: {second.exception() or second.result()}"
        with context.database.read() as tx:
            if tx.execute(waiting).scalar_one():
                return
    raise AssertionError("it neither waits nor ends")


def test_a_network_attached_to_two_instances_at_once_is_refused_to_the_second(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    first, second = (instances.create(context, admin).id for _ in range(2))
    network_id = _network(context, admin, "us-west-1", "10.1.0.0/16")
    with context.database.write() as tx:
        network = network_rows.find(tx, admin.account_id, network_id, lock=True)
        assert network is not None
        network_rows.attach(tx, first, network, context.clock())
        attaching = other.submit(attachments.attach, context, admin, second, network_id)
        _wait_until_blocked(context, attaching)
        control.mark(tx, first, ["us-west-1"], frozenset({"us-west-1"}), control.next_revision(tx))
    with pytest.raises(NetworkAttachedError, match=first):
        attaching.result(_PATIENCE_S)


def test_a_network_that_is_deleted_while_it_is_attached_stays(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    cen_id = instances.create(context, admin).id
    network_id = _network(context, admin, "us-west-1", "10.1.0.0/16")
    with context.database.write() as tx:
        network = network_rows.find(tx, admin.account_id, network_id, lock=True)
        assert network is not None
        network_rows.attach(tx, cen_id, network, context.clock())
        deleting = other.submit(networks.delete, context, admin, network_id)
        _wait_until_blocked(context, deleting)
        control.mark(tx, cen_id, ["us-west-1"], frozenset({"us-west-1"}), control.next_revision(tx))
    with pytest.raises(NetworkAttachedError):
        deleting.result(_PATIENCE_S)


def test_a_set_does_not_wait_for_who_holds_the_instance(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    """Who binds a package holds the instance and asks for the package; who sets holds the package: no deadlock."""
    cen_id = _joined(context, admin)
    with context.database.write() as tx:
        instance_rows.lock(tx, admin.account_id, cen_id)
        setting = other.submit(connections.set_bandwidth, context, admin, cen_id, "us-west-1", "cn-hangzhou", 5)
        assert setting.result(_PATIENCE_S).bandwidth_mbps == 5


def test_a_set_sees_that_a_regions_last_network_was_detached_meanwhile(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    """Otherwise its gateway would be told to carry an instance of which its region has nothing."""
    cen_id = _joined(context, admin)
    with context.database.write() as tx:
        found = network_rows.attached(tx, cen_id)
        network_rows.detach(tx, next(item.network_id for item in found if item.region_id == "cn-hangzhou"))
        revision = control.next_revision(tx)
        setting = other.submit(connections.set_bandwidth, context, admin, cen_id, "us-west-1", "cn-hangzhou", 5)
        _wait_until_blocked(context, setting)
        control.mark(tx, cen_id, ["us-west-1", "cn-hangzhou"], frozenset({"us-west-1"}), revision)
    with pytest.raises(RegionWithoutNetworkError):
        setting.result(_PATIENCE_S)
    assert check.check(context) == []


def test_a_gateway_that_joins_while_networks_are_attached_has_a_side_of_each_link(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    cen_id = instances.create(context, admin).id
    key = (cen_id, "cn-hangzhou", "us-west-1")
    token = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=600)
    with context.database.write() as tx:
        links.ensure(tx, [key], control.next_revision(tx))
        registering = other.submit(join_with, context, *token)
        _wait_until_blocked(context, registering)
    gateway = registering.result(_PATIENCE_S)
    with context.database.read() as tx:
        assert [side.gateway_id for side in links.sides_of(tx, [key])[key]] == [gateway.id]


def test_a_third_gateway_of_a_region_is_refused_also_when_two_come_at_once(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    join(context, admin, "us-west-1")
    token = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=600)
    with context.database.write() as tx:
        control.next_revision(tx)
        row = gateway_rows.GatewayRow(
            "gw-second", "us-west-1", admin.account_id, "", b"", context.clock(), None, None, {}, [], role="standby"
        )
        gateway_rows.add(tx, row)
        registering = other.submit(join_with, context, *token)
        _wait_until_blocked(context, registering)
    with pytest.raises(GatewayExistsError, match="gw-second"):
        registering.result(_PATIENCE_S)


def test_a_delete_that_waited_frees_the_package_that_the_connection_draws_on_now(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    """While it waited for the package's row, the pair was set anew out of another package."""
    cen_id = _joined(context, admin)
    connection = connections.set_bandwidth(context, admin, cen_id, "us-west-1", "cn-hangzhou", 5)
    later = packages.buy(context, admin, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    with context.database.write() as tx:
        package = package_rows.find(tx, admin.account_id, connection.package_id, lock=True)
        assert package is not None
        deleting = other.submit(connections.delete, context, admin, cen_id, "us-west-1", "cn-hangzhou")
        _wait_until_blocked(context, deleting)
        allocations.delete_connection(tx, package, connection, context.clock())
        package_rows.bind(tx, package.id, None, 7)
        package_rows.bind(tx, later.id, cen_id, 2)
        allocations.insert_connection(tx, later, replace(connection, package_id=later.id), 5)
    deleting.result(_PATIENCE_S)
    found = packages.search(context, admin, Page()).items
    assert [package.allocated_mbps for package in found] == [0, 0]
    assert check.check(context) == []


def test_an_instance_is_deleted_after_those_who_refer_to_it(
    context: Context, admin: Actor, other: ThreadPoolExecutor
) -> None:
    """It waits for them before it takes the revision, which they may need to end."""
    cen_id = instances.create(context, admin).id
    with context.database.write() as tx:
        links.ensure(tx, [(cen_id, "cn-hangzhou", "us-west-1")], 1)
        deleting = other.submit(instances.delete, context, admin, cen_id)
        _wait_until_blocked(context, deleting)
        tx.execute(text("SET LOCAL lock_timeout = '5s'"))
        control.next_revision(tx)
    deleting.result(_PATIENCE_S)


def test_what_is_read_together_is_of_one_moment(context: Context, admin: Actor, other: ThreadPoolExecutor) -> None:
    """`opencen check` and the orders of gateways take several statements."""
    with context.database.read() as tx:
        before = control.current_revision(tx)
        cen_id = other.submit(instances.create, context, admin).result(_PATIENCE_S).id
        assert control.current_revision(tx) == before
        assert instance_rows.find(tx, admin.account_id, cen_id) is None
    assert instances.get(context, admin, cen_id).id == cen_id
