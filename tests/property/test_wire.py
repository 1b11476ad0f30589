"""The package holds on the wire: the services against kernels that follow late, lose reports or repeat old ones."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from joined import join
from opencen.changes.feed import ChangeFeed
from opencen.domain.bandwidth import MBPS
from opencen.domain.errors import ConflictError, NotFoundError
from opencen.domain.nouns import Actor, Role
from opencen.domain.wanted import KernelInstance, KernelLink
from opencen.services import (
    attachments,
    check,
    connections,
    gateways,
    identities,
    instances,
    networks,
    packages,
    pairs,
    views,
)
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import connections as connection_rows
from opencen.store import gateways as gateway_rows
from opencen.store import identities as identity_rows
from opencen.store import links
from opencen.store.database import Database
from opencen.store.records import Page

WEST, HANGZHOU, SHANGHAI = REGIONS = ("us-west-1", "cn-hangzhou", "cn-shanghai")
PARTNER = "the second gateway of us-west-1"
GATEWAYS = (*REGIONS, PARTNER)
PACKAGE_MBPS = 20
regions = st.sampled_from(REGIONS)
kernels = st.sampled_from(GATEWAYS)
chinese = st.sampled_from((HANGZHOU, SHANGHAI))


@dataclass
class Kernel:
    """A gateway's: what it sends into each link, out of which package it was told so, and reports on their way.

    It takes from a peer region only what comes from the endpoint that it was told, and as a standby sends nothing.
    """

    row: gateway_rows.GatewayRow
    endpoint: str
    is_active: bool = False
    takes_from: dict[tuple[str, str], str | None] = field(default_factory=dict)
    followed: int = 0
    revisions: dict[str, int] = field(default_factory=dict)
    rates: dict[links.Key, tuple[int, str | None]] = field(default_factory=dict)
    on_the_way: list[list[KernelInstance]] = field(default_factory=list)


@contextmanager
def new_context() -> Iterator[tuple[Context, Actor]]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        database = Database.sqlite(directory)
        database.upgrade()
        context = Context(database, ChangeFeed(), Vault.from_file(directory / "secrets.key"))
        identities.bootstrap(context, directory / "admin.json")
        with database.read() as tx:
            user = identity_rows.find_user(tx, "admin")
        assert user is not None
        yield context, Actor(user.account_id, user.id, user.username, Role(user.role))
        database.close()


class Wire:
    """Three regions, two packages that take turns, and instances that come and go."""

    def __init__(self, context: Context, actor: Actor) -> None:
        self.context, self.actor = context, actor
        self.kernels: dict[str, Kernel] = {}
        self.networks: dict[str, str] = {}
        for number, name in enumerate(GATEWAYS, 1):
            region_id = WEST if name == PARTNER else name
            row = join(context, actor, region_id)
            gateways.hello(
                context,
                row,
                endpoint=f"192.0.2.{number}",
                behind_nat=False,
                agent_version="0",
                capabilities={"source_check": "nftables", "max_encrypted_links": 100},
                declared_networks=[],
            )
            self.kernels[name] = Kernel(row, f"192.0.2.{number}")
            if name == PARTNER:
                continue
            network = networks.create(context, actor, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"])
            self.networks[region_id] = network.id
        self.packages = [
            packages.buy(context, actor, area_a_id="China", area_b_id="North-America", bandwidth_mbps=PACKAGE_MBPS).id
            for _ in range(2)
        ]
        self.cen_id = ""
        self.begin(0)

    def begin(self, package: int) -> None:
        """An instance that joins everything, with a package."""
        self.cen_id = instances.create(self.context, self.actor).id
        for network_id in self.networks.values():
            attachments.attach(self.context, self.actor, self.cen_id, network_id)
        packages.bind(self.context, self.actor, self.packages[package], self.cen_id)

    def end(self) -> None:
        """Take the instance apart."""
        for region_id in (HANGZHOU, SHANGHAI):
            self.delete(region_id)
        for region_id in REGIONS:
            self.detach(region_id)
        self.unbind()
        instances.delete(self.context, self.actor, self.cen_id)

    def set(self, region_id: str, mbps: int) -> None:
        with suppress(ConflictError):
            connections.set_bandwidth(self.context, self.actor, self.cen_id, WEST, region_id, mbps)

    def delete(self, region_id: str) -> None:
        with suppress(NotFoundError):
            connections.delete(self.context, self.actor, self.cen_id, WEST, region_id)

    def detach(self, region_id: str) -> None:
        with suppress(NotFoundError):
            attachments.detach(self.context, self.actor, self.cen_id, self.networks[region_id])

    def attach(self, region_id: str) -> None:
        with suppress(ConflictError):
            attachments.attach(self.context, self.actor, self.cen_id, self.networks[region_id])

    def unbind(self) -> None:
        for package_id in instances.get(self.context, self.actor, self.cen_id).package_ids:
            packages.unbind(self.context, self.actor, package_id)

    def swap_package(self, package: int) -> None:
        for region_id in (HANGZHOU, SHANGHAI):
            self.delete(region_id)
        self.unbind()
        packages.bind(self.context, self.actor, self.packages[package], self.cen_id)

    def promote(self, name: str) -> None:
        """An operator, or the arbiter, makes this gateway the active one."""
        with self.context.change(self.actor, "gateway.promote", name) as work:
            work.revision()
            row, former = (
                gateway_rows.find(work.tx, self.kernels[item].row.id)
                for item in (name, WEST if name == PARTNER else PARTNER)
            )
            assert row is not None
            assert former is not None
            if not row.is_active:
                pairs.take_over(work, row, former)

    def follow(self, name: str) -> None:
        """The gateway asks for its orders, carries them out, and sends off its report."""
        kernel = self.kernels[name]
        region_id = kernel.row.region_id
        state = gateways.wanted_state(self.context, kernel.row, kernel.followed)
        kernel.followed = state.revision
        kernel.is_active = state.place.is_active
        for instance in state.instances:
            kernel.revisions[instance.cen_id] = instance.revision
            self._forget(kernel, instance.cen_id)
            for link in instance.links:
                key = (instance.cen_id, *sorted((region_id, link.peer_region_id)))
                with self.context.database.read() as tx:
                    package_id = links.find_many(tx, [key])[key].package_id
                kernel.rates[key] = (link.granted_bps, package_id)
                kernel.takes_from[instance.cen_id, link.peer_region_id] = link.peer_endpoint
        gone = [self._gone(kernel, cen_id, state.revision) for cen_id in state.removed_cen_ids]
        kernel.on_the_way.append([*self._all(kernel), *gone])

    def _gone(self, kernel: Kernel, cen_id: str, revision: int) -> KernelInstance:
        kernel.revisions.pop(cen_id, None)
        self._forget(kernel, cen_id)
        return KernelInstance(cen_id, revision, True, (), {}, {})

    @staticmethod
    def _forget(kernel: Kernel, cen_id: str) -> None:
        kernel.rates = {key: rate for key, rate in kernel.rates.items() if key[0] != cen_id}

    @staticmethod
    def _all(kernel: Kernel) -> list[KernelInstance]:
        found = []
        for cen_id, revision in kernel.revisions.items():
            there = tuple(
                KernelLink(_peer(key, kernel), (rate_bps or 1000) if kernel.is_active else None, None)
                for key, (rate_bps, _) in kernel.rates.items()
                if key[0] == cen_id
            )
            found.append(KernelInstance(cen_id, revision, False, there, {}, {}))
        return found

    def deliver(self, name: str, which: int, *, again: bool = False) -> None:
        """One of the reports on their way arrives, not always the oldest."""
        kernel = self.kernels[name]
        if not kernel.on_the_way:
            return
        at = which % len(kernel.on_the_way)
        said = kernel.on_the_way[at] if again else kernel.on_the_way.pop(at)
        gateways.report(self.context, kernel.row, applied_revision=kernel.followed, repairs=0, instances=said)

    def settle(self) -> None:
        """Everybody follows and everything arrives, until nothing changes any more."""
        for _ in range(6):
            for name, kernel in self.kernels.items():
                self.follow(name)
                while kernel.on_the_way:
                    self.deliver(name, 0)

    def on_wire_mbps(self) -> dict[str | None, float]:
        """By package, what passes out of it: of each link the faster direction, of a region all its gateways."""
        rates: dict[tuple[links.Key, str | None], dict[str, int]] = {}
        for kernel in self.kernels.values():
            for key, (rate_bps, package_id) in kernel.rates.items():
                if self._passes(kernel, key):
                    sent = rates.setdefault((key, package_id), defaultdict(int))
                    sent[kernel.row.region_id] += rate_bps
        sums: dict[str | None, float] = defaultdict(float)
        for (_, package_id), sent in rates.items():
            sums[package_id] += max(sent.values()) / MBPS
        return sums

    def _passes(self, kernel: Kernel, key: links.Key) -> bool:
        """Whether the gateway sends into the link, and one at its other end takes it."""
        peer_id = _peer(key, kernel)
        others = [other for other in self.kernels.values() if other.row.region_id == peer_id and other.is_active]
        return kernel.is_active and any(
            other.takes_from.get((key[0], kernel.row.region_id)) == kernel.endpoint for other in others
        )

    def sent_mbps(self, region_id: str) -> float:
        """What us-west-1 sends to a region, of whatever instance."""
        rates = [
            rate_bps
            for kernel in self.kernels.values()
            if kernel.row.region_id == WEST
            for key, (rate_bps, _) in kernel.rates.items()
            if region_id in key and self._passes(kernel, key)
        ]
        return sum(rates) / MBPS


def _peer(key: links.Key, kernel: Kernel) -> str:
    return key[2] if key[1] == kernel.row.region_id else key[1]


class WireMachine(RuleBasedStateMachine):
    """Anything may happen in any order; what a package's kernels hold together never exceeds it."""

    @initialize()
    def start(self) -> None:
        self.opened = new_context()
        self.wire = Wire(*self.opened.__enter__())

    @rule(region_id=chinese, mbps=st.sampled_from((5, 10, 15, 20)))
    def set(self, region_id: str, mbps: int) -> None:
        self.wire.set(region_id, mbps)

    @rule(region_id=chinese)
    def delete(self, region_id: str) -> None:
        self.wire.delete(region_id)

    @rule(region_id=regions)
    def detach(self, region_id: str) -> None:
        self.wire.detach(region_id)

    @rule(region_id=regions)
    def attach(self, region_id: str) -> None:
        self.wire.attach(region_id)

    @rule(package=st.integers(0, 1))
    def swap_package(self, package: int) -> None:
        self.wire.swap_package(package)

    @rule(package=st.integers(0, 1))
    def another_instance(self, package: int) -> None:
        self.wire.end()
        self.wire.begin(package)

    @rule(name=kernels)
    def follow(self, name: str) -> None:
        self.wire.follow(name)

    @rule(name=kernels, which=st.integers(0, 5))
    def deliver(self, name: str, which: int) -> None:
        self.wire.deliver(name, which)

    @rule(name=kernels, which=st.integers(0, 5))
    def deliver_twice(self, name: str, which: int) -> None:
        self.wire.deliver(name, which, again=True)

    @rule(name=st.sampled_from((WEST, PARTNER)))
    def promote(self, name: str) -> None:
        self.wire.promote(name)

    @rule()
    def settle(self) -> None:
        self.wire.settle()

    @invariant()
    def no_package_is_exceeded_on_the_wire(self) -> None:
        if hasattr(self, "wire"):
            sums = self.wire.on_wire_mbps()
            assert all(mbps <= PACKAGE_MBPS for mbps in sums.values()), sums

    def teardown(self) -> None:
        if not hasattr(self, "wire"):
            return
        wire = self.wire
        wire.settle()
        found = {region_id: wire.sent_mbps(region_id) for region_id in (HANGZHOU, SHANGHAI)}
        attached = {item.region_id for item in attachments.search(wire.context, wire.actor, wire.cen_id, Page()).items}
        wanted = dict.fromkeys((HANGZHOU, SHANGHAI), 0.0)
        with wire.context.database.read() as tx:
            for item in connection_rows.search(tx, wire.actor.account_id, Page(), cen_id=wire.cen_id).items:
                if {item.region_a_id, item.region_b_id} <= attached:
                    wanted[item.region_a_id] = float(item.bandwidth_mbps)
        assert found == wanted, "once everybody has acknowledged, everybody has what was set"
        assert check.check(wire.context) == []
        self.opened.__exit__(None, None, None)


