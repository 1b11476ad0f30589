"""What the REST API takes and gives. Ids, units and words are those of the design; times are RFC 3339, UTC.

What is taken is strict (a number is not text, 10.0 is no whole number, an unknown field is refused); what is given may
gain fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from opencen.wire.interfaces import Interface

T = TypeVar("T")


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Taken(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Page(Given, Generic[T]):
    """A part of a list; `total` is how long the whole is."""

    items: list[T]
    total: int
    page: int
    page_size: int


class Problem(Given):
    """A refusal (RFC 9457). `code` is stable; further members carry the numbers that caused it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = Field(default=None, description="the parameter at fault")
    request_id: str


class Area(Given):
    id: str
    name: str
    name_zh: str


class Region(Given):
    id: str
    name: str
    name_zh: str
    area_id: str


class RegionCreate(Taken):
    id: str
    name: str
    name_zh: str = ""
    area_id: str


class Account(Given):
    id: str
    number: int
    name: str
    created_at: datetime


class Capacity(Given):
    """What the backbone carries between two areas; `sold_mbps`: bought there by all accounts."""

    area_a_id: str
    area_b_id: str
    capacity_mbps: int
    sold_mbps: int
    left_mbps: int


EncryptionName = Literal["wireguard", "vxlan"]


class EncryptionChoice(Taken):
    encryption: EncryptionName


class AreaEncryption(Given):
    """How links between two areas are carried, where that was chosen."""

    area_a_id: str
    area_b_id: str
    encryption: EncryptionName


