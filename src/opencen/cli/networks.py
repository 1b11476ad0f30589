"""`opencen network`: private networks."""

from __future__ import annotations

from typing import Annotated

import typer

from opencen.cli.access import connect, everything
from opencen.cli.instances import find_network
from opencen.cli.output import Output, OutputOption, out, print_json, print_table, told

app = typer.Typer(no_args_is_help=True, help="Private networks: address blocks in one region.")

NetworkArgument = Annotated[str, typer.Argument(help="Id (vpc-…) or name.", metavar="NETWORK")]


@app.command("list")
def list_networks(
    context: typer.Context,
    region: Annotated[str | None, typer.Option(help="Only those of this region.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The networks, and the CEN instance to which each is attached."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/networks", region_id=region))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (item["id"], item["name"], item["region_id"], ", ".join(item["cidr_blocks"]), item["cen_id"]) for item in items
    ]
    columns = ("Id", "Name", "Region", "Addresses", "Attached to")
    print_table(columns, rows, empty="no networks yet; `opencen network create NAME REGION CIDR` declares one")


@app.command("create")
def create_network(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    region: Annotated[str, typer.Argument(help="Its region, such as cn-hangzhou.")],
    cidr_blocks: Annotated[list[str], typer.Argument(help="Its IPv4 blocks, such as 10.2.0.0/16.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Declare a private network."""
    body = {"name": name, "region_id": region, "cidr_blocks": cidr_blocks, "description": description}
    with told(), connect(context) as client:
        item = client.post("/v1/networks", body)
    print_json(item) if output is Output.JSON else typer.echo(item["id"])


@app.command("delete")
def delete_network(context: typer.Context, network: NetworkArgument) -> None:
    """Delete a network that is not attached."""
    with told(), connect(context) as client:
        item = find_network(client, network)
        client.delete(f"/v1/networks/{item['id']}")
    out.print(f"{item['id']} deleted", highlight=False)
