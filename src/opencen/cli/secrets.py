"""`opencen secrets`: the key with which the server seals what it must be able to read back."""

from __future__ import annotations

import typer

from opencen.cli.audit import DatabaseOption, DataOption, opened
from opencen.cli.output import err, out

app = typer.Typer(no_args_is_help=True, help="The key that seals access keys' secrets and second factors.")


@app.callback()
def options() -> None:
    """The key that seals access keys' secrets and second factors."""


@app.command("rotate")
def rotate(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Seal everything with a new key, and forget the old one. Servers go on meanwhile, and may be many.

    A copy of the database that was taken before can still be read by who has the old key: access keys that may be known
    to others are deleted, not sealed again. Should this be interrupted, run it once more.
    """
    from opencen.domain.errors import UnavailableError
    from opencen.services import secrets
    from opencen.services.vault import SecretsKeyError

    with opened(data, database) as context:
        try:
            count = secrets.rotate(context)
        except (SecretsKeyError, UnavailableError) as error:
            err.print(f"error {error}", style="red", highlight=False)
            raise typer.Exit(1) from error
    out.print(f"{count} secrets sealed with a new key", highlight=False)
