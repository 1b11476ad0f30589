"""What the lab asks of the control plane, over its REST API."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations_with_replacement
from typing import Any
from urllib.parse import quote

from opencen.client import ApiError, Client
from opencen.lab.errors import LabError
from opencen.lab.hosts import CarriableNetwork
from opencen.lab.topology import PackageTopology, Topology
from opencen.wire.gateway import TEST_RATE_BPS
from opencen.wire.join_token import hash_of_secret

_PAGE_SIZE = 200
_CONFLICT = 409
BPS_PER_MBPS = 1_000_000
Announce = Callable[[str], None]


def everything(client: Client, path: str, **params: str) -> Iterator[dict[str, Any]]:
    """All items of a list, page after page."""
    page, seen = 1, 0
    while True:
        answer = client.get(path, page=page, page_size=_PAGE_SIZE, **params)
        yield from answer["items"]
        seen += len(answer["items"])
        if not answer["items"] or seen >= answer["total"]:
            return
        page += 1


def _named(client: Client, path: str, name: str) -> dict[str, Any] | None:
    return next((item for item in everything(client, path) if item["name"] == name), None)


def _created(client: Client, path: str, body: dict[str, Any], announce: Announce) -> dict[str, Any]:
    item: dict[str, Any] = client.post(path, body)
    announce(f"made {path.removeprefix('/v1/').replace('-', ' ').rstrip('s')} {body['name']} ({item['id']})")
    return item


@contextmanager
def _conflicts_told(announce: Announce) -> Iterator[None]:
    """Someone has put a network or package to another use since: that stays."""
    try:
        yield
    except ApiError as refusal:
        if refusal.status != _CONFLICT:
            raise
        announce(f"left as it is: {refusal.detail}")


def carriable_networks(client: Client, region_ids: Iterable[str]) -> list[CarriableNetwork]:
    """The networks of these regions."""
    wanted = set(region_ids)
    return [
        CarriableNetwork(item["id"], item["name"], item["region_id"], tuple(item["cidr_blocks"]))
        for item in everything(client, "/v1/networks")
        if item["region_id"] in wanted
    ]


def _ensure_regions(client: Client, topology: Topology, announce: Announce) -> None:
    known = {item["id"] for item in everything(client, "/v1/regions")}
    for region in topology.regions:
        if region.id not in known:
            client.post("/v1/regions", {"id": region.id, "name": region.name, "area_id": region.area})
            announce(f"added region {region.id} ({region.name})")


def _ensure_encryption(client: Client, topology: Topology) -> None:
    """How links between the lab's areas are carried, where nobody has chosen yet."""
    areas = sorted({region.area for region in topology.regions})
    chosen = {(item["area_a_id"], item["area_b_id"]) for item in everything(client, "/v1/encryption")}
    for pair in combinations_with_replacement(areas, 2):
        if pair not in chosen:
            path = f"/v1/encryption/{quote(pair[0], safe='')}/{quote(pair[1], safe='')}"
            client.request("PUT", path, body={"encryption": topology.encryption})


def _ensure_networks(client: Client, topology: Topology, announce: Announce) -> list[str]:
    existing = {
        (item.region_id, item.name): item.id
        for item in carriable_networks(client, (region.id for region in topology.regions))
    }
    identifiers = []
    for region, network in topology.networks:
        identifier = existing.get((region.id, network.name))
        if identifier is None:
            body = {"name": network.name, "region_id": region.id, "cidr_blocks": [str(network.cidr)]}
            identifier = _created(client, "/v1/networks", body, announce)["id"]
        identifiers.append(identifier)
    return identifiers


def _ensure_package(client: Client, cen_id: str, package: PackageTopology, announce: Announce) -> None:
    existing = _named(client, "/v1/bandwidth-packages", package.name)
    if existing is None:
        body = {
            "name": package.name,
            "area_a_id": package.areas[0],
            "area_b_id": package.areas[1],
            "bandwidth_mbps": package.bandwidth_mbps,
        }
        existing = _created(client, "/v1/bandwidth-packages", body, announce)
    if existing["cen_id"] is None:
        with _conflicts_told(announce):
            client.request("PUT", f"/v1/bandwidth-packages/{existing['id']}/binding", body={"cen_id": cen_id})


