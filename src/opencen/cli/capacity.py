"""`opencen capacity`: what the backbone carries between two areas."""

from __future__ import annotations

from typing import Annotated

import typer

from opencen.cli.access import connect, everything
from opencen.cli.output import Output, OutputOption, out, print_json, print_table, told

app = typer.Typer(no_args_is_help=True, help="What may be sold between two areas (administrators).")

AreaArgument = Annotated[str, typer.Argument(help="An area, such as China.", metavar="AREA")]
OtherAreaArgument = Annotated[str, typer.Argument(help="The other area, or the same.", metavar="AREA")]


@app.command("list")
def list_capacities(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """The capacities declared, and what of each is sold, over all accounts."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/capacities"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (f"{item['area_a_id']} - {item['area_b_id']}", item["capacity_mbps"], item["sold_mbps"], item["left_mbps"])
        for item in items
    ]
    columns = ("Areas", "Capacity Mbit/s", "Sold Mbit/s", "Left Mbit/s")
    print_table(columns, rows, empty="none declared: `opencen capacity set AREA AREA MBPS`")


@app.command("set")
def set_capacity(
    context: typer.Context,
    area: AreaArgument,
    other_area: OtherAreaArgument,
    capacity_mbps: Annotated[int, typer.Argument(help="Mbit/s.", metavar="MBPS")],
) -> None:
    """Declare what may be sold between two areas; not less than is sold already."""
    with told(), connect(context) as client:
        body = {"capacity_mbps": capacity_mbps}
        item = client.request("PUT", f"/v1/capacities/{area}/{other_area}", body=body)
    out.print(f"{item['sold_mbps']} of {item['capacity_mbps']} Mbit/s sold", highlight=False)


@app.command("unset")
def unset_capacity(context: typer.Context, area: AreaArgument, other_area: OtherAreaArgument) -> None:
    """Sell without limit between two areas."""
    with told(), connect(context) as client:
        client.delete(f"/v1/capacities/{area}/{other_area}")
    out.print(f"{area} - {other_area}: no limit", highlight=False)
