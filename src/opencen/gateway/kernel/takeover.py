"""What a host's interface was like before the gateway took it: kept as the interface's alias, in the kernel.

There it goes wherever the interface goes, outlives the agent, and is gone after a reboot, as the takeover is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

_MARK: Final = "opencen "
_MAX_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class Before:
    """`addresses` are like 10.1.0.5/24, without the link-local ones that the kernel makes; `gro`: GRO was on."""

    addresses: tuple[str, ...] = ()
    up: bool = False
    gro: bool = False
    alias: str = ""


def note(before: Before) -> str:
    """The alias that says it. Raises OSError when there is more than an alias can say."""
    text = _MARK + json.dumps(asdict(before), separators=(",", ":"))
    if len(text.encode()) > _MAX_BYTES:
        raise OSError(
            f"it has {len(before.addresses)} addresses and the alias {before.alias!r}, more than can be kept for "
            "giving it back: remove some"
        )
    return text


def before_of(alias: str) -> Before | None:
    """None for an interface that was not taken from the host, or whose alias somebody has changed since."""
    if not alias.startswith(_MARK):
        return None
    try:
        found = json.loads(alias.removeprefix(_MARK))
        return Before(tuple(found["addresses"]), bool(found["up"]), bool(found["gro"]), str(found["alias"]))
    except (ValueError, KeyError, TypeError):
        return None
