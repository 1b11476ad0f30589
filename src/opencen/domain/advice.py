"""What could be done about an alarm, from what is free now. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from opencen.domain.alarms import Kind
from opencen.domain.bandwidth import MAX_CONNECTION_MBPS
from opencen.domain.connection import Connection
from opencen.domain.nouns import Package


@dataclass(frozen=True, slots=True)
class Raise:
    """A region connection could have more: `bandwidth_mbps` in place of `present_mbps`, seen at `version`."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    package_id: str
    present_mbps: int
    bandwidth_mbps: int
    free_mbps: int
    package_mbps: int
    version: int


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence; `raise_to` when one request would do it."""

    sentence: str
    raise_to: Raise | None = None


def more_for(connection: Connection, package: Package) -> Raise | None:
    """Half as much again for a connection, or what of that its package has free; None when it has nothing."""
    present_mbps = connection.bandwidth_mbps
    wanted_mbps = present_mbps + max(present_mbps // 2, 1)
    bandwidth_mbps = min(wanted_mbps, present_mbps + package.free_mbps, MAX_CONNECTION_MBPS)
    if bandwidth_mbps <= present_mbps:
        return None
    return Raise(
        cen_id=connection.cen_id,
        region_a_id=connection.region_a_id,
        region_b_id=connection.region_b_id,
        package_id=package.id,
        present_mbps=present_mbps,
        bandwidth_mbps=bandwidth_mbps,
        free_mbps=package.free_mbps,
        package_mbps=package.bandwidth_mbps,
        version=connection.version,
    )


def for_connection(connection: Connection, package: Package) -> Advice:
    """A connection that is too small."""
    if connection.automatic is not None:
        return Advice(
            f"it follows the traffic up to {connection.automatic.max_mbps} Mbit/s while the package has them: give it "
            "a greater maximum, or resize the package"
        )
    more = more_for(connection, package)
    if more is not None:
        return Advice(
            f"{more.free_mbps} of {more.package_mbps} Mbit/s are free in the package: "
            f"raise to {more.bandwidth_mbps} Mbit/s?",
            more,
        )
    if package.free_mbps > 0:
        return Advice(f"a region connection has at most {MAX_CONNECTION_MBPS} Mbit/s, and this one has them")
    return Advice(
        f"all {package.bandwidth_mbps} Mbit/s of the package are allocated: resize the package, or take from another "
        "connection of it"
    )


def for_package(package: Package) -> Advice:
    """A package that is too small."""
    return Advice(f"the package has {package.bandwidth_mbps} Mbit/s: resize it")


def for_ending(package: Package) -> Advice:
    """A package whose time is running out, or has run out."""
    happens = "has" if package.expired_at else "will then have"
    return Advice(
        f"renew it (`opencen package renew {package.id} MONTHS`): what is set out of it {happens} 1 kbit/s only"
    )


_GATEWAYS = {
    Kind.GATEWAY_GONE: "is its host up, its agent running (`opencen gateway status` there), and does it reach the "
    "control plane? While the host is up, traffic goes on at the rates last set",
    Kind.GATEWAY_DRIFT: "something else than the agent changes the host's kernel (another tool, or a person with "
    "`tc`): the agent's log says what was repaired",
}


def for_gateway(kind: Kind) -> Advice:
    """A gateway that is gone, or whose kernel is not left alone."""
    return Advice(_GATEWAYS[kind])
