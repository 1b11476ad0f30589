"""How the keys of an encrypted link are rotated: each step only when both ends are ready for it. Pure.

Static keys, make before break: a second generation is made beside the first, on both ends; when both send by it, the
first is dropped. Pre-shared keys, in place: the new one is handed to both ends while the old one is in use; when both
hold it, it is preferred; when both use it, the old one is dropped. An end that is out of reach stops a rotation where
it is, and at no step does that cost a packet: both ends can do what the other does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

KEY_LIFETIME = timedelta(days=30)
PRESHARED_KEY_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """`generations` of static keys, the newest last; ids of pre-shared keys, the preferred one first."""

    generations: tuple[int, ...]
    preshared_key_ids: tuple[int, ...]

    @property
    def rotates(self) -> bool:
        return len(self.generations) > 1 or len(self.preshared_key_ids) > 1


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A gateway's end of one generation."""

    key: str
    port: int


@dataclass(frozen=True)
class KeySide:
    """What one end of a link has said: its public keys by generation, by which it sends, which keys it holds and uses.

    `used_preshared_key_ids` is of all its tunnels.
    """

    public_keys: Mapping[int, PublicKey] = field(default_factory=dict)
    sends_generation: int | None = None
    held_preshared_key_ids: Collection[int] = ()
    used_preshared_key_ids: Collection[int] = ()


def advance(keys: LinkKeys, sides: Sequence[KeySide]) -> LinkKeys:
    """The keys after the step for which both ends are ready; the same when there is none."""
    if len(sides) < 2:
        return keys
    generations, ids = keys.generations, keys.preshared_key_ids
    if len(generations) > 1 and all(side.sends_generation == generations[-1] for side in sides):
        generations = generations[-1:]
    if len(ids) > 1:
        newest = max(ids)
        if ids[0] != newest and all(newest in side.held_preshared_key_ids for side in sides):
            ids = (newest, *(number for number in ids if number != newest))
        elif ids[0] == newest and all(set(side.used_preshared_key_ids) == {newest} for side in sides):
            ids = (newest,)
    return replace(keys, generations=generations, preshared_key_ids=ids)


def begin(keys: LinkKeys, *, static: bool, preshared: bool) -> LinkKeys:
    """The keys with a rotation begun; what is being rotated already is not rotated twice."""
    generations, ids = keys.generations, keys.preshared_key_ids
    if static and len(generations) == 1:
        generations = (*generations, generations[-1] + 1)
    if preshared and len(ids) == 1:
        ids = (*ids, ids[-1] + 1)
    return LinkKeys(generations, ids)


def is_due(made_at: datetime, lifetime: timedelta, now: datetime) -> bool:
    return now - made_at >= lifetime
