"""Encryption of links: who chose what, the keys that gateways are handed, and their rotation.

A gateway says its public keys; each is told those of its own peers, and the pre-shared key of the link that they share.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opencen.domain import encryption as rule
from opencen.domain import permissions, rotation
from opencen.domain.encryption import Choice, ChosenBy, Encryption, LinkGateway
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.geography import area_pair, region_pair
from opencen.domain.nouns import Actor, Role
from opencen.domain.rotation import KeySide, LinkKeys
from opencen.domain.wanted import KernelInstance, WantedTunnel, WantedWireGuard
from opencen.services import instances
from opencen.services.context import Context, Work
from opencen.services.duties import Duty
from opencen.services.vault import Vault
from opencen.store import gateways, link_keys, links, regions
from opencen.store.database import Transaction
from opencen.store.gateways import GatewayRow
from opencen.store.link_keys import KeyRow
from opencen.store.links import Key

_KEY_BYTES = 32
_AT_ONCE = 50
_NEW = LinkKeys((1,), (1,))
_PROGRAM = Actor("", "opencen", "opencen", Role.ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class AreaChoice:
    area_a_id: str
    area_b_id: str
    encryption: Encryption


@dataclass(frozen=True, slots=True)
class LinkEncryption:
    """A link of an instance, and how it is carried. `keys_made_at` is None while it has no keys."""

    cen_id: str
    region_a_id: str
    region_b_id: str
    encryption: Encryption
    chosen_by: ChosenBy
    refusal: str | None
    rotates: bool
    keys_made_at: datetime | None
    preshared_key_made_at: datetime | None


# choosing


def find_area_choices(context: Context) -> list[AreaChoice]:
    """What was chosen for pairs of areas; links between others are encrypted."""
    with context.database.read() as tx:
        return [AreaChoice(*areas, chosen) for areas, chosen in link_keys.of_areas(tx).items()]


def choose_for_areas(
    context: Context, actor: Actor, area_id: str, other_area_id: str, encryption_name: str
) -> AreaChoice:
    """How links between two areas are carried, unless something else is chosen for one of them."""
    areas = area_pair(area_id, other_area_id)
    with context.change(actor, "encryption.choose", ":".join(areas)) as work:
        work.revision()
        chosen = rule.checked(encryption_name)
        known = {area.id for area in regions.find_areas(work.tx)}
        for name in areas:
            if name not in known:
                raise InvalidValueError(f"there is no area {name!r}", field="area_id", value=name)
        before = link_keys.of_areas(work.tx).get(areas)
        link_keys.choose_for_areas(work.tx, areas, chosen)
        _touch_areas(context, work, areas)
        work.tell(before and AreaChoice(*areas, before), AreaChoice(*areas, chosen))
    return AreaChoice(*areas, chosen)


def forget_for_areas(context: Context, actor: Actor, area_id: str, other_area_id: str) -> None:
    """Links between two areas are encrypted again. Raises NotFoundError where nothing was chosen."""
    areas = area_pair(area_id, other_area_id)
    with context.change(actor, "encryption.choose", ":".join(areas)) as work:
        work.revision()
        before = link_keys.of_areas(work.tx).get(areas)
        if before is None:
            raise NotFoundError("encryption", ":".join(areas), field="area_id")
        link_keys.forget_areas(work.tx, areas)
        _touch_areas(context, work, areas)
        work.tell(AreaChoice(*areas, before), None)


def _touch_areas(context: Context, work: Work, areas: tuple[str, str]) -> None:
    for cen_id, region_a_id, region_b_id in links.all_keys(work.tx):
        area_of = context.areas_of(work.tx, (region_a_id, region_b_id))
        if area_pair(area_of[region_a_id], area_of[region_b_id]) == areas:
            work.touch(cen_id, (region_a_id, region_b_id))


def choose_for_link(
    context: Context, actor: Actor, cen_id: str, region_id: str, other_region_id: str, encryption_name: str | None
) -> LinkEncryption:
    """How one pair of regions of an instance is carried; None: as its pair of areas is."""
    pair = region_pair(region_id, other_region_id)
    key = (cen_id, *pair)
    with context.change(actor, "connection.encrypt", ":".join(key)) as work:
        instances.require(work.tx, actor, cen_id)
        work.revision()
        for name in pair:
            if not context.areas_of(work.tx, [name]):
                raise InvalidValueError(f"there is no region {name!r}", field="region_id", value=name)
        before = link_keys.of_links(work.tx, [cen_id]).get(key)
        if encryption_name is None:
            link_keys.forget_link(work.tx, key)
        else:
            link_keys.choose_for_link(work.tx, key, rule.checked(encryption_name))
        work.touch(cen_id, pair)
        work.tell({"encryption": before}, {"encryption": encryption_name})
    found = find_links(context, actor, cen_id)
    for link in found:
        if (link.region_a_id, link.region_b_id) == pair:
            return link
    with context.database.read() as tx:
        return _link_encryption(key, _choices(context, tx, [key])[key], None, {})


def find_links(context: Context, actor: Actor, cen_id: str) -> list[LinkEncryption]:
    """The links of an instance, and how each is carried."""
    permissions.check_read(actor, "connection.list")
    with context.database.read() as tx:
        instances.require(tx, actor, cen_id)
        keys = sorted(key for key in links.all_keys(tx, cen_id))
        chosen = _choices(context, tx, keys)
        rows = link_keys.of_instances(tx, [cen_id])
        ends = {row.region_id: row for row in gateways.find_all(tx) if row.is_active}
    return [_link_encryption(key, chosen[key], rows.get(key), ends) for key in keys]


def _link_encryption(key: Key, chosen: Choice, row: KeyRow | None, ends: Mapping[str, GatewayRow]) -> LinkEncryption:
    encrypted = row if chosen.encryption is Encryption.WIREGUARD else None
    return LinkEncryption(
        *key,
        chosen.encryption,
        chosen.chosen_by,
        _refusal(chosen, [ends[region_id] for region_id in key[1:] if region_id in ends]),
        encrypted is not None and encrypted.keys.rotates,
        encrypted.keys_made_at if encrypted else None,
        encrypted.preshared_key_made_at if encrypted else None,
    )


def _choices(context: Context, tx: Transaction, keys: Sequence[Key]) -> dict[Key, Choice]:
    of_areas = link_keys.of_areas(tx)
    of_links = link_keys.of_links(tx, sorted({key[0] for key in keys}))
    area_of = context.areas_of(tx, {region_id for key in keys for region_id in key[1:]})
    return {
        key: rule.choice(of_links.get(key), of_areas.get(area_pair(area_of[key[1]], area_of[key[2]]))) for key in keys
    }


def _refusal(chosen: Choice, ends: Sequence[GatewayRow]) -> str | None:
    """None also while an end has not said what it can."""
    known = [
        LinkGateway(end.id, end.region_id, int(end.capabilities.get("max_encrypted_links", 0)), end.behind_nat)
        for end in ends
        if end.endpoint is not None
    ]
    return rule.refusal(chosen.encryption, known) if len(known) == 2 else None


# what gateways are handed


@dataclass(frozen=True)
class Handed:
    """What a gateway is told of a link's encryption; `wireguard` None: it is plain."""

    wireguard: WantedWireGuard | None = None
    refusal: str | None = None


