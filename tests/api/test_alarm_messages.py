"""Messages arrive: over HTTP signed, by mail, at the operator's command; tried again, also after a restart."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from alarm_site import Site, make_site
from opencen.changes.feed import ChangeFeed
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.services.notifying import outbox, senders
from opencen.services.notifying.settings import SettingsError, load, parse
from opencen.services.vault import Vault
from opencen.store.database import Database
from opencen.tls import init as tls_init
from servers import ServerProcess, running_server


@pytest.fixture
def site(context: Context, admin: Actor) -> Site:
    made = make_site(context, admin)
    context.notifying = parse(
        {"webhook_networks": ["127.0.0.0/8", "::1"], "console_url": "https://cen.example.net/console/"}
    )
    return made


@dataclass
class HttpSink:
    """A server that keeps what it is sent and answers as a test says."""

    port: int = 0
    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?room=noc"


@contextmanager
def http_sink(tls: ssl.SSLContext | None = None) -> Iterator[HttpSink]:
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sink.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(sink.status)
            if sink.status in (301, 302, 307):
                self.send_header("location", f"http://127.0.0.1:{sink.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def watched(site: Site, url: str, **more: Any) -> tuple[str, str]:
    """A webhook to `url`, a rule that tells it, and one alarm; the channel's id and secret."""
    made = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": url, "name": "noc"})
    channel_id = made["channel"]["id"]
    site.rule("connection_use", name="busy", raise_for_s=0, clear_for_s=0, channel_ids=[channel_id], **more)
    site.wait(5, mbps=9)
    return channel_id, made["secret"]


def test_a_webhook_is_signed_and_is_what_slack_takes(site: Site, sink: HttpSink) -> None:
    site.ok("PATCH", f"/instances/{site.cen_id}", {"name": "<!channel> & co"})
    _, secret = watched(site, sink.url)
    site.deliver()
    ((headers, body),) = sink.got
    parts = dict(part.split("=", 1) for part in headers["opencen-signature"].split(","))
    expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], expected)
    assert headers["host"] == f"127.0.0.1:{sink.port}"
    assert headers["content-type"] == "application/json"
    message = json.loads(body)
    assert message["text"] == (
        "Alarm raised: cn-hangzhou - us-west-1 of &lt;!channel&gt; &amp; co: "
        "90 % of 10 Mbit/s in use (alarm from 80 %). "
        "10 of 20 Mbit/s are free in the package: raise to 15 Mbit/s?"
    )
    assert (message["event"], message["alarm"]["subject"]) == ("raised", site.connection_id)
    assert message["suggestion"]["bandwidth_mbps"] == 15
    assert message["link"] == "https://cen.example.net/console/alarms"
    (told,) = site.messages()
    assert headers["opencen-delivery"] == str(told["id"])
    assert (told["attempts"], told["error"], told["next_attempt_at"]) == (1, None, None)
    site.deliver()
    assert len(sink.got) == 1, "what has arrived is not sent again"


def test_what_does_not_arrive_is_tried_again_ever_more_slowly_and_in_order(site: Site, sink: HttpSink) -> None:
    sink.status = 500
    watched(site, sink.url)
    site.wait(5, mbps=1)
    waits_s = []
    for _ in range(5):
        site.deliver()
        first, second = site.messages()
        assert (first["error"], second["attempts"]) == ("it answered 500", 0), "the clear does not overtake the raise"
        now = site.now
        site.deliver()
        assert site.messages() == [first, second], "not before its time"
        site.now = site.now.fromisoformat(first["next_attempt_at"])
        waits_s.append((site.now - now).total_seconds())
    assert waits_s == [5, 10, 20, 40, 80]
    sink.status = 200
    site.deliver()
    site.deliver()
    events = [json.loads(body)["event"] for _, body in sink.got]
    assert events == ["raised"] * 6 + ["cleared"]
    numbers = {headers["opencen-delivery"] for headers, _ in sink.got[:6]}
    assert len(numbers) == 1


def test_it_is_given_up_after_a_day_and_says_so(site: Site, sink: HttpSink) -> None:
    watched(site, sink.url)
    sink.status = 503
    for _ in range(60):
        site.deliver()
        site.now += timedelta(hours=1)
    (told,) = site.messages()
    assert (told["delivered_at"], told["next_attempt_at"], told["error"]) == (None, None, "it answered 503")
    assert 20 < told["attempts"] < 40
    site.now += timedelta(days=14)
    outbox.forget_old(site.context)
    assert site.messages() == []


def test_a_redirect_is_not_followed(site: Site, sink: HttpSink) -> None:
    sink.status = 307
    watched(site, sink.url)
    site.deliver()
    assert site.messages()[0]["error"] == "it answered 307"
    assert len(sink.got) == 1


