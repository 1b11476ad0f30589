"""A lab's beginning and end: claim its name, build it, take it down."""

from __future__ import annotations

import os

from opencen.client import Client
from opencen.lab.control import Announce, ensure_scenario
from opencen.lab.errors import CommandError, LabStateError
from opencen.lab.gateways import config_file, ensure_credential
from opencen.lab.namespaces import existing_namespaces, make_gateway_namespace, make_underlay, remove_namespace
from opencen.lab.processes import end_records, is_alive, record_of
from opencen.lab.state import Access, GatewayRecord, LabDirectory, LabState, check_name, write_file
from opencen.lab.topology import RegionTopology, Topology

_KEEPER_GRACE_S = 30.0


def claim(directory: LabDirectory, name: str, access: Access, announce: Announce) -> None:
    """Makes this process the keeper of the lab in `directory`, after removing what a killed one has left there.

    Raises LabStateError when the lab is up, or when namespaces of that name belong to something else.
    """
    check_name(name)
    directory.make()
    with directory.locked():
        state = directory.find()
        if state is not None and state.keeper is not None and is_alive(state.keeper):
            raise LabStateError(f"lab {state.name} is up already, kept by process {state.keeper.pid}: opencen lab down")
        if state is not None:
            announce(f"removing what an earlier lab {state.name} has left")
            _remove(directory, state)
        underlay = f"{name}-underlay"
        if underlay in existing_namespaces():
            raise LabStateError(f"a lab {name} is there already (namespace {underlay}): choose another --name")
        write_file(directory.access_file, access.model_dump_json())
        directory.write(LabState(name=name, server=access.server, underlay=underlay, keeper=record_of(os.getpid())))


def build(directory: LabDirectory, topology: Topology, client: Client, announce: Announce) -> None:
    """Makes scenario, underlay and gateways; hosts and agents are the keeper's first round.

    The control plane is asked first: when it refuses, nothing has been made on this machine.
    """
    ensure_scenario(client, topology, announce)
    with directory.locked():
        state = directory.read()
        gateways = tuple(_gateway(client, directory, state.name, region) for region in topology.regions)
        state = state.model_copy(update={"gateways": gateways})
        directory.write(state)
        make_underlay(state.underlay, topology.underlay_mtu)
        for port, (region, gateway) in enumerate(zip(topology.regions, gateways, strict=True), start=1):
            make_gateway_namespace(gateway.namespace, state.underlay, port, region.endpoint, topology.underlay_mtu)


def _gateway(client: Client, directory: LabDirectory, lab: str, region: RegionTopology) -> GatewayRecord:
    return GatewayRecord(
        region_id=region.id,
        region_name=region.name,
        gateway_id=ensure_credential(client, directory, region.id, f"{lab}-{region.id}"),
        namespace=f"{lab}-gateway-{region.id}",
        endpoint=str(region.endpoint),
    )


def namespaces_of(state: LabState) -> list[str]:
    """The lab's namespaces that exist, those that its gateways have made for CEN instances first."""
    existing = existing_namespaces()
    made_by_agents = sorted(
        name for name in existing for gateway in state.gateways if name.startswith(f"{gateway.gateway_id}-")
    )
    own = [*(host.namespace for host in state.hosts), *(item.namespace for item in state.gateways), state.underlay]
    return made_by_agents + [name for name in own if name in existing]


def _remove(directory: LabDirectory, state: LabState) -> None:
    end_records(gateway.process for gateway in state.gateways)
    failures: list[CommandError] = []
    for namespace in namespaces_of(state):
        try:
            remove_namespace(namespace)
        except CommandError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    for gateway in state.gateways:
        config_file(directory, gateway.gateway_id).unlink(missing_ok=True)
    directory.relay_socket.unlink(missing_ok=True)
    directory.access_file.unlink(missing_ok=True)
    directory.state_file.unlink(missing_ok=True)


def tear_down(directory: LabDirectory) -> bool:
    """Ends and removes everything of the lab, also after a crash; False when there was nothing.

    The gateways' credentials and logs stay in the lab's directory, so that the next `up` uses the same gateways.
    """
    found = directory.find()
    if found is None:
        return False
    if found.keeper and found.keeper.pid != os.getpid():
        end_records([found.keeper], _KEEPER_GRACE_S)
    with directory.locked():
        left = directory.find()
        if left is not None:
            _remove(directory, left)
    return True
