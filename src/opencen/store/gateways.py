"""Rows of gateways, and what they last said of themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from opencen.store import drift
from opencen.store.database import Transaction
from opencen.store.gateway_schema import gateways
from opencen.store.links import ACTIVE
from opencen.store.upsert import upsert
from opencen.store.volatile_schema import gateway_heartbeats, gateway_instances, gateway_presence


@dataclass(frozen=True, slots=True)
class GatewayRow:
    id: str
    region_id: str
    account_id: str
    name: str
    token_sha256: bytes
    created_at: datetime
    endpoint: str | None
    agent_version: str | None
    capabilities: dict[str, Any]
    declared_networks: list[dict[str, str]]
    next_token_sha256: bytes | None = None
    rotation_wanted: bool = False
    credential_since: datetime | None = None
    behind_nat: bool = False
    role: str = ACTIVE
    role_since: int = 0
    """The revision at which it took its role."""
    preferred: bool = False

    @property
    def is_active(self) -> bool:
        return self.role == ACTIVE


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a gateway was last heard, from which host; when another host last used its credential; what it refuses."""

    gateway_id: str
    at: datetime
    host_id: str | None = None
    other_host_at: datetime | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """What a gateway last said. `links` and `networks` are by `cen_id/peer region` and network id."""

    gateway_id: str
    seen_at: datetime
    applied_revision: int
    repairs: int
    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    trouble: str | None = None
    other_host_at: datetime | None = None


def add(tx: Transaction, row: GatewayRow) -> None:
    tx.execute(
        insert(gateways).values(
            id=row.id,
            region_id=row.region_id,
            account_id=row.account_id,
            name=row.name,
            token_sha256=row.token_sha256,
            created_at=row.created_at,
            endpoint=row.endpoint,
            behind_nat=row.behind_nat,
            agent_version=row.agent_version,
            capabilities=row.capabilities,
            declared_networks=row.declared_networks,
            credential_since=row.credential_since,
            role=row.role,
            role_since=row.role_since,
            preferred=row.preferred,
        )
    )


def find(tx: Transaction, gateway_id: str) -> GatewayRow | None:
    row = tx.execute(select(gateways).where(gateways.c.id == gateway_id)).first()
    return None if row is None else GatewayRow(**row._mapping)


def find_all(tx: Transaction) -> list[GatewayRow]:
    rows = tx.execute(select(gateways).order_by(gateways.c.region_id, gateways.c.created_at, gateways.c.id))
    return [GatewayRow(**row._mapping) for row in rows]


def of_region(tx: Transaction, region_id: str) -> list[GatewayRow]:
    """The gateways of a region, the active one first."""
    rows = tx.execute(select(gateways).where(gateways.c.region_id == region_id).order_by(gateways.c.role))
    return [GatewayRow(**row._mapping) for row in rows]


def active_by_region(tx: Transaction, region_ids: Iterable[str]) -> dict[str, GatewayRow]:
    """The active gateways of these regions."""
    rows = tx.execute(select(gateways).where(gateways.c.region_id.in_(sorted(region_ids)), gateways.c.role == ACTIVE))
    return {row.region_id: GatewayRow(**row._mapping) for row in rows}


def standbys(tx: Transaction) -> frozenset[str]:
    return frozenset(tx.execute(select(gateways.c.id).where(gateways.c.role != ACTIVE)).scalars())


def pairs(tx: Transaction) -> list[GatewayRow]:
    """The gateways of regions that have two."""
    of_two = select(gateways.c.region_id).where(gateways.c.role != ACTIVE)
    rows = tx.execute(select(gateways).where(gateways.c.region_id.in_(of_two)).order_by(gateways.c.region_id))
    return [GatewayRow(**row._mapping) for row in rows]


def set_role(tx: Transaction, gateway_id: str, role: str, since: int) -> None:
    tx.execute(update(gateways).where(gateways.c.id == gateway_id).values(role=role, role_since=since))


def prefer(tx: Transaction, region_id: str, gateway_id: str | None) -> None:
    """The one gateway of the region that is preferred; None: none of them."""
    of_region = gateways.c.region_id == region_id
    tx.execute(update(gateways).where(of_region).values(preferred=False))
    if gateway_id is not None:
        tx.execute(update(gateways).where(of_region, gateways.c.id == gateway_id).values(preferred=True))


def introduce(
    tx: Transaction,
    gateway_id: str,
    *,
    endpoint: str,
    behind_nat: bool,
    agent_version: str,
    capabilities: dict[str, Any],
    declared_networks: list[dict[str, str]],
) -> None:
    tx.execute(
        update(gateways)
        .where(gateways.c.id == gateway_id)
        .values(
            endpoint=endpoint,
            behind_nat=behind_nat,
            agent_version=agent_version,
            capabilities=capabilities,
            declared_networks=declared_networks,
        )
    )


