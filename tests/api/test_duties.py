"""Background duties are done by one server process, and by another one when that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import administrator
from opencen.changes.feed import ChangeFeed
from opencen.services import identities, instances
from opencen.services.context import Context
from opencen.services.duties import Duty, Leader
from opencen.services.vault import Vault
from opencen.store.database import Database
from opencen.store.records import Page

BEAT_S, TAKE_OVER_S, WITHOUT_S = 0.02, 0.4, 0.3


@pytest.fixture
def contexts(tmp_path: Path, database_url: str | None) -> Callable[[], Context]:
    """Makes the context of one more server process over the same database."""

    def make() -> Context:
        database = Database.from_url(database_url) if database_url else Database.sqlite(tmp_path / "data")
        database.upgrade()
        context = Context(database, ChangeFeed(), Vault.from_file(tmp_path / "secrets.key"))
        identities.bootstrap(context, tmp_path / "admin.json")
        return context

    return make


def _leader(context: Context, *duties: Duty) -> Leader:
    return Leader(context, duties, beat_s=BEAT_S, take_over_s=TAKE_OVER_S, leads_without_beat_s=WITHOUT_S)


def _until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_of_several_processes_one_does_the_duties_and_the_next_when_it_stops(contexts: Callable[[], Context]) -> None:
    runs: dict[int, int] = {0: 0, 1: 0, 2: 0}

    def counting(number: int) -> Duty:
        def work(_: Context) -> None:
            runs[number] += 1

        return Duty("count", 0.01, work)

    leaders = [_leader(contexts(), counting(number)) for number in runs]
    for leader in leaders:
        leader.start()
    for _ in range(3):
        _until(lambda: any(leader.leading for leader in leaders))
        (leading,) = [number for number, leader in enumerate(leaders) if leader.leading]
        before = dict(runs)
        _until(lambda: runs[leading] > before[leading] + 5)  # noqa: B023
        others = [number for number in runs if number != leading]
        assert all(runs[number] == before[number] for number in others)
        leaders[leading].stop()
    assert all(count > 5 for count in runs.values())


def test_a_process_that_is_gone_without_a_word_is_followed_after_the_time_stated(
    contexts: Callable[[], Context],
) -> None:
    gone, heir = _leader(contexts()), _leader(contexts())
    gone.beat()
    heir.beat()
    began = time.monotonic()
    assert gone.leading
    while not heir.leading:
        heir.beat()
        assert not (gone.leading and heir.leading)
        time.sleep(BEAT_S)
    assert TAKE_OVER_S <= time.monotonic() - began < TAKE_OVER_S + 5
    assert not gone.leading
    gone.beat()
    assert not gone.leading, "it comes back as one of those who wait"


def test_a_process_that_stood_still_changes_nothing_after_another_has_taken_over(
    contexts: Callable[[], Context],
) -> None:
    """Its duty goes on where it stood, with the lease lost meanwhile: what it wants to change is refused."""
    context = contexts()
    admin = administrator(context)
    stands, goes_on, outcomes = threading.Event(), threading.Event(), []

    def work(guarded: Context) -> None:
        instances.create(guarded, admin, name="before")
        stands.set()
        goes_on.wait(20)
        instances.create(guarded, admin, name="after")

    slow = Leader(context, [Duty("slow", 60, work)], observe=lambda _, outcome: outcomes.append(outcome), beat_s=60)
    heir = _leader(contexts())
    slow.start()
    assert stands.wait(20)
    while not heir.leading:
        heir.beat()
        time.sleep(BEAT_S)
    goes_on.set()
    _until(lambda: outcomes == ["lost"])
    assert [item.name for item in instances.search(context, admin, Page()).items] == ["before"]
    slow.stop()
    assert heir.leading, "a loser that stops does not give away what is another's"


def test_a_duty_that_fails_is_counted_and_done_again_and_the_others_do_not_notice(
    contexts: Callable[[], Context],
) -> None:
    outcomes: list[tuple[str, str]] = []

    def fail(_: Context) -> None:
        raise ZeroDivisionError

    duties = [Duty("fails", 0.01, fail), Duty("works", 0.01, lambda _: None)]
    leader = Leader(contexts(), duties, observe=lambda name, outcome: outcomes.append((name, outcome)), beat_s=BEAT_S)
    leader.start()
    _until(lambda: outcomes.count(("fails", "failed")) > 2 and outcomes.count(("works", "done")) > 2)
    leader.stop()
    assert set(outcomes) == {("fails", "failed"), ("works", "done")}
