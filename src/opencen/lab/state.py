"""The lab's directory: what was made, so that `down` finds it all, also after everything was killed.

A namespace or process is recorded before it is made where that is possible, and at once after where it is not.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from opencen.client import Credential
from opencen.lab.errors import LabStateError
from opencen.lab.processes import ProcessRecord, is_alive

DEFAULT_NAME = "opencen"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GatewayRecord(_Record):
    """A region's gateway; `wanted` is false while someone has stopped it on purpose."""

    region_id: str
    region_name: str
    gateway_id: str
    namespace: str
    endpoint: str
    wanted: bool = True
    process: ProcessRecord | None = None
    starts: int = 0


class HostRecord(_Record):
    """A host on a network; `interface` is its gateway's end of the wire, `address` has the LAN's prefix length."""

    name: str
    region_id: str
    network_id: str
    network_name: str
    namespace: str
    gateway_namespace: str
    interface: str
    address: IPv4Interface
    gateway_address: IPv4Interface


class UncarriedRecord(_Record):
    """A network of a lab's region that has no host, and why."""

    network_id: str
    network_name: str
    region_id: str
    reason: str


class LabState(_Record):
    """Everything that a lab has made."""

    name: str
    server: str
    ready: bool = False
    keeper: ProcessRecord | None = None
    underlay: str
    gateways: tuple[GatewayRecord, ...] = ()
    hosts: tuple[HostRecord, ...] = ()
    uncarried: tuple[UncarriedRecord, ...] = ()

    @property
    def is_up(self) -> bool:
        """Whether a keeper looks after it."""
        return is_alive(self.keeper)

    def gateway(self, region_id: str) -> GatewayRecord:
        """Raises LabStateError when the lab has no such region."""
        for gateway in self.gateways:
            if gateway.region_id == region_id:
                return gateway
        regions = ", ".join(gateway.region_id for gateway in self.gateways)
        raise LabStateError(f"the lab has no region {region_id!r}; it has {regions or 'none'}")

    def host(self, name: str) -> HostRecord:
        """A host by its name, or a region's first host. Raises LabStateError."""
        for host in self.hosts:
            if host.name == name:
                return host
        for host in self.hosts:
            if host.region_id == name:
                return host
        hosts = ", ".join(host.name for host in self.hosts)
        raise LabStateError(f"the lab has no host or region {name!r}; its hosts are {hosts or 'none'}")

    def with_gateway(self, record: GatewayRecord) -> LabState:
        gateways = tuple(record if item.region_id == record.region_id else item for item in self.gateways)
        return self.model_copy(update={"gateways": gateways})


class Access(_Record):
    """Where a lab's control plane is and with which access key the lab calls it."""

    server: str
    access_key_id: str
    access_key_secret: str

    @property
    def credential(self) -> Credential:
        return Credential(self.access_key_id, self.access_key_secret)


def check_name(name: str) -> str:
    """Raises LabStateError for a name that cannot be part of a namespace's name."""
    if not _NAME.fullmatch(name):
        raise LabStateError(f"a lab's name is a letter, then at most 23 of a-z, 0-9 and -; not {name!r}")
    return name


def default_directory(name: str) -> Path:
    """Where a lab of that name is: the same for every root shell, so that `down` finds what any `up` has made."""
    return Path(f"/run/opencen-lab-{check_name(name)}")


def write_file(path: Path, text: str) -> None:
    """Replaces a file at once, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class LabDirectory:
    """The files of one lab. `locked` keeps two programs from changing the lab at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state_file = path / "state.json"
        self.access_file = path / "access.json"
        self.keeper_log = path / "keeper.log"
        self.relay_socket = path / "server.sock"

    def make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def gateway_directory(self, gateway_id: str) -> Path:
        return self.path / "gateways" / gateway_id

    @contextmanager
    def locked(self) -> Iterator[None]:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def find(self) -> LabState | None:
        """What was made; None when nothing is. Raises LabStateError when the file is damaged."""
        try:
            return LabState.model_validate_json(self.state_file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValidationError, UnicodeDecodeError) as error:
            raise LabStateError(f"{self.state_file} is damaged: {error}") from error
        except PermissionError as error:
            raise LabStateError(f"{self.state_file} is readable by root only: use sudo") from error

    def read(self) -> LabState:
        """What was made. Raises LabStateError when there is no lab."""
        state = self.find()
        if state is None:
            raise LabStateError(f"no lab is up in {self.path}; make one: opencen lab up")
        return state

    def write(self, state: LabState) -> None:
        write_file(self.state_file, state.model_dump_json(indent=1))

    def access(self) -> Access:
        """Raises LabStateError when there is no lab."""
        try:
            return Access.model_validate_json(self.access_file.read_text("utf-8"))
        except (OSError, ValidationError) as error:
            raise LabStateError(f"no lab is up in {self.path}: {error}") from error
