"""The rule that gives OpenCEN its name: what a package's region connections may be set to.

Amounts are whole Mbit/s (1 Mbit/s = 10^6 bit/s), a direction each. The database holds the same rule a second time,
as a CHECK on the stored sum (`store/allocations.py`).
"""

from __future__ import annotations

from opencen.domain.errors import (
    BandwidthExceededError,
    BandwidthValueError,
    CapacityExceededError,
    PackageShrinkError,
)

MBPS = 1_000_000
"""bit/s in one Mbit/s."""
MIN_CONNECTION_MBPS = 1
MAX_CONNECTION_MBPS = 10_000
MIN_PACKAGE_MBPS = 2
MAX_PACKAGE_MBPS = 10_000


def allocated_after_set(
    package_id: str, *, bandwidth_mbps: int, allocated_mbps: int, own_mbps: int, asked_mbps: int
) -> int:
    """The package's allocated sum once a connection that holds `own_mbps` (0: new) is set to `asked_mbps`.

    Raises BandwidthExceededError, with all the numbers, when the sum would exceed the package.
    """
    allocated_after_mbps = allocated_mbps - own_mbps + asked_mbps
    if allocated_after_mbps > bandwidth_mbps:
        raise BandwidthExceededError(
            package_id,
            bandwidth_mbps=bandwidth_mbps,
            allocated_mbps=allocated_mbps,
            asked_mbps=asked_mbps,
            own_mbps=own_mbps,
        )
    return allocated_after_mbps


def check_resize(package_id: str, *, bandwidth_mbps: int, allocated_mbps: int, asked_mbps: int) -> None:
    """Raises PackageShrinkError when a package of `bandwidth_mbps` may not become `asked_mbps`."""
    if asked_mbps < allocated_mbps:
        raise PackageShrinkError(
            package_id, bandwidth_mbps=bandwidth_mbps, allocated_mbps=allocated_mbps, asked_mbps=asked_mbps
        )


def sold_after(area_a_id: str, area_b_id: str, *, capacity_mbps: int, sold_mbps: int, asked_mbps: int) -> int:
    """What is sold between two areas once `asked_mbps` more is. Raises CapacityExceededError."""
    if sold_mbps + asked_mbps > capacity_mbps:
        raise CapacityExceededError(
            area_a_id, area_b_id, capacity_mbps=capacity_mbps, sold_mbps=sold_mbps, asked_mbps=asked_mbps
        )
    return sold_mbps + asked_mbps


def whole_mbps(value: int, most: int) -> int:
    """`value`, when it is a whole number of Mbit/s from 0 to `most`. Raises BandwidthValueError."""
    return _within(value, 0, most)


def connection_mbps(value: int) -> int:
    """`value`, when a connection may be set to it. Raises BandwidthValueError."""
    return _within(value, MIN_CONNECTION_MBPS, MAX_CONNECTION_MBPS)


def package_mbps(value: int) -> int:
    """`value`, when a package may have it. Raises BandwidthValueError."""
    return _within(value, MIN_PACKAGE_MBPS, MAX_PACKAGE_MBPS)


def _within(value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BandwidthValueError(
            f"bandwidth is a whole number of Mbit/s from {least} to {most}, not {value!r}",
            field="bandwidth_mbps",
            value=value,
            minimum=least,
            maximum=most,
        )
    return value
