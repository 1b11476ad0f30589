"""`opencen`: the program."""

from __future__ import annotations

import typer

from opencen import __version__
from opencen.cli import (
    alarms,
    backups,
    capacity,
    connections,
    console,
    encryption,
    gateway,
    installation,
    instances,
    lab,
    networks,
    packages,
    plans,
    secrets,
    serving,
    sizing,
    tls,
    up,
    usage,
)
from opencen.cli.access import DEFAULT_SERVER, DataOption, KeyOption, SecretOption, ServerOption

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A self-hosted Cloud Enterprise Network: cross-region bandwidth that is set is enforced.\n\n"
    "Start a server with [bold]opencen serve[/], or everything at once, with four regions on this machine, with "
    "[bold]opencen up[/]. Then: [bold]opencen connection set lab us-west-1 cn-hangzhou 10[/].",
)


@app.callback()
def options(
    context: typer.Context,
    server: ServerOption = DEFAULT_SERVER,
    key_id: KeyOption = None,
    secret: SecretOption = None,
    data: DataOption = None,
) -> None:
    """Flags that all client commands share."""
    context.obj = {"server": server, "key_id": key_id, "secret": secret, "data": data}


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"opencen {__version__}")


serving.add_to(app)
backups.add_to(app)
app.command("console")(console.console)
app.command("up")(up.up)
installation.add_to(app)
plans.add_to(app)
app.command("size")(sizing.size)
app.command("usage")(usage.usage)
app.add_typer(instances.app, name="instance")
app.add_typer(networks.app, name="network")
app.add_typer(packages.app, name="package")
app.add_typer(capacity.app, name="capacity")
app.add_typer(connections.app, name="connection")
app.add_typer(encryption.app, name="encryption")
app.add_typer(alarms.app, name="alarm")
app.add_typer(gateway.app, name="gateway")
app.add_typer(lab.app, name="lab")
app.add_typer(secrets.app, name="secrets")
app.add_typer(tls.app, name="tls")


def main() -> None:
    """The entry point."""
    app()
