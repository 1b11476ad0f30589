"""The tables of `volatile`: what may lag behind by the last moments of a power cut."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    String,
    Table,
)

from opencen.store.schema import BigId, volatile
from opencen.store.types import UtcDateTime

decisions = Table(
    "decisions",
    volatile,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("cen_id", String, nullable=False),
    Column("region_a_id", String, nullable=False),
    Column("region_b_id", String, nullable=False),
    Column("package_id", String, nullable=False),
    Column("before_bps", BigInteger, nullable=False),
    Column("after_bps", BigInteger, nullable=False),
    Column("wanted_bps", BigInteger, nullable=False),
    Column("why", String, nullable=False),
    Index(None, "cen_id", "id"),
)
"""What was decided for automatic connections, and why."""

nonces = Table(
    "nonces",
    volatile,
    Column("access_key_id", String, primary_key=True),
    Column("nonce", String, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

gateway_heartbeats = Table(
    "gateway_heartbeats",
    volatile,
    Column("gateway_id", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("host_id", String),
    Column("other_host_at", UtcDateTime),
    Column("trouble", String),
)
"""When a gateway was last heard, from which host, when another host last used its credential, and what it refuses."""

gateway_presence = Table(
    "gateway_reports",
    volatile,
    Column("gateway_id", String, primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("applied_revision", BigInteger, nullable=False),
    Column("repairs", BigInteger, nullable=False),
)

gateway_instances = Table(
    "gateway_instances",
    volatile,
    Column("gateway_id", String, primary_key=True),
    Column("cen_id", String, primary_key=True),
    Column("links", JSON, nullable=False),
    Column("networks", JSON, nullable=False),
)
"""What a gateway last said of each instance: figures by peer region, and by network whether it is carried."""

gateway_drift = Table(
    "gateway_drift",
    volatile,
    Column("gateway_id", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("cen_id", String, nullable=False),
    Column("part", String, nullable=False),
    Column("found", String, nullable=False),
    Index(None, "gateway_id", "at"),
)

gateway_drift_counts = Table(
    "gateway_drift_counts",
    volatile,
    Column("gateway_id", String, primary_key=True),
    Column("cen_id", String, primary_key=True),
    Column("part", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

WHOLE = volatile
"""`volatile` with its tables in it."""