TestWire = WireMachine.TestCase
TestWire.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.fixture
def wire(context: Context, admin: Actor) -> Wire:
    made = Wire(context, admin)
    made.settle()
    return made


def test_a_tunnel_that_came_back_at_its_old_rate_counts_before_it_is_reported(wire: Wire) -> None:
    """Its gateway has said that the tunnel is gone; since then it may have built it again."""
    wire.set(HANGZHOU, 10)
    wire.settle()
    wire.detach(HANGZHOU)
    wire.settle()
    wire.attach(HANGZHOU)
    wire.follow(HANGZHOU)
    wire.delete(HANGZHOU)
    wire.set(SHANGHAI, 20)
    wire.follow(WEST)
    wire.deliver(WEST, 0)
    wire.follow(WEST)
    assert wire.sent_mbps(SHANGHAI) == 0, "cn-hangzhou may still send 10 Mbit/s"
    wire.settle()
    assert wire.sent_mbps(SHANGHAI) == 20


def test_what_a_deleted_instances_gateways_still_send_counts_against_the_package(wire: Wire) -> None:
    wire.set(HANGZHOU, 10)
    wire.settle()
    wire.end()
    wire.begin(0)
    wire.set(SHANGHAI, 20)
    for region_id in (WEST, SHANGHAI):
        wire.follow(region_id)
        wire.deliver(region_id, 0)
    wire.follow(WEST)
    assert wire.sent_mbps(SHANGHAI) == 0, "cn-hangzhou has not heard that the instance is gone"
    view = views.get(wire.context, wire.actor, wire.cen_id, WEST, SHANGHAI)
    assert any("still holds 10 Mbit/s of cn-hangzhou - us-west-1" in reason for reason in view.reasons)
    wire.settle()
    assert wire.sent_mbps(SHANGHAI) == 20


