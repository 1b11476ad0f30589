"""The things that OpenCEN keeps, as frozen values. Ids and fields use the words of the design."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal


class Role(StrEnum):
    """What a user may do in its account."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: every service function is told, and the audit log says it."""

    account_id: str
    user_id: str
    username: str
    role: Role
    access_key_id: str | None = None
    source_address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    number: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair for API clients. `secret` is plain: signatures are checked with it."""

    access_key_id: str
    secret: str
    account_id: str
    user_id: str
    username: str
    role: Role
    active: bool
    source_networks: tuple[str, ...] = ()
    """From where it may be used; empty: from anywhere."""

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key_id!r})"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who logs on, or owns access keys."""

    id: str
    account_id: str
    username: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    has_totp: bool = False


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """An access key as it is listed: without its secret."""

    id: str
    user_id: str
    username: str
    account_id: str
    name: str
    role: Role
    """What calls signed with it may do: never more than its user may."""
    source_networks: tuple[str, ...]
    active: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A CEN instance."""

    id: str
    account_id: str
    name: str
    description: str
    created_at: datetime
    version: int
    network_count: int = 0
    connection_count: int = 0
    package_ids: tuple[str, ...] = ()
    resource_group_id: str | None = None
    """None: the account's default group."""


@dataclass(frozen=True, slots=True)
class Network:
    """A private network; `cen_id` names the instance to which it is attached."""

    id: str
    account_id: str
    region_id: str
    name: str
    description: str
    cidr_blocks: tuple[str, ...]
    created_at: datetime
    cen_id: str | None = None
    resource_group_id: str | None = None
    """None: the account's default group."""


@dataclass(frozen=True, slots=True)
class Attachment:
    cen_id: str
    network_id: str
    network_name: str
    region_id: str
    account_id: str
    cidr_blocks: tuple[str, ...]
    attached_at: datetime
    carried: bool | None = None
    """True when a gateway carries it, False with `reason` when not, None when no gateway of the region has said."""
    reason: str | None = None
    interface: str | None = None
    """Where the gateway says that it is."""


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """Where a network is on a gateway, as an administrator has said; `interface` has the fields of the REST API."""

    network_id: str
    gateway_id: str
    interface: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """A bandwidth package between two areas (`area_a_id` <= `area_b_id`); `cen_id` is its binding."""

    id: str
    account_id: str
    name: str
    description: str
    area_a_id: str
    area_b_id: str
    bandwidth_mbps: int
    allocated_mbps: int
    created_at: datetime
    version: int
    cen_id: str | None = None
    charge_type: str = "POSTPAY"
    expires_at: datetime | None = None
    resource_group_id: str | None = None
    """None: the account's default group."""
    warned_at: datetime | None = None
    """When the account was warned of its end."""
    expired_at: datetime | None = None
    """Since when its connections have the connectivity-test rate only; None while they have what is set."""

    @property
    def free_mbps(self) -> int:
        return self.bandwidth_mbps - self.allocated_mbps


class QuotaKind(StrEnum):
    """What an account may have a limited number of."""

    INSTANCES = "instances"
    NETWORKS = "networks"
    PACKAGES = "packages"
    CONNECTIONS = "connections"


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of a kind an account may have, None for no limit, and how many it has."""

    kind: QuotaKind
    most: int | None
    used: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the backbone carries between two areas (`area_a_id` <= `area_b_id`), and how much of it is sold."""

    area_a_id: str
    area_b_id: str
    capacity_mbps: int
    sold_mbps: int

    @property
    def left_mbps(self) -> int:
        return self.capacity_mbps - self.sold_mbps


@dataclass(frozen=True, slots=True)
class VSwitch:
    """A part of a network's addresses, in one zone of its region."""

    id: str
    account_id: str
    network_id: str
    region_id: str
    zone_id: str
    name: str
    description: str
    cidr_block: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    id: str
    account_id: str
    name: str
    display_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Linux host that carries a region's cross-region traffic."""

    id: str
    region_id: str
    name: str
    created_at: datetime
    endpoint: str | None
    agent_version: str | None
    capabilities: dict[str, str]
    applied_revision: int
    wanted_revision: int
    last_seen_at: datetime | None
    repairs: int = 0
    """Differences between kernel and orders that the gateway found and repaired."""
    drift_count: int = 0
    """Links, networks and instances that it found otherwise than they should be, each time counted."""
    declared_networks: tuple[tuple[str, str], ...] = ()
    """(network id or name, interface) as declared on the gateway."""
    credential_since: datetime | None = None
    """When its present credential was first used; None when that was before such times were kept."""
    rotation_wanted: bool = False
    """An operator has asked it for a new credential, which it has not made yet."""
    role: Literal["active", "standby"] = "active"
    """active, or standby: it passes nothing while the region's active gateway is alive."""
    preferred: bool = False
    """It takes over again by itself whenever it is back for a while."""
    trouble: str | None = None
    """What an operator has to look at, in a sentence."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    id: int
    at: datetime
    account_id: str
    actor: str
    access_key_id: str | None
    source_address: str | None
    request_id: str | None
    action: str
    resource: str
    outcome: str
    before: dict[str, object] | None
    after: dict[str, object] | None
