"""What size a package should have been: out of what gateways really reported, over REST and on the command line."""

from __future__ import annotations

import subprocess
import sys
import time

from fake_gateway import FakeGateway
from rest_scenario import make_scenario
from servers import ServerProcess
from usage_batches import batch, tick

MBPS = 1_000_000


def test_the_traffic_of_a_quarter_of_an_hour_suggests_a_size(server: ServerProcess) -> None:
    """Two pairs that are busy at different times: together they need less than each for itself."""
    with server.client() as client:
        scenario = make_scenario(client)
        for region_id in ("cn-hangzhou", "cn-shanghai"):
            scenario.set("us-west-1", region_id, 10)
        gateway = FakeGateway(server.url, client, "us-west-1")
        links = [(scenario.cen_id, "cn-hangzhou"), (scenario.cen_id, "cn-shanghai")]
        booted_s = int(time.time()) - 50_000
        began_s = (int(time.time()) - 1_800) // 300 * 300 - booted_s
        ticks = []
        for number in range(
            90
        ):  # a quarter of an hour, in tens of seconds: one pair, then both at a fifth, then the other
            mbps = ((8, 1), (2, 2), (1, 6))[number // 30]
            rows = [(10 * rate * MBPS // 8, 100, 3 if rate == 8 else 0, 0) for rate in mbps]
            ticks.append(tick(began_s + 10 * (number + 1), 10, rows))
        boot_s = time.time() - booted_s
        answer = gateway.client.post(
            "/v1/gateway/usage", batch(links, ticks, sequence=1, boot_s=boot_s, spool_id="sized")
        )
        assert answer["wants_roster"] is False
        path = f"/v1/bandwidth-packages/{scenario.package_id}/sizing"
        found = client.get(path, last_s=3_600, percentile=100)
        deadline = time.monotonic() + 100
        while found["intervals"] < 3 and time.monotonic() < deadline:  # a full hour's late points are rolled up first
            time.sleep(0.5)
            found = client.get(path, last_s=3_600, percentile=100)
        assert found["intervals"] == 3
        assert found["sizes"][-1] == {"percentile": 100, "shared_mbps": 9, "divided_mbps": 14}
        shares = {item["region_a_id"]: item for item in found["shares"]}
        hangzhou = shares["cn-hangzhou"]
        assert (hangzhou["suggested_mbps"], hangzhou["set_mbps"], hangzhou["peak_bps"]) == (8, 10, 8 * MBPS)
        assert round(hangzhou["held_back"], 3) == 0.333
        assert found["unused_bps"] == 20 * MBPS - found["mean_bps"]
        assert found["full_on"] is None
        client.delete(f"/v1/gateways/{gateway.id}")
    argv = [sys.executable, "-m", "opencen", "--server", server.url, "--data", str(server.data), "size"]
    argv += [scenario.package_id, "--last", "1h", "--percentile", "100"]
    printed = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "20 Mbit/s bought" in printed
    assert "100 % divided" in printed
    assert "14 Mbit/s" in printed
    assert "no forecast yet: 0 of 7 days" in printed
