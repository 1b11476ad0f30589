"""`opencen alarm`: what is raised, what is watched, who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.alarm_settings import channels_app, rules_app
from opencen.cli.durations import seconds_of
from opencen.cli.output import Output, OutputOption, err, local_time, out, print_json, print_table, told

app = typer.Typer(
    no_args_is_help=True,
    help="Alarms: be told when a connection or a package is too small, or a gateway is gone.\n\n"
    "First say where: [bold]opencen alarm channel add-webhook URL[/]. Then what: "
    "[bold]opencen alarm rule add connection_use --channel CHANNEL[/].",
)
app.add_typer(rules_app, name="rule")
app.add_typer(channels_app, name="channel")

AlarmArgument = Annotated[str, typer.Argument(help="Id (alm-…), see `opencen alarm list`.", metavar="ALARM")]


def _state(item: dict[str, Any]) -> str:
    if item["state"] == "raised" and item["acknowledged_by"]:
        return f"raised, {item['acknowledged_by']} sees to it"
    return f"{item['state']}, silenced" if item["silenced"] else str(item["state"])


@app.command("list")
def list_alarms(
    context: typer.Context,
    raised: Annotated[bool, typer.Option("--raised", help="Only those that are raised now.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """What is raised, and what was."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/alarms", **({"state": "raised"} if raised else {})))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (item["id"], _state(item), item["subject_label"], item["finding"], local_time(item["changed_at"]))
        for item in items
    ]
    empty = "nothing is raised" if raised else "no alarm yet; `opencen alarm rule list` shows what is watched"
    print_table(("Id", "State", "About", "Found", "Since"), rows, empty=empty)


@app.command("show")
def show_alarm(context: typer.Context, alarm: AlarmArgument, output: OutputOption = Output.TABLE) -> None:
    """One alarm, and what could be done about it now."""
    with told(), connect(context) as client:
        item = client.get(f"/v1/alarms/{alarm}")
    if output is Output.JSON:
        print_json(item)
        return
    out.print(f"{item['subject_label']}: {item['finding']}", highlight=False, markup=False)
    out.print(f"{_state(item)} since {local_time(item['changed_at'])}", highlight=False, markup=False)
    if item["silenced"]:
        out.print(f"silenced until {local_time(item['silenced_until'])}", highlight=False)
    if item["advice"]:
        out.print(f"advice: {item['advice']}", highlight=False, markup=False)
    if item["suggestion"]:
        out.print(f"  opencen alarm apply {item['id']}", style="dim", highlight=False)


@app.command("apply")
def apply_suggestion(
    context: typer.Context,
    alarm: AlarmArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Do what the alarm suggests: raise the region connection into what the package has free."""
    with told(), connect(context) as client:
        item = client.get(f"/v1/alarms/{alarm}")
        more = item["suggestion"]
        if more is None:
            err.print(item["advice"] or "there is nothing that one request would do", highlight=False, markup=False)
            raise typer.Exit(1)
        pair = f"{more['region_a_id']} - {more['region_b_id']}"
        if not yes:
            typer.confirm(
                f"{pair}: {more['present_mbps']} -> {more['bandwidth_mbps']} Mbit/s "
                f"({more['free_mbps']} of {more['package_mbps']} are free)?",
                abort=True,
            )
        path = f"/v1/instances/{more['cen_id']}/region-connections/{more['region_a_id']}/{more['region_b_id']}"
        body = {"bandwidth_mbps": more["bandwidth_mbps"], "package_id": more["package_id"]}
        client.request("PUT", path, body=body, if_match=f'"{more["version"]}"')
    out.print(f"{pair}: {more['bandwidth_mbps']} Mbit/s", highlight=False)


@app.command("ack")
def acknowledge(context: typer.Context, alarm: AlarmArgument) -> None:
    """Say that you see to it: no more reminders until it is raised again."""
    with told(), connect(context) as client:
        item = client.post(f"/v1/alarms/{alarm}/acknowledgement")
    out.print(f"{item['id']}: {_state(item)}", highlight=False, markup=False)


@app.command("silence")
def silence(
    context: typer.Context,
    alarm: AlarmArgument,
    duration: Annotated[str, typer.Argument(help="For how long: 30m, 8h, 2d; at most 30 days.", metavar="DURATION")],
) -> None:
    """Tell nobody of it for a while; what is still so then is told then."""
    until = datetime.now(UTC) + timedelta(seconds=seconds_of(duration))
    with told(), connect(context) as client:
        item = client.request("PUT", f"/v1/alarms/{alarm}/silence", body={"until": until.isoformat()})
    out.print(f"{item['id']}: silenced until {local_time(item['silenced_until'])}", highlight=False)


@app.command("unsilence")
def unsilence(context: typer.Context, alarm: AlarmArgument) -> None:
    """Tell of it again."""
    with told(), connect(context) as client:
        client.delete(f"/v1/alarms/{alarm}/silence")
    out.print(f"{alarm}: not silenced", highlight=False)


@app.command("messages")
def list_messages(
    context: typer.Context,
    channel: Annotated[str | None, typer.Option(help="Only those to this channel (ach-…).")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """What was told in the last two weeks, and whether it arrived."""
    with told(), connect(context) as client:
        answer = client.get("/v1/alarm-messages", channel_id=channel, page_size=100)
    if output is Output.JSON:
        print_json(answer["items"])
        return
    rows = [
        (
            local_time(item["created_at"]),
            item["channel_id"],
            item["event"],
            _fate(item),
            item["text"],
        )
        for item in answer["items"]
    ]
    print_table(("At", "Channel", "Event", "Fate", "Text"), rows, empty="nothing was told in the last two weeks")


def _fate(item: dict[str, Any]) -> str:
    if item["delivered_at"]:
        return "arrived"
    if item["next_attempt_at"]:
        return f"next try {local_time(item['next_attempt_at'])}: {item['error']}" if item["error"] else "on its way"
    return f"given up: {item['error']}"
