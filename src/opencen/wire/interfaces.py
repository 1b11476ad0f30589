"""How a network is reached on a gateway: said by the gateway's operator in its file, or by the control plane."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

InterfaceKind = Literal["physical", "vlan", "bridge", "host"]

_NAME: Final = re.compile(r"[^/\s]{1,15}")
_OWN_NAMES: Final = ("to-", "by-", "net-")


def _usable_name(value: str) -> str:
    if not _NAME.fullmatch(value) or value.startswith(_OWN_NAMES):
        raise ValueError(f"{value!r} is no usable name: 1 to 15 characters, not beginning with {', '.join(_OWN_NAMES)}")
    return value


def _with_prefix(value: str) -> str:
    try:
        parsed = IPv4Interface(value)
    except ValueError:
        parsed = None
    if parsed is None or "/" not in value:
        raise ValueError(f"{value!r} must be an IPv4 address with its prefix, like 10.1.0.1/24")
    return str(parsed)


def _block(value: str) -> str:
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no IPv4 block like 10.1.8.0/24") from error


def _host_address(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no IPv4 address") from error


class Prefix(BaseModel):
    """Addresses of the network that are behind a router in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cidr_block: Annotated[str, AfterValidator(_block)]
    next_hop: Annotated[str, AfterValidator(_host_address)] = Field(description="the router's address in the network")


class Interface(BaseModel):
    """`physical`: the interface itself goes into the instance's namespace. `vlan`: a VLAN of it. `bridge`: a port of
    that bridge. `host`: the gateway's host is a member, and the interface is made on it under that name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    interface: Annotated[str, AfterValidator(_usable_name)]
    kind: InterfaceKind = "physical"
    vlan_id: int | None = Field(default=None, ge=1, le=4094, description="of a vlan")
    address: Annotated[str, AfterValidator(_with_prefix)] = Field(
        description="this gateway's address in the network, like 10.1.0.1/24; the host's own for kind host"
    )
    prefixes: list[Prefix] = Field(default=[], description="what is behind routers of the network")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.kind == "vlan") != (self.vlan_id is not None):
            raise ValueError("vlan_id belongs to kind vlan, which cannot be without it")
        if self.kind == "host" and self.prefixes:
            raise ValueError("prefixes are behind routers of a network; kind host has the host alone")
        on_link = IPv4Interface(self.address).network
        for prefix in self.prefixes:
            if IPv4Address(prefix.next_hop) not in on_link:
                raise ValueError(f"next_hop {prefix.next_hop} is not within {on_link}: nothing leads to it")
        return self


class InterfaceDeclare(Interface):
    """What an administrator declares for a network on one gateway; an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
