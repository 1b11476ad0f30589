"""What an alarm is about, in words, and what could be done about it now."""

from __future__ import annotations

from dataclasses import dataclass

from opencen.domain import advice
from opencen.domain.advice import Advice
from opencen.domain.alarms import Kind
from opencen.domain.bandwidth import MBPS
from opencen.domain.geography import parse_connection_id
from opencen.store import connections, gateways, instances, packages
from opencen.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Subject:
    """A connection, a package or a gateway: `label` for people, what else it belongs to, and advice."""

    id: str
    label: str
    limit_mbps: int | None = None
    cen_id: str | None = None
    region_ids: tuple[str, ...] = ()
    package_id: str | None = None
    advice: Advice | None = None


def describe(tx: Transaction, account_id: str, kind: Kind, subject_id: str) -> Subject:
    """As it is now; a thing that is gone has its id for a label and no advice."""
    if kind in (Kind.CONNECTION_USE, Kind.CONNECTION_DROPS):
        return _connection(tx, account_id, subject_id)
    if kind in (Kind.PACKAGE_USE, Kind.PACKAGE_EXPIRY):
        return _package(tx, account_id, kind, subject_id)
    row = gateways.find(tx, subject_id)
    if row is None:
        return Subject(subject_id, subject_id)
    label = f"gateway {row.name or row.id} of {row.region_id}"
    return Subject(subject_id, label, region_ids=(row.region_id,), advice=advice.for_gateway(kind))


def _connection(tx: Transaction, account_id: str, subject_id: str) -> Subject:
    cen_id, region_a_id, region_b_id = parse_connection_id(subject_id)
    instance = instances.find(tx, account_id, cen_id)
    label = f"{region_a_id} - {region_b_id} of {instance.name or cen_id}" if instance else subject_id
    connection = connections.find(tx, cen_id, region_a_id, region_b_id) if instance else None
    package = packages.find(tx, account_id, connection.package_id) if connection else None
    pair = (region_a_id, region_b_id)
    if connection is None or package is None:
        return Subject(subject_id, label, cen_id=cen_id, region_ids=pair)
    found = advice.for_connection(connection, package)
    return Subject(subject_id, label, connection.most_bps // MBPS, cen_id, pair, package.id, found)


def _package(tx: Transaction, account_id: str, kind: Kind, subject_id: str) -> Subject:
    package = packages.find(tx, account_id, subject_id)
    if package is None:
        return Subject(subject_id, subject_id, package_id=subject_id)
    label = f"package {package.name or package.id} ({package.area_a_id} - {package.area_b_id})"
    found = advice.for_package(package) if kind is Kind.PACKAGE_USE else advice.for_ending(package)
    return Subject(subject_id, label, package.bandwidth_mbps, package.cen_id, (), subject_id, found)
