"""`opencen usage`: what a connection carries, drawn in the terminal; totals and monthly percentiles; CSV and JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from opencen.cli.access import connect, everything
from opencen.cli.instances import find_instance
from opencen.cli.output import local_time, out, print_json, print_table, rate, told
from opencen.client import Client

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROWS = 8
_LABEL = 12


class UsageOutput(StrEnum):
    CHART = "chart"
    JSON = "json"
    CSV = "csv"


LastOption = Annotated[str, typer.Option("--last", help="How far back: 90s, 15m, 1h, 7d, 4w or 2y.")]
FromOption = Annotated[str | None, typer.Option("--from", help="RFC 3339, instead of --last.")]
ToOption = Annotated[str | None, typer.Option("--to", help="RFC 3339; now without.")]
UsageOutputOption = Annotated[
    UsageOutput, typer.Option("--output", "-o", help="chart for people, json and csv for programs.")
]


def seconds_of(text: str) -> int:
    """`15m` is 900. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhdwy])", text.strip())
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no span; write it like 15m, 1h, 7d or 2y", param_hint="--last")
    return int(found[1]) * _UNITS[found[2]]


def _span(last: str, from_time: str | None, to_time: str | None) -> dict[str, Any]:
    ends: dict[str, Any] = {"from": from_time, "last_s": None if from_time else seconds_of(last), "to": to_time}
    return {name: value for name, value in ends.items() if value is not None}


def usage(
    context: typer.Context,
    regions: Annotated[
        list[str] | None, typer.Argument(help="Of a connection. Without: totals.", metavar="[REGION REGION]")
    ] = None,
    instance: Annotated[str | None, typer.Option(help="Id or name of the instance, when there are several.")] = None,
    package: Annotated[str | None, typer.Option(help="A bandwidth package instead of a connection: its id.")] = None,
    by: Annotated[str, typer.Option(help="Totals: connection, package, instance, area-pair, account.")] = "connection",
    month: Annotated[str | None, typer.Option(help="Monthly 95th percentiles, such as 2026-11.")] = None,
    last: LastOption = "1h",
    from_time: FromOption = None,
    to_time: ToOption = None,
    step_s: Annotated[int | None, typer.Option("--step", help="Seconds a point; chosen for the span without.")] = None,
    output: UsageOutputOption = UsageOutput.CHART,
) -> None:
    """What passes: `opencen usage us-west-1 cn-hangzhou --last 1h` draws a connection, both directions.

    Without regions: totals (`--by package`), a package (`--package cenbwp-…`) or a month's percentiles (`--month`).
    """
    given = regions or []
    if len(given) not in (0, 2):
        raise typer.BadParameter("a connection is named by two regions", param_hint="REGION REGION")
    span = _span(last, from_time, to_time)
    with told(), connect(context) as client:
        if given:
            cen_id = _instance_of(client, instance, given)
            path = f"/v1/instances/{cen_id}/region-connections/{given[0]}/{given[1]}/usage"
            _show(client, path, span | _points(step_s, output), output, _draw_connection)
        elif package:
            path = f"/v1/bandwidth-packages/{package}/usage"
            _show(client, path, span | _points(step_s, output), output, _draw_package)
        elif month:
            _show(client, f"/v1/usage/months/{month}", {}, output, _print_month)
        else:
            _show(client, "/v1/usage/totals", span | {"by": by}, output, _print_totals)


def _points(step_s: int | None, output: UsageOutput) -> dict[str, Any]:
    if step_s is not None:
        return {"step_s": step_s}
    return {"most_points": _width()} if output is UsageOutput.CHART else {}


def _width() -> int:
    return max(20, out.width - _LABEL - 2)


def _instance_of(client: Client, named: str | None, regions: Sequence[str]) -> str:
    """The instance that is named, or the only one with this connection."""
    if named:
        return str(find_instance(client, named)["id"])
    pair = tuple(sorted(regions))
    items = everything(client, "/v1/region-connections", region_id=regions[0])
    found = sorted({item["cen_id"] for item in items if (item["region_a_id"], item["region_b_id"]) == pair})
    if len(found) != 1:
        what = "no CEN instance connects" if not found else f"{', '.join(found)} all connect"
        what = f"{what} {regions[0]} and {regions[1]}"
        raise typer.BadParameter(f"{what}: say which with --instance", param_hint="--instance")
    return str(found[0])


def _show(client: Client, path: str, query: dict[str, Any], output: UsageOutput, draw: Any) -> None:
    if output is UsageOutput.CSV:
        typer.echo(client.get_text(path, **query, format="csv"), nl=False)
        return
    answer = client.get(path, **query)
    print_json(answer) if output is UsageOutput.JSON else draw(answer)