def handed(
    context: Context, tx: Transaction, wanted: Sequence[links.Link], mine: GatewayRow, ends: Mapping[str, GatewayRow]
) -> dict[Key, Handed]:
    """For links that touch the region of gateway `mine`; `ends` are the gateways to which they lead, by region."""
    keys = [link.key for link in wanted]
    cen_ids = sorted({key[0] for key in keys})
    chosen = _choices(context, tx, keys)
    rows, sides = link_keys.of_instances(tx, cen_ids), link_keys.sides_of(tx, cen_ids)
    told: dict[Key, Handed] = {}
    for key in keys:
        peer = ends.get(key[2] if key[1] == mine.region_id else key[1])
        refusal = _refusal(chosen[key], [mine, peer]) if peer is not None else None
        if refusal is not None or chosen[key].encryption is Encryption.VXLAN:
            told[key] = Handed(refusal=refusal)
        else:
            theirs = sides.get(key, {}).get(peer.id, KeySide()) if peer else KeySide()
            told[key] = Handed(_wireguard(context.vault, key, rows.get(key), theirs, peer))
    return told


def _wireguard(vault: Vault, key: Key, row: KeyRow | None, theirs: KeySide, peer: GatewayRow | None) -> WantedWireGuard:
    generations = row.keys.generations if row else _NEW.generations
    tunnels = []
    for generation in generations:
        public = theirs.public_keys.get(generation)
        tunnels.append(WantedTunnel(generation, public.key if public else None, public.port if public else None))
    sealed = {number: row.sealed[number] for number in row.keys.preshared_key_ids} if row else {}
    preshared = [(number, vault.open(secret, _label(key))) for number, secret in sealed.items()]
    return WantedWireGuard(tuple(tunnels), tuple(preshared), peer.behind_nat if peer else False)


def _label(key: Key) -> str:
    return f"preshared-key:{':'.join(key)}"


# what gateways say


def said(row: GatewayRow, instances: Iterable[KernelInstance]) -> dict[Key, KeySide]:
    """The keys in a report, by link."""
    found: dict[Key, KeySide] = {}
    for instance in instances:
        for link in instance.links:
            if link.keys is not None:
                pair = sorted((row.region_id, link.peer_region_id))
                found[instance.cen_id, pair[0], pair[1]] = link.keys
    return found


