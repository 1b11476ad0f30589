"""`opencen connection`: region connections, the cross-region bandwidth of pairs of regions."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.text import Text

from opencen.cli.access import connect, everything
from opencen.cli.instances import InstanceArgument, find_instance
from opencen.cli.output import Output, OutputOption, err, local_time, out, print_json, print_table, rate, told
from opencen.client import ApiError, Client

app = typer.Typer(no_args_is_help=True, help="Region connections: set, modify and delete cross-region bandwidth.")

RegionArgument = Annotated[str, typer.Argument(help="A region, such as us-west-1.", metavar="REGION")]
OtherRegionArgument = Annotated[str, typer.Argument(help="The other region.", metavar="REGION")]
WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds to wait until gateways have it in their kernels; 0: do not wait.")
]


def _path(cen_id: str, region: str, other_region: str) -> str:
    return f"/v1/instances/{cen_id}/region-connections/{region}/{other_region}"


def _seen(client: Client, path: str) -> str:
    """The ETag of what is there now; "0" stands for nothing."""
    try:
        return f'"{client.get(path)["version"]}"'
    except ApiError as refusal:
        if refusal.status != 404 or refusal.problem.get("kind") != "region connection":
            raise
        return '"0"'


def _settled(client: Client, path: str, timeout_s: float) -> dict[str, Any]:
    """The connection once it is Active, or as it is after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    revision = 0
    item: dict[str, Any] = client.get(path)
    while item["status"] == "Modifying" and (left_s := deadline - time.monotonic()) > 0:
        revision = client.get("/v1/changes", after=revision, wait_s=round(min(left_s, 1.0), 3))["revision"]
        item = client.get(path)
    return item


def _amount(item: dict[str, Any]) -> str:
    """What is set; of an automatic connection, its bounds and the limit now."""
    if item["automatic"] is None:
        return f"{item['bandwidth_mbps']} Mbit/s"
    bounds = f"{item['bandwidth_mbps']} to {item['automatic']['max_mbps']} Mbit/s"
    return f"automatic, {bounds}, weight {item['automatic']['weight']}, now {rate(item['limit_bps'])}"


def _describe(item: dict[str, Any]) -> Text:
    pair = f"{item['region_a_id']} - {item['region_b_id']}"
    style = "green" if item["status"] == "Active" and item["enforcement"] == "confirmed" else "yellow"
    text = Text.assemble(f"{pair}: {_amount(item)}, ", (item["status"], style))
    text.append(f", enforcement {item['enforcement']}")
    for reason in item["reasons"]:
        text.append(f"\n  {reason}", "dim")
    return text


@app.command("list")
def list_connections(
    context: typer.Context,
    instance: Annotated[str | None, typer.Argument(help="Id or name of a CEN instance; all without.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """What is set, what is in the kernels, and what passes now."""
    with told(), connect(context) as client:
        cen_id = find_instance(client, instance)["id"] if instance else None
        items = list(everything(client, "/v1/region-connections", cen_id=cen_id, watch="true"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["cen_id"],
            f"{item['region_a_id']} - {item['region_b_id']}",
            item["package_id"],
            item["bandwidth_mbps"] if item["automatic"] is None else _amount(item),
            item["status"],
            item["enforcement"],
            " / ".join(rate(side["in_kernel_bps"]) or "-" for side in item["sides"]),
            " / ".join(rate(side["measured_bps"]) or "-" for side in item["sides"]),
        )
        for item in items
    ]
    columns = ("Instance", "Regions", "Package", "Mbit/s", "Status", "Enforcement", "In kernel -> / <-", "Now -> / <-")
    empty = "no region connections yet; `opencen connection set INSTANCE REGION REGION MBPS` sets one"
    print_table(columns, rows, empty=empty)


@app.command("show")
def show_connection(
    context: typer.Context,
    instance: InstanceArgument,
    region: RegionArgument,
    other_region: OtherRegionArgument,
    output: OutputOption = Output.TABLE,
) -> None:
    """One region connection, with what its gateways say."""
    with told(), connect(context) as client:
        item = client.get(_path(find_instance(client, instance)["id"], region, other_region))
    if output is Output.JSON:
        print_json(item)
        return
    out.print(_describe(item))
    rows = [
        (
            side["region_id"],
            side["gateway_id"],
            side["liveness"],
            rate(side["in_kernel_bps"]),
            rate(side["measured_bps"]),
            side["dropped_packets"],
        )
        for side in item["sides"]
    ]
    print_table(("From", "Gateway", "Liveness", "In kernel", "Now", "Dropped by the limit"), rows, empty="")


@app.command("set")
def set_connection(
    context: typer.Context,
    instance: InstanceArgument,
    region: RegionArgument,
    other_region: OtherRegionArgument,
    bandwidth_mbps: Annotated[int, typer.Argument(help="Mbit/s in each direction.", metavar="MBPS")],
    package: Annotated[str | None, typer.Option(help="The package, to be sure: the pair has only one.")] = None,
    max_mbps: Annotated[
        int | None,
        typer.Option("--automatic", metavar="MAX", help="MBPS is guaranteed; the limit follows the traffic up to MAX."),
    ] = None,
    weight: Annotated[int, typer.Option(help="With --automatic: its part beside the others' weights.")] = 1,
    wait_s: WaitOption = 10.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set the bandwidth between two regions, or modify it.

    With [bold]--automatic 20[/] the pair has MBPS for certain, and what the package has to spare follows the traffic.
    """
    body: dict[str, Any] = {"bandwidth_mbps": bandwidth_mbps, "package_id": package}
    if max_mbps is not None:
        body["automatic"] = {"max_mbps": max_mbps, "weight": weight}
    with told(), connect(context) as client:
        path = _path(find_instance(client, instance)["id"], region, other_region)
        client.request("PUT", path, body=body, if_match=_seen(client, path))
        item = _settled(client, path, wait_s)
    print_json(item) if output is Output.JSON else out.print(_describe(item))
    if item["status"] == "Modifying" and wait_s > 0:
        err.print("set and durable, but not in every kernel yet", style="yellow")


@app.command("decisions")
def list_decisions(
    context: typer.Context,
    instance: InstanceArgument,
    last: Annotated[int, typer.Option(help="How many.", min=1, max=200)] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """How the limits of automatic connections followed the traffic, and why."""
    with told(), connect(context) as client:
        cen_id = find_instance(client, instance)["id"]
        items = client.get(f"/v1/instances/{cen_id}/decisions", page_size=last)["items"][::-1]
    if output is Output.JSON:
        print_json(items)
        return
    empty = "no decisions yet; `opencen connection set … --automatic MAX` lets a limit follow the traffic"
    print_table(("At", "Decision"), [(local_time(item["at"]), item["why"]) for item in items], empty=empty)


@app.command("delete")
def delete_connection(
    context: typer.Context,
    instance: InstanceArgument,
    region: RegionArgument,
    other_region: OtherRegionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a region connection: the pair falls back to 1 kbit/s."""
    with told(), connect(context) as client:
        path = _path(find_instance(client, instance)["id"], region, other_region)
        item = client.get(path)
        pair = f"{item['region_a_id']} - {item['region_b_id']}"
        if not yes:
            typer.confirm(
                f"{pair} falls back from {item['bandwidth_mbps']} Mbit/s to 1 kbit/s, enough for a ping. Delete?",
                abort=True,
            )
        client.delete(path, if_match=f'"{item["version"]}"')
    out.print(f"{pair} deleted; {item['bandwidth_mbps']} Mbit/s are free again", highlight=False)
