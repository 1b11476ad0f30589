"""What belongs to the installation: areas, regions, accounts, gateways."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from opencen.cli import audit, gateway, join_tokens, joining, people
from opencen.cli.access import connect, everything
from opencen.cli.output import Output, OutputOption, local_time, out, print_json, print_table, told


def _listing(path: str, columns: dict[str, str]) -> Any:
    def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
        with told(), connect(context) as client:
            items = list(everything(client, path))
        if output is Output.JSON:
            print_json(items)
            return
        print_table(tuple(columns), [[item[key] for key in columns.values()] for item in items], empty="none")

    return command


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    lists = (
        ("area", "/v1/areas", "Areas: between them bandwidth is bought.", {"Id": "id", "Name": "name"}),
        ("region", "/v1/regions", "Regions.", {"Id": "id", "Name": "name", "Area": "area_id"}),
        ("account", "/v1/accounts", "Accounts.", {"Id": "id", "Number": "number", "Name": "name"}),
    )
    for name, path, text, columns in lists:
        group = typer.Typer(no_args_is_help=True, help=text)
        group.command("list", help=f"List them: {', '.join(columns).lower()}.")(_listing(path, columns))
        if name == "account":
            group.command("create")(people.create_account)
            group.command("quotas")(people.show_quotas)
            group.command("limit")(people.limit_account)
        app.add_typer(group, name=name)
    app.add_typer(people.users, name="user")
    app.add_typer(people.keys, name="key")
    gateway.app.command("list")(list_gateways)
    gateway.app.add_typer(join_tokens.app, name="token")
    gateway.app.command("ask-rotation")(ask_rotation)
    joining.add_to(gateway.app)
    gateway.app.command("rotate-keys")(rotate_keys)
    gateway.app.command("remove")(remove_gateway)
    gateway.app.command("promote")(promote_gateway)
    gateway.app.command("release")(release_gateway)
    app.add_typer(audit.app, name="audit")


def list_gateways(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Every gateway: its region, how lately it was heard from, how far it has followed."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/gateways"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["region_id"],
            item["name"],
            item["role"] + (", preferred" if item["preferred"] else ""),
            f"{item['liveness']}: {item['trouble']}" if item["trouble"] else item["liveness"],
            item["endpoint"],
            _progress(item["applied_revision"], item["wanted_revision"]),
            item["capabilities"].get("leaf_queue"),
            item["repairs"],
            local_time(item["last_seen_at"]),
            "asked to rotate" if item["rotation_wanted"] else local_time(item["credential_since"]),
        )
        for item in items
    ]
    columns = (
        "Id",
        "Region",
        "Name",
        "Role",
        "Liveness",
        "Endpoint",
        "Revision",
        "Queue",
        "Repairs",
        "Last seen",
        "Credential since",
    )
    print_table(
        columns, rows, empty="no gateways yet; `opencen gateway token create --region REGION` lets a host join as one"
    )


def _progress(applied_revision: int, wanted_revision: int) -> str:
    if applied_revision >= wanted_revision:
        return f"{applied_revision}, current"
    return f"{applied_revision}, wanted {wanted_revision}"


def ask_rotation(context: typer.Context, gateway_id: Annotated[str, typer.Argument(help="Id (gw-…).")]) -> None:
    """Ask a gateway to replace its credential, from anywhere. `rotate-credential` does it on the host itself."""
    with told(), connect(context) as client:
        client.post(f"/v1/gateways/{gateway_id}/rotate-credential")
    out.print(
        f"{gateway_id} is asked; `opencen gateway list` shows since when its credential is in use", highlight=False
    )


def remove_gateway(
    context: typer.Context,
    gateway_id: Annotated[str, typer.Argument(help="Id (gw-…).")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Revoke a gateway: its credential is refused, peers drop its tunnels."""
    if not yes:
        typer.confirm(
            f"Peers will drop the tunnels of {gateway_id}: its region is cut off. What it has in its own kernel stays "
            "until `opencen gateway leave` is run there. Remove it?",
            abort=True,
        )
    with told(), connect(context) as client:
        client.delete(f"/v1/gateways/{gateway_id}")
    out.print(f"{gateway_id} removed", highlight=False)


def rotate_keys(
    context: typer.Context,
    gateway_id: Annotated[str, typer.Argument(help="Id (gw-…) of a gateway.")],
) -> None:
    """Rotate all keys of a gateway's encrypted links, the new ones beside the old ones. It takes some seconds.

    Pre-shared keys are rotated every day and static keys every 30 days anyway. `opencen encryption links` shows ages.
    """
    with told(), connect(context) as client:
        begun = client.post(f"/v1/gateways/{gateway_id}/rotate-keys")["links"]
    links = "1 link" if begun == 1 else f"{begun} links"
    out.print(f"the keys of {links} of {gateway_id} are being rotated", highlight=False)


def promote_gateway(
    context: typer.Context,
    gateway_id: Annotated[str, typer.Argument(help="Id (gw-…) of a region's standby.")],
    prefer: Annotated[
        bool, typer.Option("--prefer", help="It takes over again by itself whenever it is back for a minute.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make a region's standby its active gateway. The region's traffic pauses for a moment.

    Without --prefer neither of the two is preferred from now on: who is active stays so until it fails.
    """
    if not yes:
        typer.confirm(f"{gateway_id} takes over its region's traffic; packets under way are lost. Promote?", abort=True)
    with told(), connect(context) as client:
        client.post(f"/v1/gateways/{gateway_id}/promote", {"prefer": prefer})
    out.print(f"{gateway_id} is the active gateway", highlight=False)


def release_gateway(
    context: typer.Context,
    gateway_id: Annotated[str, typer.Argument(help="Id (gw-…) of a silent gateway.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Vouch that a silent gateway passes nothing: what it held may go to others."""
    if not yes:
        typer.confirm(
            f"Is {gateway_id} really off? If it still sends, the package is exceeded on the wire. Release?", abort=True
        )
    with told(), connect(context) as client:
        client.post(f"/v1/gateways/{gateway_id}/release")
    out.print(f"{gateway_id} released", highlight=False)
