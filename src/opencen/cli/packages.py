"""`opencen package`: bandwidth packages."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.instances import InstanceArgument, find_instance, only
from opencen.cli.output import Output, OutputOption, local_time, out, print_json, print_table, told
from opencen.client import Client

app = typer.Typer(no_args_is_help=True, help="Bandwidth packages: bandwidth bought between two areas.")

PackageArgument = Annotated[str, typer.Argument(help="Id (cenbwp-…) or name.", metavar="PACKAGE")]


def find_package(client: Client, text: str) -> dict[str, Any]:
    """The package of this id, or the only one of this name. Raises ApiError."""
    if text.startswith("cenbwp-"):
        return dict(client.get(f"/v1/bandwidth-packages/{text}"))
    found = client.get("/v1/bandwidth-packages", name=text)["items"]
    return only(found, "bandwidth package", text, "opencen package list")


@app.command("list")
def list_packages(
    context: typer.Context,
    instance: Annotated[str | None, typer.Option(help="Only those bound to this instance (id or name).")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The packages: what each has, what is allocated out of it, what is free."""
    with told(), connect(context) as client:
        cen_id = find_instance(client, instance)["id"] if instance else None
        items = list(everything(client, "/v1/bandwidth-packages", cen_id=cen_id))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["name"],
            f"{item['area_a_id']} - {item['area_b_id']}",
            item["bandwidth_mbps"],
            item["allocated_mbps"],
            item["free_mbps"],
            item["cen_id"],
            _end(item),
        )
        for item in items
    ]
    columns = ("Id", "Name", "Areas", "Mbit/s", "Allocated Mbit/s", "Free Mbit/s", "Bound to", "Ends")
    print_table(columns, rows, empty="no packages yet; `opencen package buy AREA AREA MBPS` buys one")


@app.command("buy")
def buy_package(
    context: typer.Context,
    area: Annotated[str, typer.Argument(help="An area, such as China; see `opencen area list`.")],
    other_area: Annotated[str, typer.Argument(help="The other area, or the same.")],
    bandwidth_mbps: Annotated[int, typer.Argument(help="Mbit/s.", metavar="MBPS")],
    name: Annotated[str, typer.Option(help="Its name.")] = "",
    months: Annotated[
        int | None, typer.Option(help="For so many months; without it, until the package is deleted.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Buy bandwidth between two areas."""
    body: dict[str, object] = {"area_a_id": area, "area_b_id": other_area, "bandwidth_mbps": bandwidth_mbps}
    body |= {"name": name, "charge_type": "POSTPAY" if months is None else "PREPAY", "months": months}
    with told(), connect(context) as client:
        item = client.post("/v1/bandwidth-packages", body)
    print_json(item) if output is Output.JSON else typer.echo(item["id"])


@app.command("renew")
def renew_package(
    context: typer.Context,
    package: PackageArgument,
    months: Annotated[int, typer.Argument(help="How much longer.", metavar="MONTHS")],
) -> None:
    """Let a package that was bought for a time last longer; connections that had fallen back are restored."""
    with told(), connect(context) as client:
        item = find_package(client, package)
        item = client.post(f"/v1/bandwidth-packages/{item['id']}/renewal", {"months": months})
    out.print(f"{item['id']} until {local_time(item['expires_at'])}", highlight=False)


def _end(item: dict[str, Any]) -> str | None:
    at = local_time(item["expires_at"])
    return f"expired {at}" if item["expired_at"] else at


@app.command("resize")
def resize_package(
    context: typer.Context,
    package: PackageArgument,
    bandwidth_mbps: Annotated[int, typer.Argument(help="New bandwidth, Mbit/s.", metavar="MBPS")],
) -> None:
    """Give a package another bandwidth; not less than is allocated."""
    with told(), connect(context) as client:
        item = find_package(client, package)
        path = f"/v1/bandwidth-packages/{item['id']}"
        body = {"bandwidth_mbps": bandwidth_mbps}
        client.request("PATCH", path, body=body, if_match=f'"{item["version"]}"')
    out.print(f"{item['id']}: {item['bandwidth_mbps']} -> {bandwidth_mbps} Mbit/s", highlight=False)


@app.command("bind")
def bind_package(context: typer.Context, package: PackageArgument, instance: InstanceArgument) -> None:
    """Bind a package to a CEN instance."""
    with told(), connect(context) as client:
        item, cen_id = find_package(client, package), find_instance(client, instance)["id"]
        client.request("PUT", f"/v1/bandwidth-packages/{item['id']}/binding", body={"cen_id": cen_id})
    out.print(f"{item['id']} bound to {cen_id}", highlight=False)


@app.command("unbind")
def unbind_package(context: typer.Context, package: PackageArgument) -> None:
    """Unbind a package from which no region connection draws."""
    with told(), connect(context) as client:
        item = find_package(client, package)
        client.delete(f"/v1/bandwidth-packages/{item['id']}/binding")
    out.print(f"{item['id']} unbound", highlight=False)


@app.command("delete")
def delete_package(context: typer.Context, package: PackageArgument) -> None:
    """Delete a package that is not bound."""
    with told(), connect(context) as client:
        item = find_package(client, package)
        client.delete(f"/v1/bandwidth-packages/{item['id']}")
    out.print(f"{item['id']} deleted", highlight=False)
