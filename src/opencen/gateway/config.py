"""The gateway's configuration: a TOML file and a credential file, declared, validated and frozen."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from opencen.client import Credential
from opencen.gateway import credential
from opencen.gateway.attachment import DeclaredNetwork, declared
from opencen.gateway.keys import FIRST_PORT
from opencen.gateway.plan import Site
from opencen.wire.gateway import Capabilities
from opencen.wire.interfaces import InterfaceDeclare

DEFAULT_FILE: Final = Path("/etc/opencen/gateway.toml")
DEFAULT_STATE_DIR: Final = "/var/lib/opencen-gateway"
_KEYS: Final = {
    "server",
    "server_authority_file",
    "credential_file",
    "endpoint",
    "local_address",
    "behind_nat",
    "wireguard_port",
    "state_dir",
    "underlay_namespace",
    "metrics_listen",
    "networks",
}
_PORT_MAX: Final = 65535


class ConfigError(Exception):
    """The configuration cannot be used; the text names the file, the key and the value."""


@dataclass(frozen=True)
class GatewayConfig:
    """`underlay_namespace` names the network namespace that holds the underlay; None: the one the agent runs in.

    `endpoint` is where peers call this gateway; `local_address`, when it is another, its own address in the underlay,
    with NAT in front that leads the one to the other. `behind_nat`: no address leads to it, so it calls its peers.
    `wireguard_port` is the first UDP port of encrypted links.

    `server_authority_file` holds the one authority whose certificate the server must have; None: one that this host
    trusts. `metrics_listen` is where Prometheus may ask, address and port; None: nowhere.
    """

    server: str
    credential: Credential
    credential_file: Path
    endpoint: str
    state_dir: Path
    networks: tuple[DeclaredNetwork, ...]
    local_address: str | None = None
    behind_nat: bool = False
    wireguard_port: int = FIRST_PORT
    underlay_namespace: str | None = None
    metrics_listen: tuple[str, int] | None = None
    server_authority_file: Path | None = None

    @property
    def gateway_id(self) -> str:
        return self.credential.identifier

    def site(self, capabilities: Capabilities) -> Site:
        return Site(
            self.gateway_id,
            self.endpoint,
            self.networks,
            capabilities.leaf_queue,
            self.local_address,
            self.behind_nat,
            checks_sources=capabilities.source_check != "none",
        )

    @property
    def underlay_address(self) -> str:
        return self.local_address or self.endpoint


def load(path: Path, overrides: Mapping[str, str | None] | None = None) -> GatewayConfig:
    """Read a configuration file; `overrides` (from flags) win where they are not None. Raises ConfigError."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there: has this host joined? `opencen gateway join` makes it") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    values |= {key: value for key, value in (overrides or {}).items() if value is not None}
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    credential_file = Path(_text(path, values, "credential_file"))
    try:
        own = credential.read(credential_file)
    except credential.CredentialError as error:
        raise ConfigError(str(error)) from error
    authority_file = _text(path, values, "server_authority_file", "")
    return GatewayConfig(
        server=_text(path, values, "server"),
        credential=own,
        credential_file=credential_file,
        server_authority_file=Path(authority_file) if authority_file else None,
        endpoint=_ip_address(path, values, "endpoint"),
        local_address=_ip_address(path, values, "local_address") if "local_address" in values else None,
        behind_nat=_flag(path, values, "behind_nat"),
        wireguard_port=_port(path, values, "wireguard_port", FIRST_PORT),
        state_dir=Path(_text(path, values, "state_dir", DEFAULT_STATE_DIR)),
        networks=_networks(path, values.get("networks", [])),
        underlay_namespace=_text(path, values, "underlay_namespace", "") or None,
        metrics_listen=_listen(path, _text(path, values, "metrics_listen", "")),
    )


def _text(path: Path, values: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = values.get(key, default)
    if value is None:
        raise ConfigError(f"{path}: {key} is missing")
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key} must be text, not {value!r}")
    return value


def _ip_address(path: Path, values: Mapping[str, Any], key: str) -> str:
    value = _text(path, values, key)
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise ConfigError(f"{path}: {key} {value!r} is not an IP address") from error


def _flag(path: Path, values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: {key} must be true or false, not {value!r}")
    return value


def _port(path: Path, values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if type(value) is not int or not 0 < value <= _PORT_MAX:
        raise ConfigError(f"{path}: {key} must be a port from 1 to {_PORT_MAX}, not {value!r}")
    return value


def _listen(path: Path, value: str) -> tuple[str, int] | None:
    if not value:
        return None
    host, _, port = value.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise ConfigError(f"{path}: metrics_listen {value!r} must be like 127.0.0.1:9410") from error
    if not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise ConfigError(f"{path}: metrics_listen {value!r} must end with a port from 0 to {_PORT_MAX}")
    return str(address), int(port)


def _networks(path: Path, rows: object) -> tuple[DeclaredNetwork, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: networks must be written as [[networks]] tables")
    networks = tuple(_network(path, row) for row in rows)
    for key, names in (
        ("network", [item.network for item in networks]),
        ("interface", [str(item) for item in networks]),
    ):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"{path}: {key} {twice!r} is declared twice")
    return networks


def _network(path: Path, row: Mapping[str, Any]) -> DeclaredNetwork:
    network = _text(path, row, "network")
    try:
        interface = InterfaceDeclare.model_validate({key: value for key, value in row.items() if key != "network"})
    except ValidationError as error:
        raise ConfigError(f"{path}: [[networks]] of {network!r}: {_said(error)}") from error
    return declared(network, interface)


def _said(error: ValidationError) -> str:
    problems = error.errors()
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    return f"{where} {first['msg'].removeprefix('Value error, ')}".strip()
