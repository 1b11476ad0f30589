"""`opencen encryption`: which links are encrypted, and which are plain."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.instances import InstanceArgument, find_instance
from opencen.cli.output import Output, OutputOption, out, print_json, print_table, told

app = typer.Typer(
    no_args_is_help=True,
    help="Which links are encrypted (wireguard, the default) and which are plain (vxlan, for private circuits).",
)

AreaArgument = Annotated[str, typer.Argument(help="An area, such as China.", metavar="AREA")]
OtherAreaArgument = Annotated[str, typer.Argument(help="The other area, or the same.", metavar="AREA")]
RegionArgument = Annotated[str, typer.Argument(help="A region of the link.", metavar="REGION")]
OtherRegionArgument = Annotated[str, typer.Argument(help="The other region.", metavar="REGION")]
ChoiceArgument = Annotated[str, typer.Argument(help="wireguard, vxlan, or default.", metavar="CHOICE")]


@app.command("list")
def list_area_choices(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """What was chosen for pairs of areas; links between all others are encrypted."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/encryption"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [(f"{item['area_a_id']} - {item['area_b_id']}", item["encryption"]) for item in items]
    print_table(("Areas", "Encryption"), rows, empty="nothing was chosen: all links are encrypted")


@app.command("areas")
def choose_for_areas(
    context: typer.Context, area: AreaArgument, other_area: OtherAreaArgument, choice: ChoiceArgument
) -> None:
    """Choose how links between two areas are carried (administrators). Links that are there change at once.

    Where a gateway cannot encrypt and the choice is wireguard, the link is refused, with the reason: never plain.
    """
    path = f"/v1/encryption/{area}/{other_area}"
    with told(), connect(context) as client:
        if choice == "default":
            client.delete(path)
        else:
            client.request("PUT", path, body={"encryption": choice})
    out.print(f"{area} - {other_area}: {'wireguard (the default)' if choice == 'default' else choice}", highlight=False)


@app.command("links")
def list_links(context: typer.Context, instance: InstanceArgument, output: OutputOption = Output.TABLE) -> None:
    """How each link of an instance is carried, who chose that, and how old its keys are."""
    with told(), connect(context) as client:
        items = list(everything(client, f"/v1/instances/{find_instance(client, instance)['id']}/encryption"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            f"{item['region_a_id']} - {item['region_b_id']}",
            item["encryption"],
            item["chosen_by"],
            item["keys_made_at"] or "-",
            item["preshared_key_made_at"] or "-",
            _state(item),
        )
        for item in items
    ]
    columns = ("Link", "Encryption", "Chosen by", "Keys made", "Pre-shared key made", "State")
    print_table(columns, rows, empty="no links: attach networks in two regions")


def _state(item: dict[str, Any]) -> str:
    if item["refusal"]:
        return f"refused: {item['refusal']}"
    return "keys are being rotated" if item["rotates"] else ""


@app.command("link")
def choose_for_link(
    context: typer.Context,
    instance: InstanceArgument,
    region: RegionArgument,
    other_region: OtherRegionArgument,
    choice: ChoiceArgument,
) -> None:
    """Choose how one pair of regions is carried; `default`: as its areas are."""
    with told(), connect(context) as client:
        path = f"/v1/instances/{find_instance(client, instance)['id']}/encryption/{region}/{other_region}"
        if choice == "default":
            item = client.request("DELETE", path)
        else:
            item = client.request("PUT", path, body={"encryption": choice})
    out.print(f"{region} - {other_region}: {item['encryption']} (chosen by {item['chosen_by']})", highlight=False)
    if item["refusal"]:
        out.print(f"refused: {item['refusal']}", highlight=False)
