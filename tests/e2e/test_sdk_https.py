"""The official Node SDKs over HTTP and over HTTPS with a private authority: repeats, and whom they trust."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import missing
from node_clients import NODE_CLIENTS, NodeClient, install, node_missing
from opencen import tls
from opencen.testing import OpencenServer, running_opencen
from sdk_clients import SdkRefusalError, Target


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    files, _ = tls.init(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])
    with running_opencen("--tls-cert", str(files.certificate), "--tls-key", str(files.key)) as server:
        yield Target.of_ephemeral(server, files.ca)


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, opencen_server: OpencenServer, secured: Target) -> Target:
    return secured if request.param == "https" else Target.of_ephemeral(opencen_server)


@pytest.fixture(params=NODE_CLIENTS)
def node(request: pytest.FixtureRequest, target: Target) -> Iterator[NodeClient]:
    if node_missing():
        missing(node_missing())
    install()
    client = NodeClient.start(request.param, target)
    yield client
    client.stop()


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
    if node_missing():
        missing(node_missing())
    install()
    other, _ = tls.init(tmp_path, ["127.0.0.1"])
    stranger = Target(secured.port, secured.access_key_id, secured.access_key_secret, ca=other.ca)
    client = NodeClient.start("pop-core GET", stranger)
    try:
        with pytest.raises(SdkRefusalError, match="certificate"):
            client.call("cbn", "DescribeCens")
    finally:
        client.stop()
