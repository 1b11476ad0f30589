"""`opencen alarm rule` and `opencen alarm channel`: what is watched, and where it is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.durations import seconds_of, span_of
from opencen.cli.instances import find_instance
from opencen.cli.output import Output, OutputOption, out, print_json, print_table, told
from opencen.cli.packages import find_package

rules_app = typer.Typer(no_args_is_help=True, help="What is watched: thresholds, for how long, and who is told.")
channels_app = typer.Typer(no_args_is_help=True, help="Where alarms are told: webhooks (also Slack) and mail.")

RuleArgument = Annotated[str, typer.Argument(help="Id (alr-…), see `opencen alarm rule list`.", metavar="RULE")]
ChannelArgument = Annotated[
    str, typer.Argument(help="Id (ach-…), see `opencen alarm channel list`.", metavar="CHANNEL")
]
ChannelsOption = Annotated[list[str] | None, typer.Option("--channel", help="Who is told (ach-…); may repeat.")]
RaiseOption = Annotated[float | None, typer.Option("--raise-at", help="Raised when at least this, in its unit.")]
RaiseForOption = Annotated[str | None, typer.Option("--raise-for", help="For so long without a break, such as 5m.")]
ClearOption = Annotated[float | None, typer.Option("--clear-at", help="Cleared when below this; at most --raise-at.")]
ClearForOption = Annotated[str | None, typer.Option("--clear-for", help="For so long, such as 5m.")]
RemindOption = Annotated[
    str | None, typer.Option("--remind-every", help="Tell again until somebody acknowledges, such as 4h; 0: never.")
]
_UNITS = {"percent": "%", "packets_per_minute": "packets/min", "days": "days", "seconds": "s", "repairs": "repairs"}


class Kind(StrEnum):
    CONNECTION_USE = "connection_use"
    CONNECTION_DROPS = "connection_drops"
    PACKAGE_USE = "package_use"
    PACKAGE_EXPIRY = "package_expiry"
    GATEWAY_GONE = "gateway_gone"
    GATEWAY_DRIFT = "gateway_drift"


def _condition(
    raise_at: float | None, raise_for: str | None, clear_at: float | None, clear_for: str | None, remind: str | None
) -> dict[str, Any]:
    given = {
        "raise_at": raise_at,
        "raise_for_s": seconds_of(raise_for) if raise_for else None,
        "clear_at": clear_at,
        "clear_for_s": seconds_of(clear_for) if clear_for else None,
        "remind_every_s": seconds_of(remind) if remind else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _watches(item: dict[str, Any]) -> str:
    if item["region_a_id"]:
        return f"{item['cen_id']}: {item['region_a_id']} - {item['region_b_id']}"
    return item["package_id"] or item["cen_id"] or "everything"


@rules_app.command("list")
def list_rules(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """What is watched."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/alarm-rules"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["name"],
            item["kind"],
            _watches(item),
            f"{item['raise_at']:g} {_UNITS[item['unit']]} for {span_of(item['raise_for_s'])}",
            f"{item['clear_at']:g} {_UNITS[item['unit']]} for {span_of(item['clear_for_s'])}",
            ", ".join(item["channel_ids"]),
        )
        for item in items
    ]
    columns = ("Id", "Name", "Kind", "Watches", "Raised from", "Cleared below", "Told to")
    print_table(
        columns, rows, empty="nothing is watched; `opencen alarm rule add connection_use` watches all connections"
    )


