"""WireGuard devices: made by the kernel's module where there is one, by a `wireguard-go` process each where not.

Both are configured and read with the `wg` tool: it speaks netlink to the one and the socket protocol to the other, so
there is one way, and what is proved with one holds for the other. Secrets go in by standard input, never as arguments.

A `wireguard-go` process lives as long as its device: who deletes the device ends the process. It has a session of its
own (under systemd a scope of its own), so it outlives the agent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from opencen.gateway.kernel.messages import in_namespace
from opencen.gateway.kernel.model import KEEPALIVE_S, WireGuard, WireGuardNow

USERSPACE: Final = "wireguard-go"
_SYSTEMD: Final = Path("/run/systemd/system")
_START_TIMEOUT_S: Final = 10.0
_TOOL_TIMEOUT_S: Final = 30.0
_NONE: Final = "(none)"


def _run(command: list[str], namespace: Path | None, text: str = "") -> str:
    """Raises OSError with what the command said."""

    def work() -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "LOG_LEVEL"}
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=_TOOL_TIMEOUT_S,
            check=False,
            env=environment,
            start_new_session=True,
        )

    try:
        done = in_namespace(namespace, work)
    except FileNotFoundError as error:
        raise OSError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} did not end within {_TOOL_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def start_command(name: str) -> list[str]:
    """What starts the process of a device; it goes into the background by itself once the device is there."""
    command = [USERSPACE, name]
    if _SYSTEMD.is_dir() and shutil.which("systemd-run"):
        scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit=opencen-{name}", "--"]
        return [*scope, *command]
    return command


def start_userspace(name: str, namespace: Path) -> None:
    """Make the device in the namespace that holds the underlay. Raises OSError.

    It may be moved when this returns: until the process answers, it looks for its device where it was started.
    """
    _run(start_command(name), namespace)
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            _run(["wg", "show", name, "dump"], None)
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise OSError(f"{USERSPACE} {name} does not answer: {error}") from error
            time.sleep(0.01)
        else:
            return


def configure(name: str, namespace: Path, device: WireGuard, private_key: str) -> None:
    """Give a new device its key, its port and its peer."""
    lines = [
        "[Interface]",
        f"PrivateKey = {private_key}",
        f"ListenPort = {device.port}",
        "[Peer]",
        f"PublicKey = {device.peer_public_key}",
        f"PresharedKey = {device.preshared_key}",
        "AllowedIPs = 0.0.0.0/0",
        f"PersistentKeepalive = {KEEPALIVE_S}",
    ]
    if device.endpoint is not None:
        lines.append(f"Endpoint = {device.endpoint}")
    _run(["wg", "setconf", name, "/dev/stdin"], namespace, "\n".join(lines) + "\n")


def set_preshared_key(name: str, namespace: Path, peer_public_key: str, preshared_key: str) -> None:
    command = ["wg", "set", name, "peer", peer_public_key, "preshared-key", "/dev/stdin"]
    _run(command, namespace, preshared_key + "\n")


def set_endpoint(name: str, namespace: Path, peer_public_key: str, endpoint: str) -> None:
    _run(["wg", "set", name, "peer", peer_public_key, "endpoint", endpoint], namespace)


def read(name: str, namespace: Path, mtu: int, *, up: bool, at_s: float) -> WireGuardNow:
    """A device as it is. One that does not answer is found with no keys, so that it is replaced."""
    try:
        lines = [line.split("\t") for line in _run(["wg", "show", name, "dump"], namespace).splitlines()]
    except OSError:
        lines = []
    return decode(lines, mtu, up=up, at_s=at_s)


def decode(lines: list[list[str]], mtu: int, *, up: bool, at_s: float) -> WireGuardNow:
    """`wg show NAME dump`, split at its tabs. `at_s` is the time since the epoch."""
    if not lines:
        return WireGuardNow(WireGuard("", 0, "", "", None, mtu, up), None)
    public_key, port = lines[0][1], int(lines[0][2])
    if len(lines) != 2:
        return WireGuardNow(WireGuard(public_key, port, "", "", None, mtu, up), None)
    peer_public_key, preshared_key, endpoint, _, handshake_at, received_bytes, sent_bytes, _ = lines[1]
    device = WireGuard(
        public_key=public_key,
        port=port,
        peer_public_key=peer_public_key,
        preshared_key="" if preshared_key == _NONE else preshared_key,
        endpoint=None if endpoint == _NONE else endpoint,
        mtu=mtu,
        up=up,
    )
    age_s = max(0.0, at_s - int(handshake_at)) if int(handshake_at) else None
    return WireGuardNow(device, age_s, int(received_bytes), int(sent_bytes))
