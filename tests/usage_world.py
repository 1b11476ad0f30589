"""A server whose clock a test sets, and a gateway that says what passed: usage without waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from conftest import administrator
from joined import join
from opencen.domain.nouns import Actor
from opencen.domain.usage import HOUR_S, Points
from opencen.serve import open_context
from opencen.services import attachments, instances, networks
from opencen.services.context import Context
from opencen.services.usage import asking, intake
from opencen.services.usage.asking import Span
from opencen.store.gateways import GatewayRow
from usage_batches import columns_of

HOUR_0 = 1_800_000_000 - 1_800_000_000 % HOUR_S
PEERS = ("cn-hangzhou", "cn-shanghai")
Tick = tuple[int, int, tuple[int, ...]]
"""End and length in seconds, and the bytes of each peer."""


class World:
    """A server whose clock the test sets, and a gateway of us-west-1."""

    def __init__(self, context: Context) -> None:
        self.now_s = float(HOUR_0)
        self.context = context
        context.clock = lambda: datetime.fromtimestamp(self.now_s, UTC)
        self.admin: Actor = administrator(context)
        self.gateway: GatewayRow = join(context, self.admin, "us-west-1")

    def next_hour_s(self) -> int:
        return int(self.now_s) - int(self.now_s) % HOUR_S + HOUR_S

    def new_instance(self) -> str:
        """With a network in the gateway's region: a gateway meters what its region carries."""
        cen_id = instances.create(self.context, self.admin).id
        network = networks.create(self.context, self.admin, region_id="us-west-1", cidr_blocks=["10.1.0.0/16"])
        attachments.attach(self.context, self.admin, cen_id, network.id)
        return cen_id

    def send(self, cen_id: str, sequence: int, ticks: list[Tick], *, boot_zero_s: int = HOUR_0 - 1_000) -> None:
        """As sent now by a gateway whose boot clock began at `boot_zero_s`."""
        clock = intake.Clock("boot", self.now_s - boot_zero_s, 0.0)
        taken = intake.take(
            self.context,
            self.gateway,
            spool_id=f"spool-{cen_id}",
            sequence=sequence,
            clock=clock,
            boot_id="boot",
            boot_wall_s=0.0,
            roster_sha256=cen_id,
            roster=[(cen_id, peer) for peer in PEERS],
            ticks=[
                intake.Tick(end_s - boot_zero_s, for_s, columns_of([(b, b // 1_000, b % 7, b % 11) for b in sent]))
                for end_s, for_s, sent in ticks
            ],
        )
        assert not taken.wants_roster

    def drawn(self, cen_id: str, peer: str, from_s: int, to_s: int, step_s: int) -> Points:
        """Of us-west-1 to a peer. The connection was never set: what was metered is drawn all the same."""
        chart = asking.chart(self.context, self.admin, cen_id, "us-west-1", peer, Span(from_s, to_s, step_s))
        return next(item.points for item in chart.directions if item.from_region_id == "us-west-1")


@contextmanager
def world_on(path: Path, database_url: str | None) -> Iterator[World]:
    context, _ = open_context(path / "data", database_url, durable=False)
    yield World(context)
    context.database.close()
