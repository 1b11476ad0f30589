"""`opencen backup`, `opencen restore`, `opencen migrate-database`: they work on the database, not through a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opencen.cli.access import default_data
from opencen.cli.output import err, out
from opencen.cli.serving import DatabaseOption
from opencen.cli.serving import DataOption as ServerDataOption

if TYPE_CHECKING:
    from opencen.store.database import Database

DatabaseArgument = Annotated[str, typer.Argument(help="sqlite:DATA-DIRECTORY or postgresql://USER:PASSWORD@HOST/NAME.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("migrate-database")(migrate_database)


@contextmanager
def _opened(data: Path | None, url: str | None, *, must_exist: bool) -> Iterator[Database]:
    from opencen.domain.errors import UnavailableError
    from opencen.services.backups import BadCopyError, NotEmptyError
    from opencen.store.database import Database, SchemaTooNewError

    directory = data or default_data()
    if must_exist and url is None and not (directory / "opencen.db").exists():
        err.print(f"error there is no database in {directory}; --data says where it is", style="red", highlight=False)
        raise typer.Exit(2)
    try:
        database = Database.from_url(url) if url else Database.sqlite(directory)
        try:
            yield database
        finally:
            database.close()
    except (BadCopyError, NotEmptyError, SchemaTooNewError, UnavailableError, ValueError, OSError) as error:
        err.print(f"error {error}", style="red", highlight=False)
        raise typer.Exit(1) from error


def backup(
    file: Annotated[Path, typer.Argument(help="Where to; an older file of this name is replaced once this is whole.")],
    data: ServerDataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Copy the whole database into one file, with a checksum. The servers may run: it is of one moment.

    Secrets in it are sealed with the data directory's secrets.key, which is not in it: keep that, apart from backups.
    """
    from opencen.services import backups

    with _opened(data, database, must_exist=True) as opened:
        size_bytes = backups.backup(opened, file, datetime.now(UTC))
    out.print(
        f"{file}: {size_bytes} bytes. Keep secrets.key too: without it no access key can be read.", highlight=False
    )


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `opencen backup` wrote.")],
    data: ServerDataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Fill an empty database from a backup, of SQLite or PostgreSQL, of this or an earlier version.

    Put secrets.key of the backed-up server into the data directory before `opencen serve`. Gateways notice that the
    control plane has gone back, and say so.
    """
    from opencen.services import backups

    with _opened(data, database, must_exist=False) as opened:
        made_at, rows = backups.restore(opened, file)
    out.print(f"{rows} rows, as of {made_at}", highlight=False)


def migrate_database(source: DatabaseArgument, target: DatabaseArgument) -> None:
    """Copy a database into another, empty one: from SQLite to PostgreSQL or back. Stop the servers first."""
    from opencen.services import backups

    with _named(source, must_exist=True) as old, _named(target, must_exist=False) as new:
        old.upgrade()
        rows = backups.copy(old, new, datetime.now(UTC))
    out.print(f"{rows} rows copied; start the servers with the new database and the same secrets.key", highlight=False)


@contextmanager
def _named(text: str, *, must_exist: bool) -> Iterator[Database]:
    kind, _, directory = text.partition(":")
    if kind == "sqlite":
        with _opened(Path(directory.removeprefix("//")), None, must_exist=must_exist) as opened:
            yield opened
    else:
        with _opened(None, text, must_exist=must_exist) as opened:
            yield opened
