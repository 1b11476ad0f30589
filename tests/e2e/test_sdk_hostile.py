"""What callers who mean harm, or who race each other, get from a real server process."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from aliyunsdkcbn.request.v20170912.DescribeCensRequest import DescribeCensRequest
from aliyunsdkcore.auth import credentials
from aliyunsdkcore.auth.signers.access_key_signer import AccessKeySigner

from sdk_clients import SdkRefusalError, Target, TeaClient
from servers import ServerProcess, running_server

WRITERS = 8


def _post(server: ServerProcess, target: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_body_of_10_mb_is_refused_and_the_server_goes_on(server: ServerProcess) -> None:
    form = "application/x-www-form-urlencoded"
    status, document = _post(server, "/", b"Action=DescribeCens&Name=" + b"x" * 10_000_000, **{"content-type": form})
    assert (status, document["Code"]) == (413, "RequestEntityTooLarge")
    assert "Cens" in TeaClient(Target.of(server)).call("cbn", "DescribeCens")


def test_a_recorded_request_is_refused_when_sent_again_even_after_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        admin = Target.of(server)
        request = DescribeCensRequest()
        request.set_accept_format("JSON")
        signer = AccessKeySigner(credentials.AccessKeyCredential(admin.access_key_id, admin.access_key_secret))
        _, target = signer.sign("cn-hangzhou", request)
        assert _post(server, target)[0] == 200
        status, document = _post(server, target)
        assert (status, document["Code"]) == (400, "SignatureNonceUsed")
    with running_server(tmp_path / "data") as again:
        status, document = _post(again, target)
        assert (status, document["Code"]) == (400, "SignatureNonceUsed")


def test_8_concurrent_writers_end_exactly_at_the_cap(server: ServerProcess) -> None:
    regions = [
        "cn-hangzhou",
        "cn-shanghai",
        "cn-shenzhen",
        "cn-beijing",
        "cn-qingdao",
        "cn-chengdu",
        "cn-heyuan",
        "cn-nanjing",
    ]
    client = TeaClient(Target.of(server))
    cen_id = client.call("cbn", "CreateCen")["CenId"]
    for number, region_id in enumerate(["us-west-1", *regions]):
        vpc = client.call("vpc", "CreateVpc", RegionId=region_id, CidrBlock=f"10.{number}.0.0/16")
        client.call(
            "cbn",
            "AttachCenChildInstance",
            CenId=cen_id,
            ChildInstanceId=vpc["VpcId"],
            ChildInstanceType="VPC",
            ChildInstanceRegionId=region_id,
        )
    bought = client.call(
        "cbn",
        "CreateCenBandwidthPackage",
        Bandwidth=20,
        GeographicRegionAId="China",
        GeographicRegionBId="North-America",
    )
    package_id = bought["CenBandwidthPackageId"]
    client.call("cbn", "AssociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)

    outcomes: Counter[str] = Counter()
    start = threading.Barrier(WRITERS)

    def grow(region_id: str) -> None:
        own = TeaClient(Target.of(server))
        start.wait(timeout=20)
        for limit_mbps in range(1, 7):
            try:
                own.call(
                    "cbn",
                    "SetCenInterRegionBandwidthLimit",
                    CenId=cen_id,
                    LocalRegionId="us-west-1",
                    OppositeRegionId=region_id,
                    BandwidthLimit=limit_mbps,
                )
                outcomes["set"] += 1
            except SdkRefusalError as refusal:
                outcomes[refusal.code] += 1

    threads = [threading.Thread(target=grow, args=(region_id,)) for region_id in regions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    rows = client.call("cbn", "DescribeCenInterRegionBandwidthLimits", CenId=cen_id, PageSize=50)
    limits = rows["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]
    assert sum(row["BandwidthLimit"] for row in limits) == 20
    assert set(outcomes) == {"set", "InvalidOperation.BwpBandwidthExceeded"}
    assert outcomes["set"] == 20
    assert outcomes.total() == WRITERS * 6


def test_strange_targets_are_answered_as_errors(server: ServerProcess) -> None:
    for target in ("/?Action=%ff&Version=%00", "/?" + "a=1&" * 1100, "/?Action=DescribeCens"):
        status, document = _post(server, target)
        assert 400 <= status < 500
        assert document["Code"]
