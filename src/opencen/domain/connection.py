"""The region connection: the cross-region bandwidth set for an unordered pair of regions, out of one package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opencen.domain.bandwidth import MBPS
from opencen.domain.geography import connection_id
from opencen.domain.status import ConnectionStatus, Enforcement, Liveness


@dataclass(frozen=True, slots=True)
class Connection:
    """What was set; `region_a_id` < `region_b_id`. Mbit/s, a direction each."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    package_id: str
    bandwidth_mbps: int
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def id(self) -> str:
        return connection_id(self.cen_id, self.region_a_id, self.region_b_id)

    @property
    def rate_bps(self) -> int:
        return self.bandwidth_mbps * MBPS


@dataclass(frozen=True, slots=True)
class SideView:
    """One direction of a connection: what the region's gateway has in its kernel, and sends."""

    region_id: str
    gateway_id: str | None
    liveness: Liveness
    in_kernel_bps: int | None
    held_bps: int
    measured_bps: float | None
    dropped_packets: int | None
    trimmed_packets: int | None
    backlog_bytes: int | None
    sent_bytes: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection together with what gateways do about it."""

    connection: Connection
    status: ConnectionStatus
    enforcement: Enforcement
    reasons: tuple[str, ...]
    granted_bps: int
    sides: tuple[SideView, SideView]
