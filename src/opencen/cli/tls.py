"""`opencen tls init`: a private certificate authority, and how each client is told to trust it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from opencen.cli.access import DataOption, default_data
from opencen.cli.output import err, out

app = typer.Typer(no_args_is_help=True, help="HTTPS with a private certificate authority.")
_ALWAYS = ("localhost", "127.0.0.1", "::1")


@app.command("init")
def init(
    data: DataOption = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the files go. Default: tls/ in the data directory.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A host name or address that clients call; may repeat. Always in it: localhost."),
    ] = None,
) -> None:
    """Make a private CA and a server certificate. Run again: a new server certificate from the same CA."""
    from opencen.tls import TRUST, TlsError
    from opencen.tls import init as make

    names = list(dict.fromkeys([*(name or [socket.gethostname()]), *_ALWAYS]))
    try:
        files, is_new = make(directory or (data or default_data()) / "tls", names)
    except (TlsError, OSError) as error:
        err.print(f"error {error}", style="red", highlight=False)
        raise typer.Exit(1) from error
    ca = files.ca.resolve()
    told = "new; tell each client once" if is_new else "the one that was there; clients need nothing new"
    lines = [
        f"authority          {ca}  ({told})",
        f"server certificate {files.certificate}  for {', '.join(names)}",
        "",
        "start the server with",
        f"  opencen serve --tls-cert {files.certificate} --tls-key {files.key}",
        "",
        "and let clients trust the authority:",
        *(f"  {client}:\n    {how.format(ca=ca)}" for client, how in TRUST),
    ]
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
