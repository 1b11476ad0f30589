"""What the backbone can carry between two areas, and how much of it is sold."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "area_capacities",
        sa.Column("area_a_id", sa.String(), nullable=False),
        sa.Column("area_b_id", sa.String(), nullable=False),
        sa.Column("capacity_mbps", sa.BigInteger(), nullable=False),
        sa.Column("sold_mbps", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("area_a_id <= area_b_id", name=op.f("ck_area_capacities_areas_sorted")),
        sa.CheckConstraint(
            "sold_mbps >= 0 AND sold_mbps <= capacity_mbps", name=op.f("ck_area_capacities_sold_within_capacity")
        ),
        sa.ForeignKeyConstraint(["area_a_id"], ["areas.id"], name=op.f("fk_area_capacities_area_a_id")),
        sa.ForeignKeyConstraint(["area_b_id"], ["areas.id"], name=op.f("fk_area_capacities_area_b_id")),
        sa.PrimaryKeyConstraint("area_a_id", "area_b_id", name=op.f("pk_area_capacities")),
    )