def news(tx: Transaction, row: GatewayRow, reported: Mapping[Key, KeySide]) -> dict[Key, KeySide]:
    """What of a report differs from what is kept."""
    if not reported:
        return {}
    kept = link_keys.sides_of(tx, sorted({key[0] for key in reported}))
    known = links.find_many(tx, list(reported))
    return {key: side for key, side in reported.items() if key in known and kept.get(key, {}).get(row.id) != side}


def keep(context: Context, work: Work, row: GatewayRow, changed: Mapping[Key, KeySide]) -> None:
    """Keep what a gateway says of its keys, take the step for which both ends are ready, and tell them."""
    cen_ids = sorted({key[0] for key in changed})
    rows, sides = link_keys.of_instances(work.tx, cen_ids), link_keys.sides_of(work.tx, cen_ids)
    active = {gateway.id for gateway in gateways.find_all(work.tx) if gateway.is_active}
    for key, side in changed.items():
        before = sides.get(key, {}).get(row.id)
        link_keys.save_side(work.tx, key, row.id, side)
        present = rows.get(key)
        if present is None:
            _save(context.vault, work, KeyRow(key, _NEW, {}, work.now, work.now), _NEW)
        else:
            said_of_it = {**sides.get(key, {}), row.id: side}
            after = rotation.advance(present.keys, [said_of_it[name] for name in said_of_it if name in active])
            if after == present.keys and before is not None and before.public_keys == side.public_keys:
                continue
            _save(context.vault, work, present, after)
        work.touch(key[0], key[1:])


def _save(vault: Vault, work: Work, row: KeyRow, keys: LinkKeys) -> None:
    """Keep a link's keys as `keys` says; pre-shared keys that are new are made."""
    sealed = {
        number: row.sealed.get(number) or vault.seal(_random_key(), _label(row.key))
        for number in keys.preshared_key_ids
    }
    link_keys.save(work.tx, replace(row, keys=keys, sealed=sealed))


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


# rotating


def rotate_gateway(context: Context, actor: Actor, gateway_id: str) -> int:
    """Begin to rotate all keys of a gateway's links. How many links; those under way already are not begun again."""
    with context.change(actor, "gateway.rotate_keys", gateway_id) as work:
        work.revision()
        gateway = gateways.find(work.tx, gateway_id)
        if gateway is None:
            raise NotFoundError("gateway", gateway_id, field="gateway_id")
        touching = links.touching_region(work.tx, gateway.region_id)
        rows = link_keys.of_instances(work.tx, sorted({link.cen_id for link in touching}))
        begun = [
            _begin(context, work, rows[link.key], static=True, preshared=True) for link in touching if link.key in rows
        ]
        work.tell(None, {"gateway_id": gateway_id, "links": sum(begun)})
    return sum(begun)


def _begin(context: Context, work: Work, row: KeyRow, *, static: bool, preshared: bool) -> bool:
    keys = rotation.begin(row.keys, static=static, preshared=preshared)
    if keys == row.keys:
        return False
    begins_static = keys.generations != row.keys.generations
    begins_preshared = keys.preshared_key_ids != row.keys.preshared_key_ids
    dated = replace(
        row,
        keys_made_at=work.now if begins_static else row.keys_made_at,
        preshared_key_made_at=work.now if begins_preshared else row.preshared_key_made_at,
    )
    _save(context.vault, work, dated, keys)
    work.touch(row.key[0], row.key[1:])
    return True


def rotate_due(context: Context) -> None:
    """Begin to rotate what is older than its lifetime, some links at a time."""
    now = context.clock()
    with context.database.read() as tx:
        due = _due(tx, now)
    if not due:
        return
    with context.change(_PROGRAM, "gateway.rotate_keys", "links") as work:
        work.revision()
        begun = 0
        for row in _due(work.tx, now):
            static = rotation.is_due(row.keys_made_at, rotation.KEY_LIFETIME, now)
            preshared = rotation.is_due(row.preshared_key_made_at, rotation.PRESHARED_KEY_LIFETIME, now)
            if _begin(context, work, row, static=static, preshared=preshared):
                begun += 1
            else:
                _look_again_later(work, row, static=static, preshared=preshared)
        work.tell(None, {"links": begun})


def _look_again_later(work: Work, row: KeyRow, *, static: bool, preshared: bool) -> None:
    """A rotation stopped half way, an end being out of reach: it is looked at after another lifetime."""
    dated = replace(
        row,
        keys_made_at=work.now if static else row.keys_made_at,
        preshared_key_made_at=work.now if preshared else row.preshared_key_made_at,
    )
    link_keys.save(work.tx, dated)


def _due(tx: Transaction, now: datetime) -> list[KeyRow]:
    return link_keys.due(tx, now - rotation.KEY_LIFETIME, now - rotation.PRESHARED_KEY_LIFETIME, _AT_ONCE)


ROTATE_KEYS = Duty("rotate keys", every_s=60, work=rotate_due)
