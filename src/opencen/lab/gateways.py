"""The gateways' agents: their credentials, configuration and processes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from opencen.client import Client
from opencen.lab.commands import within
from opencen.lab.control import joined
from opencen.lab.processes import end_records, is_alive, send_signal, start_background
from opencen.lab.state import GatewayRecord, HostRecord, LabDirectory, write_file


def config_file(directory: LabDirectory, gateway_id: str) -> Path:
    return directory.gateway_directory(gateway_id) / "gateway.toml"


def log_file(directory: LabDirectory, gateway_id: str) -> Path:
    return directory.gateway_directory(gateway_id) / "agent.log"


def _credential_file(directory: LabDirectory, gateway_id: str) -> Path:
    return directory.gateway_directory(gateway_id) / "credential"


def config_text(server: str, credential_file: Path, state_dir: Path, endpoint: str, hosts: Iterable[HostRecord]) -> str:
    """The agent's configuration. A JSON string is a TOML string as well."""
    lines = [
        f"server = {json.dumps(server)}",
        f"credential_file = {json.dumps(str(credential_file))}",
        f"endpoint = {json.dumps(endpoint)}",
        f"state_dir = {json.dumps(str(state_dir))}",
    ]
    for host in hosts:
        lines += [
            "",
            "[[networks]]",
            f"network = {json.dumps(host.network_id)}",
            f"interface = {json.dumps(host.interface)}",
            f"address = {json.dumps(str(host.gateway_address))}",
        ]
    return "\n".join(lines) + "\n"


def write_config(directory: LabDirectory, server: str, gateway: GatewayRecord, hosts: Iterable[HostRecord]) -> None:
    """Writes what the agent is told of its host: the control plane's address and the networks' interfaces."""
    own = directory.gateway_directory(gateway.gateway_id)
    (own / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
    carried = [host for host in hosts if host.region_id == gateway.region_id]
    credential = _credential_file(directory, gateway.gateway_id)
    text = config_text(server, credential, own / "state", gateway.endpoint, carried)
    write_file(config_file(directory, gateway.gateway_id), text)


def ensure_credential(client: Client, directory: LabDirectory, region_id: str, name: str) -> str:
    """The id of the region's gateway, whose credential is in the lab's directory afterwards, kept from before or new.

    Raises LabError when the region has a gateway that is not the lab's.
    """
    kept_ids = {path.parent.name for path in (directory.path / "gateways").glob("*/credential")}
    gateway_id, secret = joined(client, region_id, name, kept_ids)
    if secret is not None:
        own = directory.gateway_directory(gateway_id)
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(_credential_file(directory, gateway_id), f"{gateway_id}:{secret}\n")
    return gateway_id


def start_agent(directory: LabDirectory, gateway: GatewayRecord) -> GatewayRecord:
    """Starts `opencen gateway run` in the gateway's namespace, unless it runs already."""
    if is_alive(gateway.process):
        return gateway
    config = config_file(directory, gateway.gateway_id)
    argv = [sys.executable, "-m", "opencen", "gateway", "run", "--config", str(config)]
    process = start_background(within(gateway.namespace, argv), log_file(directory, gateway.gateway_id))
    return gateway.model_copy(update={"process": process, "starts": gateway.starts + 1, "wanted": True})


def stop_agent(gateway: GatewayRecord) -> GatewayRecord:
    """Ends the agent; what it has put into the kernel stays."""
    end_records([gateway.process])
    return gateway.model_copy(update={"process": None, "wanted": False})


def reload_agent(gateway: GatewayRecord) -> None:
    """Makes the agent read its configuration again."""
    send_signal(gateway.process, signal.SIGHUP)
