"""Encrypted links: what is chosen for areas and links, and the keys.

Links between areas that had links until now stay plain, and the choices say so: an administrator may take them back.
"""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0013"
down_revision = "0018"

_LINK = ("cen_id", "region_a_id", "region_b_id")
_KNOWN = "encryption IN ('wireguard', 'vxlan')"


def upgrade() -> None:
    op.create_table(
        "area_encryptions",
        sa.Column("area_a_id", sa.String(), nullable=False),
        sa.Column("area_b_id", sa.String(), nullable=False),
        sa.Column("encryption", sa.String(), nullable=False),
        sa.CheckConstraint("area_a_id <= area_b_id", name=op.f("ck_area_encryptions_areas_sorted")),
        sa.CheckConstraint(_KNOWN, name=op.f("ck_area_encryptions_encryption_known")),
        sa.ForeignKeyConstraint(["area_a_id"], ["areas.id"], name=op.f("fk_area_encryptions_area_a_id")),
        sa.ForeignKeyConstraint(["area_b_id"], ["areas.id"], name=op.f("fk_area_encryptions_area_b_id")),
        sa.PrimaryKeyConstraint("area_a_id", "area_b_id", name=op.f("pk_area_encryptions")),
    )
    op.create_table(
        "link_encryptions",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("encryption", sa.String(), nullable=False),
        sa.CheckConstraint("region_a_id < region_b_id", name=op.f("ck_link_encryptions_regions_sorted")),
        sa.CheckConstraint(_KNOWN, name=op.f("ck_link_encryptions_encryption_known")),
        sa.ForeignKeyConstraint(
            ["cen_id"], ["instances.id"], ondelete="CASCADE", name=op.f("fk_link_encryptions_cen_id")
        ),
        sa.ForeignKeyConstraint(["region_a_id"], ["regions.id"], name=op.f("fk_link_encryptions_region_a_id")),
        sa.ForeignKeyConstraint(["region_b_id"], ["regions.id"], name=op.f("fk_link_encryptions_region_b_id")),
        sa.PrimaryKeyConstraint(*_LINK, name=op.f("pk_link_encryptions")),
    )
    op.create_table(
        "link_keys",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("generations", sa.JSON(), nullable=False),
        sa.Column("preshared_keys", sa.JSON(), nullable=False),
        sa.Column("keys_made_at", UtcDateTime(), nullable=False),
        sa.Column("preshared_key_made_at", UtcDateTime(), nullable=False),
        _links_key("fk_link_keys_links"),
        sa.PrimaryKeyConstraint(*_LINK, name=op.f("pk_link_keys")),
    )
    for column in ("keys_made_at", "preshared_key_made_at"):
        op.create_index(op.f(f"ix_link_keys_{column}"), "link_keys", [column])
    op.create_table(
        "link_key_sides",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=False),
        sa.Column("public_keys", sa.JSON(), nullable=False),
        sa.Column("sends_generation", sa.Integer()),
        sa.Column("held_preshared_key_ids", sa.JSON(), nullable=False),
        sa.Column("used_preshared_key_ids", sa.JSON(), nullable=False),
        _links_key("fk_link_key_sides_links"),
        sa.PrimaryKeyConstraint(*_LINK, "gateway_id", name=op.f("pk_link_key_sides")),
    )
    op.create_index(op.f("ix_link_key_sides_gateway_id"), "link_key_sides", ["gateway_id"])
    op.add_column("gateways", sa.Column("behind_nat", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "INSERT INTO area_encryptions (area_a_id, area_b_id, encryption) "
        "SELECT DISTINCT CASE WHEN a.area_id <= b.area_id THEN a.area_id ELSE b.area_id END, "
        "CASE WHEN a.area_id <= b.area_id THEN b.area_id ELSE a.area_id END, 'vxlan' "
        "FROM links JOIN regions a ON a.id = links.region_a_id JOIN regions b ON b.id = links.region_b_id"
    )


def _links_key(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(list(_LINK), [f"links.{column}" for column in _LINK], ondelete="CASCADE", name=name)
