"""A server and a gateway one version apart: each reads the other's messages and ignores what it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from opencen.wire import gateway as wire

LINK = {
    "peer_region_id": "region-b",
    "vni": 7,
    "peer_endpoint": None,
    "remote_cidr_blocks": ["10.2.0.0/16"],
    "rate_bps": 1_000,
}
NETWORK = {"network_id": "vpc-1", "name": "lan", "cidr_blocks": ["10.1.0.0/16"]}
INSTANCE = {"cen_id": "cen-1", "revision": 3, "networks": [NETWORK], "links": [LINK]}
CAPABILITIES = {"kernel": "6.1.0", "leaf_queue": "bfifo", "encryption": "none"}
LINK_REPORT = {"peer_region_id": "region-b", "in_kernel_bps": None}
NETWORK_REPORT = {"network_id": "vpc-1", "carried": True}
INSTANCE_REPORT = {"cen_id": "cen-1", "revision": 3, "networks": [NETWORK_REPORT], "links": [LINK_REPORT]}
MESSAGES: list[tuple[type[wire.Wire], dict[str, Any]]] = [
    (wire.Join, {"token": "jt-1.secret", "credential_sha256": "ab" * 32, "name": "west"}),
    (wire.NextCredential, {"credential_sha256": "ab" * 32}),
    (
        wire.Hello,
        {
            "agent_version": "1",
            "endpoint": "192.0.2.1",
            "capabilities": CAPABILITIES,
            "declared_networks": [{"network": "lan", "interface": "lan0"}],
        },
    ),
    (wire.Welcome, {"gateway_id": "gw-1", "region_id": "region-a"}),
    (
        wire.GatewayState,
        {"gateway_id": "gw-1", "region_id": "region-a", "revision": 3, "full": True, "instances": [INSTANCE]},
    ),
    (wire.GatewayReport, {"applied_revision": 3, "instances": [INSTANCE_REPORT]}),
    (wire.ReportAnswer, {"revision": 3, "rotate_credential": True}),
]


def with_news(value: Any) -> Any:
    """The same message from a later version: a field that this one does not know, in every object."""
    if isinstance(value, dict):
        return {key: with_news(item) for key, item in value.items()} | {"from_a_later_version": {"deep": [1]}}
    return [with_news(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("message", "values"), MESSAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_field_of_a_later_version_changes_nothing(message: type[wire.Wire], values: dict[str, Any]) -> None:
    assert message.model_validate(with_news(values)) == message.model_validate(values)


@pytest.mark.parametrize(("message", "values"), MESSAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_message_says_survives_the_wire(message: type[wire.Wire], values: dict[str, Any]) -> None:
    sent = message.model_validate(values)
    assert message.model_validate_json(sent.model_dump_json()) == sent
