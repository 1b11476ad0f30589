"""A lab that is up, and the one way to have one: `running_lab`."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencen.client import Client
from opencen.lab.commands import within
from opencen.lab.control import Announce, common_instance, set_rate_bps
from opencen.lab.errors import LabStateError
from opencen.lab.gateways import start_agent, stop_agent
from opencen.lab.keeper import Keeper
from opencen.lab.lifecycle import build, claim, tear_down
from opencen.lab.processes import is_alive, send_signal
from opencen.lab.relay import gateway_server
from opencen.lab.requirements import require_lab
from opencen.lab.state import DEFAULT_NAME, Access, GatewayRecord, HostRecord, LabDirectory, LabState, default_directory
from opencen.lab.topology import Topology, default_topology
from opencen.lab.traffic import Endpoint, Measurement, Transport, measure

_EXEC_TIMEOUT_S = 60.0
_API_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class TrafficResult:
    """Set against measured. `set_bps` is None between hosts of one region: nothing limits them."""

    source: HostRecord
    sink: HostRecord
    transport: Transport
    set_bps: int | None
    measurement: Measurement

    @property
    def measured_bps(self) -> float:
        return self.measurement.measured_bps

    def as_json(self) -> dict[str, Any]:
        return {
            "from": self.source.name,
            "to": self.sink.name,
            "from_region_id": self.source.region_id,
            "to_region_id": self.sink.region_id,
            "protocol": self.transport,
            "set_bps": self.set_bps,
            "measured_bps": round(self.measured_bps),
            "received_bytes": self.measurement.received_bytes,
            "received_packets": self.measurement.received_packets,
            "seconds": round(self.measurement.seconds, 3),
            "sender": self.measurement.sender,
        }


class Lab:
    """A lab that is up, found by its directory: every method reads what is there now."""

    def __init__(self, directory: LabDirectory) -> None:
        self.directory = directory

    def state(self) -> LabState:
        """Raises LabStateError when no lab is up there."""
        return self.directory.read()

    def command(self, host: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` on a host (its name, or a region's first host)."""
        return within(self.state().host(host).namespace, argv)

    def exec(
        self, host: str, argv: Sequence[str], timeout_s: float = _EXEC_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host to its end; its exit code is in the answer. Raises TimeoutExpired."""
        return subprocess.run(
            self.command(host, argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def traffic(
        self,
        source: str,
        sink: str,
        *,
        seconds: float = 10.0,
        transport: Transport = "tcp",
        length: int | None = None,
    ) -> TrafficResult:
        """A real transfer between hosts of two regions, with what the control plane has set for them.

        Raises LabError, ApiError, ServerUnreachableError.
        """
        state = self.state()
        sender, receiver = state.host(source), state.host(sink)
        if sender.name == receiver.name:
            raise LabStateError(f"a transfer needs two hosts; both are {sender.name}")
        set_bps = self._set_bps(sender, receiver)
        measurement = measure(
            Endpoint(sender.name, sender.namespace, sender.address.ip),
            Endpoint(receiver.name, receiver.namespace, receiver.address.ip),
            seconds=seconds,
            transport=transport,
            length=length,
            set_bps=set_bps,
        )
        return TrafficResult(sender, receiver, transport, set_bps, measurement)

    def _set_bps(self, sender: HostRecord, receiver: HostRecord) -> int | None:
        access = self.directory.access()
        with Client(access.server, access.credential) as client:
            cen_id = common_instance(client, sender.network_id, receiver.network_id)
            if sender.region_id == receiver.region_id:
                return None
            return set_rate_bps(client, cen_id, sender.region_id, receiver.region_id)

    def gateway_pids(self) -> dict[str, int]:
        """The pid of each region's living agent."""
        return {
            gateway.region_id: gateway.process.pid
            for gateway in self.state().gateways
            if gateway.process and is_alive(gateway.process)
        }

    def kill_gateway(self, region_id: str) -> None:
        """`kill -9` to a region's agent. The keeper starts it again within a second or so."""
        send_signal(self.state().gateway(region_id).process, signal.SIGKILL)

    def stop_gateway(self, region_id: str) -> None:
        """Ends a region's agent and keeps it from being started again; what it has put into the kernel stays."""
        self._change_gateway(region_id, stop_agent)

    def start_gateway(self, region_id: str) -> None:
        """Starts a region's agent again."""
        self._change_gateway(region_id, lambda gateway: start_agent(self.directory, gateway))

    def _change_gateway(self, region_id: str, change: Callable[[GatewayRecord], GatewayRecord]) -> None:
        with self.directory.locked():
            state = self.state()
            self.directory.write(state.with_gateway(change(state.gateway(region_id))))


def _silent(_: str) -> None:
    """For callers that want no news."""


@contextmanager
def running_lab(
    server: str,
    access_key_id: str,
    access_key_secret: str,
    *,
    topology: Topology | None = None,
    name: str = DEFAULT_NAME,
    directory: Path | None = None,
    announce: Announce = _silent,
) -> Iterator[Lab]:
    """Brings a lab up, keeps it in a thread while the block runs, and takes it down whatever happens.

    `server` is `unix:/path` or `http://host:port`. `announce` gets a line of text for each thing that happens.
    Raises LabError (RequirementsError, LabStateError, CommandError), ApiError, ServerUnreachableError.
    """
    require_lab()
    place = LabDirectory(directory or default_directory(name))
    access = Access(server=server, access_key_id=access_key_id, access_key_secret=access_key_secret)
    plan = topology or default_topology()
    claim(place, name, access, announce)
    try:
        with (
            Client(server, access.credential, timeout_s=_API_TIMEOUT_S) as client,
            gateway_server(server, place.relay_socket) as gateways_reach,
        ):
            build(place, plan, client, announce)
            keeper = Keeper(place, plan, client, gateways_reach, announce)
            keeper.prepare()
            thread = threading.Thread(target=keeper.run, name=f"opencen-lab-{name}", daemon=True)
            thread.start()
            try:
                yield Lab(place)
            finally:
                keeper.stop()
                thread.join()
    finally:
        tear_down(place)
