"""The region connection: the cross-region bandwidth set for an unordered pair of regions, out of one package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opencen.domain.bandwidth import MAX_CONNECTION_MBPS, MBPS, whole_mbps
from opencen.domain.errors import InvalidValueError
from opencen.domain.geography import connection_id
from opencen.domain.status import ConnectionStatus, Enforcement, Liveness

MAX_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class Automatic:
    """A connection whose limit follows the traffic, between what is set (its minimum) and `max_mbps`."""

    max_mbps: int
    weight: int = 1


def checked_automatic(automatic: Automatic | None, minimum_mbps: int) -> Automatic | None:
    """`automatic`, when a connection with this minimum may have it. Raises BandwidthValueError, InvalidValueError."""
    if automatic is None:
        return None
    whole_mbps(automatic.max_mbps, MAX_CONNECTION_MBPS)
    if automatic.max_mbps < minimum_mbps:
        raise InvalidValueError(
            f"the maximum of an automatic connection, {automatic.max_mbps} Mbit/s, is below its minimum, "
            f"{minimum_mbps}",
            field="max_mbps",
            value=automatic.max_mbps,
        )
    if not 1 <= automatic.weight <= MAX_WEIGHT:
        raise InvalidValueError(
            f"a weight is from 1 to {MAX_WEIGHT}, not {automatic.weight}", field="weight", value=automatic.weight
        )
    return automatic


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
    automatic: Automatic | None = None
    """None: the limit is what is set. Otherwise what is set is guaranteed, and the limit follows the traffic."""

    @property
    def id(self) -> str:
        return connection_id(self.cen_id, self.region_a_id, self.region_b_id)

    @property
    def rate_bps(self) -> int:
        """What is set: the limit, or the least that an automatic one has."""
        return self.bandwidth_mbps * MBPS

    @property
    def most_bps(self) -> int:
        """The most that the limit may become without another change of what is set."""
        return self.automatic.max_mbps * MBPS if self.automatic else self.rate_bps


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
    handshake_age_s: float | None = None
    drift_count: int = 0
    """How often the gateway found the link otherwise than it should be, and repaired it."""


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection together with what gateways do about it."""

    connection: Connection
    status: ConnectionStatus
    enforcement: Enforcement
    reasons: tuple[str, ...]
    granted_bps: int
    limit_bps: int
    """What the gateways should limit it to now: what is set, or what was decided for an automatic one."""
    sides: tuple[SideView, SideView]
