"""What kernels may still hold out of a package to which their link does not belong any more."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "wire_remainders",
        sa.Column("package_id", sa.String(), nullable=False),
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=False),
        sa.Column("held_bps", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "package_id", "cen_id", "region_a_id", "region_b_id", "region_id", name=op.f("pk_wire_remainders")
        ),
    )
    op.create_index(
        op.f("ix_wire_remainders_gateway_id_cen_id"), "wire_remainders", ["gateway_id", "cen_id"], unique=False
    )
