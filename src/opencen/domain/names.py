"""What a name, a description and an address block may be."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network

from opencen.domain.errors import InvalidValueError, OverlappingNetworksError

MAX_NAME = 128
MAX_DESCRIPTION = 256


def checked_name(value: str) -> str:
    """`value`, when it may be a name: up to 128 characters, no address of a web page. Raises InvalidValueError."""
    return _text(value, "name", MAX_NAME)


def checked_description(value: str) -> str:
    """`value`, when it may be a description: up to 256 characters. Raises InvalidValueError."""
    return _text(value, "description", MAX_DESCRIPTION)


def _text(value: str, field: str, most: int) -> str:
    if len(value) > most:
        raise InvalidValueError(
            f"a {field} has at most {most} characters, this one {len(value)}", field=field, value=value[:most]
        )
    if value.lower().startswith(("http://", "https://")):
        raise InvalidValueError(f"a {field} must not start with http:// or https://", field=field, value=value)
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise InvalidValueError(f"a {field} must not hold control characters", field=field, value=value)
    return value


def checked_cidr_blocks(values: Iterable[str]) -> tuple[str, ...]:
    """Address blocks in their one spelling. Raises InvalidValueError.

    IPv6 is refused: gateways do not carry it, and silently dropping it would be worse.
    """
    blocks: list[IPv4Network] = []
    for value in values:
        try:
            block = ip_network(value)
        except ValueError as error:
            raise InvalidValueError(
                f"{value!r} is not an address block such as 10.1.0.0/16: {error}", field="cidr_blocks", value=value
            ) from error
        if not isinstance(block, IPv4Network):
            raise InvalidValueError(
                f"{value} is IPv6, which gateways do not carry; give IPv4 blocks", field="cidr_blocks", value=value
            )
        if not 8 <= block.prefixlen <= 29 or block.is_multicast or block.is_loopback or block.is_link_local:
            raise InvalidValueError(
                f"{value} cannot be a network: a unicast block of /8 to /29 can", field="cidr_blocks", value=value
            )
        if any(block.overlaps(other) for other in blocks):
            raise InvalidValueError(f"{value} overlaps another block of the network", field="cidr_blocks", value=value)
        blocks.append(block)
    if not blocks:
        raise InvalidValueError("a network has at least one address block", field="cidr_blocks", value=None)
    return tuple(str(block) for block in blocks)


def check_no_overlap(network_id: str, blocks: Iterable[str], others: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Raises OverlappingNetworksError when a block overlaps one of `others` (id, blocks), which share an instance."""
    own = [ip_network(block) for block in blocks]
    for other_id, other_blocks in others:
        for other_block in map(ip_network, other_blocks):
            for block in own:
                if block.overlaps(other_block):
                    raise OverlappingNetworksError(
                        f"{block} of network {network_id} overlaps {other_block} of network {other_id}, which is "
                        "attached to the same CEN instance",
                        field="network_id",
                        network_id=network_id,
                        cidr_block=str(block),
                        other_network_id=other_id,
                        other_cidr_block=str(other_block),
                    )