@rules_app.command("add")
def add_rule(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="What to watch for.")],
    instance: Annotated[str | None, typer.Option(help="Only this CEN instance (id or name).")] = None,
    pair: Annotated[
        tuple[str, str] | None, typer.Option(help="Only the connection of these two regions of --instance.")
    ] = None,
    package: Annotated[str | None, typer.Option(help="Only this package (id or name).")] = None,
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    channel: ChannelsOption = None,
    raise_at: RaiseOption = None,
    raise_for: RaiseForOption = None,
    clear_at: ClearOption = None,
    clear_for: ClearForOption = None,
    remind_every: RemindOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Watch a connection, a package, an instance, or (without these options) everything of the account.

    connection_use and package_use are in percent of what is set, the busier direction; connection_drops in packets a
    minute; package_expiry in days that are left (one threshold); gateway_gone in seconds of silence; gateway_drift in
    repairs. What is not given is the usual: 80 % for 5 minutes, cleared below 70 % for 5 minutes.
    """
    body: dict[str, Any] = {"kind": kind.value, "name": name, "channel_ids": channel or []}
    body |= _condition(raise_at, raise_for, clear_at, clear_for, None)
    if remind_every:
        body["remind_every_s"] = seconds_of(remind_every) or None
    with told(), connect(context) as client:
        if instance:
            body["cen_id"] = find_instance(client, instance)["id"]
        if pair:
            body["region_a_id"], body["region_b_id"] = pair
        if package:
            body["package_id"] = find_package(client, package)["id"]
        item = client.post("/v1/alarm-rules", body)
    print_json(item) if output is Output.JSON else typer.echo(item["id"])


@rules_app.command("change")
def change_rule(
    context: typer.Context,
    rule: RuleArgument,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    channel: ChannelsOption = None,
    raise_at: RaiseOption = None,
    raise_for: RaiseForOption = None,
    clear_at: ClearOption = None,
    clear_for: ClearForOption = None,
    remind_every: RemindOption = None,
) -> None:
    """Other thresholds, channels or name; what is not given stays."""
    body = _condition(raise_at, raise_for, clear_at, clear_for, remind_every)
    if name is not None:
        body["name"] = name
    if channel is not None:
        body["channel_ids"] = channel
    with told(), connect(context) as client:
        version = client.get(f"/v1/alarm-rules/{rule}")["version"]
        client.request("PATCH", f"/v1/alarm-rules/{rule}", body=body, if_match=f'"{version}"')
    out.print(f"{rule} changed", highlight=False)


@rules_app.command("delete")
def delete_rule(context: typer.Context, rule: RuleArgument) -> None:
    """Watch it no more; whoever was told of one of its alarms is told so."""
    with told(), connect(context) as client:
        client.delete(f"/v1/alarm-rules/{rule}")
    out.print(f"{rule} deleted", highlight=False)


@channels_app.command("list")
def list_channels(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Where alarms are told."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/alarm-channels"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [(item["id"], item["name"], item["kind"], item["url"] or ", ".join(item["recipients"])) for item in items]
    empty = "none yet; `opencen alarm channel add-webhook URL` or `opencen alarm channel add-email ADDRESS`"
    print_table(("Id", "Name", "Kind", "To"), rows, empty=empty)


@channels_app.command("add-webhook")
def add_webhook(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="https://…, such as a Slack incoming webhook.", metavar="URL")],
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell a URL; prints the secret that signs the messages, this once."""
    with told(), connect(context) as client:
        made = client.post("/v1/alarm-channels", {"kind": "webhook", "url": url, "name": name})
    if output is Output.JSON:
        print_json(made)
        return
    out.print(f"{made['channel']['id']}\nsecret {made['secret']}", highlight=False, markup=False)


@channels_app.command("add-email")
def add_email(
    context: typer.Context,
    recipients: Annotated[list[str], typer.Argument(help="Mail addresses.", metavar="ADDRESS…")],
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell mail addresses; the server's operator must have given it a mail server."""
    with told(), connect(context) as client:
        made = client.post("/v1/alarm-channels", {"kind": "email", "recipients": recipients, "name": name})
    print_json(made) if output is Output.JSON else typer.echo(made["channel"]["id"])


@channels_app.command("test")
def test_channel(context: typer.Context, channel: ChannelArgument) -> None:
    """Send a message that says that messages arrive; `opencen alarm messages` says how it went."""
    with told(), connect(context) as client:
        client.post(f"/v1/alarm-channels/{channel}/test")
    out.print("on its way; see `opencen alarm messages`", highlight=False)


@channels_app.command("delete")
def delete_channel(context: typer.Context, channel: ChannelArgument) -> None:
    """Tell nothing there any more."""
    with told(), connect(context) as client:
        client.delete(f"/v1/alarm-channels/{channel}")
    out.print(f"{channel} deleted", highlight=False)
