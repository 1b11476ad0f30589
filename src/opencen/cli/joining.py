"""On the host: `opencen gateway join`, `rotate-credential` and `leave`."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from opencen.cli import gateway
from opencen.client import ApiError, Client, ServerUnreachableError
from opencen.gateway import credential, host_identity, joining, service
from opencen.gateway.config import DEFAULT_FILE, DEFAULT_STATE_DIR, GatewayConfig
from opencen.pinning import WrongServerError
from opencen.tls import TlsError
from opencen.wire.join_token import JoinTokenText

_UNAUTHORIZED: Final = 401


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("join")(join)
    app.command("rotate-credential")(rotate_credential)
    app.command("leave")(leave)


@contextmanager
def _told() -> Iterator[None]:
    """What a person can do something about, as one sentence, and exit code 1."""
    try:
        yield
    except ApiError as refusal:
        raise gateway.stop(f"refused by the server: {refusal.detail}") from refusal
    except (
        joining.JoinError,
        credential.CredentialError,
        service.ServiceError,
        ServerUnreachableError,
        WrongServerError,
        TlsError,
    ) as error:
        raise gateway.stop(str(error)) from error
    except OSError as error:
        raise gateway.stop(f"{error.filename or 'this host'}: {error.strerror or error}") from error


def join(
    server: Annotated[str, typer.Argument(help="https://HOST:PORT of the control plane.", metavar="URL")],
    token: Annotated[
        str,
        typer.Option(
            envvar="OPENCEN_JOIN_TOKEN",
            help="The token that `opencen gateway token create` or the console's “Add gateway” shows.",
        ),
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(help="The address at which peers reach this host. Default: the one on the way to the server."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The gateway's name. Default: the host's.")] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file to write.")] = DEFAULT_FILE,
    state_dir: Annotated[Path, typer.Option(help="Where the credential and the last state are kept.")] = Path(
        DEFAULT_STATE_DIR
    ),
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Insist on a server without TLS, elsewhere than on this machine.")
    ] = False,
    start: Annotated[bool, typer.Option(help="Enable and start the systemd unit, where there is systemd.")] = True,
) -> None:
    """Make this host a gateway, with a token that works once.

    Run `opencen gateway check` before. The host makes its credential itself; the server learns only its hash. The
    server must have a certificate of the authority that the token names: a wrong server is told nothing. When the
    command is interrupted, run it again with the same token.
    """
    places = joining.Places(config.absolute(), state_dir.absolute())
    with _told():
        try:
            text = JoinTokenText.parse(token)
        except ValueError as error:
            raise joining.JoinError(str(error)) from error
        joining.check_address(server, text, plain_http=plain_http)
        own = endpoint or joining.endpoint_towards(server)
        if own is None:
            raise joining.JoinError(
                f"{server} is on this machine, which does not tell where peers reach this gateway: give --endpoint"
            )
        welcome = joining.join(server.rstrip("/"), text, places, name=name or socket.gethostname(), endpoint=own)
    typer.echo(f"this host is {welcome.gateway_id}, the gateway of {welcome.region_id}; peers reach it at {own}")
    typer.echo(f"configuration  {places.config_file}\ncredential     {places.credential_file}")
    is_default = places == joining.Places(DEFAULT_FILE, Path(DEFAULT_STATE_DIR))
    if start and is_default and service.is_here():
        with _told():
            service.start()
        typer.echo(f"started, now and at every boot: journalctl -u {service.UNIT}")
    else:
        typer.echo(f"start it with  opencen gateway run{'' if is_default else f' --config {places.config_file}'}")
    typer.echo(f"next: name the networks behind this gateway in {places.config_file}, and reload it")


def rotate_credential(config: gateway.ConfigFile = DEFAULT_FILE) -> None:
    """Replace this gateway's credential by a new one that the host makes. The agent goes on, and need not be restarted.

    The old credential is refused from then on. Interrupted, the gateway still has a credential that is accepted: run
    it again.
    """
    loaded = gateway.load_config(config)
    with _told():
        gateway.rotate(loaded)
    typer.echo(f"{loaded.gateway_id} has a new credential; the old one is refused")


def leave(
    config: gateway.ConfigFile = DEFAULT_FILE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make this host cease to be a gateway: the server is told, and everything that joining made is removed.

    Namespaces, tunnels, the unit, the credential, the saved state and the configuration go; interfaces go back to the
    host with the addresses that they had.
    """
    loaded = gateway.load_config(config)
    if not yes:
        typer.confirm(
            f"Cross-region traffic through {loaded.gateway_id} ends, and its configuration and credential are removed. "
            "Leave?",
            abort=True,
        )
    with _told():
        if service.is_here() and config == DEFAULT_FILE:
            service.end()
        with gateway.only_agent(loaded):
            not_told = _tell_server(loaded)
            removed = gateway.purge_kernel(loaded)
            gateway.forget_state(loaded)
            _forget(loaded, config)
    typer.echo(f"removed {removed} namespace{'s' if removed != 1 else ''}, configuration and credential")
    if not_told:
        typer.echo(f"the server does not know yet ({not_told}): opencen gateway remove {loaded.gateway_id}", err=True)


def _tell_server(config: GatewayConfig) -> str | None:
    """Why it could not be told; a server that does not know the gateway any more needs not be."""
    try:
        auth = credential.FileAuth(config.credential_file)
        with Client(config.server, auth=auth, authority_file=config.server_authority_file) as client:
            client.delete("/v1/gateway/self")
    except ApiError as refusal:
        return None if refusal.status == _UNAUTHORIZED else refusal.detail
    except (ServerUnreachableError, TlsError) as error:
        return str(error)
    return None


def _forget(config: GatewayConfig, config_file: Path) -> None:
    credential.forget(config.credential_file)
    host_identity.forget(config.state_dir)
    shutil.rmtree(config.state_dir / gateway.USAGE, ignore_errors=True)
    if config.server_authority_file:
        config.server_authority_file.unlink(missing_ok=True)
    config_file.unlink()
    (config.state_dir / "agent.lock").unlink(missing_ok=True)
    for folder in (config.state_dir, config_file.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
