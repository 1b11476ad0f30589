"""At which interface of a gateway a network is: what an administrator says, unless the gateway's own operator does."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from typing import Any

from opencen.domain import permissions
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.nouns import Actor, Network, NetworkInterface
from opencen.services.context import Context
from opencen.store import gateways, network_interfaces, networks
from opencen.store.database import Transaction


def declare(
    context: Context, actor: Actor, network_id: str, gateway_id: str, interface: dict[str, Any]
) -> NetworkInterface:
    """Bind a network of any account to an interface of a gateway of its region, also before it is attached.

    `interface` has passed the edge: its parts fit together. Raises NotFoundError, InvalidValueError, ForbiddenError.
    """
    declared = NetworkInterface(network_id, gateway_id, interface)
    with context.change(actor, "network.bind", network_id) as work:
        work.revision()
        network = _require(work.tx, network_id)
        gateway = gateways.find(work.tx, gateway_id)
        if gateway is None:
            raise NotFoundError("gateway", gateway_id, field="gateway_id")
        if gateway.region_id != network.region_id:
            raise InvalidValueError(
                f"gateway {gateway_id} is in {gateway.region_id}, network {network_id} in {network.region_id}",
                field="gateway_id",
                value=gateway_id,
            )
        _check_inside(network, interface)
        before = _find(work.tx, network_id, gateway_id)
        network_interfaces.save(work.tx, declared)
        if network.cen_id is not None:
            work.touch(network.cen_id, [network.region_id])
        work.tell(before, declared)
    return declared


def undeclare(context: Context, actor: Actor, network_id: str, gateway_id: str) -> None:
    """From now on the gateway carries the network only where its own operator says. Raises NotFoundError."""
    with context.change(actor, "network.unbind", network_id) as work:
        work.revision()
        network = _require(work.tx, network_id)
        before = _find(work.tx, network_id, gateway_id)
        if before is None:
            raise NotFoundError("interface", f"{network_id}/{gateway_id}", field="gateway_id")
        network_interfaces.remove(work.tx, network_id, gateway_id)
        if network.cen_id is not None:
            work.touch(network.cen_id, [network.region_id])
        work.tell(before, None)


def of_network(context: Context, actor: Actor, network_id: str) -> list[NetworkInterface]:
    permissions.check_read(actor, "network.bind")
    with context.database.read() as tx:
        _require(tx, network_id)
        return network_interfaces.of_networks(tx, [network_id])


def _require(tx: Transaction, network_id: str) -> Network:
    network = networks.find_any(tx, network_id)
    if network is None:
        raise NotFoundError("network", network_id, field="network_id")
    return network


def _find(tx: Transaction, network_id: str, gateway_id: str) -> NetworkInterface | None:
    found = network_interfaces.of_networks(tx, [network_id])
    return next((item for item in found if item.gateway_id == gateway_id), None)


def _check_inside(network: Network, interface: dict[str, Any]) -> None:
    """The gateway would say "not carried" for the same reasons; here they are said to whoever can mend them."""
    blocks = [ip_network(block) for block in network.cidr_blocks]
    address = interface["address"]
    if not any(ip_interface(address).ip in block for block in blocks):
        raise InvalidValueError(
            f"{address} is not within {', '.join(network.cidr_blocks)}", field="address", value=address
        )
    for prefix in interface["prefixes"]:
        behind = ip_network(prefix["cidr_block"])
        if not any(behind.version == block.version and behind.subnet_of(block) for block in blocks):  # type: ignore[arg-type]
            raise InvalidValueError(
                f"{behind} is not within {', '.join(network.cidr_blocks)}; other regions would not find it",
                field="prefixes",
                value=str(behind),
            )
