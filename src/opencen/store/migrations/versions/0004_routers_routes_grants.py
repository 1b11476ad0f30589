"""Transit routers, notes on attachments and region connections, published routes, and grants between accounts."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "transit_routers",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cen_id"], ["instances.id"], name=op.f("fk_transit_routers_cen_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_transit_routers_region_id")),
        sa.PrimaryKeyConstraint("cen_id", "region_id", name=op.f("pk_transit_routers")),
    )
    op.create_table(
        "connection_notes",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("local_region_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("announces_routes", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "local_region_id IN (region_a_id, region_b_id)", name=op.f("ck_connection_notes_local_is_an_end")
        ),
        sa.ForeignKeyConstraint(
            ["cen_id", "region_a_id", "region_b_id"],
            ["region_connections.cen_id", "region_connections.region_a_id", "region_connections.region_b_id"],
            name="fk_connection_notes_region_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cen_id", "region_a_id", "region_b_id", name=op.f("pk_connection_notes")),
    )
    op.create_table(
        "attachment_notes",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("announces_routes", sa.Boolean(), nullable=False),
        sa.Column("zone_mappings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"],
            ["attachments.network_id"],
            name=op.f("fk_attachment_notes_network_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_attachment_notes")),
    )
    op.create_table(
        "route_publications",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("cidr_block", sa.String(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"],
            ["attachments.network_id"],
            name=op.f("fk_route_publications_network_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("network_id", "cidr_block", name=op.f("pk_route_publications")),
    )
    op.create_table(
        "network_grants",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_network_grants_network_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["cen_id"], ["instances.id"], name=op.f("fk_network_grants_cen_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("network_id", "cen_id", name=op.f("pk_network_grants")),
    )
    op.create_index(op.f("ix_network_grants_cen_id"), "network_grants", ["cen_id"], unique=False)
