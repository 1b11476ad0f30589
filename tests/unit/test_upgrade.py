"""A data directory of any earlier version opens with this one, and has the tables that this one declares."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from opencen.store import gateway_schema, instances, networks, packages, schema, usage_schema
from opencen.store.database import _MIGRATIONS, Database, SchemaTooNewError
from opencen.store.records import Page

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def new_store(tmp_path: Path, database_url: str | None) -> Callable[[], Database]:
    """Opens the same empty database each time."""
    return lambda: Database.from_url(database_url) if database_url else Database.sqlite(tmp_path / "data")


def _upgrade_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, revision)


def _fill_as_0002(database: Database) -> None:
    common = "'acc-1', 'old', '', :now"
    statements = (
        "INSERT INTO accounts (id, number, name, created_at) VALUES ('acc-1', 1, 'default', :now)",
        "INSERT INTO areas (id, name, name_zh) VALUES ('China', 'China', '')",
        "INSERT INTO regions (id, name, name_zh, area_id) VALUES ('cn-hangzhou', 'China East 1', '', 'China')",
        f"INSERT INTO instances (account_id, name, description, created_at, id, version) VALUES ({common}, 'cen-1', 1)",
        "INSERT INTO networks (account_id, name, description, created_at, id, region_id, cidr_blocks) "
        f"VALUES ({common}, 'vpc-1', 'cn-hangzhou', '[\"10.0.0.0/16\"]')",
        "INSERT INTO attachments (network_id, cen_id, region_id, attached_at) "
        "VALUES ('vpc-1', 'cen-1', 'cn-hangzhou', :now)",
        "INSERT INTO bandwidth_packages (account_id, name, description, created_at, id, area_a_id, area_b_id, "
        "bandwidth_mbps, allocated_mbps, charge_type, cen_id, version) "
        f"VALUES ({common}, 'cenbwp-1', 'China', 'China', 20, 0, 'POSTPAY', 'cen-1', 1)",
    )
    now = NOW.replace(tzinfo=None).isoformat(" ") + ".000000"
    with database.write() as tx:
        for statement in statements:
            tx.execute(text(statement), {"now": now if database.is_sqlite else NOW})


def test_a_database_of_schema_0002_upgrades_and_keeps_its_rows(new_store: Callable[[], Database]) -> None:
    database = new_store()
    _upgrade_to(database, "0002")
    _fill_as_0002(database)
    database.close()

    database = new_store()
    database.upgrade()
    with database.read() as tx:
        (instance,) = instances.search(tx, "acc-1", Page()).items
        (network,) = networks.search(tx, "acc-1", Page()).items
        (package,) = packages.search(tx, "acc-1", Page()).items
    assert (instance.name, instance.created_at, instance.package_ids) == ("old", NOW, ("cenbwp-1",))
    assert (network.cidr_blocks, network.cen_id) == (("10.0.0.0/16",), "cen-1")
    assert (package.bandwidth_mbps, package.cen_id) == (20, "cen-1")
    assert {instance.resource_group_id, network.resource_group_id, package.resource_group_id} == {None}
    with database.write() as tx:
        tx.execute(
            insert(schema.tags).values(
                resource_type="instance", resource_id="cen-1", key="team", value="net", account_id="acc-1"
            )
        )
    database.close()


def test_the_migrations_make_exactly_the_declared_tables(new_store: Callable[[], Database]) -> None:
    database = new_store()
    database.upgrade()
    with database.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), gateway_schema.WHOLE)
    wanted = [difference for difference in differences if not _is_volatile(difference)]
    database.close()
    assert wanted == []


def _is_volatile(difference: object) -> bool:
    """On PostgreSQL all stores are one database; volatile and usage tables are made without migrations."""
    others = {**schema.volatile.tables, **usage_schema.usage.tables}
    match difference:
        case ("remove_table", table):
            return getattr(table, "name", "") in others
        case ("remove_index", index):
            return getattr(getattr(index, "table", None), "name", "") in others
    return False


def _revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return [script.revision for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]


@pytest.mark.parametrize("revision", _revisions())
def test_a_database_of_every_schema_upgrades_and_keeps_its_rows(
    new_store: Callable[[], Database], revision: str
) -> None:
    database = new_store()
    database.upgrade_to(revision)
    with database.write() as tx:
        account = {"id": "acc-1", "number": 1, "name": "old", "created_at": NOW}
        tx.execute(insert(schema.accounts), account)
    database.close()

    database = new_store()
    database.upgrade()
    with database.read() as tx:
        assert tx.execute(select(schema.accounts.c.name)).scalar_one() == "old"
        differences = compare_metadata(MigrationContext.configure(tx), gateway_schema.WHOLE)
    database.close()
    assert [difference for difference in differences if not _is_volatile(difference)] == []


def test_a_server_refuses_a_schema_that_is_newer_than_itself(new_store: Callable[[], Database]) -> None:
    database = new_store()
    database.upgrade()
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = 'f00d'"))
    with pytest.raises(SchemaTooNewError, match="'f00d', which this OpenCEN does not know"):
        database.upgrade()
    database.close()
