"""Clocks that differ, jump and lag: what was metered is drawn at the control plane's time, once and without holes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opencen.services.usage import intake
from usage_batches import columns_of
from usage_world import HOUR_0, PEERS, World, world_on

BOOT_ZERO_S = HOUR_0 - 40_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_on(tmp_path, None) as made:
        yield made


class Sender:
    """A gateway that sends a second's tick each second; `lag_s` is how long a message is under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cen_id = world.new_instance()
        self.boot_s = HOUR_0 - BOOT_ZERO_S
        self.sequence = 0

    def second(self, *, lag_s: float = 0.02, boot_id: str = "boot", told: str = "boot", wall_s: float = 0.0) -> None:
        """`boot_id` is the boot of the ticks, `told` the one that the gateway runs in when it sends them."""
        self.boot_s += 1
        self.sequence += 1
        self.world.now_s += 1
        sent_at_s, self.world.now_s = self.world.now_s, self.world.now_s + lag_s
        intake.take(
            self.world.context,
            self.world.gateway,
            spool_id=self.cen_id,
            sequence=self.sequence,
            clock=intake.Clock(told, float(self.boot_s), wall_s),
            boot_id=boot_id,
            boot_wall_s=wall_s - self.boot_s,
            roster_sha256=self.cen_id,
            roster=[(self.cen_id, peer) for peer in PEERS],
            ticks=[intake.Tick(self.boot_s, 1, columns_of([(100, 1, 0, 0)] * 2))],
        )
        self.world.now_s = sent_at_s

    def drawn(self) -> list[int]:
        points = self.world.drawn(self.cen_id, PEERS[0], HOUR_0 - 400, HOUR_0 + 400, 1)
        return [points.start_s + n for n, amount in enumerate(points.sent_bytes) if amount]


def test_slow_messages_move_nothing(world: World) -> None:
    sender = Sender(world)
    for number in range(60):
        sender.second(lag_s=4.0 if number % 7 == 3 else 0.1)
    assert sender.drawn() == list(range(HOUR_0, HOUR_0 + 60))


def test_the_gateways_wall_clock_does_not_matter(world: World) -> None:
    sender = Sender(world)
    for number in range(60):
        sender.second(wall_s=1_000_000.0 if number < 30 else 1_000_300.0)
    assert sender.drawn() == list(range(HOUR_0, HOUR_0 + 60))


def test_a_control_plane_whose_clock_is_set_forward_follows_within_some_batches(world: World) -> None:
    sender = Sender(world)
    for _ in range(20):
        sender.second()
    world.now_s += 120
    for _ in range(20):
        sender.second()
    drawn = sender.drawn()
    assert len(drawn) == 40, "every second of traffic is a point"
    assert drawn[-1] == HOUR_0 + 20 + 120 + 19


def test_what_an_earlier_boot_left_is_drawn_when_it_passed(world: World) -> None:
    """Of a boot that was heard of by its clock; of one that was not, by the gateway's wall clock."""
    sender = Sender(world)
    for _ in range(10):
        sender.second()
    for _ in range(5):
        sender.second(told="later boot")
    assert sender.drawn() == list(range(HOUR_0, HOUR_0 + 15))
    other = Sender(world)
    began_s = int(world.now_s)
    for _ in range(5):
        other.second(boot_id="never heard of", told="later boot", wall_s=world.now_s - 777.0 + 1)
    assert other.drawn() == list(range(began_s, began_s + 5))
