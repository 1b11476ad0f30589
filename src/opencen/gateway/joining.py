"""A host becomes a gateway: it makes its credential, finds out whether the server is the right one, and hands over the
token; what it needs from then on is in its configuration. Stopped anywhere, the same command goes on from there.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import httpx

from opencen import __version__, pinning
from opencen.client import ApiError, Client, Credential, ServerUnreachableError, certificate_trouble
from opencen.gateway import credential
from opencen.gateway.files import write_whole
from opencen.wire.gateway import Join, Welcome
from opencen.wire.join_token import JoinTokenText, hash_of_secret

_JOIN_TIMEOUT_S: Final = 30.0
_HTTPS_PORT: Final = 443


class JoinError(Exception):
    """The host cannot join so; the text says why and what would work."""


@dataclass(frozen=True)
class Places:
    """Where a gateway keeps its things on its host."""

    config_file: Path
    state_dir: Path

    @property
    def credential_file(self) -> Path:
        """In the state directory: a rotation writes it, and nothing of the running agent writes to /etc."""
        return self.state_dir / "credential"

    @property
    def authority_file(self) -> Path:
        return self.config_file.with_name("server-authority.pem")

    @property
    def pending_file(self) -> Path:
        """A join under way: its token's id and the credential's secret."""
        return self.state_dir / "joining.json"


def is_local(server: str) -> bool:
    """Whether what is said to this address stays on this machine."""
    if server.startswith("unix:"):
        return True
    host = httpx.URL(server).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(server: str, token: JoinTokenText, *, plain_http: bool) -> None:
    """Raises JoinError for an address to which a token must not be sent."""
    if server.startswith("unix:"):
        return
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL as error:
        raise JoinError(f"{server!r} is no address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise JoinError(f"{server!r} is no address of a server: it looks like https://HOST:PORT")
    if url.path not in ("", "/") or url.query or url.userinfo:
        raise JoinError(f"{server!r}: only https://HOST:PORT is wanted, nothing before or behind")
    if url.scheme == "https" or is_local(server) or plain_http:
        return
    how = "use https://" if token.pin else "serve HTTPS (`opencen tls init`) and make a new token"
    raise JoinError(
        f"{server} is plain HTTP: whoever is on the way reads the token and the credential, and can answer in the "
        f"server's place; {how}, or insist with --plain-http"
    )


def trouble_with(server: str) -> str | None:
    """Why a token for this server would be of no use from here; None when it would."""
    try:
        check_address(server, JoinTokenText("", ""), plain_http=False)
        if not server.startswith("https:") or not _shows_its_authority(server):
            with Client(server) as client:
                client.get("/readyz")
    except (JoinError, ServerUnreachableError, ApiError) as error:
        return str(error)
    except httpx.TransportError as error:
        return f"no answer from {server}: {error}"
    return None


def _shows_its_authority(server: str) -> bool:
    """False where something in front of it speaks TLS in its place: then this host must trust that by itself."""
    try:
        pinning.shown_by(server)
    except pinning.WrongServerError:
        return False
    return True


def endpoint_towards(server: str) -> str | None:
    """This host's address on the way to the server; None when the server is on this machine."""
    if is_local(server):
        return None
    url = httpx.URL(server)
    try:
        found = socket.getaddrinfo(url.host, url.port or _HTTPS_PORT, type=socket.SOCK_DGRAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise JoinError(f"{url.host} cannot be reached from here: {error.strerror or error}") from error


def join(server: str, token: JoinTokenText, places: Places, *, name: str, endpoint: str) -> Welcome:
    """Raises JoinError, WrongServerError, ApiError, ServerUnreachableError, OSError."""
    _check_new(places)
    places.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    places.config_file.parent.mkdir(parents=True, exist_ok=True)
    authority_file = None
    if token.pin and server.startswith("https:"):
        write_whole(places.authority_file, _authority(server, token.pin), 0o644)
        authority_file = places.authority_file
    secret = _pending_secret(places, token)
    body = Join(
        token=f"{token.id}.{token.secret}",
        credential_sha256=hash_of_secret(secret),
        name=name,
        agent_version=__version__,
    )
    with Client(server, timeout_s=_JOIN_TIMEOUT_S, authority_file=authority_file) as client:
        welcome = Welcome.model_validate(client.post("/v1/gateway/join", body.model_dump()))
    write_whole(places.config_file, config_text(server, places, endpoint, authority_file), 0o644)
    credential.write(places.credential_file, Credential(welcome.gateway_id, secret, bearer=True))
    places.pending_file.unlink()
    return welcome


def _check_new(places: Places) -> None:
    if places.credential_file.exists():
        try:
            who = f"gateway {credential.read(places.credential_file).identifier}"
        except credential.CredentialError:
            who = "a gateway"
        raise JoinError(
            f"this host is {who} already ({places.credential_file}); `opencen gateway leave` ends that, "
            "or give another --config and --state-dir"
        )
    if places.config_file.exists() and not places.pending_file.exists():
        raise JoinError(f"{places.config_file} exists already: move it away, or give another --config")


def _authority(server: str, pin: str) -> str:
    try:
        return pinning.fetch(server, pin).pem
    except httpx.TransportError as error:
        raise JoinError(f"no answer from {server}: {certificate_trouble(error) or error}") from error


def _pending_secret(places: Places, token: JoinTokenText) -> str:
    """The credential's secret, on the disk before the server hears of it: an answer that is lost can be asked again."""
    try:
        pending = json.loads(places.pending_file.read_text())
        if pending["token_id"] == token.id:
            return str(pending["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    secret = credential.new_secret()
    write_whole(places.pending_file, json.dumps({"token_id": token.id, "secret": secret}))
    return secret


def config_text(server: str, places: Places, endpoint: str, authority_file: Path | None) -> str:
    """The agent's configuration. A JSON string is a TOML string as well."""
    lines = [
        "# Written by `opencen gateway join`; SIGHUP or `systemctl reload opencen-gateway` reads the networks again.",
        f"server = {json.dumps(server)}",
    ]
    if authority_file:
        lines.append(f"server_authority_file = {json.dumps(str(authority_file))}  # no other is trusted")
    lines += [
        f"credential_file = {json.dumps(str(places.credential_file))}",
        f"endpoint = {json.dumps(endpoint)}  # where peers reach this gateway",
        f"state_dir = {json.dumps(str(places.state_dir))}",
        "",
        "# A network that is behind this gateway: take the # away and fill it in.",
        "# [[networks]]",
        '# network = "vpc-…"          # id or name',
        '# interface = "eth1"         # the interface that its hosts are behind',
        '# address = "10.1.0.1/24"    # this gateway\'s address there',
    ]
    return "\n".join(lines) + "\n"
