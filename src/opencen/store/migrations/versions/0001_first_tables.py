"""The first tables."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:

    op.create_table(
        "accounts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("number", name=op.f("uq_accounts_number")),
    )
    op.create_table(
        "areas",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_areas")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("access_key_id", sa.String(), nullable=True),
        sa.Column("source_address", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_account_id_id"), "audit_events", ["account_id", "id"], unique=False)
    op.create_table(
        "control",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_control_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control")),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_instances_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
    )
    op.create_index(
        op.f("ix_instances_account_id_created_at_id"), "instances", ["account_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "regions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=False),
        sa.Column("area_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["area_id"], ["areas.id"], name=op.f("fk_regions_area_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regions")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_users_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
    )
    op.create_table(
        "bandwidth_packages",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("area_a_id", sa.String(), nullable=False),
        sa.Column("area_b_id", sa.String(), nullable=False),
        sa.Column("bandwidth_mbps", sa.Integer(), nullable=False),
        sa.Column("allocated_mbps", sa.Integer(), nullable=False),
        sa.Column("charge_type", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("cen_id", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "allocated_mbps = 0 OR cen_id IS NOT NULL", name=op.f("ck_bandwidth_packages_allocated_only_when_bound")
        ),
        sa.CheckConstraint(
            "allocated_mbps >= 0 AND allocated_mbps <= bandwidth_mbps",
            name=op.f("ck_bandwidth_packages_allocated_within_bandwidth"),
        ),
        sa.CheckConstraint("area_a_id <= area_b_id", name=op.f("ck_bandwidth_packages_areas_sorted")),
        sa.CheckConstraint("bandwidth_mbps > 0", name=op.f("ck_bandwidth_packages_bandwidth_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_bandwidth_packages_account_id")),
        sa.ForeignKeyConstraint(["area_a_id"], ["areas.id"], name=op.f("fk_bandwidth_packages_area_a_id")),
        sa.ForeignKeyConstraint(["area_b_id"], ["areas.id"], name=op.f("fk_bandwidth_packages_area_b_id")),
        sa.ForeignKeyConstraint(["cen_id"], ["instances.id"], name=op.f("fk_bandwidth_packages_cen_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bandwidth_packages")),
        sa.UniqueConstraint(
            "cen_id", "area_a_id", "area_b_id", name=op.f("uq_bandwidth_packages_cen_id_area_a_id_area_b_id")
        ),
    )
    op.create_index(
        op.f("ix_bandwidth_packages_account_id_created_at_id"),
        "bandwidth_packages",
        ["account_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=True),
        sa.Column("agent_version", sa.String(), nullable=True),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("declared_networks", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_gateways_account_id")),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_gateways_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateways")),
        sa.UniqueConstraint("region_id", name=op.f("uq_gateways_region_id")),
    )
    op.create_table(
        "links",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("vni", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.String(), nullable=True),
        sa.Column("wanted_bps", sa.BigInteger(), nullable=False),
        sa.Column("granted_bps", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("waiting_since", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("granted_bps >= 0", name=op.f("ck_links_granted_not_negative")),
        sa.CheckConstraint("region_a_id < region_b_id", name=op.f("ck_links_regions_sorted")),
        sa.ForeignKeyConstraint(["cen_id"], ["instances.id"], name=op.f("fk_links_cen_id")),
        sa.ForeignKeyConstraint(["region_a_id"], ["regions.id"], name=op.f("fk_links_region_a_id")),
        sa.ForeignKeyConstraint(["region_b_id"], ["regions.id"], name=op.f("fk_links_region_b_id")),
        sa.PrimaryKeyConstraint("cen_id", "region_a_id", "region_b_id", name=op.f("pk_links")),
        sa.UniqueConstraint("vni", name=op.f("uq_links_vni")),
    )
    op.create_index(op.f("ix_links_package_id"), "links", ["package_id"], unique=False)
    op.create_table(
        "networks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("cidr_blocks", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_networks_account_id")),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_networks_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
    )
    op.create_index(
        op.f("ix_networks_account_id_created_at_id"), "networks", ["account_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "region_instances",
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_region_instances_region_id")),
        sa.PrimaryKeyConstraint("region_id", "cen_id", name=op.f("pk_region_instances")),
    )
    op.create_index(
        op.f("ix_region_instances_region_id_revision"), "region_instances", ["region_id", "revision"], unique=False
    )
    op.create_table(
        "attachments",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("attached_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["instances.id"], name=op.f("fk_attachments_cen_id")),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_attachments_network_id")),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_attachments_region_id")),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_cen_id_region_id"), "attachments", ["cen_id", "region_id"], unique=False)
    op.create_table(
        "link_sides",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=False),
        sa.Column("held_bps", sa.BigInteger(), nullable=False),
        sa.Column("in_kernel_bps", sa.BigInteger(), nullable=True),
        sa.Column("acked_revision", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cen_id", "region_a_id", "region_b_id"],
            ["links.cen_id", "links.region_a_id", "links.region_b_id"],
            name="fk_link_sides_links",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cen_id", "region_a_id", "region_b_id", "region_id", name=op.f("pk_link_sides")),
    )
    op.create_index(op.f("ix_link_sides_gateway_id_cen_id"), "link_sides", ["gateway_id", "cen_id"], unique=False)
    op.create_table(
        "region_connections",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("region_a_id", sa.String(), nullable=False),
        sa.Column("region_b_id", sa.String(), nullable=False),
        sa.Column("package_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("bandwidth_mbps", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("bandwidth_mbps > 0", name=op.f("ck_region_connections_bandwidth_positive")),
        sa.CheckConstraint("region_a_id < region_b_id", name=op.f("ck_region_connections_regions_sorted")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_region_connections_account_id")),
        sa.ForeignKeyConstraint(["cen_id"], ["instances.id"], name=op.f("fk_region_connections_cen_id")),
        sa.ForeignKeyConstraint(
            ["package_id"], ["bandwidth_packages.id"], name=op.f("fk_region_connections_package_id")
        ),
        sa.ForeignKeyConstraint(["region_a_id"], ["regions.id"], name=op.f("fk_region_connections_region_a_id")),
        sa.ForeignKeyConstraint(["region_b_id"], ["regions.id"], name=op.f("fk_region_connections_region_b_id")),
        sa.PrimaryKeyConstraint("cen_id", "region_a_id", "region_b_id", name=op.f("pk_region_connections")),
    )
    op.create_index(
        op.f("ix_region_connections_account_id_cen_id_region_a_id_region_b_id"),
        "region_connections",
        ["account_id", "cen_id", "region_a_id", "region_b_id"],
        unique=False,
    )
    op.create_index(op.f("ix_region_connections_package_id"), "region_connections", ["package_id"], unique=False)

    op.execute("INSERT INTO control (id, revision) VALUES (1, 0)")
