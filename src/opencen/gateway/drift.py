"""What was found otherwise than it should be, and repaired, in words for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from opencen.gateway.kernel import operations as ops
from opencen.gateway.plan import namespace_name, tunnel_name
from opencen.wire.gateway import DriftEvent, GatewayState

_FOUND: Final[Mapping[type[ops.Operation], str]] = {
    ops.CreateNamespace: "its namespace was gone, or had other settings",
    ops.DeleteNamespace: "a namespace was there that nobody asked for",
    ops.AttachPort: "its interface was gone, down, or had other addresses or routes",
    ops.DetachPort: "an interface was there that nobody asked for",
    ops.CreateTunnel: "the tunnel was gone",
    ops.DeleteTunnel: "a tunnel was there that nobody asked for, or another one",
    ops.SetMtu: "the MTU was another",
    ops.PutRoot: "nothing limited it: the root queue was gone, or another",
    ops.AddClass: "a class of the limit was missing",
    ops.ChangeClass: "the limit was another",
    ops.DeleteClass: "a class was there that nobody asked for",
    ops.PutLeaf: "a queue was missing, or another",
    ops.ChangeLeaf: "a queue had another length",
    ops.AddFilter: "a filter was missing",
    ops.DeleteFilters: "a filter was there that nobody asked for",
    ops.SetNextHop: "the neighbour was missing, or another",
    ops.SetUp: "it was down",
    ops.AddRoute: "a route was missing",
    ops.DeleteRoute: "a route was there that nobody asked for",
    ops.CreateWireGuard: "an encrypted tunnel was gone, or another",
    ops.DeleteWireGuard: "an encrypted tunnel was there that nobody asked for",
}
_CAUSES: Final = (ops.CreateNamespace, ops.CreateTunnel, ops.PutRoot)
"""What follows from one of these is not said as well."""


def events(
    repaired: Iterable[ops.Operation], state: GatewayState, port_names: Mapping[str, str], at: datetime
) -> list[DriftEvent]:
    """One event for each link, network or instance that was repaired."""
    by_scope: dict[ops.Scope, list[ops.Operation]] = {}
    for operation in repaired:
        by_scope.setdefault(operation.scope, []).append(operation)
    cen_ids = {namespace_name(state.gateway_id, instance.cen_id): instance.cen_id for instance in state.instances}
    prefix = namespace_name(state.gateway_id, "")
    return [
        DriftEvent(
            id=uuid4().hex,
            at=at,
            cen_id=cen_ids.get(scope.namespace, scope.namespace.removeprefix(prefix)),
            part=_part(scope, state, port_names),
            found=_in_words(operations),
        )
        for scope, operations in by_scope.items()
    ]


def _part(scope: ops.Scope, state: GatewayState, port_names: Mapping[str, str]) -> str:
    """The peer region of a tunnel, the id of a network, or the name itself."""
    for instance in state.instances:
        if namespace_name(state.gateway_id, instance.cen_id) != scope.namespace:
            continue
        for link in instance.links:
            if tunnel_name(link.peer_region_id) == scope.part:
                return link.peer_region_id
        for network in instance.networks:
            if port_names.get(network.network_id) == scope.part:
                return network.network_id
    return scope.part


def _in_words(operations: Sequence[ops.Operation]) -> str:
    causes = [operation for operation in operations if isinstance(operation, _CAUSES)]
    deleted = {operation.minor for operation in operations if isinstance(operation, ops.DeleteClass)}
    added = {operation.minor for operation in operations if isinstance(operation, ops.AddClass)}
    remade = deleted & added  # a class whose filter was lost is made afresh: that is our way, not what was found

    def is_found(operation: ops.Operation) -> bool:
        if isinstance(operation, ops.PutLeaf):
            return not remade
        return not (isinstance(operation, ops.AddClass | ops.DeleteClass) and operation.minor in remade)

    found: Sequence[ops.Operation] = causes or [operation for operation in operations if is_found(operation)]
    said = [_FOUND.get(type(operation), type(operation).__name__) for operation in found]
    return "; ".join(dict.fromkeys(said))
