"""Which addresses of an attached network its instance knows. Pure.

A network's own blocks are published when it is attached, and can be withdrawn. A smaller block inside them (say, of one
vSwitch) is a custom route: it is known only when it is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from opencen.domain.errors import InvalidValueError, NotFoundError


@dataclass(frozen=True, slots=True)
class Route:
    """A block of an attached network; `custom`: not one of the network's own blocks."""

    network_id: str
    region_id: str
    cidr_block: str
    custom: bool
    published: bool


def routes_of(
    network_id: str, region_id: str, cidr_blocks: Sequence[str], decisions: Mapping[str, bool]
) -> tuple[Route, ...]:
    """A network's routes: its own blocks first. `decisions` say by block what was published or withdrawn."""
    own = [Route(network_id, region_id, block, False, decisions.get(block, True)) for block in cidr_blocks]
    more = [
        Route(network_id, region_id, block, True, True)
        for block, published in sorted(decisions.items())
        if published and block not in cidr_blocks
    ]
    return (*own, *more)


def checked_destination(value: str, network_id: str, cidr_blocks: Sequence[str]) -> str:
    """A block of the network or inside one, in its one spelling. Raises InvalidValueError, NotFoundError."""
    try:
        block = IPv4Network(value)
    except ValueError as error:
        raise InvalidValueError(
            f"{value!r} is not an IPv4 address block such as 10.1.1.0/24: {error}", field="cidr_block", value=value
        ) from error
    if not any(block.subnet_of(IPv4Network(outer)) for outer in cidr_blocks):
        raise NotFoundError("route", f"{network_id}/{block}", field="cidr_block")
    return str(block)
