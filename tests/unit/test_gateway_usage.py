"""A gateway's meters without a kernel: outages, restarts, kills, a full disk, and links that come and go."""

from __future__ import annotations

import asyncio
from array import array
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencen.gateway.follow import ControlPlaneError, NotTakenError
from opencen.gateway.kernel.counters import Look, Reading
from opencen.gateway.usage.metering import Clocks, Metering
from opencen.gateway.usage.spool import Spool
from opencen.gateway.usage.tracks import Tracks
from opencen.wire.gateway import GatewayState, InstanceState, LinkState
from opencen.wire.usage import RosterLink, UsageAnswer

NAMESPACE, DEVICE = "gw-1-cen-a", "to-east"


@dataclass
class FakeReader:
    """Counters that go up by so many bytes each simulated second."""

    rates: dict[tuple[str, str], int]
    now_s: float = 1_000.1
    wall_s: float = 5_000_000.0
    looks: list[Collection[str] | None] = field(default_factory=list)
    boot: str = "boot-1"

    def there(self) -> dict[str, int]:
        return dict.fromkeys({namespace for namespace, _ in self.rates}, 1)

    def read(self, present: Mapping[str, int], only: Collection[str] | None = None) -> Look:
        self.looks.append(only)
        at = self.now_s - 900
        readings = {
            device: Reading(2, int(rate * at), int(at), 0, 9)
            for device, rate in self.rates.items()
            if only is None or device[0] in only
        }
        return Look(readings)

    def close(self) -> None:
        pass

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_s, lambda: self.wall_s, lambda: self.boot)


@dataclass
class FakeControlPlane:
    down: bool = False
    refuses: bool = False
    knows: set[str] = field(default_factory=set)
    taken: dict[int, dict[str, Any]] = field(default_factory=dict)
    watched: list[RosterLink] = field(default_factory=list)

    async def usage(self, body: dict[str, Any]) -> UsageAnswer:
        if self.down:
            raise ControlPlaneError("nobody there")
        if self.refuses:
            raise NotTakenError("400: no sense")
        if body["roster"] is None and body["roster_sha256"] not in self.knows:
            return UsageAnswer(wants_roster=True)
        self.knows.add(body["roster_sha256"])
        self.taken[body["sequence"]] = body
        return UsageAnswer(watched=self.watched)

    def ticks(self) -> list[tuple[int, int, int]]:
        """Begin, end and bytes of the first link in each tick, in the order in which they were metered."""
        found = []
        for _, body in sorted(self.taken.items()):
            for tick in body["ticks"]:
                sent = array("Q", b64decode(tick["sent_bytes"]))
                found.append((tick["at_s"] - tick["for_s"], tick["at_s"], sent[0]))
        return found


def state_of(links: int = 1) -> GatewayState:
    made = [
        LinkState(peer_region_id=f"east{n or ''}", vni=n + 1, peer_endpoint=None, remote_cidr_blocks=[], rate_bps=1_000)
        for n in range(links)
    ]
    instance = InstanceState(cen_id="cen-a", revision=1, networks=[], links=made)
    return GatewayState(gateway_id="gw-1", region_id="west", revision=1, full=True, instances=[instance])


def meter(reader: FakeReader, control_plane: FakeControlPlane, folder: Path, **more: Any) -> Metering:
    state = state_of(len(reader.rates))
    metering = Metering("gw-1", reader, control_plane, folder, state=lambda: state, clocks=reader.clocks, **more)
    metering.begin()
    return metering


def pass_by(metering: Metering, reader: FakeReader, seconds: int) -> None:
    for _ in range(seconds):
        reader.now_s += 1
        reader.wall_s += 1
        metering.sample()


def deliver(metering: Metering) -> None:
    """Send until nothing waits."""

    async def send() -> None:
        sending = asyncio.create_task(metering._send(asyncio.Event()))
        while metering.spool.waiting:  # noqa: ASYNC110  the sender tells nobody
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(send())


def assert_without_holes(ticks: list[tuple[int, int, int]], rate: int) -> None:
    assert [begin for begin, _, _ in ticks[1:]] == [end for _, end, _ in ticks[:-1]]
    # metering began within the first second
    assert all(abs(sent - rate * (end - begin)) <= 1 for begin, end, sent in ticks[1:]), ticks


def test_an_hour_without_the_control_plane_loses_nothing(tmp_path: Path) -> None:
    reader, control_plane = FakeReader({(NAMESPACE, DEVICE): 7_000}), FakeControlPlane(down=True)
    metering = meter(reader, control_plane, tmp_path)
    pass_by(metering, reader, 3_600)
    assert metering.spool.waiting >= 359
    control_plane.down = False
    metering.flush()
    deliver(metering)
    ticks = control_plane.ticks()
    assert_without_holes(ticks, 7_000)
    assert len(ticks) == 3_600
    assert metering.spool.lost_batches == 0


