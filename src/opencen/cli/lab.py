"""`opencen lab`: several regions on this machine, with real gateways and real traffic."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from opencen.cli.access import DEFAULT_SERVER, credential
from opencen.cli.output import Output, OutputOption, err, print_json, print_table, rate, told
from opencen.client import Credential
from opencen.lab.errors import LabError
from opencen.lab.lab import Lab, TrafficResult, running_lab
from opencen.lab.lifecycle import tear_down
from opencen.lab.processes import end_records, is_alive, start_background
from opencen.lab.requirements import require_lab
from opencen.lab.state import DEFAULT_NAME, Access, LabDirectory, LabState, default_directory
from opencen.lab.topology import load_topology

app = typer.Typer(
    no_args_is_help=True,
    help="Several regions on this machine: network namespaces, real gateways, hosts with real traffic. Needs root.",
)
gateway_app = typer.Typer(no_args_is_help=True, help="End and start the agent of one region's gateway.")
app.add_typer(gateway_app, name="gateway")
_DETACH_TIMEOUT_S = 60.0
_POLL_S = 0.05
_NOT_UP = 3


class Protocol(StrEnum):
    TCP = "tcp"
    UDP = "udp"


NameOption = Annotated[str, typer.Option("--name", help="The lab's name; several labs can be up at once.")]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", help="The lab's directory. Default: /run/opencen-lab-NAME.")
]
RegionArgument = Annotated[str, typer.Argument(metavar="REGION", help="A region of the lab, such as us-west-1.")]


@contextmanager
def _told() -> Iterator[None]:
    """Errors as one message and exit code 1."""
    try:
        with told():
            yield
    except LabError as error:
        err.print(f"error {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _directory(name: str, directory: Path | None) -> LabDirectory:
    return LabDirectory(directory.absolute() if directory else default_directory(name))


def _access(
    context: typer.Context, server: str | None, key_id: str | None, secret: str | None, data: Path | None
) -> Access:
    """The command's own flags, or those given to `opencen` itself, its environment, or a local admin.json."""
    shared: dict[str, Any] = context.find_root().obj or {}
    key: Credential | None = credential(
        key_id or shared.get("key_id"), secret or shared.get("secret"), data or shared.get("data")
    )
    if key is None:
        raise LabError("no access key: give --data DIR with the server's admin.json, or --access-key-id and its secret")
    address = server or shared.get("server") or DEFAULT_SERVER
    return Access(server=address, access_key_id=key.identifier, access_key_secret=key.secret)


