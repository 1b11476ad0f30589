"""What the control plane and a gateway say to each other, over HTTP.

A host becomes a gateway by `Join`. It says `Hello` once a start, then asks for what it should carry (`GatewayState`, a
long poll by revision) and tells what its kernel really has (`GatewayReport`). Rates are bit/s of IP packets (layer 3),
a direction each: a gateway shapes what it sends into a link.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from opencen.wire.interfaces import Interface

TEST_RATE_BPS = 1_000
"""The rate of a pair of regions for which no connection is set: enough for a ping a second (design, rule 4)."""


class Wire(BaseModel):
    """A frozen message; a field that this version does not know is ignored, so that versions may differ by one."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CarriedNetwork(Wire):
    """A network that the operator of the gateway has declared: its id or name, and the interface it is behind."""

    network: str = Field(description="id (vpc-…) or name of the network")
    interface: str


class Capabilities(Wire):
    """What the probe found on the gateway's host."""

    kernel: str
    leaf_queue: str = Field(description="cake, fq_codel or bfifo: the first of these that the kernel has")
    encryption: str = Field(description="wireguard, wireguard-go or none")
    max_encrypted_links: int = Field(default=0, ge=0, description="0: this gateway cannot encrypt")
    source_check: str = Field(
        default="none",
        description="nftables, where tunnelled packets are taken only from the addresses that peers have now, or none",
    )


class Hello(Wire):
    """POST /v1/gateway/hello: sent at every start of the agent."""

    agent_version: str
    endpoint: str = Field(description="underlay IP address at which peers reach this gateway's tunnels")
    behind_nat: bool = Field(default=False, description="peers cannot call this gateway: it calls them")
    capabilities: Capabilities
    declared_networks: list[CarriedNetwork] = []
    host_id: str | None = Field(default=None, description="the same for each run of the agent on one booted host")
    knows_roles: bool = Field(default=False, description="this agent passes nothing while it is a standby")


class Join(Wire):
    """POST /v1/gateway/join, without other authentication: a host becomes a gateway.

    The credential is made on the host, and its hash alone is sent. Sent again with the same hash: the same answer.
    """

    token: str = Field(description="jt-….SECRET, with the pin or without")
    credential_sha256: str = Field(description="SHA-256 of the credential's secret, 64 hexadecimal digits")
    name: str = ""
    agent_version: str = ""


class NextCredential(Wire):
    """POST /v1/gateway/credential: accepted beside the present credential, until it is first used."""

    credential_sha256: str = Field(description="SHA-256 of the credential's secret, 64 hexadecimal digits")


class Welcome(Wire):
    """The answer to `Join`, `Hello` and `NextCredential`: which gateway the caller is."""

    gateway_id: str
    region_id: str


class NetworkState(Wire):
    """A network of this region that is attached to the CEN instance."""

    network_id: str
    name: str
    cidr_blocks: list[str]
    interface: Interface | None = Field(default=None, description="where it is on this gateway, if the API has said")


class TunnelState(Wire):
    """One WireGuard tunnel of a link. While keys are rotated a link has two, else one.

    `peer_public_key` and `peer_port` are None until the peer has made its key of this generation.
    """

    generation: int
    peer_public_key: str | None = None
    peer_port: int | None = Field(default=None, ge=1, le=65_535)


class PresharedKey(Wire):
    id: int
    key: str = Field(repr=False, description="32 bytes in base64")


class WireGuardState(Wire):
    """How a link is encrypted.

    `tunnels` are ordered, the newest last: a gateway makes all of them, and sends by the newest that has shaken hands.
    `preshared_keys` are ordered by preference: a gateway holds all of them and uses the first, and tries another when
    no handshake succeeds. A peer that `is_behind_nat` has no address to
    be called at: it calls, and its packets tell where it is.
    """

    tunnels: list[TunnelState]
    preshared_keys: list[PresharedKey]
    peer_is_behind_nat: bool = False


class LinkState(Wire):
    """A link to another region of the same CEN instance.

    `rate_bps` is what this gateway may send now; `TEST_RATE_BPS` when no connection is set or its rate is not yet
    granted. `peer_endpoint` is None while the peer region has no gateway: then there is nothing to build.
    `wireguard` is None for a link over plain VXLAN. `refusal` says why the link must not be built.
    """

    peer_region_id: str
    vni: int = Field(ge=1, lt=1 << 24)
    peer_endpoint: str | None
    remote_cidr_blocks: list[str]
    rate_bps: int = Field(ge=1, le=10**13)
    wireguard: WireGuardState | None = None
    refusal: str | None = None


