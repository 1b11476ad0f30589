"""`opencen check` finds tags and vSwitches that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert

from opencen.domain.labels import Labels, Tag
from opencen.domain.nouns import Actor
from opencen.services import instances, networks, vswitches
from opencen.services.check import check
from opencen.services.context import Context
from opencen.store import schema


def test_a_tag_of_nothing_is_found(context: Context, admin: Actor) -> None:
    instances.create(context, admin, labelled=Labels((Tag("team", "net"),)))
    assert check(context) == []
    with context.database.write() as tx:
        stray = {"resource_type": "instance", "resource_id": "cen-gone", "key": "k", "value": "v"}
        tx.execute(insert(schema.tags).values(**stray, account_id=admin.account_id))
    (sentence,) = check(context)
    assert "cen-gone" in sentence


def test_a_vswitch_that_overlaps_another_is_found(context: Context, admin: Actor) -> None:
    network = networks.create(context, admin, region_id="cn-hangzhou", cidr_blocks=["10.0.0.0/16"])
    where = {"network_id": network.id, "zone_id": "cn-hangzhou-a"}
    vswitches.create(context, admin, **where, cidr_block="10.0.1.0/24")
    assert check(context) == []
    with context.database.write() as tx:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        for number, block in enumerate(("10.0.1.128/25", "10.9.0.0/24")):
            row = {**where, "id": f"vsw-{number}", "cidr_block": block, "account_id": admin.account_id}
            tx.execute(insert(schema.vswitches).values(**row, name="", description="", created_at=now))
    assert len(check(context)) == 2
