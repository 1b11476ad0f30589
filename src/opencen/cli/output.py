"""How the command line shows things: tables for people, JSON for programs, errors that say what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opencen.client import ApiError, ServerUnreachableError

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)
_wide = Console(width=400)
"""For tables: an id that is cut off is of no use, so a narrow terminal wraps the line instead."""


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]

_HINTS = {
    "BandwidthExceeded": "ask for less, delete or shrink another connection of the package, or resize the package",
    "CapacityExceeded": "ask for less, or ask an administrator: see `opencen capacity list`",
    "PackageNotBound": "see `opencen package list`, then `opencen package bind PACKAGE INSTANCE`",
    "RegionWithoutNetwork": "see `opencen network list`, then `opencen instance attach INSTANCE NETWORK`",
    "Unauthenticated": "give --access-key-id and --access-key-secret, or --data DIR with the server's admin.json",
    "EditConflict": "look at it again and repeat the command if you still want it",
    "PackageInUse": "see `opencen connection list`, then `opencen connection delete INSTANCE REGION REGION`",
}


def print_json(value: Any) -> None:
    """Machine-readable output, to stdout alone."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table; `empty` says what to do first when there are no rows."""
    if not rows:
        err.print(empty, highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column.endswith(("Mbit/s", "Networks", "Connections")) else "left")
    for row in rows:
        table.add_row(*[Text("-" if cell is None or cell == "" else str(cell)) for cell in row])
    _wide.print(table)


def rate(bps: float | None) -> str | None:
    """A rate in the unit that reads best."""
    if bps is None:
        return None
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bps >= size:
            return f"{bps / size:.4g} {unit}"
    return f"{bps:.0f} bit/s"


def local_time(text: str | None) -> str | None:
    """An API time in the viewer's zone."""
    return None if text is None else datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def told() -> Iterator[None]:
    """Refusals and failures of the API as one clear message, and exit code 1."""
    try:
        yield
    except ApiError as refusal:
        err.print(Text.assemble(("error ", "bold red"), (refusal.code, "bold"), f": {refusal.detail}"))
        hint = _HINTS.get(refusal.code)
        if hint:
            err.print(Text(f"  {hint}", "dim"))
        raise typer.Exit(1) from refusal
    except ServerUnreachableError as error:
        err.print(Text.assemble(("error ", "bold red"), str(error)))
        err.print(
            Text("  is the server running? `opencen serve` starts it; --server or OPENCEN_SERVER says where", "dim")
        )
        raise typer.Exit(1) from error


def duration_s(text: str) -> int:
    """Seconds of `90s`, `5m`, `12h` or `7d`. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 5m, 12h or 7d")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]
