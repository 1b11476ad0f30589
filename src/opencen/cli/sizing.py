"""`opencen size`: which size and division of a package the recorded traffic asks for."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from opencen.cli.access import connect
from opencen.cli.output import Output, OutputOption, duration_s, out, print_json, print_table, rate, told
from opencen.cli.packages import PackageArgument, find_package

_BAR_WIDTH = 40
_FORECAST_DAYS = 7


def size(
    context: typer.Context,
    package: PackageArgument,
    last: Annotated[str, typer.Option(help="How far back: 12h, 7d, at most 30d.")] = "7d",
    percentile: Annotated[int, typer.Option(help="Per cent of the 5-minute intervals to be served.")] = 95,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say which package size, and which division of it, would have served the recorded traffic.

    Shared: limits follow the traffic ([bold]opencen connection set … --automatic MAX[/]). Divided: each pair has its
    own part.
    """
    with told(), connect(context) as client:
        found = find_package(client, package)
        path = f"/v1/bandwidth-packages/{found['id']}/sizing"
        answer = client.get(path, last_s=duration_s(last), percentile=percentile)
    if output is Output.JSON:
        print_json(answer)
        return
    if not answer["intervals"]:
        out.print(f"nothing was metered in the last {last}: no traffic says anything of {found['id']} yet")
        return
    _show_sizes(answer)
    _show_shares(answer)
    _show_forecast(answer)


def _show_sizes(answer: dict[str, Any]) -> None:
    out.print(
        f"{answer['package_id']}: {answer['bandwidth_mbps']} Mbit/s bought, "
        f"{rate(answer['mean_bps'])} used on average, {rate(answer['unused_bps'])} not",
        highlight=False,
    )
    most = max(answer["bandwidth_mbps"], *(item["divided_mbps"] for item in answer["sizes"]))
    for item in answer["sizes"]:
        for kind, mbps in (("shared", item["shared_mbps"]), ("divided", item["divided_mbps"])):
            _show_bar(f"{item['percentile']:>3} % {kind:<7}", mbps, most, mbps <= answer["bandwidth_mbps"])
    _show_bar("bought       ", answer["bandwidth_mbps"], most, fits=True)


def _show_bar(label: str, mbps: int, most: int, fits: bool) -> None:
    bar = "█" * max(1, round(_BAR_WIDTH * mbps / most))
    out.print(Text.assemble(f"{label} ", (f"{bar:<{_BAR_WIDTH}}", "green" if fits else "red"), f" {mbps} Mbit/s"))


def _show_shares(answer: dict[str, Any]) -> None:
    rows = [
        (
            f"{item['region_a_id']} - {item['region_b_id']}",
            item["set_mbps"],
            item["suggested_mbps"],
            rate(item["mean_bps"]),
            rate(item["peak_bps"]),
            f"{item['served']:.1%}",
            f"{item['held_back']:.1%}",
        )
        for item in answer["shares"]
    ]
    columns = ("Regions", "Set Mbit/s", "Suggested Mbit/s", "Mean", "Peak", "Served", "Held back")
    print_table(columns, rows, empty="no region connections")


def _show_forecast(answer: dict[str, Any]) -> None:
    if answer["full_on"]:
        out.print(f"the package is full about {answer['full_on']}, if the traffic goes on to grow as it did")
    elif answer["forecast_days"] < _FORECAST_DAYS:
        out.print(f"no forecast yet: {answer['forecast_days']} of {_FORECAST_DAYS} days of traffic", style="dim")
    else:
        out.print("the traffic does not grow towards the package", style="dim")
