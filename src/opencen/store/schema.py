"""The tables. Rates on the wire are bit/s, what operators set is Mbit/s; times are UTC.

`main` holds what must never be lost. `volatile` holds what may lag behind by the last moments of a power cut: used
nonces, and what gateways last reported; on SQLite it is a file of its own, so that it never waits for the disk. Tables
of links and gateways, a part of `main`, are in `gateway_schema.py`, those of `volatile` in `volatile_schema.py`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from opencen.store.types import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
main = MetaData(naming_convention=NAMING)
volatile = MetaData(naming_convention=NAMING)

BigId = BigInteger().with_variant(Integer, "sqlite")

control = Table(
    "control",
    main,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

duty_lease = Table(
    "duty_lease",
    main,
    Column("id", Integer, primary_key=True),
    Column("holder", String),
    Column("beat", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""The server process that does the background duties; it counts `beat` up for as long as it lives."""

accounts = Table(
    "accounts",
    main,
    Column("id", String, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

users = Table(
    "users",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("username", String, nullable=False, unique=True),
    Column("password_hash", String, nullable=False),
    Column("role", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
)

access_keys = Table(
    "access_keys",
    main,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("name", String),
    Column("role", String),
    Column("source_networks", JSON),
    Column("last_used_at", UtcDateTime),
)

user_totp = Table(
    "user_totp",
    main,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("confirmed_at", UtcDateTime),
    Column("last_step", BigInteger, nullable=False),
)
"""A user's second factor; asked for once it is confirmed. Codes up to those of `last_step` do not work again."""

account_quotas = Table(
    "account_quotas",
    main,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("most", Integer, nullable=False),
    CheckConstraint("most >= 0", name="most_not_negative"),
)

sessions = Table(
    "sessions",
    main,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("source_address", String),
    Column("user_agent", String, nullable=False),
)

areas = Table(
    "areas",
    main,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("name_zh", String, nullable=False),
)

regions = Table(
    "regions",
    main,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("name_zh", String, nullable=False),
    Column("area_id", ForeignKey("areas.id"), nullable=False),
)

resource_groups = Table(
    "resource_groups",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("display_name", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("account_id", "name"),
)
"""Groups that an account has made. The default group is no row: what has no group is in it."""

instances = Table(
    "instances",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("resource_group_id", ForeignKey("resource_groups.id")),
    Index(None, "account_id", "created_at", "id"),
)

networks = Table(
    "networks",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("region_id", ForeignKey("regions.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("cidr_blocks", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("resource_group_id", ForeignKey("resource_groups.id")),
    Index(None, "account_id", "created_at", "id"),
)

vswitches = Table(
    "vswitches",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("network_id", ForeignKey("networks.id"), nullable=False, index=True),
    Column("zone_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("cidr_block", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "account_id", "created_at", "id"),
)

attachments = Table(
    "attachments",
    main,
    Column("network_id", ForeignKey("networks.id"), primary_key=True),
    Column("cen_id", ForeignKey("instances.id"), nullable=False),
    Column("region_id", ForeignKey("regions.id"), nullable=False),
    Column("attached_at", UtcDateTime, nullable=False),
    Index(None, "cen_id", "region_id"),
)

bandwidth_packages = Table(
    "bandwidth_packages",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("area_a_id", ForeignKey("areas.id"), nullable=False),
    Column("area_b_id", ForeignKey("areas.id"), nullable=False),
    Column("bandwidth_mbps", Integer, nullable=False),
    Column("allocated_mbps", Integer, nullable=False),
    Column("charge_type", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, index=True),
    Column("cen_id", ForeignKey("instances.id")),
    Column("version", Integer, nullable=False),
    Column("resource_group_id", ForeignKey("resource_groups.id")),
    Column("warned_at", UtcDateTime),
    Column("expired_at", UtcDateTime),
    CheckConstraint("area_a_id <= area_b_id", name="areas_sorted"),
    CheckConstraint("bandwidth_mbps > 0", name="bandwidth_positive"),
    CheckConstraint("allocated_mbps >= 0 AND allocated_mbps <= bandwidth_mbps", name="allocated_within_bandwidth"),
    CheckConstraint("allocated_mbps = 0 OR cen_id IS NOT NULL", name="allocated_only_when_bound"),
    UniqueConstraint("cen_id", "area_a_id", "area_b_id"),
    Index(None, "account_id", "created_at", "id"),
)

area_capacities = Table(
    "area_capacities",
    main,
    Column("area_a_id", ForeignKey("areas.id"), primary_key=True),
    Column("area_b_id", ForeignKey("areas.id"), primary_key=True),
    Column("capacity_mbps", BigInteger, nullable=False),
    Column("sold_mbps", BigInteger, nullable=False),
    CheckConstraint("area_a_id <= area_b_id", name="areas_sorted"),
    CheckConstraint("sold_mbps >= 0 AND sold_mbps <= capacity_mbps", name="sold_within_capacity"),
)
"""What the backbone carries between two areas; `sold_mbps`: the sum of all accounts' packages there."""

region_connections = Table(
    "region_connections",
    main,
    Column("cen_id", ForeignKey("instances.id"), primary_key=True),
    Column("region_a_id", ForeignKey("regions.id"), primary_key=True),
    Column("region_b_id", ForeignKey("regions.id"), primary_key=True),
    Column("package_id", ForeignKey("bandwidth_packages.id"), nullable=False, index=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("bandwidth_mbps", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("automatic_max_mbps", Integer),
    Column("automatic_weight", Integer),
    CheckConstraint("region_a_id < region_b_id", name="regions_sorted"),
    CheckConstraint("bandwidth_mbps > 0", name="bandwidth_positive"),
    CheckConstraint("(automatic_max_mbps IS NULL) = (automatic_weight IS NULL)", name="automatic_whole"),
    CheckConstraint("automatic_max_mbps >= bandwidth_mbps", name="automatic_max_above_min"),
    Index(None, "account_id", "cen_id", "region_a_id", "region_b_id"),
)

connection_tenures = Table(
    "connection_tenures",
    main,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("cen_id", String, nullable=False),
    Column("region_a_id", String, nullable=False),
    Column("region_b_id", String, nullable=False),
    Column("since_s", BigInteger, nullable=False),
    Column("until_s", BigInteger),
    Column("account_id", String, nullable=False, index=True),
    Column("package_id", String, nullable=False, index=True),
    Column("bandwidth_mbps", Integer, nullable=False),
    Index(None, "cen_id", "region_a_id", "region_b_id"),
)
"""What a connection was set to and out of which package, from when (seconds since 1970) to when (NULL: still).

What usage is accounted to; it outlives the connection, and even the instance.
"""

tags = Table(
    "tags",
    main,
    Column("resource_type", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Index(None, "account_id", "key", "value"),
)

client_tokens = Table(
    "client_tokens",
    main,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("action", String, primary_key=True),
    Column("token", String, primary_key=True),
    Column("parameters_sha256", LargeBinary, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""What was answered to calls with a client token: whoever repeats the call gets the same answer."""

transit_routers = Table(
    "transit_routers",
    main,
    Column("cen_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("region_id", ForeignKey("regions.id"), primary_key=True),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

connection_notes = Table(
    "connection_notes",
    main,
    Column("cen_id", String, primary_key=True),
    Column("region_a_id", String, primary_key=True),
    Column("region_b_id", String, primary_key=True),
    Column("local_region_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("announces_routes", Boolean, nullable=False),
    CheckConstraint("local_region_id IN (region_a_id, region_b_id)", name="local_is_an_end"),
    ForeignKeyConstraint(
        ["cen_id", "region_a_id", "region_b_id"],
        ["region_connections.cen_id", "region_connections.region_a_id", "region_connections.region_b_id"],
        ondelete="CASCADE",
        name="fk_connection_notes_region_connections",
    ),
)

attachment_notes = Table(
    "attachment_notes",
    main,
    Column("network_id", ForeignKey("attachments.network_id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("announces_routes", Boolean, nullable=False),
    Column("zone_mappings", JSON, nullable=False),
)

route_publications = Table(
    "route_publications",
    main,
    Column("network_id", ForeignKey("attachments.network_id", ondelete="CASCADE"), primary_key=True),
    Column("cidr_block", String, primary_key=True),
    Column("published", Boolean, nullable=False),
)
"""What differs from the rule that a network's own blocks are published and nothing else of it is."""

network_grants = Table(
    "network_grants",
    main,
    Column("network_id", ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True),
    Column("cen_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "cen_id"),
)
"""A network that its account lets another account's instance attach."""

alarm_channels = Table(
    "alarm_channels",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("url", String),
    Column("recipients", JSON, nullable=False),
    Column("secret_sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "account_id", "created_at", "id"),
)

alarm_rules = Table(
    "alarm_rules",
    main,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("cen_id", String),
    Column("region_a_id", String),
    Column("region_b_id", String),
    Column("package_id", String),
    Column("raise_at", Float, nullable=False),
    Column("raise_for_s", Integer, nullable=False),
    Column("clear_at", Float, nullable=False),
    Column("clear_for_s", Integer, nullable=False),
    Column("remind_every_s", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("clear_at <= raise_at", name="clears_below"),
    Index(None, "account_id", "created_at", "id"),
)

alarm_rule_channels = Table(
    "alarm_rule_channels",
    main,
    Column("rule_id", ForeignKey("alarm_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("channel_id", ForeignKey("alarm_channels.id", ondelete="CASCADE"), primary_key=True, index=True),
)

alarms = Table(
    "alarms",
    main,
    Column("id", String, primary_key=True),
    Column("rule_id", ForeignKey("alarm_rules.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("subject", String, nullable=False),
    Column("state", String, nullable=False),
    Column("value", Float, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("told", String, nullable=False),
    Column("told_at", UtcDateTime),
    Column("acknowledged_by", String),
    Column("acknowledged_at", UtcDateTime),
    Column("silenced_until", UtcDateTime),
    Column("version", Integer, nullable=False),
    UniqueConstraint("rule_id", "subject"),
    Index(None, "account_id", "state"),
)
"""What has been raised at least once. What a rule watches and has never raised is no row."""

alarm_deliveries = Table(
    "alarm_deliveries",
    main,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("channel_id", ForeignKey("alarm_channels.id", ondelete="CASCADE"), index=True),
    Column("alarm_id", String),
    Column("event", String, nullable=False),
    Column("message", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("next_attempt_at", UtcDateTime, index=True),
    Column("attempts", Integer, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("error", String),
    Index(None, "account_id", "id"),
)
"""Messages on their way, and those of the last days. Written in the transaction that decides to tell."""

audit_events = Table(
    "audit_events",
    main,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("account_id", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("access_key_id", String),
    Column("source_address", String),
    Column("request_id", String),
    Column("action", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Index(None, "account_id", "id"),
)

plan_versions = Table(
    "plan_versions",
    main,
    Column("cen_id", ForeignKey("instances.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("applied_at", UtcDateTime, nullable=False),
    Column("user_id", String, nullable=False),
    Column("username", String, nullable=False),
    Column("note", String, nullable=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("bought_package_ids", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("confirm_by", UtcDateTime, index=True),
    Column("outcome", String, nullable=False),
)
"""Plans that were applied. `confirm_by` is there while one awaits its confirmation, and at no other time."""

audit_seals = Table(
    "audit_seals",
    main,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
    Column("digests", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("tag", LargeBinary, nullable=False),
)
"""The chain over `audit_events`: see `domain/audit_chain.py`. Triggers refuse to change or delete an event."""
