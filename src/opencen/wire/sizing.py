"""The size that a package's recorded traffic asks for, over REST."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from opencen.wire.rest import Given


class PackageSize(Given):
    """What serves so many per cent of the intervals: shared, when limits follow the traffic, or divided among pairs."""

    percentile: int
    shared_mbps: int
    divided_mbps: int


class SuggestedShare(Given):
    cen_id: str
    region_a_id: str
    region_b_id: str
    set_mbps: int
    suggested_mbps: int
    mean_bps: int
    peak_bps: int
    served: float = Field(description="the part of the intervals that the suggestion would have let through")
    held_back: float = Field(description="the part of the intervals in which the limit dropped packets")


class PackageSizing(Given):
    """GET /v1/bandwidth-packages/{package_id}/sizing: out of 5-minute means, the busier direction."""

    package_id: str
    bandwidth_mbps: int
    from_time: datetime
    to_time: datetime
    intervals: int = Field(description="5-minute intervals in which anything was metered")
    percentile: int
    sizes: list[PackageSize]
    shares: list[SuggestedShare]
    mean_bps: int
    unused_bps: int = Field(description="bought and not used, on average")
    full_on: date | None = Field(description="when the traffic will need the whole package; null: not foreseeable")
    forecast_days: int = Field(description="whole days behind the forecast; below 7 there is none")