def ensure_scenario(client: Client, topology: Topology, announce: Announce) -> None:
    """Makes what the topology names and is not there yet: networks, instance, attachments, packages, bindings.

    A region that the server does not know is added. What is there stays as it is. Raises ApiError when the server
    refuses.
    """
    _ensure_regions(client, topology, announce)
    _ensure_encryption(client, topology)
    network_ids = _ensure_networks(client, topology, announce)
    if topology.instance is None:
        return
    instance = _named(client, "/v1/instances", topology.instance)
    if instance is None:
        instance = _created(client, "/v1/instances", {"name": topology.instance}, announce)
    cen_id = instance["id"]
    attached = {item["network_id"] for item in everything(client, f"/v1/instances/{cen_id}/attachments")}
    for network_id in network_ids:
        if network_id not in attached:
            with _conflicts_told(announce):
                client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": network_id})
    for package in topology.packages:
        _ensure_package(client, cen_id, package, announce)


def joined(client: Client, region_id: str, name: str, kept_ids: Collection[str]) -> tuple[str, str | None]:
    """The id of the region's gateway and its secret; no secret for one in `kept_ids`, whose credential is at hand.

    A gateway of that name whose credential is lost is replaced by a new one. Raises LabError when the region has
    another gateway, ApiError when the server refuses.
    """
    present = next((item for item in everything(client, "/v1/gateways") if item["region_id"] == region_id), None)
    if present is not None and present["name"] != name:
        raise LabError(
            f"region {region_id} has the gateway {present['id']} ({present['name'] or 'no name'}), which is not this "
            f"lab's {name}: remove that gateway, or give the lab another control plane or topology"
        )
    if present is not None and present["id"] in kept_ids:
        return present["id"], None
    if present is not None:
        client.delete(f"/v1/gateways/{present['id']}")
    token = client.post("/v1/join-tokens", {"region_id": region_id})["text"]
    secret = secrets.token_urlsafe(32)
    body = {"token": token, "credential_sha256": hash_of_secret(secret), "name": name}
    return client.post("/v1/gateway/join", body)["gateway_id"], secret


def not_ready(client: Client, gateway_ids: Collection[str], network_ids: Collection[str]) -> list[str]:
    """What is not done yet of all that gateways were asked to carry, a sentence each."""
    waited_for = []
    for gateway in everything(client, "/v1/gateways"):
        if gateway["id"] not in gateway_ids:
            continue
        if gateway["liveness"] != "live":
            waited_for.append(f"the gateway of {gateway['region_id']} has not been heard from")
        elif gateway["applied_revision"] < gateway["wanted_revision"]:
            waited_for.append(f"the gateway of {gateway['region_id']} has not followed yet")
    for cen_id in {item["cen_id"] for item in everything(client, "/v1/networks") if item["cen_id"]}:
        for attachment in everything(client, f"/v1/instances/{cen_id}/attachments"):
            if attachment["network_id"] in network_ids and not attachment["carried"]:
                reason = attachment["reason"] or "its gateway has not said so"
                waited_for.append(f"network {attachment['network_name']} is not carried: {reason}")
    return waited_for


def common_instance(client: Client, network_a_id: str, network_b_id: str) -> str:
    """The CEN instance that joins two networks. Raises LabError when none does."""
    first, second = (client.get(f"/v1/networks/{identifier}") for identifier in (network_a_id, network_b_id))
    if first["cen_id"] is None or first["cen_id"] != second["cen_id"]:
        raise LabError(f"no CEN instance joins networks {first['name']} and {second['name']}: attach both to one")
    return str(first["cen_id"])


def set_rate_bps(client: Client, cen_id: str, region_a_id: str, region_b_id: str) -> int:
    """What is set between two regions of an instance in bit/s; the test rate when no connection is set."""
    pair = {region_a_id, region_b_id}
    for item in everything(client, "/v1/region-connections", cen_id=cen_id):
        if {item["region_a_id"], item["region_b_id"]} == pair:
            return int(item["bandwidth_mbps"]) * BPS_PER_MBPS
    return TEST_RATE_BPS
