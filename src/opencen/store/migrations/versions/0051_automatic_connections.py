"""Connections that follow the traffic: a maximum and a weight beside the guaranteed minimum."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0010"


def upgrade() -> None:
    with op.batch_alter_table("region_connections") as table:
        table.add_column(sa.Column("automatic_max_mbps", sa.Integer()))
        table.add_column(sa.Column("automatic_weight", sa.Integer()))
        table.create_check_constraint(
            op.f("ck_region_connections_automatic_whole"), "(automatic_max_mbps IS NULL) = (automatic_weight IS NULL)"
        )
        table.create_check_constraint(
            op.f("ck_region_connections_automatic_max_above_min"), "automatic_max_mbps >= bandwidth_mbps"
        )
