"""Real sites in network namespaces: a server with HTTPS, gateway hosts that join it over an underlay, and their hosts.

Each gateway host has its own agent process, configuration, state directory and keys, as on a machine of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from opencen.client import ApiError, Client, Credential, ServerUnreachableError
from support import inside, run

SERVER_ADDRESS = "192.0.2.10"
PORT = 8400
URL = f"https://{SERVER_ADDRESS}:{PORT}"
_PATIENCE_S = 20.0
_numbers = count()


def wait_until(condition: Callable[[], bool], explain: Callable[[], str], timeout_s: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def command_in(namespace: str, *argv: str) -> list[str]:
    """Only the network is another: `ip netns exec` would also hide new namespaces from everybody else."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *argv]


@dataclass
class Site:
    """A gateway host in a region, with one host behind it at 10.LAN_OCTET.0.10."""

    region_id: str
    octet: int
    namespace: str
    host: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    network_id: str = ""
    partner_of: Site | None = None

    @property
    def lan_octet(self) -> int:
        return self.partner_of.octet if self.partner_of else self.octet

    @property
    def endpoint(self) -> str:
        return f"192.0.2.{self.octet}"

    @property
    def config(self) -> Path:
        return self.folder / "etc" / "gateway.toml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def credential_file(self) -> Path:
        return self.state_dir / "credential"

    @property
    def gateway_id(self) -> str:
        return self.credential_file.read_text().partition(":")[0]

    @property
    def log_text(self) -> str:
        return (self.folder / "log").read_text()

    def opencen(self, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """`opencen gateway …` on this host; `prefix` goes before the program."""
        argv = command_in(self.namespace, *prefix, sys.executable, "-m", "opencen", "gateway", *arguments)
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *arguments: str) -> str:
        done = self.opencen(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def join(self, token: str, *more: str, server: str = URL) -> subprocess.CompletedProcess[str]:
        places = ("--config", str(self.config), "--state-dir", str(self.state_dir))
        return self.opencen("join", server, "--token", token, *places, *more)

    def declare(self) -> None:
        """What the operator adds to the file: the network that is behind this gateway."""
        with self.config.open("a") as file:
            file.write(f'[[networks]]\nnetwork = "{self.network_id}"\ninterface = "lan0"\n')
            file.write(f'address = "10.{self.lan_octet}.0.1/24"\n')

    def start(self) -> None:
        argv = command_in(self.namespace, sys.executable, "-m", "opencen", "gateway", "run", "-c", str(self.config))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the agent has logged under this name."""
        logged = [json.loads(line) for line in self.log_text.splitlines() if line.startswith("{")]
        return [entry for entry in logged if entry["event"] == name]


@dataclass
class Sites:
    """The server's namespace, an underlay that is one switch, and the sites."""

    folder: Path
    name: str
    sites: dict[str, Site] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"{self.name}-srv"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> str:
        return f"unix:{self.data}/opencen.sock"

    def admin(self) -> Client:
        found = json.loads((self.data / "admin.json").read_text())
        return Client(self.socket, Credential(found["access_key_id"], found["access_key_secret"]))

    def token(self, region_id: str) -> str:
        with self.admin() as client:
            return str(client.post("/v1/join-tokens", {"region_id": region_id})["text"])

    def start_server(self) -> None:
        tls = self.data / "tls"
        if not tls.exists():
            argv = [sys.executable, "-m", "opencen", "tls", "init", "--data", str(self.data), "--name", SERVER_ADDRESS]
            subprocess.run(argv, check=True, capture_output=True, timeout=60)
        argv = [sys.executable, "-m", "opencen", "serve", "--data", str(self.data), "--listen", self.socket]
        argv += ["--listen", f"{SERVER_ADDRESS}:{PORT}"]
        argv += ["--tls-cert", str(tls / "server.pem"), "--tls-key", str(tls / "server.key")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCEN_")}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command_in(self.server, *argv), stdout=log, stderr=log, env=environment)
        wait_until(self._is_ready, (self.folder / "server.log").read_text, 40)

    def _is_ready(self) -> bool:
        try:
            with Client(self.socket, timeout_s=5) as client:
                client.get("/readyz")
        except (ServerUnreachableError, ApiError):
            return False
        return True

    def stop_server(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def add(self, region_id: str) -> Site:
        """A host that is no gateway yet."""
        octet = len(self.sites) + 1
        site = Site(region_id, octet, f"{self.name}-{octet}", f"{self.name}-h{octet}", self.folder / str(octet))
        site.folder.mkdir()
        self.sites[region_id] = site
        self._plug(site.namespace, site.endpoint)
        run("ip", "netns", "add", site.host)
        peer = ["peer", "name", "eth0", "netns", site.host]
        inside(site.namespace, "ip", "link", "add", "lan0", "type", "veth", *peer)
        inside(site.host, "ip", "address", "add", f"10.{octet}.0.10/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            inside(site.host, "ip", "link", "set", device, "up")
        inside(site.host, "ip", "route", "add", "default", "via", f"10.{octet}.0.1")
        inside(site.host, "ethtool", "-K", "eth0", "tso", "off", "gso", "off")
        return site

    @property
    def switch(self) -> str:
        return f"{self.name}-net"

    def lan_leg(self, site: Site) -> str:
        """The port of the LAN's switch that a gateway of a pair hangs on."""
        return "l1" if site.partner_of else "l0"

    def add_partner(self, first: Site) -> Site:
        """A second gateway host of the region of `first`; both are on one LAN, with a switch between them."""
        octet = len(self.sites) + 1
        site = Site(
            first.region_id, octet, f"{self.name}-{octet}", first.host, self.folder / str(octet), partner_of=first
        )
        site.folder.mkdir()
        self.sites[f"{first.region_id} (2)"] = site
        self._plug(site.namespace, site.endpoint)
        switch = self.switch
        inside(switch, "ip", "link", "add", "lan", "type", "bridge")
        inside(switch, "ip", "link", "set", "lan", "up")
        inside(first.namespace, "ip", "link", "del", "lan0")
        ends = ((first.namespace, "lan0"), (site.namespace, "lan0"), (first.host, "eth0"))
        for number, (namespace, device) in enumerate(ends):
            peer = ["peer", "name", device, "netns", namespace]
            inside(switch, "ip", "link", "add", f"l{number}", "type", "veth", *peer)
            inside(switch, "ip", "link", "set", f"l{number}", "master", "lan", "up")
        inside(first.host, "ip", "address", "add", f"10.{first.octet}.0.10/24", "dev", "eth0")
        inside(first.host, "ip", "link", "set", "eth0", "up")
        inside(first.host, "ip", "route", "add", "default", "via", f"10.{first.octet}.0.1")
        inside(first.host, "ethtool", "-K", "eth0", "tso", "off", "gso", "off")
        return site

    def join(self, site: Site) -> None:
        done = site.join(self.token(site.region_id))
        assert done.returncode == 0, done.stdout + done.stderr

    def _plug(self, namespace: str, address: str) -> None:
        """A namespace with one leg in the underlay."""
        run("ip", "netns", "add", namespace)
        port = f"p{len(self.sites)}" if address != SERVER_ADDRESS else "psrv"
        switch = f"{self.name}-net"
        peer = ["peer", "name", "u0", "mtu", "1600", "netns", namespace]
        inside(switch, "ip", "link", "add", port, "mtu", "1600", "type", "veth", *peer)
        inside(switch, "ip", "link", "set", port, "master", "br0", "up")
        inside(namespace, "ip", "address", "add", f"{address}/24", "dev", "u0")
        for device in ("u0", "lo"):
            inside(namespace, "ip", "link", "set", device, "up")

    def make(self) -> None:
        switch = f"{self.name}-net"
        run("ip", "netns", "add", switch)
        inside(switch, "ip", "link", "add", "br0", "mtu", "1600", "type", "bridge")
        inside(switch, "ip", "link", "set", "br0", "up")
        self._plug(self.server, SERVER_ADDRESS)
        self.start_server()

    def connect(self, bandwidth_mbps: int) -> str:
        """One CEN instance that joins the networks of the first two sites with a connection between them; its id."""
        first, second = list(self.sites.values())[:2]
        with self.admin() as client:
            cen_id = str(client.post("/v1/instances", {"name": "sites"})["id"])
            for site in (first, second):
                body = {"region_id": site.region_id, "cidr_blocks": [f"10.{site.octet}.0.0/16"]}
                site.network_id = client.post("/v1/networks", body)["id"]
                client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": site.network_id})
            areas = {item["id"]: item["area_id"] for item in client.get("/v1/regions")["items"]}
            body = {"area_a_id": areas[first.region_id], "area_b_id": areas[second.region_id], "bandwidth_mbps": 1000}
            package = client.post("/v1/bandwidth-packages", body)["id"]
            client.request("PUT", f"/v1/bandwidth-packages/{package}/binding", body={"cen_id": cen_id})
            pair = f"/v1/instances/{cen_id}/region-connections/{first.region_id}/{second.region_id}"
            client.request("PUT", pair, body={"bandwidth_mbps": bandwidth_mbps})
        return cen_id

    def wait_active(self, cen_id: str) -> None:
        with self.admin() as client:

            def is_active() -> bool:
                (item,) = client.get("/v1/region-connections", cen_id=cen_id)["items"]
                return (item["status"], item["enforcement"]) == ("Active", "confirmed")

            wait_until(is_active, lambda: str(client.get("/v1/region-connections", cen_id=cen_id)))

    def remove(self) -> None:
        for site in self.sites.values():
            site.stop()
            if site.config.exists() and site.credential_file.exists():
                site.opencen("purge", "--yes", "--config", str(site.config))
        self.stop_server()
        for site in self.sites.values():
            if site.partner_of is None:
                run("ip", "netns", "delete", site.host, check=False)
            run("ip", "netns", "delete", site.namespace, check=False)
        for name in (self.server, f"{self.name}-net"):
            run("ip", "netns", "delete", name, check=False)


@contextmanager
def made_sites(folder: Path) -> Iterator[Sites]:
    """A server and an underlay, without sites yet; everything is gone after the block."""
    sites = Sites(folder, f"st{os.getpid()}x{next(_numbers)}")
    try:
        sites.make()
        yield sites
    finally:
        sites.remove()