def test_what_gateways_still_send_counts_against_the_package_that_it_came_out_of(wire: Wire) -> None:
    """The pair may draw on another package meanwhile."""
    wire.set(HANGZHOU, 20)
    wire.settle()
    wire.swap_package(1)
    wire.set(HANGZHOU, 20)
    wire.swap_package(0)
    wire.set(SHANGHAI, 20)
    wire.follow(WEST)
    wire.deliver(WEST, 0)
    wire.follow(WEST)
    assert wire.sent_mbps(SHANGHAI) == 0, "cn-hangzhou still sends 20 Mbit/s out of the first package"
    wire.settle()
    assert wire.sent_mbps(SHANGHAI) == 20


def test_a_promoted_gateway_gets_its_rate_once_the_other_end_takes_nothing_from_the_former_one(wire: Wire) -> None:
    wire.set(HANGZHOU, 20)
    wire.settle()
    wire.promote(PARTNER)
    wire.follow(PARTNER)
    wire.deliver(PARTNER, 0)
    assert wire.kernels[PARTNER].rates == {key: (0, package) for key, (_, package) in wire.kernels[WEST].rates.items()}
    view = views.get(wire.context, wire.actor, wire.cen_id, WEST, HANGZHOU)
    former = wire.kernels[WEST].row.id
    assert any(f"{former} of us-west-1, which was the active one, may still send 20" in item for item in view.reasons)
    wire.follow(HANGZHOU)
    wire.deliver(HANGZHOU, 0)
    wire.follow(PARTNER)
    assert wire.sent_mbps(HANGZHOU) == 20, "the former one has heard nothing, and counts no more"
    assert wire.kernels[WEST].is_active
    wire.settle()
    assert (wire.kernels[WEST].is_active, wire.sent_mbps(HANGZHOU)) == (False, 20)