class LinkEncryption(Given):
    """How a pair of regions of an instance is carried. `refusal`: why its link is not built."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    encryption: EncryptionName
    chosen_by: Literal["connection", "areas", "default"]
    refusal: str | None
    rotates: bool = Field(description="new keys are being brought in beside the old ones")
    keys_made_at: datetime | None
    preshared_key_made_at: datetime | None


class KeyRotation(Given):
    links: int = Field(description="how many links' keys are being rotated from now on")


class CapacityDeclare(Taken):
    capacity_mbps: int


class Quotas(Given):
    """How many an account may have, null for no limit; and how many it has."""

    instances: int | None
    networks: int | None
    packages: int | None
    connections: int | None
    used: dict[str, int]


class QuotasModify(Taken):
    """What is not given stays; null: no limit."""

    instances: int | None = None
    networks: int | None = None
    packages: int | None = None
    connections: int | None = None


class AccountCreate(Taken):
    name: str = Field(min_length=1, max_length=128)


RoleName = Literal["administrator", "operator", "viewer"]


class User(Given):
    id: str
    account_id: str
    username: str
    role: RoleName
    created_at: datetime
    disabled_at: datetime | None
    has_totp: bool = Field(description="whether a code is asked for when the user logs on")


class UserCreate(Taken):
    username: str = Field(min_length=1, max_length=120)
    role: RoleName
    account_id: str


class UserModify(Taken):
    """What is not given stays."""

    role: RoleName | None = None
    disabled: bool | None = None
    reset_password: bool = False
    reset_totp: bool = Field(default=False, description="ask the user for no code any more")


class UserPassword(Given):
    """A user, and its new password where one was made: shown this once."""

    user: User
    password: str | None


class AccessKey(Given):
    id: str
    user_id: str
    username: str
    account_id: str
    name: str
    role: RoleName
    source_networks: list[str]
    active: bool
    created_at: datetime
    last_used_at: datetime | None


class AccessKeyCreate(Taken):
    user_id: str
    name: str = Field(default="", max_length=128)
    role: RoleName | None = None
    source_networks: list[str] = Field(default_factory=list, max_length=50)


class AccessKeySwitch(Taken):
    active: bool


class AccessKeySecret(Given):
    """A new key; its secret is shown this once."""

    access_key: AccessKey
    access_key_secret: str


class Me(Given):
    """Who the caller is."""

    account_id: str
    user_id: str
    username: str
    role: Literal["administrator", "operator", "viewer"]


class LogOn(Taken):
    username: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1000)
    totp_code: str | None = Field(default=None, max_length=12, description="of the second factor, for who has one")


class TotpState(Given):
    """Since when a code is asked for when the caller logs on; null: it is not."""

    confirmed_at: datetime | None


class TotpBegin(Taken):
    password: str = Field(min_length=1, max_length=1000)


class TotpSecret(Given):
    """For the app that makes the codes; shown this once."""

    secret: str = Field(description="base32")
    uri: str = Field(description="otpauth://…, as QR codes have it")


class TotpCode(Taken):
    totp_code: str = Field(min_length=1, max_length=12)


class Session(Given):
    """Somebody who logged on; `current` is the session that asks."""

    id: str
    username: str
    created_at: datetime
    expires_at: datetime
    source_address: str | None
    user_agent: str
    current: bool


class SessionToken(Given):
    """A fresh session. Its credential, `Authorization: Bearer ID:TOKEN`, is shown this once."""

    session: Session
    token: str


class InstanceCreate(Taken):
    name: str = ""
    description: str = ""


class InstanceModify(Taken):
    name: str | None = None
    description: str | None = None


class Instance(Given):
    """A CEN instance. `version` is its ETag."""

    id: str
    name: str
    description: str
    status: str = "Active"
    created_at: datetime
    network_count: int
    connection_count: int
    package_ids: list[str]
    version: int


class NetworkCreate(Taken):
    region_id: str
    cidr_blocks: list[str] = Field(description="IPv4 blocks such as 10.1.0.0/16")
    name: str = ""
    description: str = ""


class NetworkModify(Taken):
    name: str | None = None
    description: str | None = None


class Network(Given):
    id: str
    region_id: str
    name: str
    description: str
    cidr_blocks: list[str]
    cen_id: str | None = Field(description="the CEN instance to which it is attached")
    created_at: datetime


class Attach(Taken):
    network_id: str


class Attachment(Given):
    cen_id: str
    network_id: str
    network_name: str
    region_id: str
    cidr_blocks: list[str]
    attached_at: datetime
    carried: bool | None = Field(description="whether a gateway carries it; null: no gateway has said")
    reason: str | None = Field(description="why it is not carried")
    interface: str | None = Field(description="where the gateway has it")


class NetworkInterface(Given):
    """Where a network is on a gateway, as an administrator has said."""

    network_id: str
    gateway_id: str
    interface: Interface


class Drift(Given):
    """What a gateway found otherwise than it should be, and repaired."""

    gateway_id: str
    at: datetime
    cen_id: str
    part: str = Field(description="the peer region of a link, the id of a network, or '': the whole instance")
    found: str


class GrantAdd(Taken):
    cen_id: str
    cen_account_number: int | None = Field(default=None, description="when given, must be of the instance's account")


class NetworkGrant(Given):
    network_id: str
    network_account_number: int
    region_id: str
    cen_id: str
    cen_account_number: int
    created_at: datetime


class PackageBuy(Taken):
    area_a_id: str
    area_b_id: str
    bandwidth_mbps: int
    name: str = ""
    description: str = ""
    charge_type: str = Field(default="POSTPAY", description="PREPAY: for some `months`; POSTPAY: until it is deleted")
    months: int | None = None


class PackageRenew(Taken):
    months: int = Field(description="how much longer than its present end; from now on, when that has passed")


class PackageModify(Taken):
    name: str | None = None
    description: str | None = None
    bandwidth_mbps: int | None = None


class Bind(Taken):
    cen_id: str


class Package(Given):
    """A bandwidth package; `free_mbps` = `bandwidth_mbps` - `allocated_mbps`. `version` is its ETag."""

    id: str
    name: str
    description: str
    area_a_id: str
    area_b_id: str
    bandwidth_mbps: int
    allocated_mbps: int
    free_mbps: int
    charge_type: str
    cen_id: str | None = Field(description="the CEN instance to which it is bound")
    created_at: datetime
    expires_at: datetime | None
    warned_at: datetime | None = Field(description="since when its end is near")
    expired_at: datetime | None = Field(
        description="since when its connections have 1 kbit/s only, until it is renewed"
    )
    version: int


class AutomaticSet(Taken):
    max_mbps: int = Field(description="the limit never becomes more than this")
    weight: int = Field(default=1, description="its part of what is divided, beside the others' weights; 1 to 100")


class Automatic(Given):
    max_mbps: int
    weight: int


class Decision(Given):
    """A limit that was changed to follow the traffic, and why."""

    id: int
    at: datetime
    region_a_id: str
    region_b_id: str
    package_id: str
    before_bps: int
    after_bps: int
    wanted_bps: int
    why: str


class ConnectionSet(Taken):
    bandwidth_mbps: int = Field(description="Mbit/s in each direction, 1 to 10000")
    package_id: str | None = Field(default=None, description="when given, must be the package that serves the pair")
    automatic: AutomaticSet | None = Field(
        default=None, description="when given, bandwidth_mbps is guaranteed and the limit follows the traffic"
    )


class Side(Given):
    """One direction: what the region's gateway sends into the link. Null: not known."""

    region_id: str
    gateway_id: str | None
    liveness: Literal["absent", "live", "late", "silent"]
    in_kernel_bps: int | None
    held_bps: int = Field(description="the most that its kernel may still have, counted against the package")
    measured_bps: float | None
    dropped_packets: int | None
    trimmed_packets: int | None
    backlog_bytes: int | None
    sent_bytes: int | None
    error: str | None
    handshake_age_s: float | None = Field(description="of an encrypted link's tunnel")
    drift_count: int = Field(description="how often it was found otherwise than it should be, and repaired")


