"""An OpenCEN for tests: a control plane of its own, gone when the tests are.

With OpenCEN installed, pytest has the fixture `opencen_server`:

    def test_my_automation(opencen_server):
        client = Client(Config(endpoint=opencen_server.endpoint, protocol="http", **opencen_server.credentials))
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_REGION_ID = "cn-hangzhou"


@dataclass(frozen=True)
class OpencenServer:
    """Where it is, and an access key of its administrator."""

    url: str
    access_key_id: str
    access_key_secret: str

    @property
    def endpoint(self) -> str:
        """`HOST:PORT`, as SDKs take it."""
        return self.url.partition("://")[2]

    @property
    def credentials(self) -> dict[str, str]:
        """The access key, by the names that SDKs give its parts."""
        return {"access_key_id": self.access_key_id, "access_key_secret": self.access_key_secret}

    @property
    def environment(self) -> dict[str, str]:
        """The access key and a region as the variables that Terraform, the aliyun CLI and the SDKs read."""
        return {
            "ALICLOUD_ACCESS_KEY": self.access_key_id,
            "ALICLOUD_SECRET_KEY": self.access_key_secret,
            "ALICLOUD_REGION": _REGION_ID,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.access_key_secret,
        }

    @property
    def terraform_provider(self) -> str:
        """A `provider "alicloud"` block that sends everything CEN needs here."""
        products = ("cbn", "vpc", "sts", "bssopenapi", "resourcemanager", "location")
        endpoints = "\n".join(f'    {product} = "{self.endpoint}"' for product in products)
        return (
            'provider "alicloud" {\n'
            f'  region     = "{_REGION_ID}"\n'
            f'  access_key = "{self.access_key_id}"\n'
            f'  secret_key = "{self.access_key_secret}"\n'
            '  protocol   = "HTTP"\n'
            f"  endpoints {{\n{endpoints}\n  }}\n"
            "}\n"
        )


@contextmanager
def running_opencen(*options: str) -> Iterator[OpencenServer]:
    """`opencen serve --ephemeral`, with more options if given, ended with the block. Raises RuntimeError."""
    argv = [sys.executable, "-m", "opencen", "serve", "--ephemeral", *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    too_slow = threading.Timer(_START_TIMEOUT_S, process.kill)
    too_slow.start()
    try:
        line = process.stdout.readline()
        too_slow.cancel()
        if not line:
            raise RuntimeError(f"opencen serve --ephemeral did not start: exit code {process.wait(_STOP_TIMEOUT_S)}")
        ready = json.loads(line)
        yield OpencenServer(ready["url"], ready["access_key_id"], ready["access_key_secret"])
    finally:
        too_slow.cancel()
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def opencen_server() -> Iterator[OpencenServer]:
    """A control plane for the tests of this session."""
    with running_opencen() as running:
        yield running
