"""Where the server is and who is calling: flags, environment, or the admin.json of a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer

from opencen.client import Client, Credential

DEFAULT_SERVER = "http://127.0.0.1:8400"


def default_data() -> Path:
    """The user's data directory: where `opencen serve` keeps its data unless told otherwise."""
    return Path(platformdirs.user_data_dir("opencen"))


ServerOption = Annotated[str, typer.Option("--server", envvar="OPENCEN_SERVER", help="http://HOST:PORT or unix:/PATH.")]
KeyOption = Annotated[str | None, typer.Option("--access-key-id", envvar="OPENCEN_ACCESS_KEY_ID", help="Access key.")]
SecretOption = Annotated[
    str | None, typer.Option("--access-key-secret", envvar="OPENCEN_ACCESS_KEY_SECRET", help="Its secret.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="OPENCEN_DATA", help="A local server's data directory, whose admin.json is used."),
]


def connect(context: typer.Context) -> Client:
    """The client that the command's flags describe."""
    given: dict[str, Any] = context.find_root().obj
    return Client(given["server"], credential(given["key_id"], given["secret"], given["data"]))


def credential(key_id: str | None, secret: str | None, data: Path | None) -> Credential | None:
    """The access key given, or the administrator's of a local data directory; None when there is neither."""
    if key_id and secret:
        return Credential(key_id, secret)
    try:
        admin = json.loads(((data or default_data()) / "admin.json").read_text())
    except OSError:
        return None
    return Credential(admin["access_key_id"], admin["access_key_secret"])


def everything(client: Client, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """All items of a list, page after page."""
    page, seen = 1, 0
    while True:
        answer = client.get(path, page=page, page_size=200, **params)
        yield from answer["items"]
        seen += len(answer["items"])
        if not answer["items"] or seen >= answer["total"]:
            return
        page += 1
