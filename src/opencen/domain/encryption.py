"""How a link between two regions is carried: encrypted or plain, chosen by whom, and when it is refused. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from opencen.domain.errors import InvalidValueError


class Encryption(StrEnum):
    """WIREGUARD encrypts; VXLAN is plain, for private circuits."""

    WIREGUARD = "wireguard"
    VXLAN = "vxlan"


class ChosenBy(StrEnum):
    CONNECTION = "connection"
    AREAS = "areas"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Choice:
    encryption: Encryption
    chosen_by: ChosenBy


def checked(value: str) -> Encryption:
    """Raises InvalidValueError."""
    try:
        return Encryption(value)
    except ValueError as error:
        names = " or ".join(Encryption)
        raise InvalidValueError(f"encryption is {names}, not {value!r}", field="encryption", value=value) from error


def choice(connection: Encryption | None, areas: Encryption | None) -> Choice:
    """What holds for a link: what was chosen for it, else for its pair of areas, else that it is encrypted."""
    if connection is not None:
        return Choice(connection, ChosenBy.CONNECTION)
    if areas is not None:
        return Choice(areas, ChosenBy.AREAS)
    return Choice(Encryption.WIREGUARD, ChosenBy.DEFAULT)


@dataclass(frozen=True, slots=True)
class LinkGateway:
    """One end of a link. `max_encrypted_links` 0: it cannot encrypt. `behind_nat`: nobody can call it."""

    gateway_id: str
    region_id: str
    max_encrypted_links: int
    behind_nat: bool


def refusal(encryption: Encryption, ends: Sequence[LinkGateway]) -> str | None:
    """Why a link between these gateways is not built; never is one plain that was to be encrypted."""
    if encryption is Encryption.WIREGUARD:
        for end in ends:
            if not end.max_encrypted_links:
                return (
                    f"gateway {end.gateway_id} of {end.region_id} cannot encrypt: install wireguard-tools and "
                    "wireguard-go there and restart its agent, or choose vxlan for this link"
                )
        if all(end.behind_nat for end in ends):
            regions = " and ".join(sorted(end.region_id for end in ends))
            return f"the gateways of {regions} are both behind NAT: neither can call the other"
        return None
    for end in ends:
        if end.behind_nat:
            return (
                f"gateway {end.gateway_id} of {end.region_id} is behind NAT: plain VXLAN needs an address that its "
                "peer can reach; choose wireguard for this link"
            )
    return None
