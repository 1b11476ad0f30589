"""The REST API holds to its own description whatever it is sent: no 500, no undocumented answer, no secret repeated."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from servers import ServerProcess

EXCLUDED_CHECKS = "positive_data_acceptance"
"""Not every value of the right form is acceptable: a network has an address, an id names something."""
EXCLUDED_PATHS = "(^/gateway/|^/changes|^/users/|^/access-keys/)"
"""Long polls, gateways' own credentials; and what would take away the key or the user that asks."""


def test_schemathesis_finds_nothing_with_all_its_checks(server: ServerProcess, tmp_path: Path) -> None:
    credential = server.credential
    argv = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/v1/openapi.json", "--no-color"]
    argv += ["--checks", "all", "--exclude-checks", EXCLUDED_CHECKS, "--exclude-path-regex", EXCLUDED_PATHS]
    argv += ["--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--seed", "7", "--request-timeout", "10"]
    argv += ["--auth", f"{credential.identifier}:{credential.secret}", "--continue-on-failure"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=170, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) > 50
    log = server.log.read_text()
    assert "Traceback" not in log
    assert credential.secret not in log
