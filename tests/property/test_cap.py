"""The sum of a package's region connections never exceeds the package: the real thing against a naive model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from opencen.changes.feed import ChangeFeed
from opencen.domain.errors import BandwidthExceededError, NotFoundError, PackageInUseError
from opencen.domain.nouns import Actor, Role
from opencen.services import attachments, check, connections, identities, instances, networks, packages, views
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import identities as rows
from opencen.store.database import Database
from opencen.store.records import Page

REGIONS = ("us-west-1", "us-east-1", "cn-hangzhou", "cn-shanghai", "cn-shenzhen")
AMERICAN = ("us-west-1", "us-east-1")
CHINESE = ("cn-hangzhou", "cn-shanghai", "cn-shenzhen")
megabits = st.integers(1, 30)


def new_context(directory: Path) -> tuple[Context, Actor]:
    database = Database.sqlite(directory)
    database.upgrade()
    context = Context(database, ChangeFeed(), Vault.from_file(directory / "secrets.key"))
    identities.bootstrap(context, directory / "admin.json")
    with database.read() as tx:
        user = rows.find_user(tx, "admin")
    assert user is not None
    return context, Actor(user.account_id, user.id, user.username, Role(user.role))


class PackageMachine(RuleBasedStateMachine):
    """Sets, deletes and resizes at random; the model is a dictionary and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.context, self.actor = new_context(Path(self.directory.name))
        self.model: dict[tuple[str, str], int] = {}

    @initialize(size=st.integers(2, 40))
    def start(self, size: int) -> None:
        self.size = size
        self.cen = instances.create(self.context, self.actor, name="model").id
        for number, region_id in enumerate(REGIONS, 1):
            network = networks.create(
                self.context, self.actor, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"]
            )
            attachments.attach(self.context, self.actor, self.cen, network.id)
        package = packages.buy(
            self.context, self.actor, area_a_id="China", area_b_id="North-America", bandwidth_mbps=size
        )
        self.package = packages.bind(self.context, self.actor, package.id, self.cen).id

    @rule(american=st.sampled_from(AMERICAN), chinese=st.sampled_from(CHINESE), mbps=megabits, swap=st.booleans())
    def set_bandwidth(self, american: str, chinese: str, mbps: int, swap: bool) -> None:
        pair = (chinese, american)
        fits = sum(self.model.values()) - self.model.get(pair, 0) + mbps <= self.size
        ends = pair if swap else pair[::-1]
        if fits:
            connections.set_bandwidth(self.context, self.actor, self.cen, *ends, mbps)
            self.model[pair] = mbps
            return
        with pytest.raises(BandwidthExceededError) as refused:
            connections.set_bandwidth(self.context, self.actor, self.cen, *ends, mbps)
        numbers, allocated = refused.value.numbers, sum(self.model.values())
        said = (numbers["bandwidth_mbps"], numbers["allocated_mbps"], numbers["free_mbps"], numbers["asked_mbps"])
        assert said == (self.size, allocated, self.size - allocated, mbps)

    @rule(american=st.sampled_from(AMERICAN), chinese=st.sampled_from(CHINESE))
    def delete(self, american: str, chinese: str) -> None:
        try:
            connections.delete(self.context, self.actor, self.cen, american, chinese)
        except NotFoundError:
            assert (chinese, american) not in self.model
        else:
            del self.model[(chinese, american)]

    @rule(mbps=st.integers(2, 60))
    def resize(self, mbps: int) -> None:
        try:
            packages.modify(self.context, self.actor, self.package, bandwidth_mbps=mbps)
        except BandwidthExceededError:
            assert mbps < sum(self.model.values())
        else:
            assert mbps >= sum(self.model.values())
            self.size = mbps

    @rule()
    def unbind(self) -> None:
        if self.model:
            with pytest.raises(PackageInUseError):
                packages.unbind(self.context, self.actor, self.package)
            return
        packages.unbind(self.context, self.actor, self.package)
        packages.bind(self.context, self.actor, self.package, self.cen)

    @invariant()
    def rows_say_what_the_model_says(self) -> None:
        if not hasattr(self, "cen"):
            return
        found = views.search(self.context, self.actor, Page(1, 50), cen_id=self.cen).items
        said = {
            (view.connection.region_a_id, view.connection.region_b_id): view.connection.bandwidth_mbps for view in found
        }
        assert said == self.model
        package = packages.get(self.context, self.actor, self.package)
        assert (package.bandwidth_mbps, package.allocated_mbps) == (self.size, sum(self.model.values()))
        assert check.check(self.context) == []

    def teardown(self) -> None:
        self.context.database.close()
        self.directory.cleanup()


TestPackage = PackageMachine.TestCase
TestPackage.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_database_itself_refuses_a_sum_above_the_package(context: Context, admin: Actor) -> None:
    """Whatever the code does: the CHECK stands behind it."""
    cen_id = instances.create(context, admin, name="x").id
    package = packages.buy(context, admin, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    packages.bind(context, admin, package.id, cen_id)
    with pytest.raises(IntegrityError, match="allocated_within_bandwidth"), context.database.write() as tx:
        tx.execute(text("UPDATE bandwidth_packages SET allocated_mbps = 21"))
    assert packages.get(context, admin, package.id).allocated_mbps == 0


def test_only_the_locked_door_writes_allocations() -> None:
    """No other module may write the columns that carry the cap."""
    store = Path(__file__).parents[2] / "src" / "opencen" / "store"
    writers = {"insert(", "update(", "delete("}
    for module in store.rglob("*.py"):
        source = module.read_text()
        if module.name in {"allocations.py", "schema.py"} or "versions" in module.parts:
            continue
        for line in source.splitlines():
            touches = "region_connections" in line or "allocated_mbps" in line
            assert not (touches and any(writer in line for writer in writers)), f"{module.name}: {line}"
        assert not (module.name == "connections.py" and any(writer in source for writer in writers))
        assert "allocated_mbps=" not in source.replace("allocated_mbps=0", ""), module.name
