"""What joining and rotating do on the host: interrupted anywhere, the host goes on from there and is never without."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from opencen import logs
from opencen.client import ApiError, Client, Credential, ServerUnreachableError
from opencen.gateway import config, credential, joining, service
from opencen.wire.join_token import JoinTokenText

TOKEN = JoinTokenText("jt-one", "s" * 43)
PINNED = JoinTokenText("jt-one", "s" * 43, "p" * 43)


class Server:
    """The gateways' part of a server, as far as credentials go. `lose` makes it answer nothing to calls of a path."""

    def __init__(self) -> None:
        self.present: str | None = None
        self.next: str | None = None
        self.used_by: str | None = None
        self.lose: str | None = None

    def accepts(self, secret: str) -> bool:
        hashed = sha256(secret.encode()).hexdigest()
        if hashed == self.next:
            self.present, self.next = hashed, None
        return hashed == self.present

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body: dict[str, Any] = json.loads(request.content or b"{}")
        if path == "/v1/gateway/join":
            self.used_by = self.used_by or body["credential_sha256"]
            if self.used_by != body["credential_sha256"]:
                return httpx.Response(401, json={"code": "JoinTokenRefused", "detail": "was used"})
            self.present = self.used_by
        elif not self.accepts(request.headers["authorization"].rpartition(":")[2]):
            return httpx.Response(401, json={"code": "Unauthenticated", "detail": "unknown or was revoked"})
        elif path == "/v1/gateway/credential":
            self.next = body["credential_sha256"]
        if path == self.lose:
            raise httpx.ReadError("lost on the way")
        return httpx.Response(200, json={"gateway_id": "gw-1", "region_id": "us-west-1"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(httpx, "HTTPTransport", lambda **_: httpx.MockTransport(made.answer))
    return made


@pytest.fixture
def places(tmp_path: Path) -> joining.Places:
    return joining.Places(tmp_path / "etc" / "gateway.toml", tmp_path / "state")


def join(places: joining.Places) -> str:
    return joining.join("unix:/nowhere", TOKEN, places, name="west", endpoint="192.0.2.1").gateway_id


def test_what_joining_writes_is_what_the_agent_reads(server: Server, places: joining.Places) -> None:
    join(places)
    loaded = config.load(places.config_file)
    assert (loaded.gateway_id, loaded.endpoint, loaded.state_dir) == ("gw-1", "192.0.2.1", places.state_dir)
    assert server.accepts(loaded.credential.secret)
    assert stat.S_IMODE(places.credential_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.state_dir.stat().st_mode) == 0o700
    assert not places.pending_file.exists()


def test_an_answer_that_was_lost_is_asked_for_again(server: Server, places: joining.Places) -> None:
    server.lose = "/v1/gateway/join"
    with pytest.raises(ServerUnreachableError):
        join(places)
    assert server.used_by is not None
    server.lose = None
    assert join(places) == "gw-1"
    assert server.accepts(credential.read(places.credential_file).secret)


def test_a_host_that_died_before_it_wrote_the_credential_goes_on(
    server: Server, places: joining.Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(credential, "write", _raise(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            join(places)
    assert places.config_file.exists()
    assert join(places) == "gw-1"
    with pytest.raises(joining.JoinError, match="this host is gateway gw-1 already"):
        join(places)


def test_a_configuration_that_is_there_is_not_overwritten(server: Server, places: joining.Places) -> None:
    places.config_file.parent.mkdir()
    places.config_file.write_text("mine")
    with pytest.raises(joining.JoinError, match="exists already: move it away"):
        join(places)
    assert server.used_by is None


@pytest.mark.parametrize(
    ("server", "token", "reason"),
    [
        ("http://192.0.2.10:8400", PINNED, "is plain HTTP: .* use https://"),
        ("http://cen.example.net", TOKEN, "is plain HTTP: .* serve HTTPS"),
        ("cen.example.net:8400", TOKEN, "is no address of a server"),
        ("ftp://cen.example.net", TOKEN, "is no address of a server"),
        ("https://cen.example.net/console", TOKEN, "only https://HOST:PORT is wanted"),
        ("https://me:pass@cen.example.net", TOKEN, "only https://HOST:PORT is wanted"),
    ],
)
def test_an_address_to_which_no_token_may_be_sent(server: str, token: JoinTokenText, reason: str) -> None:
    with pytest.raises(joining.JoinError, match=reason):
        joining.check_address(server, token, plain_http=False)


@pytest.mark.parametrize(
    "server",
    ["https://192.0.2.10:8400", "http://127.0.0.1:8400", "http://[::1]:8400", "http://localhost", "unix:/run/x"],
)
def test_an_address_to_which_it_may(server: str) -> None:
    joining.check_address(server, PINNED, plain_http=False)
    assert joining.is_local(server) is ("192" not in server)


def test_plain_http_can_be_insisted_on() -> None:
    joining.check_address("http://192.0.2.10:8400", PINNED, plain_http=True)


@given(st.from_regex(r"jt-[a-z0-9]{16}", fullmatch=True), st.binary(min_size=32, max_size=32), st.booleans())
def test_a_tokens_text_is_read_back(token_id: str, raw: bytes, pinned: bool) -> None:
    secret = raw.hex()
    token = JoinTokenText(token_id, secret, secret[:43] if pinned else None)
    assert JoinTokenText.parse(f" {token}\n") == token
    assert secret not in repr(token)
    with pytest.raises(ValueError, match="was a part cut off"):
        JoinTokenText.parse(str(token)[: len(token_id) + 10])


# rotation


@pytest.fixture
def gateway(server: Server, places: joining.Places) -> Path:
    join(places)
    return places.credential_file


def rotate(path: Path) -> None:
    credential.rotate(path, lambda auth: Client("unix:/nowhere", auth=auth))


def secret_of(path: Path) -> str:
    return credential.read(path).secret


def _raise(error: type[BaseException]) -> Callable[..., Any]:
    def raising(*_: object, **__: object) -> Any:
        raise error

    return raising


def test_a_rotation_ends_the_old_credential(server: Server, gateway: Path) -> None:
    old = secret_of(gateway)
    rotate(gateway)
    assert not server.accepts(old)
    assert server.accepts(secret_of(gateway))


@contextmanager
def dying_at(name: str, monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[None]:
    """The host loses its power, or the network an answer, at one step of a rotation."""
    with monkeypatch.context() as broken:
        if name.startswith("/"):
            server.lose = name
            with pytest.raises(ServerUnreachableError):
                yield
            server.lose = None
        else:
            broken.setattr(credential, name, _raise(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                yield


@pytest.mark.parametrize("step", ["write", "move", "/v1/gateway/credential", "/v1/gateway/self"])
def test_whoever_dies_at_any_step_the_host_has_a_credential_that_is_accepted(
    server: Server, gateway: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """And the next rotation goes on from there."""
    old = secret_of(gateway)
    with dying_at(step, monkeypatch, server):
        rotate(gateway)
    with Client("unix:/nowhere", auth=credential.FileAuth(gateway)) as client:
        assert client.get("/v1/gateway/self")["gateway_id"] == "gw-1"
    rotate(gateway)
    assert secret_of(gateway) != old
    assert server.accepts(secret_of(gateway))
    assert not server.accepts(old)


def test_a_running_client_takes_up_the_new_credential_by_itself(server: Server, gateway: Path) -> None:
    with Client("unix:/nowhere", auth=credential.FileAuth(gateway)) as client:
        client.get("/v1/gateway/self")
        rotate(gateway)
        client.get("/v1/gateway/self")
        rotate(gateway)
        client.get("/v1/gateway/self")


def test_a_revoked_gateway_is_refused_whatever_it_has_kept(server: Server, gateway: Path) -> None:
    rotate(gateway)
    server.present = server.next = None
    with Client("unix:/nowhere", auth=credential.FileAuth(gateway)) as client, pytest.raises(ApiError, match="revoked"):
        client.get("/v1/gateway/self")


def test_a_credential_that_others_can_read_is_not_used(gateway: Path) -> None:
    gateway.chmod(0o644)
    with pytest.raises(credential.CredentialError, match="can be read by others: chmod 600"):
        credential.FileAuth(gateway)


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Credential("gw-1", "hush", bearer=True))


# the unit


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A systemd that does as it is told, and knows the units in the folder of administrators; what it was told."""
    units, told = tmp_path / "units", tmp_path / "told"
    units.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "systemctl"
    script.write_text(f'#!/bin/sh\n[ "$1" = cat ] && exec test -e "{units}/$2"\necho "$@" >>"{told}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    monkeypatch.setattr(service, "ADMIN_UNITS", units)
    return lambda: told.read_text().splitlines()


def test_where_the_program_came_as_a_wheel_the_unit_is_written_and_removed_again(
    systemctl: Callable[[], list[str]], tmp_path: Path
) -> None:
    assert service.is_here()
    service.start()
    unit = tmp_path / "units" / service.UNIT
    program = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    assert Path(program.removeprefix("ExecStart=").split()[0]).is_file()
    service.end()
    assert not unit.exists()
    assert systemctl() == [
        "daemon-reload",
        "enable --now opencen-gateway.service",
        "disable --now opencen-gateway.service",
        "daemon-reload",
    ]


def test_a_unit_of_the_package_or_of_an_administrator_stays(systemctl: Callable[[], list[str]], tmp_path: Path) -> None:
    unit = tmp_path / "units" / service.UNIT
    unit.write_text("[Service]\nExecStart=/usr/local/bin/mine\n")
    service.start()
    service.end()
    assert unit.read_text() == "[Service]\nExecStart=/usr/local/bin/mine\n"
    assert systemctl() == ["enable --now opencen-gateway.service", "disable --now opencen-gateway.service"]


# logs


@pytest.mark.parametrize(
    ("journal", "terminal", "json_lines"), [(False, True, False), (True, True, True), (False, False, True)]
)
def test_logs_are_json_under_systemd_and_where_no_person_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], journal: bool, terminal: bool, json_lines: bool
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    logs.configure_logging()
    structlog.get_logger().info("applied", revision=7)
    structlog.reset_defaults()
    line = capsys.readouterr().err
    assert line.startswith("{") is json_lines
    assert not json_lines or json.loads(line)["revision"] == 7
