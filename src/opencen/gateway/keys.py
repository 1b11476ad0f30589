"""The private keys of a gateway's encrypted links: made here, kept here, never sent.

One key pair and one UDP port for each link and generation: a link is one WireGuard device with one peer, so what is
known of one link, or lost with it, says nothing of another; and while keys are rotated a link has two of each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from opencen.gateway.files import write_whole
from opencen.wire.gateway import InstanceState

NAME: Final = "link-keys.json"
FIRST_PORT: Final = 51_820
_PORTS_PER_LINK: Final = 4
_LAST_PORT: Final = 65_535

KeyId = tuple[str, str, int]
"""(CEN instance, peer region, generation)."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LocalKey:
    """Our end of one tunnel."""

    private_key: str = field(repr=False)
    public_key: str
    port: int


def make(port: int) -> LocalKey:
    private = X25519PrivateKey.generate()
    return LocalKey(_text(private.private_bytes_raw()), _text(private.public_key().public_bytes_raw()), port)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _loaded(private_key: str, port: int) -> LocalKey:
    """Raises ValueError."""
    private = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
    return LocalKey(private_key, _text(private.public_key().public_bytes_raw()), port)


def forget(state_dir: Path) -> None:
    (state_dir / NAME).unlink(missing_ok=True)


class KeyStore:
    """The keys in a state directory. A file that cannot be used is set aside, and new keys are made: peers are told.

    `max_links` is how many encrypted links the host can carry; `first_port` is the lowest UDP port that they use.
    """

    def __init__(self, state_dir: Path, max_links: int, first_port: int = FIRST_PORT) -> None:
        self._state_dir = state_dir
        self._max_links = max_links
        self._first_port = first_port
        self._keys = self._load()
        self._turn = max((key.port - first_port for key in self._keys.values()), default=-1)

    def _load(self) -> dict[KeyId, LocalKey]:
        path = self._state_dir / NAME
        try:
            rows = json.loads(path.read_text())
            return {
                (row["cen_id"], row["peer_region_id"], int(row["generation"])): _loaded(
                    row["private_key"], int(row["port"])
                )
                for row in rows
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("the keys of links cannot be used, new ones are made", file=str(path), reason=str(error))  # noqa: TRY400
            return {}

    def _save(self) -> None:
        rows = [
            {
                "cen_id": cen_id,
                "peer_region_id": peer_region_id,
                "generation": generation,
                "private_key": key.private_key,
                "port": key.port,
            }
            for (cen_id, peer_region_id, generation), key in sorted(self._keys.items())
        ]
        write_whole(self._state_dir / NAME, json.dumps(rows))

    def private_key(self, public_key: str) -> str:
        """Raises OSError for a key that is not ours."""
        for key in self._keys.values():
            if key.public_key == public_key:
                return key.private_key
        raise OSError(f"the private key of {public_key} is not in {self._state_dir / NAME}")

    def serve(self, instances: Sequence[InstanceState], *, complete: bool) -> Mapping[KeyId, LocalKey]:
        """The keys for what these instances want; those that are missing are made, and kept before they are used.

        `complete`: there are no other instances, so keys of others are forgotten. A link beyond the maximum gets none.
        Raises OSError when they cannot be kept.
        """
        wanted = {
            (instance.cen_id, link.peer_region_id, tunnel.generation)
            for instance in instances
            for link in instance.links
            if link.wireguard is not None
            for tunnel in link.wireguard.tunnels
        }
        covered = {instance.cen_id for instance in instances}
        kept = {
            key_id: key
            for key_id, key in self._keys.items()
            if key_id in wanted or not (complete or key_id[0] in covered)
        }
        links = {key_id[:2] for key_id in kept}
        for key_id in sorted(wanted - kept.keys()):
            if key_id[:2] not in links and len(links) >= self._max_links:
                continue
            links.add(key_id[:2])
            kept[key_id] = make(self._free_port(kept))
        if kept != self._keys:
            self._keys = kept
            self._save()
        return kept

    def _free_port(self, kept: Mapping[KeyId, LocalKey]) -> int:
        """The next one in turn: the last one that was given up may still be in use for some seconds."""
        taken = {key.port for key in kept.values()}
        count = min(_PORTS_PER_LINK * max(self._max_links, 1), _LAST_PORT - self._first_port + 1)
        for _ in range(count):
            self._turn = (self._turn + 1) % count
            if self._first_port + self._turn not in taken:
                return self._first_port + self._turn
        raise OSError(f"all {count} ports from {self._first_port} on are taken by encrypted links")
