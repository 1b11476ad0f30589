"""Every operation that is served, through every official SDK, over HTTP and HTTPS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conftest import missing
from node_clients import NODE_CLIENTS, NodeClient, install, node_missing
from opencen import tls
from opencen.api.cbn.actions import REGISTRY
from opencen.testing import OpencenServer, running_opencen
from sdk_clients import VERSIONS, CoreClient, SdkClient, SdkRefusalError, Target, TeaClient
from sdk_operations import (
    ask_around,
    ask_for_metrics,
    grant_and_revoke,
    join_transit_routers,
    modify_what_was_made,
    publish_and_withdraw_routes,
    tag_and_group,
)
from sdk_scenario import drive

CLIENTS: dict[str, Callable[[Target], SdkClient]] = {
    "alibabacloud-cbn20170912": TeaClient,
    "aliyun-python-sdk-cbn": CoreClient,
}
OPERATIONS = (
    join_transit_routers,
    publish_and_withdraw_routes,
    grant_and_revoke,
    modify_what_was_made,
    tag_and_group,
    ask_around,
    ask_for_metrics,
)


@dataclass(frozen=True)
class Remembering:
    """An SDK, and which operations were called through it."""

    client: SdkClient
    called: set[tuple[str, str]] = field(default_factory=set)

    def call(self, product: str, action: str, **parameters: Any) -> dict[str, Any]:
        answer = self.client.call(product, action, **parameters)
        self.called.add((VERSIONS[product], action))
        return answer

    @property
    def older_names(self) -> bool:
        return self.client.older_names


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    files, _ = tls.init(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])
    with running_opencen("--tls-cert", str(files.certificate), "--tls-key", str(files.key)) as server:
        yield Target.of_ephemeral(server, files.ca)


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, opencen_server: OpencenServer, secured: Target) -> Target:
    return secured if request.param == "https" else Target.of_ephemeral(opencen_server)


@pytest.fixture(params=[*CLIENTS, *NODE_CLIENTS])
def sdk(request: pytest.FixtureRequest, target: Target) -> Iterator[SdkClient]:
    if request.param in CLIENTS:
        yield CLIENTS[request.param](target)
        return
    with running_node(request.param, target) as client:
        yield client


@pytest.fixture(params=NODE_CLIENTS)
def node(request: pytest.FixtureRequest, target: Target) -> Iterator[NodeClient]:
    with running_node(request.param, target) as client:
        yield client


@contextmanager
def running_node(name: str, target: Target) -> Iterator[NodeClient]:
    if node_missing():
        missing(node_missing())
    install()
    client = NodeClient.start(name, target)
    try:
        yield client
    finally:
        client.stop()


def test_the_sdk_drives_every_operation(sdk: SdkClient) -> None:
    """An operation that is served and that none of these calls fails here."""
    client = Remembering(sdk)
    drive(client, says_status=not isinstance(sdk, NodeClient) or sdk.client == "openapi-client")
    for operate in OPERATIONS:
        operate(client)
    served = {(action.product.version, action.name) for action in REGISTRY}
    assert served - client.called == set()


def test_the_node_sdk_tags_and_repeats(node: NodeClient) -> None:
    tag = {"Key": "team", "Value": "net ü&="}
    once = {"Name": "node", "ClientToken": f"node-{node.client}-{node.target.scheme}", "Tag": [tag]}
    cen_id = node.call("cbn", "CreateCen", **once)["CenId"]
    assert node.call("cbn", "CreateCen", **once)["CenId"] == cen_id
    listed = node.call("cbn", "ListTagResources", ResourceType="cen", ResourceId=[cen_id])
    (found,) = listed["TagResources"]["TagResource"]
    assert (found["TagKey"], found["TagValue"]) == ("team", "net ü&=")
    with pytest.raises(SdkRefusalError) as refused:
        node.call("cbn", "CreateCen", **{**once, "Name": "another"})
    assert refused.value.code == "IdempotenceParam.NotMatch"
    node.call("cbn", "DeleteCen", CenId=cen_id)


def test_a_client_that_does_not_trust_the_authority_is_told_so(secured: Target, tmp_path: Path) -> None:
    other, _ = tls.init(tmp_path, ["127.0.0.1"])
    stranger = Target(secured.port, secured.access_key_id, secured.access_key_secret, ca=other.ca)
    with running_node("pop-core GET", stranger) as client, pytest.raises(SdkRefusalError, match="certificate"):
        client.call("cbn", "DescribeCens")
