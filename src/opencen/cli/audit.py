"""`opencen audit`: read the audit log, follow it, verify it, export it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from opencen.cli.access import connect, default_data, everything
from opencen.cli.output import Output, OutputOption, err, local_time, out, told

if TYPE_CHECKING:
    from opencen.services.context import Context

_OVERLAP = 100
"""Events are looked for this far back, for PostgreSQL gives out ids a moment before their events can be seen."""
_FOLLOW_EVERY_S = 0.5
DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="OPENCEN_DATA", help="The server's data directory. Default: the user's.")
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", envvar="OPENCEN_DATABASE", help="postgresql://… instead of SQLite.")
]


class _ShowByDefault(TyperGroup):
    """`opencen audit …` is `opencen audit show …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, "-h", "--help"}
        return super().parse_args(ctx, args if args and args[0] in known else ["show", *args])


app = typer.Typer(
    cls=_ShowByDefault,
    help="The audit log. `opencen audit [ID] [--follow]` shows it: see `opencen audit show --help`.",
)


@app.command("show")
def show_audit(
    context: typer.Context,
    resource: Annotated[str | None, typer.Argument(help="An id; an instance's also finds its connections.")] = None,
    last: Annotated[int, typer.Option(help="How many of the latest.", min=1, max=200)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, as events happen.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Changes and refusals: who, what, when, before, after. `-o json` is one line of JSON for each."""
    with told(), connect(context) as client:
        shown = client.get("/v1/audit", resource=resource, page_size=last)["items"][::-1]
        _print_events(shown, output)
        seen = deque((item["id"] for item in shown), maxlen=_OVERLAP * 2)
        while follow:
            time.sleep(_FOLLOW_EVERY_S)
            after_id = max(max(seen, default=0) - _OVERLAP, min(seen, default=0))  # ids commit in almost their order
            news = [
                item
                for item in everything(client, "/v1/audit", resource=resource, after_id=after_id)
                if item["id"] not in seen
            ][::-1]
            _print_events(news, output)
            seen.extend(item["id"] for item in news)


_ALWAYS_NEW = frozenset({"version", "updated_at"})


def _print_events(items: list[dict[str, Any]], output: Output) -> None:
    for item in items:
        if output is Output.JSON:
            typer.echo(json.dumps(item, ensure_ascii=False))
            continue
        refused = item["outcome"] == "refused"
        change = item["after"]["message"] if refused else _difference(item["before"], item["after"])
        who = f"{local_time(item['at'])}  {item['actor']}  {item['outcome']:7}"
        typer.echo(f"{who}  {item['action']}  {item['resource']}  {change}")


def _difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None or after is None:
        return f"{_short(before)} -> {_short(after)}"
    changed = [key for key in after if key not in _ALWAYS_NEW and after[key] != before.get(key)]
    return ", ".join(f"{key} {_shown(before.get(key))} -> {key} {_shown(after[key])}" for key in changed) or "as before"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "-" if value in (None, "") else str(value)


def _short(value: dict[str, Any] | None) -> str:
    if value is None:
        return "-"
    for key in ("bandwidth_mbps", "cen_id", "name", "endpoint"):
        if value.get(key) not in (None, ""):
            return f"{key} {value[key]}"
    return "…"


@contextmanager
def opened(data: Path | None, database: str | None) -> Iterator[Context]:
    """The services over a database, for a command that does not ask the server."""
    from opencen.serve import open_context

    directory = data or default_data()
    if database is None and not (directory / "opencen.db").exists():
        err.print(f"error there is no database in {directory}; --data says where it is", style="red", highlight=False)
        raise typer.Exit(2)
    from opencen.services.identities import WrongKeyError
    from opencen.services.vault import SecretsKeyError

    try:
        context, _ = open_context(directory, database)
    except (SecretsKeyError, WrongKeyError) as error:
        err.print(f"error {error}", style="red", highlight=False)
        raise typer.Exit(1) from error
    try:
        yield context
    finally:
        context.database.close()


@app.command("verify")
def verify(
    data: DataOption = None,
    database: DatabaseOption = None,
    head: Annotated[
        str | None, typer.Option(help="A head (NUMBER:HASH) written down earlier: it must still be in the chain.")
    ] = None,
) -> None:
    """Find events that were removed, altered or inserted; exit code 1 when there are any. The server may run or not.

    Prints the head of the chain. Keep it where who could change the database cannot, and give it with --head another
    time: without it, a log that was cut at its end together with its seals looks like one that was never longer.
    """
    from opencen.services import audit_seals

    with opened(data, database) as context, context.database.read() as tx:
        found = list(audit_seals.amiss(tx, context.vault, head))
        chain = audit_seals.chain_of(tx)
    for sentence in found:
        err.print(f"broken: {sentence}", style="red", highlight=False)
    out.print(f"{chain.sealed_events} events sealed, {chain.unsealed_events} not yet", highlight=False)
    out.print(f"head: {chain.head.head if chain.head else 'none yet'}", highlight=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)


@app.command("export")
def export(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Print the log of all accounts as lines of JSON: each event as it was hashed, each seal after what it covers."""
    from opencen.services import audit_seals

    with opened(data, database) as context, context.database.read() as tx:
        for line in audit_seals.export(tx):
            typer.echo(line)