def test_a_peer_that_takes_packets_from_any_address_frees_nothing(wire: Wire) -> None:
    hangzhou = wire.kernels[HANGZHOU]
    gateways.hello(
        wire.context,
        hangzhou.row,
        endpoint="192.0.2.2",
        agent_version="0",
        capabilities={"max_encrypted_links": 100},
        declared_networks=[],
    )
    wire.set(HANGZHOU, 20)
    with wire.context.database.read() as tx:
        row = gateway_rows.find(tx, hangzhou.row.id)
    assert row is not None
    hangzhou.row = row
    wire.settle()
    wire.promote(PARTNER)
    for name in (HANGZHOU, PARTNER, HANGZHOU, PARTNER):
        wire.follow(name)
        wire.deliver(name, 0)
    assert {rate for rate, _ in wire.kernels[PARTNER].rates.values()} == {0}
    wire.settle()
    assert wire.sent_mbps(HANGZHOU) == 20, "the former one has said that its tunnels are down"


def test_removing_a_gateway_ends_what_it_held_of_a_deleted_instance(wire: Wire) -> None:
    wire.set(HANGZHOU, 10)
    wire.settle()
    wire.end()
    wire.begin(0)
    wire.set(SHANGHAI, 20)
    for region_id in (WEST, SHANGHAI):
        wire.follow(region_id)
        wire.deliver(region_id, 0)
    gateways.remove(wire.context, wire.actor, wire.kernels[HANGZHOU].row.id)
    wire.follow(WEST)
    assert wire.sent_mbps(SHANGHAI) == 20