def want_rotation(tx: Transaction, gateway_id: str) -> None:
    tx.execute(update(gateways).where(gateways.c.id == gateway_id).values(rotation_wanted=True))


def set_next_token(tx: Transaction, gateway_id: str, token_sha256: bytes) -> None:
    """The credential that takes the present one's place when it is first used."""
    tx.execute(update(gateways).where(gateways.c.id == gateway_id).values(next_token_sha256=token_sha256))


def take_next_token(tx: Transaction, gateway_id: str, token_sha256: bytes, now: datetime) -> None:
    """The next credential takes the present one's place, unless that has happened already."""
    tx.execute(
        update(gateways)
        .where(gateways.c.id == gateway_id, gateways.c.next_token_sha256 == token_sha256)
        .values(token_sha256=token_sha256, next_token_sha256=None, rotation_wanted=False, credential_since=now)
    )


def remove(tx: Transaction, gateway_id: str) -> None:
    tx.execute(delete(gateways).where(gateways.c.id == gateway_id))


def presences(
    volatile_tx: Transaction, gateway_ids: Sequence[str], cen_ids: Collection[str] | None = ()
) -> dict[str, Presence]:
    """What these gateways last said, with the figures of these instances; None: of all."""
    if not gateway_ids:
        return {}
    rows = volatile_tx.execute(select(gateway_presence).where(gateway_presence.c.gateway_id.in_(list(gateway_ids))))
    heard = heartbeats(volatile_tx, gateway_ids)
    found = {row.gateway_id: _presence(row._mapping, heard.get(row.gateway_id)) for row in rows}
    if cen_ids is None or cen_ids:
        _add_figures(volatile_tx, found, cen_ids)
    return found


def _add_figures(volatile_tx: Transaction, found: dict[str, Presence], cen_ids: Collection[str] | None) -> None:
    statement = select(gateway_instances).where(gateway_instances.c.gateway_id.in_(list(found)))
    if cen_ids is not None:
        statement = statement.where(gateway_instances.c.cen_id.in_(list(cen_ids)))
    for gateway_id, cen_id, links, networks in volatile_tx.execute(statement):
        presence = found[gateway_id]
        presence.links.update({f"{cen_id}/{peer_id}": figures for peer_id, figures in links.items()})
        presence.networks.update(networks)


@dataclass(frozen=True, slots=True)
class InstanceFigures:
    """What a gateway says of an instance: figures by peer region, and by network whether it is carried."""

    gateway_id: str
    cen_id: str
    links: dict[str, dict[str, Any]]
    networks: dict[str, dict[str, Any]]


def save_figures(volatile_tx: Transaction, said: Sequence[InstanceFigures]) -> None:
    """What was said of these instances before is forgotten; of others it stays."""
    kept = [asdict(figures) for figures in said if figures.links or figures.networks]
    gone = [figures for figures in said if not figures.links and not figures.networks]
    if kept:
        upsert(volatile_tx, gateway_instances, kept)
    for figures in gone:
        volatile_tx.execute(
            delete(gateway_instances).where(
                gateway_instances.c.gateway_id == figures.gateway_id, gateway_instances.c.cen_id == figures.cen_id
            )
        )


def _presence(values: Any, heard: Heartbeat | None) -> Presence:
    presence = Presence(**values)
    if heard is None:
        return presence
    seen_at = max(presence.seen_at, heard.at)
    return replace(presence, seen_at=seen_at, trouble=heard.trouble, other_host_at=heard.other_host_at)


def save_presence(volatile_tx: Transaction, presence: Presence) -> None:
    upsert(
        volatile_tx,
        gateway_presence,
        [
            {
                "gateway_id": presence.gateway_id,
                "seen_at": presence.seen_at,
                "applied_revision": presence.applied_revision,
                "repairs": presence.repairs,
            }
        ],
    )


def heartbeats(volatile_tx: Transaction, gateway_ids: Sequence[str]) -> dict[str, Heartbeat]:
    if not gateway_ids:
        return {}
    rows = volatile_tx.execute(select(gateway_heartbeats).where(gateway_heartbeats.c.gateway_id.in_(list(gateway_ids))))
    return {row.gateway_id: Heartbeat(**row._mapping) for row in rows}


def save_heartbeat(volatile_tx: Transaction, heartbeat: Heartbeat) -> None:
    upsert(volatile_tx, gateway_heartbeats, [asdict(heartbeat)])


def forget_presence(volatile_tx: Transaction, gateway_id: str) -> None:
    volatile_tx.execute(delete(gateway_heartbeats).where(gateway_heartbeats.c.gateway_id == gateway_id))
    volatile_tx.execute(delete(gateway_presence).where(gateway_presence.c.gateway_id == gateway_id))
    volatile_tx.execute(delete(gateway_instances).where(gateway_instances.c.gateway_id == gateway_id))
    drift.forget_gateway(volatile_tx, gateway_id)
