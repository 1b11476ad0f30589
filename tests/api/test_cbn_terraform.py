"""Terraform's life of a limit, as its provider 1.260 was recorded: create, change, destroy, and every wait between.

The parameters are the recorded ones; ids that the recorder's stand-in had made up are replaced by ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cbn_server import VPC, open_server

RECORDED = Path(__file__).parent.parent / "fixtures" / "signed-requests" / "terraform-1.260-lifecycle.jsonl"
SYSTEM = {
    "AccessKeyId", "Action", "Format", "Signature", "SignatureMethod", "SignatureNonce", "SignatureType",
    "SignatureVersion", "Timestamp", "Version",
}  # fmt: skip
CREATED_IDS = {"CreateCen": "CenId", "CreateCenBandwidthPackage": "CenBandwidthPackageId"}


def _lacks(recorded: Any, ours: Any, where: str = "") -> list[str]:
    """What an answer that Terraform understood has, and ours has not, or has in another type."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        return [
            problem
            for key, value in recorded.items()
            for problem in (_lacks(value, ours[key], f"{where}.{key}") if key in ours else [f"{where}.{key}"])
        ]
    if isinstance(recorded, list) and isinstance(ours, list):
        return _lacks(recorded[0], ours[0], f"{where}[0]") if recorded and ours else []
    return [] if type(recorded) is type(ours) else [f"{where} is {type(ours).__name__}"]


def test_terraforms_recorded_lifecycle_goes_through(tmp_path: Path) -> None:
    with open_server(tmp_path) as server:
        ours = {
            "vpc-test1": server.ok("CreateVpc", VPC, RegionId="cn-hangzhou", CidrBlock="10.1.0.0/16")["VpcId"],
            "vpc-test2": server.ok("CreateVpc", VPC, RegionId="us-west-1", CidrBlock="10.2.0.0/16")["VpcId"],
            "1234567890123456": server.ok("GetCallerIdentity", "2015-04-01")["AccountId"],
        }
        seen: list[tuple[str, dict[str, Any]]] = []
        for line in RECORDED.read_text().splitlines():
            recorded = json.loads(line)
            action = recorded["action"]
            sent = {name: ours.get(value, value) for name, value in recorded["params"].items() if name not in SYSTEM}
            status, document = server.send(action, sent)
            if recorded["code"] == 200:
                assert status == 200, (action, sent, document)
                assert _lacks(recorded["out"], document) == []
            else:
                assert (action, status, document["Code"]) == (
                    "DescribeCenAttachedChildInstanceAttribute", 404, recorded["out"]["Code"],
                )  # fmt: skip
            if action in CREATED_IDS:
                ours[recorded["out"][CREATED_IDS[action]]] = document[CREATED_IDS[action]]
            seen.append((action, document))
        described = [document["Cens"]["Cen"] for action, document in seen if action == "DescribeCens"]
        assert all(cens[0]["Tags"] == {"Tag": [{"Key": "k1", "Value": "v1"}]} for cens in described[:-1])
        assert "TagResources" in {action for action, _ in seen}
        assert seen[-1][0] == "DescribeCens"
        assert seen[-1][1]["TotalCount"] == 0
        limits = [
            [row["BandwidthLimit"] for row in document["CenInterRegionBandwidthLimits"]["CenInterRegionBandwidthLimit"]]
            for action, document in seen
            if action == "DescribeCenInterRegionBandwidthLimits"
        ]
        assert [limit for index, limit in enumerate(limits) if index == 0 or limits[index - 1] != limit] == [
            [4],
            [3],
            [],
        ]
        assert server.problems() == []
