"""`opencen serve --ephemeral` and the pytest fixture: a control plane for other people's tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opencen.client import ApiError, Client, Credential
from opencen.testing import OpencenServer, running_opencen
from sdk_clients import CoreClient, Target, TeaClient

_LOADED_MACHINE = 5


@pytest.mark.parametrize("sdk", [TeaClient, CoreClient])
def test_the_fixture_serves_the_sdks(opencen_server: OpencenServer, sdk: type[TeaClient | CoreClient]) -> None:
    client = sdk(Target.of_ephemeral(opencen_server))
    cen_id = client.call("cbn", "CreateCen", Name="mine")["CenId"]
    found = client.call("cbn", "DescribeCens")["Cens"]["Cen"]
    assert (cen_id, "mine") in [(cen["CenId"], cen["Name"]) for cen in found]


def test_the_rest_api_answers_too_and_its_first_call_waits_for_it(opencen_server: OpencenServer) -> None:
    credential = Credential(opencen_server.access_key_id, opencen_server.access_key_secret)
    with Client(opencen_server.url, credential) as client:
        assert client.get("/v1/regions")["items"]


def test_the_first_answer_comes_within_two_seconds_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """Of this process's own time: a busy machine may take longer by the clock."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-m", "opencen", "serve", "--ephemeral"]
    started_s = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with Client(ready["url"]) as client:
            client.get("/readyz")
        elapsed_s = time.monotonic() - started_s
        used_s = _cpu_seconds(process.pid)
        assert list(tmp_path.iterdir()) != []
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert used_s < 2
    assert elapsed_s < 2 * _LOADED_MACHINE
    assert list(tmp_path.iterdir()) == []


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_two_at_once_are_strangers(opencen_server: OpencenServer) -> None:
    with running_opencen() as other:
        assert other.url != opencen_server.url
        wrong = Client(other.url, Credential(opencen_server.access_key_id, opencen_server.access_key_secret))
        with wrong, pytest.raises(ApiError):
            wrong.get("/v1/regions")


def test_data_is_not_kept_so_a_data_directory_is_refused(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "opencen", "serve", "--ephemeral", "--data", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--ephemeral keeps nothing" in done.stderr