class InstanceState(Wire):
    """All that this gateway carries of one CEN instance, as of `revision`."""

    cen_id: str
    revision: int
    networks: list[NetworkState]
    links: list[LinkState]


class GatewayState(Wire):
    """GET /v1/gateway/state?after=REVISION&wait_s=25: what the gateway should carry.

    `full` is true for after=0: instances not listed are not carried any more. Otherwise only the instances that
    changed after REVISION are listed, each complete, and `removed_cen_ids` names those that are gone. An answer
    whose `revision` equals `after` means that nothing changed within `wait_s`.

    A gateway also says what it has saved, `held` and `epoch`: unless the answer `continues`, that is no part of this
    control plane's history, which was restored from an older copy.

    A standby has everything in its kernel, its tunnels down and its ports without address. `partner_key` is known to
    the two gateways of a region alone, in hex; None: this gateway has no partner.
    """

    gateway_id: str
    region_id: str
    revision: int
    full: bool
    instances: list[InstanceState] = []
    removed_cen_ids: list[str] = []
    watched: bool = Field(default=False, description="someone looks at live figures now: report every second")
    epoch: str = ""
    continues: bool = True
    standby: bool = False
    role_since: int = Field(default=0, description="the revision at which the region's gateways last changed places")
    partner_key: str | None = Field(default=None, repr=False)


class TunnelReport(Wire):
    """Our end of one tunnel of an encrypted link. `handshake_age_s` is None before the first handshake."""

    generation: int
    public_key: str
    port: int
    sends: bool = Field(default=False, description="what is sent goes by this tunnel")
    handshake_age_s: float | None = None
    preshared_key_id: int | None = Field(default=None, description="the one in use; None: no device yet, or another")


class LinkReport(Wire):
    """What the kernel has for a link, read back, and what passes now.

    `in_kernel_bps` is None when there is no tunnel. Counters are since the tunnel was made and count layer 3.
    `measured_bps` is the rate sent since the previous report; `None` in a first report.
    """

    peer_region_id: str
    in_kernel_bps: int | None
    error: str | None = None
    sent_bytes: int = 0
    sent_packets: int = 0
    dropped_packets: int = Field(default=0, description="refused by the limit: the queue was full")
    trimmed_packets: int = Field(default=0, description="dropped by a change of the limit, counted apart")
    backlog_bytes: int = 0
    measured_bps: float | None = None
    tunnels: list[TunnelReport] = []
    held_preshared_key_ids: list[int] = []


class NetworkReport(Wire):
    """Whether a network's interface is really there."""

    network_id: str
    carried: bool
    interface: str | None = None
    reason: str | None = Field(default=None, description="why it is not carried")


class InstanceReport(Wire):
    cen_id: str
    revision: int = Field(
        ge=0, lt=1 << 63, description="the revision of the InstanceState that the kernel has been compared with"
    )
    removed: bool = Field(default=False, description="the instance is gone from this gateway's kernel")
    networks: list[NetworkReport] = []
    links: list[LinkReport] = []


class DriftEvent(Wire):
    """Something was found otherwise than it should be, and repaired, although no revision asked for it."""

    id: str = Field(description="the same event may be reported twice")
    at: datetime
    cen_id: str
    part: str = Field(description="the peer region of a link, the id of a network, or '': the whole instance")
    found: str


class GatewayReport(Wire):
    """POST /v1/gateway/report: an acknowledgement of `applied_revision`, a heartbeat, and live figures.

    Sent after each application (with the instances that it touched), every second while watched and every 5 s
    otherwise (with all instances). What it says of the kernel has been read back from the kernel. A gateway that has a
    partner sends it twice a second, without instances: then it is a heartbeat alone.
    """

    applied_revision: int = Field(ge=0, lt=1 << 63)
    instances: list[InstanceReport] = []
    repairs: int = Field(default=0, description="differences found and repaired that no revision asked for, in all")
    drift: list[DriftEvent] = []
    epoch: str | None = Field(default=None, description="the epoch in which it was told `applied_revision`")
    host_id: str | None = None


class ReportAnswer(Wire):
    revision: int = Field(description="the revision that this gateway should be at")
    watched: bool = False
    rotate_credential: bool = Field(default=False, description="an operator wants the gateway to make a new one")
