"""What a gateway should carry: the values from which its orders are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opencen.domain.rotation import KeySide


@dataclass(frozen=True, slots=True)
class WantedNetwork:
    """`interface`: where it is on this gateway, when an administrator has said."""

    network_id: str
    name: str
    cidr_blocks: tuple[str, ...]
    interface: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WantedTunnel:
    """One generation of static keys; the peer's end is None until it is known."""

    generation: int
    peer_public_key: str | None
    peer_port: int | None


@dataclass(frozen=True, slots=True)
class WantedWireGuard:
    """How a link is encrypted. `preshared_keys` are (id, key), the preferred one first."""

    tunnels: tuple[WantedTunnel, ...]
    preshared_keys: tuple[tuple[int, str], ...] = field(repr=False)
    peer_is_behind_nat: bool


@dataclass(frozen=True, slots=True)
class WantedLink:
    """`granted_bps` 0 stands for the connectivity-test rate; `peer_endpoint` None: there is nothing to build.

    `wireguard` None: over plain VXLAN. `refusal` says why the link is not built.
    """

    peer_region_id: str
    vni: int
    peer_endpoint: str | None
    remote_cidr_blocks: tuple[str, ...]
    granted_bps: int
    wireguard: WantedWireGuard | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class WantedInstance:
    cen_id: str
    revision: int
    networks: tuple[WantedNetwork, ...]
    links: tuple[WantedLink, ...]


UNKNOWN_REVISION = -1
"""What a gateway says of its kernel without having been told anything by this control plane."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a gateway has: `revision`, as it was told in `epoch`."""

    epoch: str
    revision: int


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway's place in its region. A standby prepares all, and passes nothing.

    `since` is the revision of the latest change of places; `partner_key` is shared with its partner, None: it has none.
    """

    is_active: bool
    since: int
    partner_key: bytes | None


@dataclass(frozen=True, slots=True)
class WantedState:
    """As of `revision` in `epoch`; `full`: what is not listed is not carried.

    Unless it `continues`, what the gateway holds is no part of this control plane's history.
    """

    revision: int
    full: bool
    instances: tuple[WantedInstance, ...]
    removed_cen_ids: tuple[str, ...]
    epoch: str
    continues: bool
    place: Place


@dataclass(frozen=True, slots=True)
class KernelLink:
    """What a gateway has found in its kernel for a link. `in_kernel_bps` None: no tunnel. `keys` None: plain."""

    peer_region_id: str
    in_kernel_bps: int | None
    error: str | None
    keys: KeySide | None = None


@dataclass(frozen=True, slots=True)
class KernelInstance:
    """An instance as a gateway's kernel has it, compared with the orders of `revision`."""

    cen_id: str
    revision: int
    removed: bool
    links: tuple[KernelLink, ...]
    live_links: dict[str, dict[str, object]]
    """By peer region: the figures to show."""
    networks: dict[str, dict[str, object]]
    """By network id: whether it is carried."""


TEST_RATE_BPS = 1_000
"""The connectivity-test rate of a pair for which nothing is set (design, rule 4)."""


def counted_bps(in_kernel_bps: int | None) -> int:
    """What a kernel's rate counts against the package: the test rate and no tunnel count nothing."""
    return in_kernel_bps if in_kernel_bps is not None and in_kernel_bps > TEST_RATE_BPS else 0
