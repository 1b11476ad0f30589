"""`opencen gateway`: run the agent on a gateway, look at its kernel, remove what it made."""

from __future__ import annotations

import asyncio
import fcntl
import json
import resource
import signal
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from opencen.client import AsyncClient, Client
from opencen.gateway import exposition, joining, keys, service, shaping, statefile
from opencen.gateway.agent import Agent
from opencen.gateway.config import DEFAULT_FILE, ConfigError, GatewayConfig, load
from opencen.gateway.credential import CredentialError, FileAuth
from opencen.gateway.credential import rotate as rotate_in_file
from opencen.gateway.follow import ANSWER_TIMEOUT_S, BEAT_TIMEOUT_S, WAIT_S, HttpControlPlane
from opencen.gateway.host_identity import host_id
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.counters import CounterReader
from opencen.gateway.kernel.model import Counters
from opencen.gateway.kernel.netlink import NetlinkKernel
from opencen.gateway.keys import KeyStore
from opencen.gateway.meters import in_all
from opencen.gateway.plan import namespace_name, namespace_prefix, tunnel_name
from opencen.gateway.probe import MissingCapabilityError, probe
from opencen.gateway.readiness import findings, is_able, membership, server_finding
from opencen.gateway.usage.metering import Metering
from opencen.logs import configure_logging
from opencen.tls import TlsError
from opencen.wire.gateway import Capabilities, GatewayState

app = typer.Typer(
    name="gateway",
    help="The agent on a gateway host: it carries a region's networks and enforces the bandwidth that is set.",
    no_args_is_help=True,
)

_EXAMPLE = """The configuration file, in TOML; `opencen gateway join` writes it:

    server = "https://192.0.2.10:8400"      # or "unix:/run/opencen.sock"

    server_authority_file = "/etc/opencen/server-authority.pem"   # no other certificate is trusted

    credential_file = "/var/lib/opencen-gateway/credential"       # one line gw-…:secret, mode 0600

    endpoint = "192.0.2.1"                  # the underlay address at which peers reach this gateway

    local_address = "10.0.0.5"              # optional: its own address, when NAT leads from endpoint to it

    behind_nat = true                       # optional: nothing leads to it, so it calls its peers (WireGuard only)

    wireguard_port = 51820                  # optional: the first UDP port of encrypted links

    state_dir = "/var/lib/opencen-gateway"

    metrics_listen = "127.0.0.1:9410"       # optional: /metrics for Prometheus

    [[networks]]

    network = "vpc-…"                       # id or name

    interface = "lan0"                      # the interface that its hosts are behind

    address = "10.1.0.1/24"                 # this gateway's address there
"""

USAGE = "usage"
"""The folder, in the state directory, of what was metered and not yet taken."""
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The gateway's TOML file.")]
Output = Annotated[str, typer.Option("--output", "-o", help="table or json")]


def stop(message: str) -> typer.Exit:
    typer.echo(f"opencen gateway: {message}", err=True)
    return typer.Exit(1)


def load_config(path: Path, **overrides: str | None) -> GatewayConfig:
    try:
        return load(path, overrides)
    except ConfigError as error:
        raise stop(str(error)) from error


def _probed() -> Capabilities:
    try:
        return probe()
    except MissingCapabilityError as error:
        raise stop(str(error)) from error


def _kernel(config: GatewayConfig, keys: KeyStore | None = None) -> NetlinkKernel:
    prefix, address = namespace_prefix(config.gateway_id), config.underlay_address
    try:
        if keys is None:
            return NetlinkKernel(prefix, address, config.underlay_namespace)
        return NetlinkKernel(prefix, address, config.underlay_namespace, keys.private_key)
    except OSError as error:
        raise stop(f"the kernel cannot be asked ({error}); are you root?") from error


