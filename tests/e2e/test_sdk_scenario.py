"""The scenario that OpenCEN is for, driven by the official Python SDKs against a real server process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sdk_clients import CoreClient, SdkClient, SdkRefusalError, Target, TeaClient
from sdk_scenario import drive
from servers import ServerProcess

CLIENTS: dict[str, Callable[[Target], SdkClient]] = {
    "alibabacloud-cbn20170912": TeaClient,
    "alibabacloud-cbn20170912 with signature v2": lambda target: TeaClient(target, signature_algorithm="v2"),
    "aliyun-python-sdk-cbn": CoreClient,
}


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, server: ServerProcess) -> SdkClient:
    return CLIENTS[request.param](Target.of(server))


def test_the_sdk_drives_the_scenario(client: SdkClient) -> None:
    drive(client)


@pytest.mark.parametrize("key", ["id", "secret"])
@pytest.mark.parametrize("sdk", [TeaClient, CoreClient])
def test_the_sdk_understands_a_wrong_key(server: ServerProcess, sdk: Callable[..., SdkClient], key: str) -> None:
    right = Target.of(server)
    wrong = replace(right, access_key_id="AKNOBODY") if key == "id" else replace(right, access_key_secret="wrong")
    with pytest.raises(SdkRefusalError) as refusal:
        sdk(wrong).call("cbn", "DescribeCens")
    # The older SDK has a name of its own for a signature that differs only because of the secret.
    expected = {"InvalidAccessKeyId.NotFound"} if key == "id" else {"SignatureDoesNotMatch", "InvalidAccessKeySecret"}
    assert refusal.value.code in expected


def test_the_sdk_reads_missing_things_as_not_found(client: SdkClient) -> None:
    with pytest.raises(SdkRefusalError) as cen:
        client.call("cbn", "DeleteCen", CenId="cen-nope")
    with pytest.raises(SdkRefusalError) as vpc:
        client.call("vpc", "DescribeVpcAttribute", RegionId="us-west-1", VpcId="vpc-nope")
    assert (cen.value.code, cen.value.http_status) == ("ParameterCenInstanceId", 404)
    assert (vpc.value.code, vpc.value.http_status) == ("InvalidVpcId.NotFound", 404)
