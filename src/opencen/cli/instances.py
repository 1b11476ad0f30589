"""`opencen instance`: CEN instances and what is attached to them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.output import Output, OutputOption, local_time, out, print_json, print_table, told
from opencen.client import ApiError, Client

app = typer.Typer(no_args_is_help=True, help="CEN instances: the networks that join networks of several regions.")

InstanceArgument = Annotated[str, typer.Argument(help="Id (cen-…) or name.", metavar="INSTANCE")]


def find_instance(client: Client, text: str) -> dict[str, Any]:
    """The instance of this id, or the only one of this name. Raises ApiError."""
    if text.startswith("cen-"):
        return dict(client.get(f"/v1/instances/{text}"))
    found = client.get("/v1/instances", name=text)["items"]
    return only(found, "CEN instance", text, "opencen instance list")


def only(found: list[dict[str, Any]], kind: str, text: str, command: str) -> dict[str, Any]:
    """The one item that was found. Raises ApiError when there is none, or several."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise ApiError(404, {"code": "NotFound", "detail": f"there is no {kind} {text!r}; `{command}` shows them"})
    ids = ", ".join(item["id"] for item in found)
    raise ApiError(409, {"code": "Ambiguous", "detail": f"several are named {text!r}: give one of {ids}"})


@app.command("list")
def list_instances(
    context: typer.Context,
    search: Annotated[str | None, typer.Option(help="Part of a name or id.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The CEN instances."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/instances", search=search))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["name"],
            item["status"],
            item["network_count"],
            item["connection_count"],
            ", ".join(item["package_ids"]),
            local_time(item["created_at"]),
        )
        for item in items
    ]
    columns = ("Id", "Name", "Status", "Networks", "Connections", "Packages", "Created")
    print_table(columns, rows, empty="no CEN instances yet; `opencen instance create NAME` makes one")


@app.command("create")
def create_instance(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a CEN instance."""
    with told(), connect(context) as client:
        item = client.post("/v1/instances", {"name": name, "description": description})
    print_json(item) if output is Output.JSON else typer.echo(item["id"])


@app.command("modify")
def modify_instance(
    context: typer.Context,
    instance: InstanceArgument,
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    description: Annotated[str | None, typer.Option(help="New description.")] = None,
) -> None:
    """Rename or describe a CEN instance."""
    with told(), connect(context) as client:
        item = find_instance(client, instance)
        body = {"name": name, "description": description}
        client.request("PATCH", f"/v1/instances/{item['id']}", body=body, if_match=f'"{item["version"]}"')
    out.print(f"{item['id']} modified", highlight=False)


@app.command("delete")
def delete_instance(context: typer.Context, instance: InstanceArgument) -> None:
    """Delete a CEN instance that has no network attached and no package bound."""
    with told(), connect(context) as client:
        item = find_instance(client, instance)
        client.delete(f"/v1/instances/{item['id']}")
    out.print(f"{item['id']} deleted", highlight=False)


@app.command("networks")
def list_attachments(context: typer.Context, instance: InstanceArgument, output: OutputOption = Output.TABLE) -> None:
    """The networks attached to an instance, and whether gateways carry them."""
    with told(), connect(context) as client:
        item = find_instance(client, instance)
        items = list(everything(client, f"/v1/instances/{item['id']}/attachments"))
    if output is Output.JSON:
        print_json(items)
        return
    said = {True: "carried", False: "not carried", None: "unknown"}
    rows = [
        (
            item["network_id"],
            item["network_name"],
            item["region_id"],
            ", ".join(item["cidr_blocks"]),
            said[item["carried"]] + (f": {item['reason']}" if item["reason"] else ""),
        )
        for item in items
    ]
    columns = ("Network", "Name", "Region", "Addresses", "Carried")
    print_table(columns, rows, empty="no network attached yet; `opencen instance attach INSTANCE NETWORK` attaches one")


@app.command("attach")
def attach_network(
    context: typer.Context,
    instance: InstanceArgument,
    network: Annotated[str, typer.Argument(help="Id (vpc-…) or name.", metavar="NETWORK")],
) -> None:
    """Attach a network to a CEN instance."""
    with told(), connect(context) as client:
        item, network_id = find_instance(client, instance), find_network(client, network)["id"]
        client.post(f"/v1/instances/{item['id']}/attachments", {"network_id": network_id})
    out.print(f"{network_id} attached to {item['id']}", highlight=False)


@app.command("detach")
def detach_network(
    context: typer.Context,
    instance: InstanceArgument,
    network: Annotated[str, typer.Argument(help="Id (vpc-…) or name.", metavar="NETWORK")],
) -> None:
    """Detach a network; its hosts no longer reach the other networks."""
    with told(), connect(context) as client:
        item, network_id = find_instance(client, instance), find_network(client, network)["id"]
        client.delete(f"/v1/instances/{item['id']}/attachments/{network_id}")
    out.print(f"{network_id} detached from {item['id']}", highlight=False)


def find_network(client: Client, text: str) -> dict[str, Any]:
    """The network of this id, or the only one of this name. Raises ApiError."""
    if text.startswith("vpc-"):
        return dict(client.get(f"/v1/networks/{text}"))
    found = client.get("/v1/networks", name=text)["items"]
    return only(found, "network", text, "opencen network list")
