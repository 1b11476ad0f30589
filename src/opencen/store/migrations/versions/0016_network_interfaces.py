"""Where networks are on gateways, as an administrator has said."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "network_interfaces",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=False),
        sa.Column("interface", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_network_interfaces_network_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_network_interfaces_gateway_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("network_id", "gateway_id", name=op.f("pk_network_interfaces")),
    )
    op.create_index(op.f("ix_network_interfaces_gateway_id"), "network_interfaces", ["gateway_id"])