def test_over_https_the_name_in_the_url_is_verified(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = tls_init(tmp_path / "tls", ["localhost"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    with http_sink(tls) as sink:
        watched(site, f"https://localhost:{sink.port}/")
        site.deliver()
        assert "CERTIFICATE_VERIFY_FAILED" in site.messages()[0]["error"]
        monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
        site.now += timedelta(seconds=5)
        site.deliver()
        assert site.messages()[0]["error"] is None
        ((headers, _),) = sink.got
        assert headers["host"] == f"localhost:{sink.port}"


REFUSED = [
    "http://127.0.0.1:8400/v1/me",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://10.0.0.5/",
    "http://192.168.1.1/",
    "http://224.0.0.1/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_webhook_to_where_tenants_have_no_business_is_refused_and_says_who_may_allow_it(site: Site, url: str) -> None:
    site.context.notifying = parse({})
    refused = site.send("POST", "/alarm-channels", {"kind": "webhook", "url": url})
    assert (refused.status_code, refused.json()["field"]) == (400, "url")
    assert "webhook_networks in the server's --alarms-config" in refused.json()["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.net/",
        "hooks.example.net",
        "https://",
        "https://me:secret@hooks.example.net/",
        "https://hooks.example.net/\nx",
        "https://hooks.example.net:99999/",
        "https://h/" + "x" * 2000,
    ],
)
def test_what_is_no_url_of_a_webhook_is_refused(site: Site, url: str) -> None:
    refused = site.send("POST", "/alarm-channels", {"kind": "webhook", "url": url})
    assert (refused.status_code, refused.json()["field"]) == (400, "url")


def test_a_name_that_leads_inside_later_is_refused_when_it_is_used(
    site: Site, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is innocent when the channel is made; its owner lets it lead elsewhere afterwards."""
    site.context.notifying = parse({})
    watched(site, f"http://hooks.example.net:{sink.port}/")

    async def resolve(_self: object, host: str, port: int, **_: object) -> list[Any]:
        assert host == "hooks.example.net"
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", resolve)
    site.deliver()
    assert sink.got == []
    assert "hooks.example.net leads to a loopback address" in site.messages()[0]["error"]


def test_a_test_message_says_whether_messages_arrive(site: Site, sink: HttpSink) -> None:
    made = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": sink.url, "name": "noc"})
    path = f"/alarm-channels/{made['channel']['id']}"
    site.ok("POST", f"{path}/test")
    assert site.send("POST", f"{path}/test").json()["code"] == "Conflict"
    site.deliver()
    assert json.loads(sink.got[0][1])["text"] == "A test of the channel noc, asked for by admin: messages arrive here."
    assert made["secret"] not in site.send("GET", "/alarm-channels").text
    assert made["secret"] not in site.send("GET", "/audit").text
    site.ok("POST", f"{path}/test")
    site.ok("DELETE", path)
    site.deliver()
    assert len(sink.got) == 1
    assert site.messages() == []


@dataclass
class Mailbox:
    """An SMTP server that takes mail over TLS from one user only."""

    port: int = 0
    mails: list[Any] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"


class AnyPort(Controller):
    """Listens at a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_sink(tmp_path: Path) -> Iterator[tuple[Mailbox, Path]]:
    files, _ = tls_init(tmp_path / "tls", ["localhost"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"opencen", b"geheim"), handled=False)

    box = Mailbox()
    options = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": authenticate}
    controller = AnyPort(box, hostname="127.0.0.1", port=0, **options)
    controller.start()
    box.port = controller.port
    try:
        yield box, files.ca
    finally:
        controller.stop()


def test_mail_goes_over_tls_with_a_password_to_all_recipients(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_sink(tmp_path) as (box, authority):
        smtp = {"host": "localhost", "port": box.port, "sender": "OpenCEN <opencen@cen.example>"}
        login = {"username": "opencen", "password": "geheim"}
        site.context.notifying = parse({"smtp": smtp | login})
        recipients = ["noc@cen.example", "boss@cen.example"]
        channel = site.ok("POST", "/alarm-channels", {"kind": "email", "recipients": recipients})["channel"]
        site.rule("connection_use", name="busy", raise_for_s=0, channel_ids=[channel["id"]])
        site.wait(5, mbps=9)
        site.deliver()
        assert "CERTIFICATE_VERIFY_FAILED" in site.messages()[0]["error"]
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        settings = site.context.notifying
        assert settings.smtp is not None
        site.context.notifying = replace(settings, smtp=replace(settings.smtp, password="wrong"))
        site.now += timedelta(seconds=5)
        site.deliver()
        assert "535" in site.messages()[0]["error"]
        assert "wrong" not in site.messages()[0]["error"]
        site.context.notifying = settings
        site.now += timedelta(seconds=10)
        site.deliver()
        assert site.messages()[0]["error"] is None
    (mail,) = box.mails
    assert box.recipients == [recipients]
    assert mail["subject"] == "[OpenCEN] raised: cn-hangzhou - us-west-1 of backbone: busy"
    assert mail["from"] == "OpenCEN <opencen@cen.example>"
    assert mail["message-id"] == f"<opencen-alarm-{site.messages()[0]['id']}@cen.example>"
    assert "raise to 15 Mbit/s?" in mail.get_content()


def test_a_mail_server_without_tls_is_not_told_the_password(site: Site) -> None:
    controller = AnyPort(Mailbox(), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        smtp = {
            "host": "127.0.0.1",
            "port": controller.port,
            "sender": "o@cen.example",
            "username": "o",
            "password": "geheim",
        }
        settings = parse({"smtp": smtp}).smtp
        assert settings is not None
        with pytest.raises(senders.SendError, match="STARTTLS"):
            senders.send_mail(settings, ["noc@cen.example"], 1, {"subject": "s", "text": "t"})
    finally:
        controller.stop()


def command_of(site: Site, tmp_path: Path, script: str, **more: Any) -> Path:
    program = tmp_path / "page somebody"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    site.context.notifying = parse({"command": {"argv": [str(program), "--room", "$(id)"], **more}})
    return program


def test_the_operators_command_is_told_by_environment_and_standard_input_and_sees_no_shell(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCEN_ADMIN_PASSWORD", "geheim")
    out = tmp_path / "out"
    command_of(site, tmp_path, f'{{ printf "%s\\n" "$@"; env; cat; }} > "{out}"')
    site.ok("PATCH", f"/instances/{site.cen_id}", {"name": "$(touch /tmp/x); `id`"})
    site.rule("connection_use", raise_for_s=0)
    site.wait(5, mbps=9)
    site.deliver()
    said = out.read_text().splitlines()
    assert said[:2] == ["--room", "$(id)"]
    assert "OPENCEN_ALARM_EVENT=raised" in said
    assert f"OPENCEN_ALARM_SUBJECT={site.connection_id}" in said
    assert any(line.startswith("OPENCEN_ALARM_TEXT=") and "$(touch /tmp/x); `id`" in line for line in said)
    assert not any("geheim" in line for line in said)
    assert json.loads(said[-1])["account_id"] == site.actor.account_id
    assert site.messages() == [], "it is the operator's, not the account's"


def test_a_command_that_fails_or_hangs_is_tried_again(site: Site, tmp_path: Path) -> None:
    settings = command_of(site, tmp_path, "echo no line >&2; exit 3") and site.context.notifying.command
    assert settings is not None
    message = {"event": "raised", "text": "t"}
    with pytest.raises(senders.SendError, match="ended with 3: no line"):
        senders.send_command(settings, 1, message)
    command_of(site, tmp_path, "sleep 60 & sleep 60", timeout_s=0.2)
    settings = site.context.notifying.command
    assert settings is not None
    with pytest.raises(senders.SendError, match=r"did not end within 0\.2 s"):
        senders.send_command(settings, 1, message)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"smpt": {}}, "smpt: there is no such setting"),
        ({"smtp": {"host": "mail.example"}}, "smtp.sender is missing"),
        ({"smtp": {"host": "h", "sender": "o@x.example", "security": "ssl"}}, "smtp.security is one of"),
        ({"smtp": {"host": "h", "sender": "o@x.example", "username": "o"}}, "go together"),
        (
            {"smtp": {"host": "h", "sender": "o@x.example", "username": "o", "password": "p", "security": "none"}},
            "in clear",
        ),
        ({"smtp": {"host": "h", "sender": "nobody"}}, "smtp.sender is a mail address"),
        ({"command": {"argv": "rm -rf /"}}, "wrong type"),
        ({"command": {"argv": ["page"]}}, "whole path"),
        ({"webhook_networks": ["10.0.0.0/33"]}, "webhook_networks"),
        ({"console_url": "cen.example"}, "console_url"),
    ],
)
def test_a_setting_that_makes_no_sense_says_where(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse(given)


def test_a_killed_server_loses_no_message(tmp_path: Path) -> None:
    """kill -9 while the receiver does not answer; the next server delivers."""
    config = tmp_path / "alarms.toml"
    config.write_text('webhook_networks = ["127.0.0.0/8"]\n')
    assert load(config).webhook_networks
    with http_sink() as sink, running_server(tmp_path / "data", None, "--alarms-config", str(config)) as server:
        sink.status = 500
        with server.client() as client:
            made = client.post("/v1/alarm-channels", {"kind": "webhook", "url": sink.url})
            client.post(f"/v1/alarm-channels/{made['channel']['id']}/test")
        _until(lambda: len(sink.got) >= 1)
        server.stop(signal.SIGKILL)
        sink.status = 200
        server.start()
        _until(lambda: _arrived(server))
        assert {json.loads(body)["event"] for _, body in sink.got} == {"test"}


def _arrived(server: ServerProcess) -> bool:
    with server.client() as client:
        return all(item["delivered_at"] for item in client.get("/v1/alarm-messages")["items"])


def _until(condition: Any, timeout_s: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_secrets_of_channels_are_sealed_in_the_database(site: Site, tmp_path: Path) -> None:
    made = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": "https://hooks.example.net/"})
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("opencen.db*"))
    assert made["channel"]["id"].encode() in stored
    assert made["secret"].encode() not in stored
    database = Database.sqlite(tmp_path / "data")
    other = Context(database, ChangeFeed(), Vault([b"\0" * 32]), clock=lambda: site.now)
    site.ok("POST", f"/alarm-channels/{made['channel']['id']}/test")
    outbox.deliver(other)
    assert site.messages()[0]["error"] == "the server failed; its log says why"
    database.close()
