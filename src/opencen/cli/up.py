"""`opencen up`: control plane, console and a lab with real traffic on this machine, in the foreground."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from opencen.cli.access import default_data
from opencen.cli.lab import print_status, until_signal
from opencen.cli.output import err, out
from opencen.cli.serving import DEFAULT_LISTEN, DatabaseOption, DataOption, InsecureOption
from opencen.client import ApiError, Client, ServerUnreachableError
from opencen.lab.errors import LabError, RequirementsError
from opencen.lab.lab import running_lab
from opencen.lab.requirements import require_lab
from opencen.lab.state import DEFAULT_NAME, default_directory

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.05


def up(
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT of API and console.")] = DEFAULT_LISTEN,
    data: DataOption = None,
    database: DatabaseOption = None,
    insecure_http: InsecureOption = False,
    lab: Annotated[bool, typer.Option(help="Also make a lab of four regions, where this machine may.")] = True,
) -> None:
    """Everything on this machine: control plane, console, and four regions with real gateways and hosts.

    Stays in the foreground; Ctrl-C ends it and removes what it made. Data is kept for the next time.
    """
    directory = (data or default_data()).absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = directory / "opencen.sock"
    argv = [sys.executable, "-m", "opencen", "serve", "--data", str(directory), "--listen", listen]
    argv += ["--listen", f"unix:{socket}"] + (["--database", database] if database else [])
    argv += ["--insecure-http"] if insecure_http else []
    with until_signal(), _running_server(argv, directory / "server.log", f"unix:{socket}") as server:
        admin = json.loads((directory / "admin.json").read_text())
        _welcome(listen, directory, admin)
        ending = threading.Event()
        threading.Thread(target=_say_when_gone, args=(server, argv, ending), daemon=True).start()
        try:
            _with_lab(f"unix:{socket}", admin) if lab else threading.Event().wait()
        finally:
            ending.set()
    out.print("stopped; the data is kept", highlight=False)


def _with_lab(server: str, admin: dict[str, str]) -> None:
    try:
        require_lab()
    except RequirementsError as error:
        err.print(f"no lab: {error}", style="yellow", highlight=False)
        err.print("control plane and console run without one; Ctrl-C ends them", highlight=False)
        threading.Event().wait()
        return
    try:
        with running_lab(server, admin["access_key_id"], admin["access_key_secret"], announce=_announce) as running:
            print_status(running.state())
            out.print(_NEXT_STEPS, highlight=False)
            threading.Event().wait()
    except (LabError, ApiError, ServerUnreachableError) as error:
        err.print(f"error the lab did not come up: {error}", style="red", highlight=False)
        raise typer.Exit(1) from error
    finally:
        shutil.rmtree(default_directory(DEFAULT_NAME), ignore_errors=True)


_NEXT_STEPS = """
Try, in another terminal:
  .venv/bin/opencen connection set lab us-west-1 cn-hangzhou 10
  .venv/bin/opencen lab traffic us-west-1 cn-hangzhou
  .venv/bin/opencen connection list
Ctrl-C removes the lab and ends the server."""


def _announce(text: str) -> None:
    out.print(text, style="dim", highlight=False)


def _welcome(listen: str, directory: Path, admin: dict[str, Any]) -> None:
    out.print(f"API and console   http://{listen}/", highlight=False)
    out.print(f"username          {admin['username']}", highlight=False, markup=False)
    out.print(f"password          {admin['password']}", highlight=False, markup=False)
    out.print(f"access key id     {admin['access_key_id']}", highlight=False, markup=False)
    out.print(f"access key secret {admin['access_key_secret']}", highlight=False, markup=False)
    out.print(f"data              {directory}", highlight=False, markup=False)


@contextmanager
def _running_server(argv: list[str], log: Path, socket: str) -> Iterator[subprocess.Popen[bytes]]:
    """`opencen serve`, once it answers; ended with the block. In a session of its own, so that Ctrl-C is ours."""
    with log.open("ab") as log_file:
        start = log_file.tell()
        server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
        )
        try:
            if not _answers(server, socket):
                err.print("error the server did not start:", style="red")
                err.print(log.read_bytes()[start:].decode("utf-8", "replace"), markup=False, highlight=False)
                raise typer.Exit(1)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answers(server: subprocess.Popen[bytes], socket: str) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with Client(socket) as client:
                client.get("/readyz")
        except (ServerUnreachableError, ApiError):
            time.sleep(_POLL_S)
        else:
            return True
    return False


def _say_when_gone(server: subprocess.Popen[bytes], argv: list[str], ending: threading.Event) -> None:
    code = server.wait()
    if ending.is_set():
        return
    command = " ".join(["opencen", *argv[3:]])
    err.print(
        f"the control plane ended (exit code {code}); gateways keep their limits. Start it again with:\n  {command}",
        style="yellow",
        highlight=False,
        soft_wrap=True,
    )