class Connection(Given):
    """A region connection; `region_a_id` < `region_b_id`. `version` is its ETag."""

    id: str
    cen_id: str
    region_a_id: str
    region_b_id: str
    package_id: str
    bandwidth_mbps: int
    status: Literal["Active", "Modifying"]
    enforcement: Literal["confirmed", "pending", "unconfirmed", "none"]
    reasons: list[str]
    granted_bps: int
    limit_bps: int = Field(description="what gateways should limit it to now: what is set, or what follows the traffic")
    automatic: Automatic | None
    sides: list[Side]
    created_at: datetime
    updated_at: datetime
    version: int


class JoinTokenCreate(Taken):
    region_id: str
    lifetime_s: int = Field(default=3600, description="how long a host may join with it: 60 s to 30 days")


class JoinToken(Given):
    """What lets one host become a gateway of a region, once. Its text is not kept."""

    id: str
    region_id: str
    state: Literal["open", "used", "expired", "revoked"]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None
    used_from: str | None
    gateway_id: str | None


class JoinTokenMade(Given):
    """`text` is shown this once: `opencen gateway join URL --token TEXT` on the host that becomes the gateway."""

    token: JoinToken
    text: str
    pinned: bool = Field(description="the text tells the right server from a wrong one; false: the server has no TLS")


class Gateway(Given):
    id: str
    region_id: str
    name: str
    role: Literal["active", "standby"]
    preferred: bool
    trouble: str | None
    liveness: Literal["absent", "live", "late", "silent"]
    endpoint: str | None
    agent_version: str | None
    capabilities: dict[str, Any]
    declared_networks: list[tuple[str, str]]
    applied_revision: int
    wanted_revision: int
    repairs: int
    drift_count: int = Field(description="links, networks and instances found otherwise than they should be")
    credential_since: datetime | None
    rotation_wanted: bool
    last_seen_at: datetime | None
    created_at: datetime


class GatewayPromote(Taken):
    """`prefer`: it takes over again by itself whenever it is back for a minute."""

    prefer: bool = False


class AuditEvent(Given):
    id: int
    at: datetime
    actor: str
    access_key_id: str | None
    source_address: str | None
    request_id: str | None
    action: str
    resource: str
    outcome: Literal["done", "refused"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditChain(Given):
    """How far the audit log is sealed. With `head` kept elsewhere, `opencen audit verify --head` finds a cut."""

    head: str | None = Field(description="NUMBER:HASH of the last seal")
    sealed_at: datetime | None
    sealed_events: int
    unsealed_events: int = Field(description="what was written since; sealed within seconds")


class CheckResult(Given):
    """What `opencen check` found: `broken` is empty when every invariant holds."""

    checked: list[str]
    broken: list[str]


class ChangesAnswer(Given):
    revision: int
