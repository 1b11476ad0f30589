"""The encrypted links of a gateway: which WireGuard devices, by which of them to send, and under which key. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Final

from opencen.gateway.kernel.model import NamespaceNow, WireGuard, WireGuardNow
from opencen.gateway.keys import KeyId, LocalKey
from opencen.wire.gateway import LinkState, PresharedKey, TunnelReport, TunnelState

HANDSHAKE_DUE_S: Final = 150.0
"""With a keepalive every 25 s, WireGuard shakes hands every 120 s and ends a session after 180 s."""
_TRY_S: Final = 15.0
_FIRST_TRIES: Final = 5
_INITIATION_BYTES: Final = 148
"""What asks for a handshake, every 5 s until there is one."""
_OVERHEAD_BYTES: Final = {4: 60, 6: 80}
_MAX_MTU: Final = 1_500
_MIN_MTU: Final = 576


def wireguard_name(gateway_id: str, cen_id: str, peer_region_id: str, generation: int) -> str:
    """The name of a device: at most 15 characters, and no other gateway's on the same host."""
    digest = sha256(f"{gateway_id}/{cen_id}/{peer_region_id}/{generation}".encode()).hexdigest()
    return f"wg{digest[:12]}"


def shakes_hands(device: WireGuardNow) -> bool:
    """Whether the peer answers."""
    return device.handshake_age_s is not None and device.handshake_age_s < HANDSHAKE_DUE_S


def inner_mtu(underlay_mtu: int, endpoint: str) -> int:
    """What a packet may measure that goes into a WireGuard tunnel to or from this underlay address."""
    overhead_bytes = _OVERHEAD_BYTES[ip_address(endpoint).version]
    return max(_MIN_MTU, min(_MAX_MTU, underlay_mtu - overhead_bytes))


@dataclass(frozen=True)
class LinkEnd:
    """A link as one gateway sees it. `first` breaks the symmetry between its two ends."""

    gateway_id: str
    cen_id: str
    link: LinkState
    keys: Mapping[KeyId, LocalKey]
    first: bool

    @property
    def _tunnels(self) -> Sequence[TunnelState]:
        return self.link.wireguard.tunnels if self.link.wireguard else ()

    @property
    def _preshared_keys(self) -> Sequence[PresharedKey]:
        return self.link.wireguard.preshared_keys if self.link.wireguard else ()

    def _name(self, generation: int) -> str:
        return wireguard_name(self.gateway_id, self.cen_id, self.link.peer_region_id, generation)

    def _key(self, generation: int) -> LocalKey | None:
        return self.keys.get((self.cen_id, self.link.peer_region_id, generation))

    def devices(self, mtu: int, there: NamespaceNow | None, at_s: float) -> dict[str, WireGuard]:
        """The WireGuard devices by name, the newest last: one for each tunnel of which both ends have their key."""
        devices: dict[str, WireGuard] = {}
        if not self._preshared_keys:
            return devices
        for tunnel in self._tunnels:
            key = self._key(tunnel.generation)
            if key is None or tunnel.peer_public_key is None or tunnel.peer_port is None:
                continue
            name = self._name(tunnel.generation)
            now = there.wireguards.get(name) if there else None
            devices[name] = WireGuard(
                public_key=key.public_key,
                port=key.port,
                peer_public_key=tunnel.peer_public_key,
                preshared_key=preshared_key(self._preshared_keys, now, at_s, first=self.first).key,
                endpoint=self._endpoint(tunnel.peer_port),
                mtu=mtu,
            )
        return devices

    def _endpoint(self, port: int) -> str | None:
        state = self.link.wireguard
        if state is None or state.peer_is_behind_nat or self.link.peer_endpoint is None:
            return None
        address = ip_address(self.link.peer_endpoint)
        return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"

    def retiring(self) -> str | None:
        """The name of the device of the generation before those that are wanted."""
        return self._name(self._tunnels[0].generation - 1) if self._tunnels else None

    def names(self) -> list[str]:
        """The names of the link's devices, whether they are there or not."""
        return [self._name(tunnel.generation) for tunnel in self._tunnels]

    def tunnel_reports(self, now: NamespaceNow | None, path: str | None) -> list[TunnelReport]:
        """What is to be said of our ends of the link's tunnels; `path` names the device by which is sent."""
        ids = {item.key: item.id for item in self._preshared_keys}
        said = []
        for tunnel in self._tunnels:
            key = self._key(tunnel.generation)
            if key is None:
                continue
            name = self._name(tunnel.generation)
            device = now.wireguards.get(name) if now else None
            said.append(
                TunnelReport(
                    generation=tunnel.generation,
                    public_key=key.public_key,
                    port=key.port,
                    sends=device is not None and path == name,
                    handshake_age_s=device.handshake_age_s if device else None,
                    preshared_key_id=ids.get(device.device.preshared_key) if device else None,
                )
            )
        return said

    def held_preshared_key_ids(self) -> list[int]:
        return sorted(item.id for item in self._preshared_keys)


def path(names: Sequence[str], now: NamespaceNow | None, present: str | None) -> str | None:
    """By which of these devices (the newest last) to send: the newest that has shaken hands, else as it is."""
    if now is not None:
        for name in reversed(names):
            device = now.wireguards.get(name)
            if device is not None and shakes_hands(device):
                return name
    if present in names:
        return present
    return names[0] if names else None


def _has_hardly_tried(now: WireGuardNow) -> bool:
    """A new device: its peer may not be there yet, or has not heard of a key yet."""
    return now.handshake_age_s is None and now.sent_bytes < _FIRST_TRIES * _INITIATION_BYTES


def preshared_key(keys: Sequence[PresharedKey], now: WireGuardNow | None, at_s: float, *, first: bool) -> PresharedKey:
    """The key to use: the preferred one, unless the peer does not answer; then each in turn.

    The two ends try at different paces, so that within a minute each of one meets each of the other, also when only
    one end hears of a new key. `at_s` may be any clock: the ends need not agree on it. Raises ValueError without keys.
    """
    if not keys:
        raise ValueError("an encrypted link needs a pre-shared key")
    if len(keys) == 1 or now is None or shakes_hands(now) or _has_hardly_tried(now):
        return keys[0]
    pace_s = _TRY_S if first else _TRY_S * len(keys)
    return keys[int(at_s // pace_s) % len(keys)]