@app.command()
def up(
    context: typer.Context,
    topology: Annotated[
        Path | None, typer.Option("--topology", help="TOML file. Default: four regions in China and North America.")
    ] = None,
    name: NameOption = DEFAULT_NAME,
    directory: DirectoryOption = None,
    server: Annotated[str | None, typer.Option("--server", help="http://HOST:PORT or unix:/PATH.")] = None,
    access_key_id: Annotated[str | None, typer.Option("--access-key-id", help="Access key.")] = None,
    access_key_secret: Annotated[str | None, typer.Option("--access-key-secret", help="Its secret.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="A local server's data directory, whose admin.json is used.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the lab is up; end it with `down`.")] = False,
) -> None:
    """Make a lab and keep it until Ctrl-C, which removes everything again.

    Makes the networks, the CEN instance and the bandwidth package that the topology names, one gateway per region
    and one host per network. A network made later in a region of the lab, over any API, gets a host too.
    """
    with _told():
        require_lab()
        plan = load_topology(topology)
        access = _access(context, server, access_key_id, access_key_secret, data)
        if detach:
            _detach(_directory(name, directory), name, topology, access)
            return
        with (
            until_signal(),
            running_lab(
                access.server,
                access.access_key_id,
                access.access_key_secret,
                topology=plan,
                name=name,
                directory=_directory(name, directory).path,
                announce=typer.echo,
            ) as lab,
        ):
            print_status(lab.state())
            typer.echo("the lab is up; Ctrl-C removes it")
            threading.Event().wait()
        typer.echo("the lab is removed")


@contextmanager
def until_signal() -> Iterator[None]:
    """The block ends at Ctrl-C, `down` or the end of the terminal. Later signals do not disturb what it cleans up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, stop)
    with contextlib.suppress(KeyboardInterrupt):
        yield


def _detach(directory: LabDirectory, name: str, topology: Path | None, access: Access) -> None:
    directory.make()
    argv = [sys.executable, "-m", "opencen", "lab", "up", "--name", name, "--directory", str(directory.path)]
    argv += ["--topology", str(topology.absolute())] if topology else []
    environment = {
        **os.environ,
        "OPENCEN_SERVER": access.server,
        "OPENCEN_ACCESS_KEY_ID": access.access_key_id,
        "OPENCEN_ACCESS_KEY_SECRET": access.access_key_secret,
    }
    log_start = directory.keeper_log.stat().st_size if directory.keeper_log.exists() else 0
    keeper = start_background(argv, directory.keeper_log, environment)
    deadline = time.monotonic() + _DETACH_TIMEOUT_S
    while is_alive(keeper) and time.monotonic() < deadline:
        state = directory.find()
        if state and state.ready and state.keeper == keeper:
            print_status(state)
            typer.echo(f"the lab is up, kept by {keeper.pid}; remove it: opencen lab down; log: {directory.keeper_log}")
            return
        time.sleep(_POLL_S)
    end_records([keeper])
    raise LabError(
        f"the lab did not come up:\n{directory.keeper_log.read_bytes()[log_start:].decode('utf-8', 'replace')}"
    )


@app.command()
def down(name: NameOption = DEFAULT_NAME, directory: DirectoryOption = None) -> None:
    """Remove a lab: its processes, namespaces and files, also after a crash."""
    with _told():
        removed = tear_down(_directory(name, directory))
        typer.echo("the lab is removed" if removed else f"no lab {name} is up: nothing to remove")


@app.command()
def status(
    name: NameOption = DEFAULT_NAME, directory: DirectoryOption = None, output: OutputOption = Output.TABLE
) -> None:
    """What is there: regions and their gateways, hosts and their networks. Exit code 3 when no lab is up."""
    with _told():
        state = _directory(name, directory).find()
        if state is None:
            if output is Output.JSON:
                print_json({"name": name, "up": False})
            else:
                typer.echo(f"no lab {name} is up")
            raise typer.Exit(_NOT_UP)
        if output is Output.JSON:
            print_json(status_json(state))
        else:
            print_status(state)


def status_json(state: LabState) -> dict[str, Any]:
    """A lab for programs."""
    return {
        "name": state.name,
        "up": state.is_up and state.ready,
        "server": state.server,
        "keeper_pid": state.keeper.pid if state.keeper and state.is_up else None,
        "regions": [
            {
                "region_id": gateway.region_id,
                "name": gateway.region_name,
                "gateway_id": gateway.gateway_id,
                "pid": gateway.process.pid if gateway.process else None,
                "alive": is_alive(gateway.process),
                "stopped": not gateway.wanted,
                "starts": gateway.starts,
                "endpoint": gateway.endpoint,
                "namespace": gateway.namespace,
            }
            for gateway in state.gateways
        ],
        "hosts": [
            {
                "name": host.name,
                "region_id": host.region_id,
                "address": str(host.address.ip),
                "network_id": host.network_id,
                "network_name": host.network_name,
                "namespace": host.namespace,
                "link": {"host_interface": "eth0", "gateway_interface": host.interface},
            }
            for host in state.hosts
        ],
        "not_carried": [item.model_dump() for item in state.uncarried],
    }


def print_status(state: LabState) -> None:
    gateways = []
    for gateway in state.gateways:
        alive = is_alive(gateway.process)
        agent = "running" if alive else "ended" if gateway.wanted else "stopped"
        pid = gateway.process.pid if gateway.process and alive else None
        gateways.append([gateway.region_id, gateway.region_name, gateway.gateway_id, agent, pid, gateway.endpoint])
    print_table(["Region", "Name", "Gateway", "Agent", "Pid", "Underlay"], gateways, empty="no gateways yet")
    typer.echo()
    hosts = [[host.name, host.address.ip, host.network_name, host.network_id] for host in state.hosts]
    print_table(["Host", "Address", "Network", "Network id"], hosts, empty="no hosts yet")
    for item in state.uncarried:
        typer.echo(f"no host for network {item.network_name} ({item.network_id}): {item.reason}")
    if not state.is_up:
        typer.echo("its keeper has ended: remove what is left with `opencen lab down`")


@app.command(
    "exec", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True}, no_args_is_help=True
)
def exec_(
    host: Annotated[str, typer.Argument(help="A host (host-us-west-1), or a region for its first host.")],
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    name: NameOption = DEFAULT_NAME,
    directory: DirectoryOption = None,
) -> None:
    """Run a command on a host: opencen lab exec host-us-west-1 -- ping -c 3 10.2.0.10

    Input, output and exit code are the command's own.
    """
    with _told():
        namespace = _directory(name, directory).read().host(host).namespace
    argv = command[1:] if command[0] == "--" else command
    os.execvp("ip", ["ip", "netns", "exec", namespace, *argv])  # noqa: S606  # nosec B606  a shell would read it anew


@app.command()
def traffic(
    source: Annotated[str, typer.Argument(metavar="A", help="The sender: a region or a host.")],
    sink: Annotated[str, typer.Argument(metavar="B", help="The receiver: a region or a host.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=600, help="Measured time, after 2 s of warm-up.")
    ] = 10,
    protocol: Annotated[Protocol, typer.Option("--protocol")] = Protocol.TCP,
    length: Annotated[
        int | None,
        typer.Option("--length", min=16, max=65507, help="Bytes of payload in a UDP datagram or a TCP write."),
    ] = None,
    name: NameOption = DEFAULT_NAME,
    directory: DirectoryOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send from A to B without pacing, and compare what arrives with what is set.

    The measured rate is that of IP packets from A at B's interface. Ctrl-C ends the transfer.
    """
    with _told():
        lab = Lab(_directory(name, directory))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        result = lab.traffic(source, sink, seconds=seconds, transport=protocol.value, length=length)
        if output is Output.JSON:
            print_json(result.as_json())
        else:
            _print_traffic(result)


def _print_traffic(result: TrafficResult) -> None:
    share = f"{100 * result.measured_bps / result.set_bps:.2f} %" if result.set_bps else None
    print_table(
        ["From", "To", "Protocol", "Set", "Measured", "Measured / set", "Over"],
        [
            [
                result.source.name,
                result.sink.name,
                result.transport,
                rate(result.set_bps) or "no limit",
                rate(result.measured_bps),
                share,
                f"{result.measurement.seconds:.1f} s",
            ]
        ],
        empty="",
    )


@gateway_app.command("stop")
def gateway_stop(region: RegionArgument, name: NameOption = DEFAULT_NAME, directory: DirectoryOption = None) -> None:
    """End a region's agent. Its kernel goes on as it is; the lab does not start the agent again."""
    with _told():
        Lab(_directory(name, directory)).stop_gateway(region)
        typer.echo(f"the agent of {region} is stopped; start it: opencen lab gateway start {region}")


@gateway_app.command("start")
def gateway_start(region: RegionArgument, name: NameOption = DEFAULT_NAME, directory: DirectoryOption = None) -> None:
    """Start a region's agent again."""
    with _told():
        lab = Lab(_directory(name, directory))
        lab.start_gateway(region)
        typer.echo(f"the agent of {region} runs as process {lab.gateway_pids().get(region)}")
