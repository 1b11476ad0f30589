"""HTTPS with the authority that `opencen tls init` makes, as clients are told to trust it."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from alibabacloud_cbn20170912.client import Client as CbnClient
from alibabacloud_cbn20170912.models import CreateCenRequest
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcbn.request.v20170912.DescribeCensRequest import DescribeCensRequest
from aliyunsdkcore.client import AcsClient
from darabonba.runtime import RuntimeOptions

from opencen.testing import OpencenServer, running_opencen


@dataclass(frozen=True)
class Secured:
    server: OpencenServer
    ca: Path

    @property
    def port(self) -> int:
        return int(self.server.endpoint.rpartition(":")[2])


def _opencen(*argv: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opencen", *argv]
    given = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=given)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("tls")
    done = _opencen("tls", "init", "--dir", str(made), "--name", "cen.example.net")
    assert done.returncode == 0, done.stderr
    assert f"SSL_CERT_FILE={made / 'ca.pem'}" in done.stdout
    assert f"--tls-cert {made / 'server.pem'}" in done.stdout
    return made


@pytest.fixture(scope="module")
def secured(directory: Path) -> Iterator[Secured]:
    options = ["--tls-cert", str(directory / "server.pem"), "--tls-key", str(directory / "server.key")]
    with running_opencen(*options) as server:
        assert server.url.startswith("https://")
        yield Secured(server, directory / "ca.pem")


def test_keys_are_the_owners_alone(directory: Path) -> None:
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_a_client_that_trusts_the_authority_is_answered(secured: Secured) -> None:
    trusting = ssl.create_default_context(cafile=str(secured.ca))
    for host in ("127.0.0.1", "localhost"):
        with urllib.request.urlopen(f"https://{host}:{secured.port}/readyz", context=trusting) as answer:
            assert answer.status == 200


def test_a_client_that_does_not_is_not(secured: Secured) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"{secured.server.url}/readyz", context=ssl.create_default_context())


def test_the_python_sdk_calls_over_https(secured: Secured) -> None:
    client = CbnClient(Config(endpoint=secured.server.endpoint, protocol="https", **secured.server.credentials))
    answer = client.create_cen_with_options(CreateCenRequest(name="a"), RuntimeOptions(ca=str(secured.ca)))
    assert answer.body.cen_id.startswith("cen-")


def test_the_older_python_sdk_calls_over_https(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CA_BUNDLE", str(secured.ca))
    server = secured.server
    client = AcsClient(server.access_key_id, server.access_key_secret, "cn-hangzhou", port=secured.port)
    request = DescribeCensRequest()
    request.set_endpoint("127.0.0.1")
    request.set_protocol_type("https")
    assert b"TotalCount" in client.do_action_with_exception(request)


def test_opencens_own_command_line_calls_over_https(secured: Secured) -> None:
    server = secured.server
    keys = {"OPENCEN_ACCESS_KEY_ID": server.access_key_id, "OPENCEN_ACCESS_KEY_SECRET": server.access_key_secret}
    listing = ["--server", server.url, "instance", "list", "-o", "json"]
    done = _opencen(*listing, environment={**keys, "SSL_CERT_FILE": str(secured.ca)})
    assert done.returncode == 0, done.stderr
    assert _opencen(*listing, environment=keys).returncode == 1


def test_plain_http_can_be_served_beside_https(directory: Path) -> None:
    options = ["--tls-cert", str(directory / "server.pem"), "--tls-key", str(directory / "server.key")]
    with (
        running_opencen("--listen", "http://127.0.0.1:0", "--listen", "127.0.0.1:0", *options) as server,
        urllib.request.urlopen(f"{server.url}/readyz") as answer,
    ):
        assert server.url.startswith("http://")
        assert answer.status == 200


def test_a_new_certificate_needs_no_new_trust(directory: Path) -> None:
    before = {name: (directory / name).read_bytes() for name in ("ca.pem", "ca.key", "server.pem", "server.key")}
    done = _opencen("tls", "init", "--dir", str(directory), "--name", "other.example.net")
    try:
        assert done.returncode == 0
        assert "clients need nothing new" in done.stdout
        assert (directory / "ca.pem").read_bytes() == before["ca.pem"]
        assert (directory / "server.pem").read_bytes() != before["server.pem"]
    finally:
        for name, content in before.items():
            (directory / name).write_bytes(content)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--tls-cert", "server.pem"], "go together"),
        (["--tls-cert", "none.pem", "--tls-key", "none.key"], "cannot use none.pem"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_said_at_once(options: list[str], reason: str) -> None:
    done = _opencen("serve", "--ephemeral", *options)
    assert done.returncode == 1
    assert reason in done.stderr


def _served_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def _wait_until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    assert _opencen("tls", "init", "--dir", str(tmp_path)).returncode == 0
    options = ["--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key")]
    with running_opencen(*options) as server:
        port = int(server.url.rpartition(":")[2])
        first = _served_certificate(port)
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trusting.wrap_socket(plain, server_hostname="127.0.0.1") as kept,
        ):
            good = (tmp_path / "server.pem").read_bytes()
            (tmp_path / "server.pem").write_bytes(b"no certificate")
            time.sleep(2.5)  # the server has looked, and kept what it had
            assert _served_certificate(port) == first
            (tmp_path / "server.pem").write_bytes(good)
            assert _opencen("tls", "init", "--dir", str(tmp_path)).returncode == 0
            _wait_until(lambda: _served_certificate(port) != first)
            assert _served_certificate(port) in (tmp_path / "server.pem").read_text()
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # who is connected stays so
            assert kept.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "http://192.0.2.1:0", "[::]:0", "cen.example.net:0"])
def test_plain_http_over_a_network_is_refused(listen: str) -> None:
    done = _opencen("serve", "--ephemeral", "--listen", listen)
    assert done.returncode == 1
    assert "in clear text" in done.stderr
    assert "--insecure-http" in done.stderr
    standalone = _opencen("console", "--listen", listen.removeprefix("http://").replace(":0", ":8402"))
    assert (standalone.returncode, "--insecure-http" in standalone.stderr) == (1, True)


def test_plain_http_beside_https_over_a_network_is_refused_too(directory: Path) -> None:
    options = ["--tls-cert", str(directory / "server.pem"), "--tls-key", str(directory / "server.key")]
    done = _opencen("serve", "--ephemeral", "--listen", "127.0.0.1:0", "--listen", "http://192.0.2.1:0", *options)
    assert (done.returncode, "in clear text" in done.stderr) == (1, True)


def test_plain_http_over_a_network_when_the_operator_insists() -> None:
    with running_opencen("--listen", "0.0.0.0:0", "--insecure-http") as server:
        port = server.url.rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200


def test_browsers_are_told_to_come_back_by_https_only(secured: Secured) -> None:
    trusting = ssl.create_default_context(cafile=str(secured.ca))

    def told(host: str) -> str | None:
        request = urllib.request.Request(f"https://127.0.0.1:{secured.port}/healthz", headers={"Host": host})
        with urllib.request.urlopen(request, context=trusting) as answer:
            value: str | None = answer.headers["strict-transport-security"]
            return value

    assert told("cen.example.net") == told("cen.example.net:8443") == "max-age=31536000"
    for host in ("localhost:8400", "127.0.0.1", "[::1]:8400"):  # it would bind every server of the machine
        assert told(host) is None
