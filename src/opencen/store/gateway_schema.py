"""Tables of links and of the gateways that carry them, a part of `main`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    false,
    text,
)

from opencen.store.schema import main
from opencen.store.types import UtcDateTime

links = Table(
    "links",
    main,
    Column("cen_id", ForeignKey("instances.id"), primary_key=True),
    Column("region_a_id", ForeignKey("regions.id"), primary_key=True),
    Column("region_b_id", ForeignKey("regions.id"), primary_key=True),
    Column("vni", Integer, nullable=False, unique=True),
    Column("package_id", String, index=True),
    Column("wanted_bps", BigInteger, nullable=False),
    Column("granted_bps", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("waiting_since", BigInteger, nullable=False),
    CheckConstraint("region_a_id < region_b_id", name="regions_sorted"),
    CheckConstraint("granted_bps >= 0", name="granted_not_negative"),
)

link_sides = Table(
    "link_sides",
    main,
    Column("cen_id", String, primary_key=True),
    Column("region_a_id", String, primary_key=True),
    Column("region_b_id", String, primary_key=True),
    Column("region_id", String, nullable=False),
    Column("gateway_id", String, primary_key=True),
    Column("held_bps", BigInteger, nullable=False),
    Column("in_kernel_bps", BigInteger),
    Column("acked_revision", BigInteger, nullable=False),
    Column("error", String),
    ForeignKeyConstraint(
        ["cen_id", "region_a_id", "region_b_id"],
        ["links.cen_id", "links.region_a_id", "links.region_b_id"],
        ondelete="CASCADE",
        name="fk_link_sides_links",
    ),
    Index(None, "gateway_id", "cen_id"),
)

wire_remainders = Table(
    "wire_remainders",
    main,
    Column("package_id", String, primary_key=True),
    Column("cen_id", String, primary_key=True),
    Column("region_a_id", String, primary_key=True),
    Column("region_b_id", String, primary_key=True),
    Column("region_id", String, nullable=False),
    Column("gateway_id", String, primary_key=True),
    Column("held_bps", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index(None, "gateway_id", "cen_id"),
)
"""What kernels may still hold out of a package to which their link does not belong any more (rule 9)."""

area_encryptions = Table(
    "area_encryptions",
    main,
    Column("area_a_id", ForeignKey("areas.id"), primary_key=True),
    Column("area_b_id", ForeignKey("areas.id"), primary_key=True),
    Column("encryption", String, nullable=False),
    CheckConstraint("area_a_id <= area_b_id", name="areas_sorted"),
    CheckConstraint("encryption IN ('wireguard', 'vxlan')", name="encryption_known"),
)
"""How links between two areas are carried, where that was chosen."""

link_encryptions = Table(
    "link_encryptions",
    main,
    Column("cen_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("region_a_id", ForeignKey("regions.id"), primary_key=True),
    Column("region_b_id", ForeignKey("regions.id"), primary_key=True),
    Column("encryption", String, nullable=False),
    CheckConstraint("region_a_id < region_b_id", name="regions_sorted"),
    CheckConstraint("encryption IN ('wireguard', 'vxlan')", name="encryption_known"),
)
"""How one pair of regions of an instance is carried, where that was chosen for it alone."""

link_keys = Table(
    "link_keys",
    main,
    Column("cen_id", String, primary_key=True),
    Column("region_a_id", String, primary_key=True),
    Column("region_b_id", String, primary_key=True),
    Column("generations", JSON, nullable=False),
    Column("preshared_keys", JSON, nullable=False),
    Column("keys_made_at", UtcDateTime, nullable=False, index=True),
    Column("preshared_key_made_at", UtcDateTime, nullable=False, index=True),
    ForeignKeyConstraint(
        ["cen_id", "region_a_id", "region_b_id"],
        ["links.cen_id", "links.region_a_id", "links.region_b_id"],
        ondelete="CASCADE",
        name="fk_link_keys_links",
    ),
)
"""The keys of an encrypted link: generations of static keys, and pre-shared keys, sealed."""

link_key_sides = Table(
    "link_key_sides",
    main,
    Column("cen_id", String, primary_key=True),
    Column("region_a_id", String, primary_key=True),
    Column("region_b_id", String, primary_key=True),
    Column("gateway_id", String, primary_key=True),
    Column("public_keys", JSON, nullable=False),
    Column("sends_generation", Integer),
    Column("held_preshared_key_ids", JSON, nullable=False),
    Column("used_preshared_key_ids", JSON, nullable=False),
    ForeignKeyConstraint(
        ["cen_id", "region_a_id", "region_b_id"],
        ["links.cen_id", "links.region_a_id", "links.region_b_id"],
        ondelete="CASCADE",
        name="fk_link_key_sides_links",
    ),
    Index(None, "gateway_id"),
)
"""What a gateway has said of its keys of a link."""

gateways = Table(
    "gateways",
    main,
    Column("id", String, primary_key=True),
    Column("region_id", ForeignKey("regions.id"), nullable=False, index=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("endpoint", String),
    Column("behind_nat", Boolean, nullable=False, server_default=false()),
    Column("agent_version", String),
    Column("capabilities", JSON, nullable=False),
    Column("declared_networks", JSON, nullable=False),
    Column("next_token_sha256", LargeBinary),
    Column("rotation_wanted", Boolean, nullable=False, server_default=false()),
    Column("credential_since", UtcDateTime),
    Column("role", String, nullable=False, server_default="active"),
    Column("role_since", BigInteger, nullable=False, server_default="0"),
    Column("preferred", Boolean, nullable=False, server_default=false()),
    CheckConstraint("role IN ('active', 'standby')", name="known_role"),
)

Index(
    "uq_gateways_active_region",
    gateways.c.region_id,
    unique=True,
    sqlite_where=text("role = 'active'"),
    postgresql_where=text("role = 'active'"),
)
"""A region has one active gateway, whatever the code does."""

network_interfaces = Table(
    "network_interfaces",
    main,
    Column("network_id", ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True),
    Column("gateway_id", ForeignKey("gateways.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("interface", JSON, nullable=False),
)

join_tokens = Table(
    "join_tokens",
    main,
    Column("id", String, primary_key=True),
    Column("region_id", ForeignKey("regions.id"), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("created_by", String, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    Column("used_from", String),
    Column("gateway_id", String),
    Column("credential_sha256", LargeBinary),
)
"""What lets one host become a gateway of a region, once; `gateway_id` may be gone already."""

epochs = Table(
    "epochs",
    main,
    Column("id", String, primary_key=True),
    Column("first_revision", BigInteger, nullable=False, unique=True),
)
"""Each server process begins one: who holds (epoch, revision) can tell whether this database has seen that revision,
also after a restored copy has grown past that revision."""

region_instances = Table(
    "region_instances",
    main,
    Column("region_id", ForeignKey("regions.id"), primary_key=True),
    Column("cen_id", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("present", Boolean, nullable=False),
    Index(None, "region_id", "revision"),
)

WHOLE = main
"""`main` with these tables in it."""