def test_a_killed_agent_goes_on_where_the_last_batch_ended(tmp_path: Path) -> None:
    reader, control_plane = FakeReader({(NAMESPACE, DEVICE): 7_000}), FakeControlPlane()
    pass_by(meter(reader, control_plane, tmp_path), reader, 27)
    reader.now_s += 40  # nobody meters; what was metered since the last batch is forgotten
    metering = meter(reader, control_plane, tmp_path)
    pass_by(metering, reader, 12)
    metering.flush()
    deliver(metering)
    ticks = control_plane.ticks()
    assert_without_holes(ticks, 7_000)
    assert max(end - begin for begin, end, _ in ticks) >= 40


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    reader, control_plane = FakeReader({(NAMESPACE, DEVICE): 7_000}), FakeControlPlane()
    metering = meter(reader, control_plane, tmp_path)
    for step_s in (0, 300, -900):
        reader.wall_s += step_s
        pass_by(metering, reader, 20)
    metering.flush()
    deliver(metering)
    assert_without_holes(control_plane.ticks(), 7_000)


def test_after_a_boot_counting_begins_at_zero(tmp_path: Path) -> None:
    reader, control_plane = FakeReader({(NAMESPACE, DEVICE): 7_000}), FakeControlPlane()
    pass_by(meter(reader, control_plane, tmp_path), reader, 20)
    reader.boot, reader.now_s = "boot-2", 930.1
    metering = meter(reader, control_plane, tmp_path)
    pass_by(metering, reader, 1)
    metering.flush()
    deliver(metering)
    begin_s, end_s, sent = control_plane.ticks()[-1]
    assert (begin_s, end_s) == (0, 931)
    assert 7_000 * 30 <= sent <= 7_000 * 32, "all that the new link counted, and spread over all of the time"


def test_a_full_spool_gives_up_the_oldest_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=2_000)
    spool.load("boot")
    for number in range(40):
        spool.commit([{"roster_sha256": f"{number:064d}", "n": number}], Tracks(), "boot")
    assert spool.waiting_bytes <= 2_000
    assert spool.lost_batches == 40 - spool.waiting
    oldest = spool.oldest()
    assert oldest is not None
    assert oldest[1]["n"] == 40 - spool.waiting
    again = Spool(tmp_path, max_bytes=2_000)
    again.load("boot")
    assert again.waiting == spool.waiting, "what waits is still there after a restart"


def test_a_batch_without_its_tracks_does_not_count(tmp_path: Path) -> None:
    """Killed between the two: the batch was never, and its traffic is still to be put into one."""
    spool = Spool(tmp_path)
    spool.load("boot")
    spool.commit([{"n": 1}], Tracks(since_us=1), "boot")
    (tmp_path / "0000000000000002.tmp").write_bytes(b"half a batch")
    again = Spool(tmp_path)
    assert again.load("boot").since_us == 1
    assert again.waiting == 1


def test_a_batch_that_makes_no_sense_is_given_up(tmp_path: Path) -> None:
    reader, control_plane = FakeReader({(NAMESPACE, DEVICE): 7_000}), FakeControlPlane(refuses=True)
    metering = meter(reader, control_plane, tmp_path)
    pass_by(metering, reader, 25)
    deliver(metering)
    assert metering.spool.lost_batches >= 2


def test_with_many_links_only_the_watched_are_read_every_second(tmp_path: Path) -> None:
    rates = {(NAMESPACE, f"to-east{n or ''}"): 1_000 for n in range(3)}
    reader, control_plane = FakeReader(rates), FakeControlPlane()
    metering = meter(reader, control_plane, tmp_path, fine_links=2)
    pass_by(metering, reader, 30)
    metering.flush()
    deliver(metering)
    assert {end - begin for begin, end, _ in control_plane.ticks()[1:]} == {10}
    control_plane.watched = [RosterLink(cen_id="cen-a", peer_region_id="east1")]
    pass_by(metering, reader, 10)
    metering.flush()
    deliver(metering)
    reader.looks.clear()
    control_plane.taken.clear()
    pass_by(metering, reader, 30)
    metering.flush()
    deliver(metering)
    links = [len(body["ticks"][0]["backlog_bytes"]) for body in control_plane.taken.values()]
    assert len(set(links)) == 2, "batches of the one that is watched, and of the two others"
    assert sum(only is not None for only in reader.looks) > sum(only is None for only in reader.looks)
