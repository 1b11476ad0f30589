"""Letting a host join as a gateway: the command to run there, shown once, and the tokens that are still open."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from opencen.console.backend import Json
from opencen.console.cells import act, line, text
from opencen.console.dialogs import FormDialog
from opencen.console.formats import NOTHING
from opencen.console.frame import Visit
from opencen.console.listing import LiveTable
from opencen.console.live import Question
from opencen.console.pages.networks import region_cell, region_options
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Listed, Row, Text

_EVERY_S = 5.0
_LIFETIMES_S = (3600, 86_400, 604_800)


def server_address(visit: Visit) -> str:
    """Where the viewer reaches the control plane: most likely where the new gateway's host does too."""
    backend = visit.console.backend
    return str(visit.request.base_url).rstrip("/") if backend.app is not None else backend.server


def is_elsewhere_useful(server: str) -> bool:
    """Whether an address means the same machine on another host too."""
    host = server.partition("://")[2].rpartition(":")[0] or server.partition("://")[2]
    try:
        return not ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host != "localhost"


def add_gateway(visit: Visit) -> None:
    """The dialog that makes a token and shows the command, once."""
    texts = visit.texts

    async def action() -> None:
        body = {"region_id": region.value, "lifetime_s": int(lifetime.value)}
        show_command(visit, await visit.rest.send("POST", "/v1/join-tokens", body))

    dialog = FormDialog(texts, texts("joining.add"), texts("joining.add.submit"), action)
    options = region_options(visit)
    lifetimes = [(str(lifetime_s), texts(f"joining.lifetime.{lifetime_s}")) for lifetime_s in _LIFETIMES_S]
    with dialog.form:
        region = Field(
            "region_id", texts("region"), kind="select", options=options, value=options[0][0], autofocus=True
        )
        lifetime = Field(
            "lifetime_s", texts("joining.lifetime"), kind="select", options=lifetimes, value=lifetimes[0][0]
        )
    dialog.add(region, lifetime)
    dialog.open()


def show_command(visit: Visit, made: Json) -> None:
    """What to run on the host; the token in it is shown this once."""
    texts, server = visit.texts, server_address(visit)
    useful = is_elsewhere_useful(server)

    async def done() -> None:
        return None

    dialog = FormDialog(texts, texts("joining.command"), texts("joining.command.kept"), done)
    with dialog.form:
        until, region = visit.time(made["token"]["expires_at"]), visit.region(made["token"]["region_id"])
        Text("p", texts("joining.command.text", region=region, until=until), "oc-wrap")
        Text(
            "div",
            f"opencen gateway join {server if useful else 'https://HOST:PORT'} --token {made['text']}",
            "oc-secret",
        )
        if not useful:
            Text("p", texts("joining.command.address"), "oc-wrap")
        if not made["pinned"]:
            Text("p", texts("joining.command.no_tls"), "oc-wrap")
    dialog.open()


def columns(texts: Texts) -> Sequence[Row]:
    return (
        {"k": "token", "t": texts("joining.token")},
        {"k": "region", "t": texts("region")},
        {"k": "by", "t": texts("joining.by")},
        {"k": "until", "t": texts("joining.until")},
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


def rows(visit: Visit, answer: Json) -> Listed:
    """The tokens with which a host can still join."""
    still_open = [item for item in answer["items"] if item["state"] == "open"]
    return Listed([{"id": item["id"], "cells": _cells(visit, item)} for item in still_open], None, answer)


def _cells(visit: Visit, token: Json) -> Row:
    texts = visit.texts
    revoke = act("revoke", texts("joining.revoke"), texts("joining.revoke.label", token=token["id"]), danger=True)
    return {
        "token": [line(text(token["id"], "oc-mono"))],
        "region": region_cell(visit, token["region_id"]),
        "by": [line(text(token["created_by"] or NOTHING))],
        "until": [line(text(visit.time(token["expires_at"])))],
        "actions": [line(revoke)],
    }


async def build_tokens(visit: Visit) -> None:
    """The table of open tokens, for administrators."""
    texts = visit.texts

    async def on_act(_: str, token_id: str) -> None:
        async def action() -> None:
            await visit.rest.send("DELETE", f"/v1/join-tokens/{token_id}")
            await table.start()

        await visit.attempt(action)

    Text("h2", texts("joining.open")).style("margin: 24px 0 8px")
    table = LiveTable(
        visit,
        key="join-tokens",
        columns=columns(texts),
        caption=texts("joining.open"),
        empty=texts("joining.none"),
        question=lambda _: Question.of("/v1/join-tokens", every_s=_EVERY_S),
        rows=lambda answer: rows(visit, answer),
        on_act=on_act,
    )
    await table.start()
