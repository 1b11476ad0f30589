"""The official Node SDKs, unmodified and pointed at our address: a Node process that calls what it is told to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sdk_clients import VERSIONS, SdkRefusalError, Target

FOLDER = Path(__file__).parent / "node"
NODE_CLIENTS = ("pop-core GET", "pop-core POST", "openapi-client")
_INSTALL_TIMEOUT_S = 170


def node_missing() -> str:
    """What this machine lacks to run them; empty when nothing."""
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed: apt-get install nodejs npm" if absent else ""


def install() -> None:
    """The packages of the lock file, unless they are there."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".installed"
    if installed.exists() and installed.read_text() == lock.read_text():
        return
    argv = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(argv, cwd=FOLDER, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    installed.write_text(lock.read_text())


@dataclass(frozen=True)
class NodeClient:
    """One SDK in a Node process of its own; an SdkClient."""

    process: subprocess.Popen[str]
    client: str
    target: Target
    older_names: ClassVar[bool] = False

    @classmethod
    def start(cls, client: str, target: Target) -> NodeClient:
        trust = {"NODE_EXTRA_CA_CERTS": str(target.ca)} if target.ca else {}
        process = subprocess.Popen(
            ["node", str(FOLDER / "caller.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **trust},
        )
        return cls(process, client, target)

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def call(self, product: str, action: str, **parameters: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        call = {
            "client": self.client,
            "scheme": self.target.scheme,
            "address": f"{self.target.host}:{self.target.port}",
            "id": self.target.access_key_id,
            "secret": self.target.access_key_secret,
            "version": VERSIONS[product],
            "region": "cn-hangzhou",
            "action": action,
            "params": parameters,
        }
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        if "body" not in answer:
            raise SdkRefusalError(answer["code"], answer["status"], answer["message"])
        body: dict[str, Any] = answer["body"]
        return body
