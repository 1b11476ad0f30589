"""`opencen usage`: charts in a terminal, totals, CSV and JSON, against a real server."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from fake_gateway import FakeGateway
from opencen.cli.main import app
from opencen.cli.usage import bars, seconds_of
from rest_scenario import Scenario, make_scenario
from servers import ServerProcess
from usage_batches import batch, tick


@pytest.fixture(scope="module")
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        made = make_scenario(client)
        made.set("us-west-1", "cn-hangzhou", 10)
        gateway = FakeGateway(server.url, client, "us-west-1")
        now_s = int(time.time())
        ticks = [tick(now_s - 59 + second, 1, [(1_000_000, 1_000, 2, 0)]) for second in range(60)]
        gateway.client.post(
            "/v1/gateway/usage", batch([(made.cen_id, "cn-hangzhou")], ticks, sequence=1, boot_s=time.time())
        )
        yield made


def run(server: ServerProcess, *arguments: str) -> str:
    key = server.credential
    flags = ["--server", server.url, "--access-key-id", key.identifier, "--access-key-secret", key.secret]
    done = CliRunner().invoke(app, [*flags, "usage", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_connection_is_drawn_in_both_directions(server: ServerProcess, scenario: Scenario) -> None:
    drawn = run(server, "us-west-1", "cn-hangzhou", "--last", "2m")
    assert "us-west-1 -> cn-hangzhou  mean 8 Mbit/s, greatest 8 Mbit/s, limit 10 Mbit/s" in drawn
    assert "120 packets dropped by the limit" in drawn
    assert "cn-hangzhou -> us-west-1  nothing metered, limit 10 Mbit/s" in drawn
    assert "█" in drawn


def test_json_and_csv_have_the_same_points(server: ServerProcess, scenario: Scenario) -> None:
    where = ("us-west-1", "cn-hangzhou", "--last", "5m", "--step", "10", "--output")
    direction = json.loads(run(server, *where, "json"))["directions"][1]
    rows = [
        row for row in csv.DictReader(io.StringIO(run(server, *where, "csv"))) if row["from_region_id"] == "us-west-1"
    ]
    assert sum(direction["sent_bytes"]) == sum(int(row["sent_bytes"]) for row in rows) == 60_000_000


def test_totals_package_and_month(server: ServerProcess, scenario: Scenario) -> None:
    """What passed before the connection was set, which is most of the minute, is not the package's."""
    for by, key in (("instance", scenario.cen_id), ("area-pair", "China:North-America")):
        totals = run(server, "--by", by, "--last", "10m")
        assert key in totals
        assert "60 MB" in totals
    assert scenario.package_id in run(server, "--by", "package", "--last", "10m")
    assert "of 20 Mbit/s" in run(server, "--package", scenario.package_id, "--last", "10m")
    month = run(server, "--month", time.strftime("%Y-%m", time.gmtime()))
    assert scenario.package_id in month
    assert "so far" in month


def test_blocks_are_as_high_as_the_values() -> None:
    assert bars([0, 5, 10, None], 10, rows=1) == [" ▄█·"]
    assert bars([10, 5], 10, rows=2) == ["█ ", "██"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3_600), ("7d", 604_800), ("2y", 63_072_000)]
)
def test_spans_are_written_short(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
