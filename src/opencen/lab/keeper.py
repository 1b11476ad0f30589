"""Keeps a lab as it should be: a host for every network of its regions, an agent for every gateway."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from opencen.client import ApiError, Client, ServerUnreachableError
from opencen.lab.control import Announce, carriable_networks, not_ready
from opencen.lab.errors import CommandError, LabError
from opencen.lab.gateways import log_file, reload_agent, start_agent, write_config
from opencen.lab.hosts import CarriableNetwork, HostPlan, plan_hosts
from opencen.lab.namespaces import make_host, remove_namespace
from opencen.lab.processes import is_alive
from opencen.lab.state import GatewayRecord, HostRecord, LabDirectory, LabState, UncarriedRecord
from opencen.lab.topology import Topology

_ROUND_S = 1.0
_READY_TIMEOUT_S = 20.0
_READY_POLL_S = 0.2
_SHORT_LIFE_S = 10.0
_LONGEST_DELAY_S = 30.0


@dataclass
class _Restart:
    """When an agent may be started again: at once, or later and later while it dies soon after each start."""

    started_at_s: float = 0.0
    delay_s: float = 0.0

    def due(self, now_s: float) -> bool:
        return now_s >= self.started_at_s + self.delay_s

    def note_start(self, now_s: float) -> None:
        short = now_s - self.started_at_s < _SHORT_LIFE_S + self.delay_s
        self.delay_s = min(_LONGEST_DELAY_S, max(1.0, 2 * self.delay_s)) if short else 0.0
        self.started_at_s = now_s


@dataclass
class Keeper:
    """Runs rounds until it is stopped. A round that fails is told once, and the next one tries again."""

    directory: LabDirectory
    topology: Topology
    client: Client
    gateway_server: str
    announce: Announce
    _restarts: dict[str, _Restart] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _trouble: str | None = None
    _refused: dict[str, UncarriedRecord] = field(default_factory=dict)

    def run(self) -> None:
        while not self._stopped.wait(_ROUND_S):
            trouble = None
            try:
                self.start_agents()
                self.reconcile()
            except (LabError, ApiError, ServerUnreachableError, OSError) as error:
                trouble = f"{type(error).__name__}: {error}"
            if trouble and trouble != self._trouble:
                self.announce(f"keeper: {trouble}")
            elif self._trouble and not trouble:
                self.announce("keeper: all is well again")
            self._trouble = trouble

    def stop(self) -> None:
        self._stopped.set()

    def reconcile(self) -> None:
        """Makes the hosts that are missing, removes those whose network is gone, and tells the agents concerned."""
        with self.directory.locked():
            state = self.directory.read()
        networks = carriable_networks(self.client, (gateway.region_id for gateway in state.gateways))
        with self.directory.locked():
            state = self.directory.read()
            plan = self._plan(state, networks)
            if plan.hosts != state.hosts or plan.uncarried != state.uncarried:
                self._apply(state, plan)

    def prepare(self) -> None:
        """The first round: hosts, configurations, agents that carry what they are told."""
        self.reconcile()
        with self.directory.locked():
            state = self.directory.read()
            for gateway in state.gateways:
                write_config(self.directory, self.gateway_server, gateway, state.hosts)
        self.start_agents()
        self._wait_ready()
        with self.directory.locked():
            self.directory.write(self.directory.read().model_copy(update={"ready": True}))

    def _wait_ready(self) -> None:
        """Until the gateways carry everything, or 20 s: then says what is not carried, and goes on."""
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while not self._stopped.is_set():
            self.start_agents()
            state = self.directory.read()
            gateway_ids = {gateway.gateway_id for gateway in state.gateways}
            waited_for = not_ready(self.client, gateway_ids, {host.network_id for host in state.hosts})
            if not waited_for:
                return
            if time.monotonic() > deadline_s:
                for sentence in waited_for:
                    self.announce(f"not ready after {_READY_TIMEOUT_S:.0f} s: {sentence}")
                return
            self._stopped.wait(_READY_POLL_S)

    def start_agents(self) -> None:
        """Starts the agents that should run and do not."""
        now_s = time.monotonic()
        with self.directory.locked():
            state = before = self.directory.read()
            for gateway in state.gateways:
                if gateway.wanted and not is_alive(gateway.process):
                    state = state.with_gateway(self._started(gateway, now_s))
            if state != before:
                self.directory.write(state)

    def _started(self, gateway: GatewayRecord, now_s: float) -> GatewayRecord:
        restart = self._restarts.setdefault(gateway.gateway_id, _Restart())
        if not restart.due(now_s):
            return gateway
        restart.note_start(now_s)
        if gateway.starts:
            log = log_file(self.directory, gateway.gateway_id)
            self.announce(f"the agent of {gateway.region_id} has ended; starting it again (log: {log})")
        return start_agent(self.directory, gateway)

    def _plan(self, state: LabState, networks: list[CarriableNetwork]) -> HostPlan:
        hosted = {host.network_id for host in state.hosts}
        self._refused = {item.id: self._refused[item.id] for item in networks if item.id in self._refused}
        possible = [network for network in networks if network.id not in self._refused]
        plan = plan_hosts(state.name, self.topology, state.gateways, possible, hosted)
        return HostPlan(plan.hosts, plan.uncarried + tuple(self._refused.values()))

    def _apply(self, state: LabState, plan: HostPlan) -> None:
        removed = [host for host in state.hosts if host not in plan.hosts]
        added = [host for host in plan.hosts if host not in state.hosts]
        for host in removed:
            remove_namespace(host.namespace)
            self.announce(f"removed {host.name}: network {host.network_name} ({host.network_id}) is gone")
        self.directory.write(state.model_copy(update={"hosts": plan.hosts, "uncarried": plan.uncarried}))
        for item in plan.uncarried:
            if item not in state.uncarried:
                self.announce(f"no host for network {item.network_name} ({item.network_id}): {item.reason}")
        for host in added:
            self._make(host)
        hosts = tuple(host for host in plan.hosts if host.network_id not in self._refused)
        uncarried = {item.network_id: item for item in plan.uncarried} | self._refused
        self.directory.write(state.model_copy(update={"hosts": hosts, "uncarried": tuple(uncarried.values())}))
        touched = {host.region_id for host in (*removed, *added)}
        for gateway in state.gateways:
            if gateway.region_id in touched:
                write_config(self.directory, self.gateway_server, gateway, hosts)
                reload_agent(gateway)

    def _make(self, host: HostRecord) -> None:
        """Makes a host; what the kernel refuses is noted, and not tried again while the network is there."""
        try:
            make_host(host.namespace, host.address, host.gateway_address.ip, host.gateway_namespace, host.interface)
        except CommandError as error:
            remove_namespace(host.namespace)
            self._refused[host.network_id] = UncarriedRecord(
                network_id=host.network_id, network_name=host.network_name, region_id=host.region_id, reason=str(error)
            )
            self.announce(f"no host for network {host.network_name} ({host.network_id}): {error}")
        else:
            self.announce(f"made {host.name} ({host.address.ip}) on network {host.network_name} ({host.network_id})")
