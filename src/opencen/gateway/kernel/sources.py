"""From which addresses tunnelled packets are taken: an nftables table in the underlay's namespace.

VXLAN does not look at who sends. So port 4789 of the gateway's own address takes packets from the endpoints that its
peers have now, and drops others: a gateway that was the active one of its region, or was revoked, cannot go on sending.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from opencen.gateway.kernel.links import VXLAN_PORT

_TIMEOUT_S: Final = 30
_SETS: Final = {4: ("peers4", "ipv4_addr", "ip"), 6: ("peers6", "ipv6_addr", "ip6")}


def is_possible() -> bool:
    """Whether this host has nftables, tried on a table that is thrown away."""
    if shutil.which("nft") is None:
        return False
    trial = _script("opencen-probe", "192.0.2.1", frozenset()) + "delete table inet opencen-probe\n"
    done = subprocess.run(["nft", "-f", "-"], input=trial, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0


@dataclass(frozen=True)
class SourceCheck:
    """The table of one gateway. `underlay` is the namespace's path, None for the process's own."""

    gateway_prefix: str
    endpoint: str
    underlay: Path | None

    @property
    def _table(self) -> str:
        return f"opencen-{sha256(self.gateway_prefix.encode()).hexdigest()[:12]}"

    def read(self) -> frozenset[str] | None:
        """The addresses from which packets are taken; None when nothing is checked, or not as it should be."""
        done = self._nft("-j", "list", "table", "inet", self._table)
        if done.returncode != 0:
            return None
        return _addresses(json.loads(done.stdout)["nftables"])

    def write(self, addresses: frozenset[str]) -> None:
        """In one step. Raises OSError with what nft said."""
        self._must(self._nft("-f", "-", script=_script(self._table, self.endpoint, addresses)))

    def remove(self) -> None:
        self._must(self._nft("-f", "-", script=f"table inet {self._table}\ndelete table inet {self._table}\n"))

    def _nft(self, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
        command: Sequence[str] = ["nft", *arguments]
        if self.underlay is not None:
            command = ["nsenter", f"--net={self.underlay}", *command]
        try:
            return subprocess.run(
                command, input=script, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess(command, 127, "", str(error))

    @staticmethod
    def _must(done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode != 0:
            raise OSError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "nft failed")


def _script(table: str, endpoint: str, addresses: frozenset[str]) -> str:
    name_of_own, _, family = _SETS[ip_address(endpoint).version]
    lines = [f"table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]
    for version, (name, kind, _) in _SETS.items():
        members = ", ".join(sorted(address for address in addresses if ip_address(address).version == version))
        lines.append(f"set {name} {{ type {kind}; {f'elements = {{ {members} }};' if members else ''} }}")
    lines.append("chain tunnels { type filter hook input priority -150; policy accept;")
    lines.append(f"{family} daddr {endpoint} {family} saddr != @{name_of_own} udp dport {VXLAN_PORT} drop")
    return "\n".join([*lines, "}", "}"]) + "\n"


def _addresses(objects: list[dict[str, Any]]) -> frozenset[str] | None:
    sets = {found["set"]["name"]: found["set"].get("elem", []) for found in objects if "set" in found}
    rules = [found["rule"]["expr"] for found in objects if "rule" in found]
    drops = [expressions for expressions in rules if expressions and "drop" in expressions[-1]]
    hooked = any(found["chain"].get("hook") == "input" for found in objects if "chain" in found)
    if not hooked or len(drops) != 1 or set(sets) != {name for name, _, _ in _SETS.values()}:
        return None
    return frozenset(str(ip_address(element)) for elements in sets.values() for element in elements)
