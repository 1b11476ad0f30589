"""A region may have two gateways, one of them active; epochs tell whether a database has seen a revision."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0051"


def upgrade() -> None:
    with op.batch_alter_table("gateways") as table:
        table.drop_constraint(op.f("uq_gateways_region_id"), type_="unique")
        table.add_column(sa.Column("role", sa.String(), nullable=False, server_default="active"))
        table.add_column(sa.Column("role_since", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("preferred", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.create_check_constraint(op.f("ck_gateways_known_role"), "role IN ('active', 'standby')")
    op.create_index(op.f("ix_gateways_region_id"), "gateways", ["region_id"])
    active = sa.text("role = 'active'")
    op.create_index(
        "uq_gateways_active_region",
        "gateways",
        ["region_id"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    for name, key in (
        ("link_sides", ["cen_id", "region_a_id", "region_b_id", "gateway_id"]),
        ("wire_remainders", ["package_id", "cen_id", "region_a_id", "region_b_id", "gateway_id"]),
    ):
        with op.batch_alter_table(name) as table:
            table.drop_constraint(op.f(f"pk_{name}"), type_="primary")
            table.create_primary_key(op.f(f"pk_{name}"), key)
    epochs = op.create_table(
        "epochs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("first_revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epochs")),
        sa.UniqueConstraint("first_revision", name=op.f("uq_epochs_first_revision")),
    )
    op.bulk_insert(epochs, [{"id": secrets.token_hex(8), "first_revision": 0}])
