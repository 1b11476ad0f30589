"""Which package each connection was out of, and what was set, from when to when: what usage is accounted to."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0020"
down_revision = "0031"

_SAME = ("cen_id", "region_a_id", "region_b_id", "account_id", "package_id", "bandwidth_mbps")


def upgrade() -> None:
    op.create_table(
        "connection_tenures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.Column("until_s", sa.BigInteger()),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("package_id", sa.String(), nullable=False),
        sa.Column("bandwidth_mbps", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection_tenures")),
    )
    op.create_index(
        op.f("ix_connection_tenures_cen_id_region_a_id_region_b_id"),
        "connection_tenures",
        ["cen_id", "region_a_id", "region_b_id"],
    )
    op.create_index(op.f("ix_connection_tenures_package_id"), "connection_tenures", ["package_id"])
    op.create_index(op.f("ix_connection_tenures_account_id"), "connection_tenures", ["account_id"])
    old = sa.table(
        "region_connections",
        *map(sa.column, _SAME),
        sa.column("updated_at", UtcDateTime()),
    )
    new = sa.table("connection_tenures", sa.column("since_s"), *map(sa.column, _SAME))
    for row in op.get_bind().execute(sa.select(old)).mappings():
        values = {name: row[name] for name in _SAME}
        op.get_bind().execute(sa.insert(new).values(since_s=int(row["updated_at"].timestamp()), **values))
