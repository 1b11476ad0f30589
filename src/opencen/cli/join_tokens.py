"""`opencen gateway token`: what lets a host join, made, listed and revoked by an administrator."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from opencen.cli.access import connect, everything
from opencen.cli.output import Output, OutputOption, err, local_time, out, print_json, print_table, told

app = typer.Typer(no_args_is_help=True, help="Tokens that let a host join as a gateway, once each.")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def seconds(text: str) -> int:
    """`90s`, `30m`, `1h` or `7d` in seconds. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time: write it like 30m, 1h or 7d")
    return int(found[1]) * _UNITS_S[found[2]]


@app.command("create")
def create(
    context: typer.Context,
    region: Annotated[str, typer.Option(help="The region that the new gateway carries.")],
    expires: Annotated[
        str, typer.Option(help="How long a host may join with it, like 30m, 1h or 7d; at most 30d.")
    ] = "1h",
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token for one host, and show it this once, with the command to run there."""
    lifetime_s = seconds(expires)
    with told(), connect(context) as client:
        made = client.post("/v1/join-tokens", {"region_id": region, "lifetime_s": lifetime_s})
    if output is Output.JSON:
        print_json(made)
        return
    server = context.find_root().obj["server"]
    host = urlsplit(server).hostname
    url = server if host and host not in _THIS_MACHINE else "https://HOST:PORT"
    out.print(f"opencen gateway join {url} --token {made['text']}", highlight=False, markup=False)
    until = local_time(made["token"]["expires_at"])
    err.print(f"run this as root on the host that becomes the gateway of {region}, once, before {until}", style="dim")
    if url != server:
        err.print("HOST:PORT is the server's address as that host reaches it", style="dim")
    if not made["pinned"]:
        err.print(
            "the server has no certificate of its own, so the token cannot tell it from a wrong one: see "
            "`opencen tls init`",
            style="yellow",
        )


@app.command("list")
def list_tokens(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Tokens, and what became of each."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/join-tokens"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["region_id"],
            item["state"],
            item["created_by"],
            local_time(item["expires_at"]),
            item["gateway_id"],
            item["used_from"],
        )
        for item in items
    ]
    columns = ("Id", "Region", "State", "Made by", "Expires", "Gateway", "Used from")
    print_table(columns, rows, empty="no tokens; `opencen gateway token create --region REGION` makes one")


@app.command("revoke")
def revoke(
    context: typer.Context, token_id: Annotated[str, typer.Argument(help="Id (jt-…), as the list shows it.")]
) -> None:
    """Make a token that was not used yet unusable."""
    with told(), connect(context) as client:
        client.delete(f"/v1/join-tokens/{token_id.partition('.')[0]}")
    out.print(f"{token_id.partition('.')[0]} revoked", highlight=False)