@contextmanager
def only_agent(config: GatewayConfig) -> Iterator[None]:
    """Holds the state directory, so that no second agent works on the same kernel objects."""
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True)
        lock = (config.state_dir / "agent.lock").open("w")
    except OSError as error:
        raise stop(f"state_dir {config.state_dir}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise stop(f"an agent is running with state_dir {config.state_dir}; stop it first") from error
        yield


@app.command(epilog=_EXAMPLE)
def run(
    config: ConfigFile = DEFAULT_FILE,
    server: Annotated[str | None, typer.Option(help="Instead of the file's server.")] = None,
    credential_file: Annotated[str | None, typer.Option(help="Instead of the file's credential_file.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Instead of the file's endpoint.")] = None,
    state_dir: Annotated[str | None, typer.Option(help="Instead of the file's state_dir.")] = None,
    metrics_listen: Annotated[
        str | None, typer.Option(help="Answer Prometheus here, without credentials, like 127.0.0.1:9410.")
    ] = None,
) -> None:
    """Run the agent in the foreground. SIGHUP reads the file's networks again.

    SIGTERM and Ctrl-C stop the agent and leave the kernel as it is: traffic goes on at the rates that are set.
    To remove everything, stop it and run `opencen gateway purge`.
    """
    overrides = {
        "server": server,
        "credential_file": credential_file,
        "endpoint": endpoint,
        "state_dir": state_dir,
        "metrics_listen": metrics_listen,
    }
    loaded = load_config(config, **overrides)
    configure_logging()
    with only_agent(loaded):
        asyncio.run(_run(config, loaded, _probed(), overrides))


@contextmanager
def _metrics_served(agent: Agent, config: GatewayConfig) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            port = stack.enter_context(exposition.served(agent.metrics, config.metrics_listen))
        except OSError as error:
            raise stop(f"metrics_listen {config.metrics_listen}: {error.strerror or error}") from error
        if port is not None:
            structlog.get_logger().info("answers Prometheus", port=port)
        yield


def _control_plane(config: GatewayConfig) -> HttpControlPlane:
    try:
        auth, authority = FileAuth(config.credential_file), config.server_authority_file
        poll = AsyncClient(config.server, timeout_s=WAIT_S + ANSWER_TIMEOUT_S, auth=auth, authority_file=authority)
        ask = AsyncClient(config.server, timeout_s=ANSWER_TIMEOUT_S, auth=auth, authority_file=authority)
        beat = AsyncClient(config.server, timeout_s=BEAT_TIMEOUT_S, auth=auth, authority_file=authority)
        identity = host_id(config.state_dir)
    except OSError as error:
        raise stop(f"state_dir {config.state_dir}: {error.strerror}") from error
    except (CredentialError, TlsError) as error:
        raise stop(str(error)) from error
    return HttpControlPlane(poll, ask, beat, identity)


def rotate(config: GatewayConfig) -> None:
    """Give this gateway a new credential. Raises what `credential.rotate` raises."""
    rotate_in_file(
        config.credential_file,
        lambda auth: Client(config.server, auth=auth, authority_file=config.server_authority_file),
    )


async def _run(path: Path, config: GatewayConfig, capabilities: Capabilities, overrides: dict[str, str | None]) -> None:
    control_plane = _control_plane(config)
    keys = KeyStore(config.state_dir, capabilities.max_encrypted_links, config.wireguard_port)
    kernel = _kernel(config, keys)
    log = structlog.get_logger()
    site = config.site(capabilities)
    agent = Agent(site, capabilities, kernel, control_plane, config.state_dir, keys, rotate=lambda: rotate(config))
    metering = _metering(config, agent, control_plane)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        try:
            site = load(path, overrides).site(capabilities)
        except ConfigError as error:
            log.error("configuration not used, the old one stays", reason=str(error))  # noqa: TRY400
            return
        task = asyncio.create_task(agent.redeclare(site))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    log.info("started", gateway=config.gateway_id, server=config.server, **capabilities.model_dump())
    try:
        with _metrics_served(agent, config):
            await _until_either_ends(stop, agent.run(stop), metering.run(stop))
    finally:
        await control_plane.aclose()
        kernel.close()


def _metering(config: GatewayConfig, agent: Agent, control_plane: HttpControlPlane) -> Metering:
    """The meters beside the agent: they read the kernel on sockets of their own, one for each namespace."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    metering = Metering(
        config.gateway_id,
        CounterReader(namespace_prefix(config.gateway_id)),
        control_plane,
        config.state_dir / USAGE,
        state=lambda: agent.state,
        live=lambda: agent.watched,
    )
    agent.on_trimmed(metering.trimmed)
    agent.metrics.registry.register(exposition.SpoolMetrics(metering.spool))
    return metering


async def _until_either_ends(stop: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """All of them; one that fails stops the others."""
    tasks = [asyncio.create_task(work) for work in works]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


@app.command("probe")
def probe_command(output: Output = "table") -> None:
    """Tell what this host's kernel can do for a gateway."""
    capabilities = _probed()
    if output == "json":
        typer.echo(capabilities.model_dump_json(indent=2))
        return
    table = Table("capability", "found")
    for name, value in capabilities.model_dump().items():
        table.add_row(name, value)
    Console().print(table)


@app.command()
def check(
    server: Annotated[
        str | None, typer.Option(help="Also tell whether this control plane can be joined: https://HOST:PORT.")
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    output: Output = "table",
) -> None:
    """Tell whether this host can be a gateway, what is missing, and the command that gets it.

    Run it before `opencen gateway join`. Needs no configuration, and changes nothing. Exit status 1: something is
    missing that a gateway cannot do without.
    """
    gateway_id = load_config(config).gateway_id if config.exists() else None
    try:
        found = findings(probe())
    except MissingCapabilityError as error:
        found = findings(error)
    found += membership(gateway_id, systemd=service.is_here())
    if server is not None:
        found.append(server_finding(server, trouble=joining.trouble_with(server)))
    if output == "json":
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        for finding in found:
            typer.echo(f"{finding.verdict:<16} {finding.subject}: {finding.found}")
            if finding.remedy:
                typer.echo(f"{'':<16} get it: {finding.remedy}")
        if is_able(found) and gateway_id is None:
            typer.echo(
                "\nThis host can be a gateway. An operator makes a token (console: Gateways, Add gateway; or: opencen "
                "gateway token create --region REGION); then run here: opencen gateway join URL --token TOKEN"
            )
    if not is_able(found):
        raise typer.Exit(1)


@app.command()
def status(config: ConfigFile = DEFAULT_FILE, output: Output = "table") -> None:
    """Show what the kernel has for each link, beside what the control plane last asked for."""
    loaded = load_config(config)
    kernel = _kernel(loaded)
    try:
        rows = _status_rows(kernel, loaded.gateway_id, _saved(loaded))
    finally:
        kernel.close()
    if output == "json":
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(
        "CEN instance", "link", "set bit/s", "in kernel bit/s", "sent bytes", "dropped packets", "queued bytes"
    )
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console().print(table)


def _saved(config: GatewayConfig) -> GatewayState | None:
    try:
        return statefile.load(config.state_dir, config.gateway_id)
    except statefile.CorruptStateError as error:
        typer.echo(f"opencen gateway: the saved state cannot be used: {error}", err=True)
        return None


def _status_rows(kernel: NetlinkKernel, gateway_id: str, saved: GatewayState | None) -> list[dict[str, Any]]:
    set_bps: dict[tuple[str, str], int] = {}
    for instance in saved.instances if saved else []:
        name = namespace_name(gateway_id, instance.cen_id)
        set_bps |= {(name, tunnel_name(link.peer_region_id)): link.rate_bps for link in instance.links}
    there = {
        (name, device): tunnel
        for name, namespace in kernel.read().namespaces.items()
        for device, tunnel in namespace.tunnels.items()
    }
    rows = []
    for name, device in sorted(set_bps.keys() | there.keys()):
        tunnel = there.get((name, device))
        counters = in_all(tunnel.counters) if tunnel else Counters()
        rows.append(
            {
                "cen_id": name.removeprefix(f"{gateway_id}-"),
                "link": device,
                "set_bps": set_bps.get((name, device)),
                "in_kernel_bps": shaping.rate_in(tunnel.tunnel.tree) if tunnel else None,
                "sent_bytes": counters.sent_bytes,
                "dropped_packets": counters.dropped_packets,
                "queued_bytes": counters.queued_bytes,
            }
        )
    return rows


@app.command("accept-revision")
def accept_revision(
    revision: Annotated[int, typer.Argument(help="The control plane's revision, as the agent's log names it.", min=0)],
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Let the control plane go back, once, to REVISION or later: it was restored from an older copy on purpose.

    Until then the agent keeps what it holds and says "revision went backwards: not applied". It obeys within seconds.
    """
    loaded = load_config(config)
    saved = _saved(loaded)
    if saved is None:
        raise stop(f"nothing is saved in {loaded.state_dir}: a restarted agent takes what the control plane has")
    if revision >= saved.revision and not statefile.diverges(loaded.state_dir):
        raise stop(f"revision {revision} is not older than {saved.revision}, which is held: nothing to accept")
    try:
        statefile.accept(loaded.state_dir, statefile.Acceptance(revision, instead_of=saved.revision))
    except OSError as error:
        raise stop(f"state_dir {loaded.state_dir}: {error.strerror}") from error
    typer.echo(f"accepted: revision {revision} or later in place of {saved.revision}")


@app.command()
def purge(
    config: ConfigFile = DEFAULT_FILE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove everything that this gateway made from the kernel, give interfaces back, and forget the saved state.

    Cross-region traffic of this gateway stops. Refused while its agent runs. It is still a gateway: started again, it
    makes everything anew. To end that, run `opencen gateway leave`.
    """
    loaded = load_config(config)
    if not yes:
        typer.confirm(f"Cross-region traffic through {loaded.gateway_id} stops. Purge?", abort=True)
    with only_agent(loaded):
        removed = purge_kernel(loaded)
        forget_state(loaded)
    typer.echo(f"removed {removed} namespace{'s' if removed != 1 else ''}")


def forget_state(config: GatewayConfig) -> None:
    """What the agent keeps for its next start, and the keys of its links."""
    statefile.remove(config.state_dir)
    statefile.forget_acceptance(config.state_dir)
    keys.forget(config.state_dir)


def purge_kernel(config: GatewayConfig) -> int:
    """Remove this gateway's namespaces and what is in them; how many there were."""
    kernel = _kernel(config)
    try:
        names = list(kernel.read().namespaces)
        outcome = kernel.apply([ops.DeleteNamespace(ops.Scope(name)) for name in names])
        kernel.forget_sources()
    except OSError as error:
        raise stop(str(error)) from error
    finally:
        kernel.close()
    if outcome.refused:
        raise stop("; ".join(f"{scope.namespace}: {reason}" for scope, reason in outcome.refused.items()))
    return len(names)