# drawing


def bars(values: Sequence[float | None], top: float, rows: int = _ROWS) -> list[str]:
    """Columns of blocks, the highest row first; a value that is not known is a dot on the ground."""
    lines = []
    for row in range(rows - 1, -1, -1):
        cells = []
        for value in values:
            eighths = 0 if value is None else round(min(value, top) / top * rows * 8) - row * 8
            cells.append("·" if value is None and row == 0 else _BLOCKS[max(0, min(8, eighths))])
        lines.append("".join(cells))
    return lines


def _draw_bars(title: Text, values: Sequence[float | None], limit_bps: int | None) -> None:
    known = [value for value in values if value is not None]
    top = max([limit_bps or 0, *known, 1])
    out.print(title)
    for number, line in enumerate(bars(values, top)):
        label = rate(top) if number == 0 else ""
        out.print(Text.assemble((f"{label:>{_LABEL}} ", "dim"), (line, "cyan")))
    out.print(Text(f"{'0':>{_LABEL}} {'─' * len(values)}", "dim"))


def _draw_connection(chart: dict[str, Any]) -> None:
    for direction in chart["directions"]:
        means = direction["mean_bps"]
        known = [mean for mean in means if mean is not None]
        limits = [limit for limit in direction["limit_bps"] if limit is not None]
        title = Text.assemble((f"{direction['from_region_id']} -> {direction['to_region_id']}", "bold"))
        if known:
            peak = max(value for value in direction["max_bps"] if value is not None)
            title.append(f"  mean {rate(sum(known) / len(known))}, greatest {rate(peak)}")
        else:
            title.append("  nothing metered")
        title.append(f", limit {rate(limits[-1])}" if limits else ", no limit set")
        title.append(f", {sum(direction['dropped_packets'])} packets dropped by the limit")
        _draw_bars(title, means, limits[-1] if limits else None)
    _print_times(chart)


def _print_times(chart: dict[str, Any]) -> None:
    ends = f"{local_time(chart['from_time'])} to {local_time(chart['to_time'])}"
    out.print(Text(f"{ends}, a column is {chart['step_s']} s", "dim"))


def _draw_package(chart: dict[str, Any]) -> None:
    capacity_bps = chart["bandwidth_mbps"] * 1_000_000
    for name, there in (("a_to_b_bps", "->"), ("b_to_a_bps", "<-")):
        columns = list(zip(*(item[name] for item in chart["connections"]), strict=True))
        sums = [None if all(v is None for v in column) else sum(v or 0 for v in column) for column in columns]
        title = Text.assemble((f"{chart['package_id']} {there}", "bold"), f"  of {rate(capacity_bps)}")
        _draw_bars(title, sums, capacity_bps)
    rows = [
        (item["cen_id"], f"{item['region_a_id']} - {item['region_b_id']}", *map(_mean, _both(item)))
        for item in chart["connections"]
    ]
    print_table(("Instance", "Regions", "Mean ->", "Mean <-"), rows, empty="no connection was out of this package")
    _print_times(chart)


def _both(item: dict[str, Any]) -> tuple[list[float | None], list[float | None]]:
    return item["a_to_b_bps"], item["b_to_a_bps"]


def _mean(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return rate(sum(known) / len(known)) if known else None


def _amount(count: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} B"


def _print_totals(answer: dict[str, Any]) -> None:
    rows = [
        (
            item["key"],
            _amount(item["sent_bytes"]),
            _amount(item["a_to_b_bytes"]),
            _amount(item["b_to_a_bytes"]),
            rate(item["mean_bps"]),
            item["dropped_packets"],
        )
        for item in answer["items"]
    ]
    columns = (answer["by"].capitalize(), "Carried", "->", "<-", "Mean", "Dropped by the limit")
    print_table(columns, rows, empty="nothing has been metered in this span")


def _print_month(answer: dict[str, Any]) -> None:
    rows = [
        (
            item["kind"],
            item["id"],
            rate(item["a_to_b_bps"]),
            rate(item["b_to_a_bps"]),
            rate(item["billed_bps"]),
            _amount(item["sent_bytes"]),
        )
        for item in answer["items"]
    ]
    state = "final" if answer["final"] else f"so far, {answer['intervals']} intervals of 5 minutes"
    print_table(
        ("", "Id", "95 % ->", "95 % <-", "Billed", "Carried"), rows, empty=f"{answer['month']}: nothing metered"
    )
    out.print(Text(f"{answer['month']}: {state}", "dim"))
