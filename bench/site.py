"""A real server, and a lab with real gateways, for the length of a benchmark."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from opencen.client import ApiError, Client, Credential, ServerUnreachableError
from opencen.lab.lab import Lab, running_lab
from opencen.lab.topology import default_topology

_START_TIMEOUT_S = 40.0


@dataclass(frozen=True)
class Server:
    """A server that listens on a TCP port and on a Unix socket."""

    port: int
    data: Path
    credential: Credential

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"unix:{self.data / 'opencen.sock'}"

    def client(self) -> Client:
        return Client(self.url, self.credential)


@contextmanager
def running_server() -> Iterator[Server]:
    """`opencen serve` on SQLite in a temporary directory on disk, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="opencen-bench-") as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        data = Path(directory)
        argv = [
            sys.executable,
            "-m",
            "opencen",
            "serve",
            "--data",
            directory,
            "--listen",
            f"127.0.0.1:{port}",
            "--requests-per-key",
            "0",
        ]
        argv += ["--listen", f"unix:{data / 'opencen.sock'}"]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(process, port)
            admin = json.loads((data / "admin.json").read_text())
            yield Server(port, data, Credential(admin["access_key_id"], admin["access_key_secret"]))
        finally:
            process.terminate()
            process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with Client(f"http://127.0.0.1:{port}", timeout_s=5) as client:
                client.get("/readyz")
        except (ServerUnreachableError, ApiError):
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the server did not start")


@dataclass(frozen=True)
class Site:
    """The lab of four regions, its one package made large enough for the benchmark."""

    server: Server
    lab: Lab
    client: Client
    cen_id: str

    def path(self, region_id: str, other_region_id: str) -> str:
        return f"/v1/instances/{self.cen_id}/region-connections/{region_id}/{other_region_id}"

    def set(self, region_id: str, other_region_id: str, mbps: int) -> None:
        """Set, and wait until both kernels have it."""
        path = self.path(region_id, other_region_id)
        item: dict[str, Any] = self.client.request("PUT", path, body={"bandwidth_mbps": mbps})
        deadline = time.monotonic() + 15
        while item["enforcement"] != "confirmed":
            if time.monotonic() > deadline:
                raise RuntimeError(f"not confirmed: {item}")
            time.sleep(0.01)
            item = self.client.get(path)

    def namespace(self, region_id: str) -> str:
        """The namespace of the lab's instance on a region's gateway."""
        gateway = next(item for item in self.lab.state().gateways if item.region_id == region_id)
        return f"{gateway.gateway_id}-{self.cen_id}"


@contextmanager
def running_site(package_mbps: int = 10_000, encryption: Literal["wireguard", "vxlan"] = "vxlan") -> Iterator[Site]:
    """Server and lab, removed with the block. What is measured at high rates is plain: userspace encrypts slowly."""
    topology = replace(default_topology(), encryption=encryption)
    with running_server() as server, tempfile.TemporaryDirectory(prefix="opencen-bench-lab-") as directory:
        key = server.credential
        name = f"bench{os.getpid()}"
        with (
            running_lab(
                server.socket,
                key.identifier,
                key.secret,
                topology=topology,
                name=name,
                directory=Path(directory) / "lab",
            ) as lab,
            server.client() as client,
        ):
            cen_id = client.get("/v1/instances", name="lab")["items"][0]["id"]
            package = client.get("/v1/bandwidth-packages", cen_id=cen_id)["items"][0]
            body = {"bandwidth_mbps": package_mbps}
            client.request("PATCH", f"/v1/bandwidth-packages/{package['id']}", body=body)
            yield Site(server, lab, client, cen_id)
