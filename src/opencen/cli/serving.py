"""`opencen serve`, `opencen up` and `opencen check`: the commands that do more than ask a server.

The server is imported only when one of them runs: it takes a second, which no client command should wait for.
"""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opencen.cli.access import default_data
from opencen.cli.output import err, out
from opencen.logs import configure_logging

if TYPE_CHECKING:
    from opencen.pinning import ServerAuthority

if TYPE_CHECKING:
    from opencen.tls import Reloader

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", envvar="OPENCEN_DATABASE", help="postgresql://USER:PASSWORD@HOST/NAME instead of SQLite."
    ),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="OPENCEN_DATA", help="Data directory. Default: the user's.")
]
ListenOption = Annotated[
    list[str] | None,
    typer.Option(
        "--listen",
        envvar="OPENCEN_LISTEN",
        help="HOST:PORT, http://HOST:PORT (no TLS) or unix:/PATH; may repeat. Default: 127.0.0.1:8400.",
    ),
]
CertificateOption = Annotated[
    Path | None, typer.Option("--tls-cert", envvar="OPENCEN_TLS_CERT", help="Certificate chain (PEM): serve HTTPS.")
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure-http",
        envvar="OPENCEN_INSECURE_HTTP",
        help="Take passwords and keys in clear text over a network, too: only behind something that encrypts.",
    ),
]
PaceOption = Annotated[
    float,
    typer.Option(
        "--requests-per-key",
        envvar="OPENCEN_REQUESTS_PER_KEY",
        min=0,
        help="Requests a second of each access key or session, twice as many at once; 0: no bound.",
    ),
]
DEFAULT_REQUESTS_PER_KEY = 500.0
TlsKeyOption = Annotated[
    Path | None, typer.Option("--tls-key", envvar="OPENCEN_TLS_KEY", help="Its private key (PEM).")
]
AlarmsConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--alarms-config",
        envvar="OPENCEN_ALARMS_CONFIG",
        help="TOML: the mail server, a command, and where webhooks may go; see docs/alarms.md.",
    ),
]
DEFAULT_LISTEN = "127.0.0.1:8400"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("serve")(serve)
    app.command("check")(run_check)


def serve(
    listen: ListenOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
    tls_cert: CertificateOption = None,
    tls_key: TlsKeyOption = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            help="Address or network of a load balancer whose X-Forwarded-For is believed; may repeat.",
        ),
    ] = None,
    no_console: Annotated[
        bool, typer.Option("--no-console", help="APIs only; `opencen console` serves the pages elsewhere.")
    ] = False,
    insecure_http: InsecureOption = False,
    requests_per_key: PaceOption = DEFAULT_REQUESTS_PER_KEY,
    alarms_config: AlarmsConfigOption = None,
    ephemeral: Annotated[
        bool,
        typer.Option(
            "--ephemeral",
            help="For tests: a free port, data that ends with the process, no console; one line of JSON says where.",
        ),
    ] = False,
) -> None:
    """Run the control plane: RPC API, REST API and console on one port."""
    if ephemeral:
        _serve_ephemeral(listen, data, database, tls_cert, tls_key, insecure_http=insecure_http)
        return
    from opencen.domain.errors import UnavailableError
    from opencen.serve import Address, AddressError, open_context, run
    from opencen.services.identities import WrongKeyError
    from opencen.services.notifying import settings as notifying_settings
    from opencen.services.pace import RequestPace
    from opencen.services.vault import SecretsKeyError
    from opencen.store.database import SchemaTooNewError
    from opencen.tls import TlsError

    configure_logging()
    directory = data or default_data()
    try:
        notifying = notifying_settings.load(alarms_config) if alarms_config else notifying_settings.NotifyingSettings()
        addresses = [Address.parse(text) for text in listen or [DEFAULT_LISTEN]]
        tls, reloader = tls_context(tls_cert, tls_key)
        for address in addresses if not insecure_http else ():
            address.check_private(secured=tls is not None)
        context, first_start = open_context(directory, database)
        context.request_pace = RequestPace(requests_per_key)
        context.authority = authority_told(tls_cert)
        context.notifying = notifying
        if first_start:
            err.print(
                f"first start: the administrator's credentials are in {directory / 'admin.json'}", highlight=False
            )
        err.print(f"listening on {', '.join(map(str, addresses))}", highlight=False)
        run(
            addresses,
            context,
            tls=tls,
            reloader=reloader,
            with_console=not no_console,
            trusted_proxies=trusted_proxy or (),
        )
    except (
        AddressError,
        SchemaTooNewError,
        SecretsKeyError,
        TlsError,
        UnavailableError,
        ValueError,
        WrongKeyError,
    ) as error:
        err.print(f"error {error}", style="red", highlight=False)
        raise typer.Exit(1) from error


def _serve_ephemeral(
    listen: list[str] | None,
    data: Path | None,
    database: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    *,
    insecure_http: bool,
) -> None:
    if data is not None or database is not None:
        err.print("error --ephemeral keeps nothing: give it neither --data nor --database", style="red")
        raise typer.Exit(2)
    from opencen.serve import Address, AddressError, open_context, run
    from opencen.tls import TlsError

    configure_logging()
    with tempfile.TemporaryDirectory(prefix="opencen-", ignore_cleanup_errors=True) as directory:
        admin_file = Path(directory) / "admin.json"

        def announce(urls: Sequence[str]) -> None:
            print(json.dumps({"url": urls[0], "urls": urls, **json.loads(admin_file.read_text())}), flush=True)

        try:
            addresses = [Address.parse(text) for text in listen or ["127.0.0.1:0"]]
            tls, reloader = tls_context(tls_cert, tls_key)
            for address in addresses if not insecure_http else ():
                address.check_private(secured=tls is not None)
            context, _ = open_context(Path(directory), None, durable=False)
            context.authority = authority_told(tls_cert)
            run(addresses, context, tls=tls, reloader=reloader, with_console=False, on_ready=announce)
        except (AddressError, TlsError) as error:
            err.print(f"error {error}", style="red", highlight=False)
            raise typer.Exit(1) from error


def tls_context(certificate: Path | None, key: Path | None) -> tuple[ssl.SSLContext | None, Reloader | None]:
    """What the two options ask for, and what takes renewed files into use. Raises TlsError."""
    from opencen.tls import Reloader, TlsError, server_context

    if certificate is None and key is None:
        return None, None
    if certificate is None or key is None:
        raise TlsError("--tls-cert and --tls-key go together; `opencen tls init` makes both")
    context = server_context(certificate, key)
    return context, Reloader(context, certificate, key)


def authority_told(certificate: Path | None) -> ServerAuthority | None:
    """Who vouches for the certificate that is served, for gateways that join. Raises TlsError."""
    from opencen.pinning import authority_of_chain

    return None if certificate is None else authority_of_chain(certificate)


def run_check(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Recompute every invariant from the rows; exit code 1 when one is broken. The server may run or not."""
    from opencen.serve import open_context
    from opencen.services.check import NAMES, check

    directory = data or default_data()
    if database is None and not (directory / "opencen.db").exists():
        err.print(f"error there is no database in {directory}; --data says where it is", style="red", highlight=False)
        raise typer.Exit(2)
    context, _ = open_context(directory, database)
    broken = check(context)
    for name in NAMES:
        out.print(f"checked: {name}", highlight=False)
    for sentence in broken:
        err.print(f"broken: {sentence}", style="red", highlight=False)
    out.print(f"{len(NAMES)} invariants, {len(broken)} broken", highlight=False)
    if broken:
        raise typer.Exit(1)
