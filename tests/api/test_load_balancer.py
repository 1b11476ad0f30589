"""Two servers over one PostgreSQL behind the load balancers of docs/deploy.md, as that page configures them."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from conftest import missing
from fake_gateway import FakeGateway
from opencen.client import Client, Credential
from rest_scenario import make_scenario
from servers import ServerProcess, new_postgres_database

pytestmark = pytest.mark.postgres
PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    servers: tuple[ServerProcess, ServerProcess]
    credential: Credential

    def addressed(self, configuration: str, port: int) -> str:
        """A configuration of the page with this site's addresses."""
        for theirs, ours in (
            ("10.0.0.10:8400", f"127.0.0.1:{port}"),
            ("10.0.0.11:8400", f"127.0.0.1:{self.servers[0].port}"),
            ("10.0.0.12:8400", f"127.0.0.1:{self.servers[1].port}"),
        ):
            configuration = configuration.replace(theirs, ours)
        return configuration


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Site]:
    tmp_path = tmp_path_factory.mktemp("site")
    url = new_postgres_database(postgres, f"opencen_{uuid.uuid4().hex[:12]}")
    first = ServerProcess(tmp_path / "first", url, "--trusted-proxy", "127.0.0.1")
    second = ServerProcess(tmp_path / "second", url, "--trusted-proxy", "127.0.0.1")
    try:
        first.start()
        second.start_beside(first)
        yield Site((first, second), first.credential)
    finally:
        first.stop()
        second.stop()
    first.check()


@contextmanager
def _balancer(argv: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "the load balancer did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _haproxy(site: Site, directory: Path) -> Iterator[str]:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin") or ""
    if not program:
        missing("HAProxy is not installed: apt-get install haproxy")
    port, configuration = _free_port(), directory / "haproxy.cfg"
    configuration.write_text(site.addressed(_block("haproxy"), port))
    with _balancer([program, "-db", "-f", str(configuration)], port) as url:
        yield url


@contextmanager
def _nginx(site: Site, directory: Path) -> Iterator[str]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or ""
    if not program:
        missing("nginx is not installed: apt-get install nginx-light")
    port, configuration = _free_port(), directory / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(
        f"pid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n"
        f"{temporary}{site.addressed(_block('nginx'), port)}}}\n"
    )
    with _balancer([program, "-g", "daemon off;", "-c", str(configuration)], port) as url:
        yield url


@pytest.mark.parametrize("balancer", [_haproxy, _nginx], ids=["haproxy", "nginx"])
def test_calls_go_on_and_the_console_sticks_while_a_server_dies(
    site: Site, tmp_path: Path, balancer: Callable[[Site, Path], object]
) -> None:
    with balancer(site, tmp_path) as url, Client(url, site.credential) as client:  # type: ignore[attr-defined]
        before = client.post("/v1/instances", {"name": "first"}) and client.get("/v1/instances")["total"]
        browser = httpx.Client(base_url=url)
        assert browser.get("/console/login").status_code == 200
        served_by = browser.cookies.get("opencen-server")
        assert {browser.get("/console/login").status_code for _ in range(4)} == {200}
        assert browser.cookies.get("opencen-server") == served_by

        dying = 1 if served_by == "second" else 0
        site.servers[dying].stop(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with Client(url, site.credential) as other:
                answers = {other.request("GET", "/v1/instances")["total"] for _ in range(5)}
            if answers == {before} and browser.get("/console/login").status_code == 200:
                break
        for number in range(20):
            client.post("/v1/instances", {"name": f"later-{number}"})
        assert browser.get("/console/login").status_code == 200
        assert client.get("/v1/instances", page_size=1)["total"] == before + 20
    site.servers[dying].start()


def test_the_audit_log_knows_the_caller_behind_the_load_balancer_whatever_it_says_of_itself(
    site: Site, tmp_path: Path
) -> None:
    with _haproxy(site, tmp_path) as url:
        transport = httpx.HTTPTransport(local_address="127.0.0.7")
        with httpx.Client(base_url=url, transport=transport, headers=site.credential.headers()) as caller:
            caller.post("/v1/instances", json={"name": "from afar"}, headers={"x-forwarded-for": "192.0.2.99"})
        with Client(url, site.credential) as client:
            (event,) = client.get("/v1/audit", page_size=1)["items"]
        assert event["source_address"] == "127.0.0.7"


def test_a_gateway_that_waits_at_one_server_is_woken_by_a_change_at_the_other(site: Site) -> None:
    first, second = site.servers
    with first.client() as client, second.client() as elsewhere:
        scenario = make_scenario(client)
        gateway = FakeGateway(first.url, client, "us-west-1")
        gateway.hello()
        gateway.obey()
        woken_after: list[float] = []

        def wait() -> None:
            began = time.monotonic()
            gateway.fetch(wait_s=30)
            woken_after.append(time.monotonic() - began)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.5)  # it waits; were it not to yet, it would be told at once
        elsewhere.request("PUT", scenario.path("us-west-1", "cn-hangzhou"), body={"bandwidth_mbps": 7})
        waiting.join(35)
        assert woken_after[0] < 5
        assert gateway.rate_bps(scenario.cen_id, "cn-hangzhou") == 7_000_000


def test_a_session_is_one_at_every_server(site: Site) -> None:
    first, second = site.servers
    admin = site.servers[0].data / "admin.json"
    credentials = httpx.Response(200, content=admin.read_bytes()).json()
    body = {"username": credentials["username"], "password": credentials["password"]}
    session = httpx.post(f"{first.url}/v1/sessions", json=body).json()
    bearer = {"authorization": f"Bearer {session['session']['id']}:{session['token']}"}
    assert httpx.get(f"{second.url}/v1/instances", headers=bearer).status_code == 200


def test_a_server_with_another_key_refuses_to_start_and_says_which_file(site: Site, tmp_path: Path) -> None:
    stranger = ServerProcess(tmp_path / "stranger", site.servers[0].database)
    with pytest.raises(AssertionError, match=r"stranger/secrets\.key is not the key of this database"):
        stranger.start()
