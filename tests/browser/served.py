"""What browser tests fill a real server with, and read of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from servers import ServerProcess

REGIONS = {
    "us-west-1": "10.1.0.0/16",
    "cn-hangzhou": "10.2.0.0/16",
    "cn-shanghai": "10.3.0.0/16",
    "cn-shenzhen": "10.4.0.0/16",
}


def password_of(server: ServerProcess) -> tuple[str, str]:
    """The administrator's username and password."""
    admin = json.loads((server.data / "admin.json").read_text())
    return admin["username"], admin["password"]


def send(server: ServerProcess, method: str, path: str, body: Any = None) -> Any:
    """A request of the REST API as the administrator."""
    with server.client() as client:
        return client.request(method, path, body=body)


def get(server: ServerProcess, path: str, **params: Any) -> Any:
    with server.client() as client:
        return client.get(path, **params)


def make_network(
    server: ServerProcess, name: str = "backbone", package_mbps: int = 20, regions: dict[str, str] | None = None
) -> dict[str, Any]:
    """An instance with a network in each region and a package between China and North America, by id."""
    instance = send(server, "POST", "/v1/instances", {"name": name})
    networks = {}
    for region_id, block in (regions or REGIONS).items():
        body = {"region_id": region_id, "cidr_blocks": [block], "name": f"{name}-{region_id}"}
        network = send(server, "POST", "/v1/networks", body)
        networks[region_id] = network["id"]
        send(server, "POST", f"/v1/instances/{instance['id']}/attachments", {"network_id": network["id"]})
    package = buy_package(server, instance["id"], f"{name} {package_mbps}M", package_mbps)
    return {"cen_id": instance["id"], "package_id": package["id"], "networks": networks}


def buy_package(
    server: ServerProcess,
    cen_id: str,
    name: str,
    bandwidth_mbps: int,
    areas: tuple[str, str] = ("China", "North-America"),
) -> Any:
    """A package between two areas, bound."""
    body = {"area_a_id": areas[0], "area_b_id": areas[1], "bandwidth_mbps": bandwidth_mbps, "name": name}
    package = send(server, "POST", "/v1/bandwidth-packages", body)
    return send(server, "PUT", f"/v1/bandwidth-packages/{package['id']}/binding", {"cen_id": cen_id})


def set_connection(server: ServerProcess, cen_id: str, region_a: str, region_b: str, bandwidth_mbps: int) -> Any:
    """Set a region connection over the REST API."""
    path = f"/v1/instances/{cen_id}/region-connections/{region_a}/{region_b}"
    return send(server, "PUT", path, {"bandwidth_mbps": bandwidth_mbps})


def cpu_s(server: ServerProcess) -> float:
    """CPU time that the server's process has used."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
