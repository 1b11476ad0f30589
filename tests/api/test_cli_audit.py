"""What `opencen audit` prints of a change is what changed."""

from __future__ import annotations

import subprocess
import sys

from servers import ServerProcess


def test_a_change_is_told_by_what_differs(server: ServerProcess) -> None:
    with server.client() as client:
        cen_id = client.post("/v1/instances", {"name": "audited"})["id"]
        areas = {"area_a_id": "China", "area_b_id": "North-America"}
        package_id = client.post("/v1/bandwidth-packages", areas | {"bandwidth_mbps": 20})["id"]
        client.request("PUT", f"/v1/bandwidth-packages/{package_id}/binding", body={"cen_id": cen_id})
        client.request("PATCH", f"/v1/bandwidth-packages/{package_id}", body={"bandwidth_mbps": 30, "name": "wide"})
    argv = [sys.executable, "-m", "opencen", "--server", server.url, "--data", str(server.data), "audit", package_id]
    printed = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    said = [line.split(package_id)[1].strip() for line in printed]
    assert said == [
        "- -> bandwidth_mbps 20",
        f"cen_id - -> cen_id {cen_id}",
        "name - -> name wide, bandwidth_mbps 20 -> bandwidth_mbps 30",
    ]
