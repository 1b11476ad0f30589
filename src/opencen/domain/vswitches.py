"""VSwitches: where they may lie. They sort a network's addresses; gateways carry the network's blocks whole."""

from __future__ import annotations

import string
from collections.abc import Iterable
from ipaddress import IPv4Network

from opencen.domain.errors import InvalidValueError, OverlappingVSwitchesError

_LISTED_ZONES = string.ascii_lowercase[:11]
_RESERVED_ADDRESSES = 4
_SHORTEST_PREFIX, _LONGEST_PREFIX = 16, 29


def zone_id(region_id: str, letter: str) -> str:
    """`cn-hangzhou`, `b` -> `cn-hangzhou-b`; `us-west-1`, `a` -> `us-west-1a`."""
    return f"{region_id}{letter}" if region_id[-1:].isdigit() else f"{region_id}-{letter}"


def zones_of(region_id: str) -> tuple[str, ...]:
    """The zones of a region, as lists show them. Nothing here depends on zones; clients need to name one."""
    return tuple(zone_id(region_id, letter) for letter in _LISTED_ZONES)


def check_zone(region_id: str, zone: str) -> None:
    """Raises InvalidValueError for a zone that is not of this region."""
    if zone not in {zone_id(region_id, letter) for letter in string.ascii_lowercase}:
        raise InvalidValueError(
            f"{zone!r} is no zone of {region_id}; {zone_id(region_id, 'a')} is one", field="zone_id", value=zone
        )


def checked_block(value: str, network_blocks: Iterable[str], others: Iterable[tuple[str, str]]) -> str:
    """A vSwitch's block, inside the network's and apart from `others` (id, block).

    Raises InvalidValueError, OverlappingVSwitchesError.
    """
    try:
        block = IPv4Network(value)
    except ValueError as error:
        raise InvalidValueError(
            f"{value!r} is not an IPv4 address block such as 10.1.1.0/24: {error}", field="cidr_block", value=value
        ) from error
    blocks = tuple(network_blocks)
    inside = any(block.subnet_of(IPv4Network(outer)) for outer in blocks)
    if not inside or not _SHORTEST_PREFIX <= block.prefixlen <= _LONGEST_PREFIX:
        raise InvalidValueError(
            f"{block} is not a block of /{_SHORTEST_PREFIX} to /{_LONGEST_PREFIX} inside {', '.join(blocks)}",
            field="cidr_block",
            value=value,
        )
    for other_id, other in others:
        if block.overlaps(IPv4Network(other)):
            raise OverlappingVSwitchesError(
                f"{block} overlaps {other} of vSwitch {other_id}",
                field="cidr_block",
                value=value,
                other_vswitch_id=other_id,
                other_cidr_block=other,
            )
    return str(block)


def available_addresses(cidr_block: str) -> int:
    """Addresses that hosts may have: the first and the last three of a block are kept back."""
    return IPv4Network(cidr_block).num_addresses - _RESERVED_ADDRESSES
