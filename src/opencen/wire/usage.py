"""Usage over HTTP: what gateways meter (`UsageBatch`), and what is asked of it.

A direction is what one region sends to another within a CEN instance. Rates are bit/s of IP packets, times RFC 3339.
Points come as columns: the n-th value of each column is the point that covers [from + n * step_s, + step_s).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from opencen.wire.gateway import Wire

MAX_LINKS = 20_000
MAX_TICKS = 120


class GatewayClock(Wire):
    """A gateway's clocks at the moment of sending. `boot_s` does not jump; it begins anew with each boot."""

    boot_id: str = Field(max_length=64)
    boot_s: float = Field(ge=0)
    wall_s: float


class RosterLink(Wire):
    cen_id: str
    peer_region_id: str


class UsageTick(Wire):
    """What passed in the `for_s` seconds before `at_s` (of the boot clock), a column a figure, in the roster's order.

    `sent_bytes` is base64 of unsigned little-endian 64-bit numbers, the others of 32-bit ones.
    """

    at_s: int = Field(ge=0)
    for_s: int = Field(ge=1)
    sent_bytes: Base64Bytes
    sent_packets: Base64Bytes
    dropped_packets: Base64Bytes
    backlog_bytes: Base64Bytes


class UsageBatch(Wire):
    """POST /v1/gateway/usage: ticks of the links in a roster.

    `spool_id` and `sequence` name the batch: sent twice it counts once, in whatever order. `boot_id` is the boot whose
    clock the ticks are of, `boot_wall_s` that clock's zero by the gateway's wall clock then, for a boot whose clock the
    control plane never heard of. The roster itself is sent when the control plane asks for it.
    """

    spool_id: str = Field(max_length=64)
    sequence: int = Field(ge=0, lt=1 << 62)
    clock: GatewayClock
    boot_id: str = Field(max_length=64)
    boot_wall_s: float
    roster_sha256: str = Field(max_length=64)
    roster: list[RosterLink] | None = Field(default=None, max_length=MAX_LINKS)
    ticks: list[UsageTick] = Field(max_length=MAX_TICKS)


class UsageAnswer(Wire):
    """`wants_roster`: nothing was taken, send it again with its roster. `align_s`: what the boot clock is to be
    shifted by for its tens of seconds to be the control plane's. `watched`: connections that somebody looks at."""

    wants_roster: bool = False
    align_s: int = 0
    watched: list[RosterLink] = Field(default_factory=list)


class Asked(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class UsageDirection(Asked):
    """One direction's points. None: nothing was metered then. `p95_bps` is of 10-second means."""

    from_region_id: str
    to_region_id: str
    mean_bps: list[float | None]
    max_bps: list[int | None]
    p95_bps: list[int | None]
    sent_bytes: list[int]
    sent_packets: list[int]
    dropped_packets: list[int]
    backlog_bytes: list[int]
    limit_bps: list[int | None] = Field(description="what was set; None where no connection was")


class UsageChart(Asked):
    """GET …/region-connections/{region}/{region}/usage: both directions, the sorted pair's first region first."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    from_time: datetime
    to_time: datetime
    step_s: int
    directions: list[UsageDirection]


class PackageUsageConnection(Asked):
    """A connection's share of a package's chart; 0 while it was not out of this package."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    a_to_b_bps: list[float | None]
    b_to_a_bps: list[float | None]


class PackageUsageChart(Asked):
    """GET /v1/bandwidth-packages/{package_id}/usage: to be stacked by connection against `bandwidth_mbps`."""

    package_id: str
    bandwidth_mbps: int
    from_time: datetime
    to_time: datetime
    step_s: int
    connections: list[PackageUsageConnection]


GroupBy = Literal["connection", "package", "instance", "area-pair", "account"]


class UsageTotal(Asked):
    """What passed in a span, by what was asked for; both directions together, and each for a connection."""

    key: str = Field(description="id of the connection, package, instance or account, or AREA:AREA")
    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    mean_bps: float
    a_to_b_bytes: int = Field(description="from the region or area that sorts first; within one area, by region")
    b_to_a_bytes: int


class UsageTotals(Asked):
    by: GroupBy
    from_time: datetime
    to_time: datetime
    items: list[UsageTotal]


class MonthlyPercentile(Asked):
    """The 95th percentile of a month's 5-minute means, a direction each; `billed_bps` is the greater."""

    kind: Literal["connection", "package"]
    id: str
    a_to_b_bps: int
    b_to_a_bps: int
    billed_bps: int
    sent_bytes: int


class UsageMonth(Asked):
    """GET /v1/usage/months/{month}. `final`: two days after its end nothing of it changes any more."""

    month: str
    intervals: int = Field(description="5-minute intervals that have begun; those without traffic count as 0 bit/s")
    final: bool
    items: list[MonthlyPercentile]
