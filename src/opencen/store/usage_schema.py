"""The tables of usage. On SQLite they are a file of their own, so that they cannot slow the control plane's commits.

They have one number as their version (`usage_version`): `Database.upgrade` makes what is missing and runs
`UPGRADES` of the versions between, so a step that only adds a table needs no entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, LargeBinary, MetaData, String, Table

from opencen.store.schema import NAMING, BigId

usage = MetaData(naming_convention=NAMING)
VERSION: Final = 1
UPGRADES: Final[Mapping[int, Callable[[Connection], None]]] = {}
"""What brings the tables of version N - 1 to N, by N."""

usage_version = Table(
    "usage_version",
    usage,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

usage_series = Table(
    "usage_series",
    usage,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("account_id", String, nullable=False),
    Column("cen_id", String, nullable=False),
    Column("from_region_id", String, nullable=False),
    Column("to_region_id", String, nullable=False),
    Index(None, "cen_id", "from_region_id", "to_region_id", unique=True),
    Index(None, "account_id"),
)
"""A direction of which something was metered. It outlives the connection, and keeps whose it was."""

usage_rosters = Table(
    "usage_rosters",
    usage,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("gateway_id", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("region_id", String, nullable=False),
    Column("series_ids", LargeBinary, nullable=False),
    Column("used_s", BigInteger, nullable=False),
    Index(None, "gateway_id", "sha256", unique=True),
)
"""Which series the columns of a batch are of: 64-bit ids in the order of the columns, 0 for one that is not kept."""

usage_clocks = Table(
    "usage_clocks",
    usage,
    Column("gateway_id", String, primary_key=True),
    Column("boot_id", String, primary_key=True),
    Column("offset_s", BigInteger, nullable=False),
    Column("samples", String, nullable=False),
    Column("used_s", BigInteger, nullable=False),
)
"""What a gateway's boot clock is behind ours, and the latest differences that it is judged by."""

usage_batches = Table(
    "usage_batches",
    usage,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("gateway_id", String, nullable=False),
    Column("spool_id", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("region_id", String, nullable=False),
    Column("roster_id", BigInteger, nullable=False),
    Column("first_s", BigInteger, nullable=False),
    Column("last_s", BigInteger, nullable=False),
    Column("ticks", String, nullable=False),
    Column("body", LargeBinary),
    Column("rolled", Boolean, nullable=False),
    Index(None, "gateway_id", "spool_id", "sequence", unique=True),
    Index(None, "last_s"),
    Index(None, "rolled", "id"),
)
"""What gateways sent, as it came: points of a second are read from here. `body` goes after a quarter of an hour, the
row a day later than a batch may come: until then it tells that one came already."""

usage_blocks = Table(
    "usage_blocks",
    usage,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
"""Points of one series and step, a block a row. The key is series, step and time in one number, so that a chart is one
stretch of the table and there is no index beside it."""

usage_progress = Table(
    "usage_progress",
    usage,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

usage_months = Table(
    "usage_months",
    usage,
    Column("month", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("a_to_b_bps", BigInteger, nullable=False),
    Column("b_to_a_bps", BigInteger, nullable=False),
    Column("sent_bytes", BigInteger, nullable=False),
    Index(None, "account_id", "month"),
)
"""Monthly 95th percentiles that are final, of connections and of packages."""
