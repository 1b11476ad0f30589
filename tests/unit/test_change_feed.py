"""Who waits for a region is woken by its changes, and by no others."""

from __future__ import annotations

import asyncio
import threading

from opencen.changes.feed import ANY_REGION, Change, ChangeFeed


def test_a_waiter_is_woken_by_a_change_of_its_region_from_another_thread() -> None:
    feed = ChangeFeed()

    async def scenario() -> bool:
        waiting = asyncio.create_task(feed.wait("us-west-1", 4, 10))
        await asyncio.sleep(0)
        publisher = threading.Thread(target=feed.publish, args=(Change(5, frozenset({"us-west-1"})),))
        publisher.start()
        publisher.join()
        return await waiting

    assert asyncio.run(scenario()) is True


def test_a_change_that_was_published_before_the_wait_began_is_not_missed() -> None:
    feed = ChangeFeed()
    feed.publish(Change(5, frozenset({"us-west-1"})))
    assert asyncio.run(feed.wait("us-west-1", 4, 10)) is True


def test_changes_of_other_regions_and_old_ones_do_not_wake() -> None:
    feed = ChangeFeed()
    feed.publish(Change(5, frozenset({"us-west-1", "cn-hangzhou"})))
    assert asyncio.run(feed.wait("cn-shanghai", 4, 0.05)) is False
    assert asyncio.run(feed.wait("us-west-1", 5, 0.05)) is False


def test_one_who_waits_for_anything_is_woken_by_a_change_that_concerns_no_gateway() -> None:
    feed = ChangeFeed()
    feed.publish(Change(7, frozenset()))
    assert asyncio.run(feed.wait(ANY_REGION, 6, 10)) is True
    assert feed.latest(ANY_REGION) == 7


def test_after_missed_notifications_everybody_looks() -> None:
    feed = ChangeFeed()

    async def scenario() -> list[bool]:
        waiting = [asyncio.create_task(feed.wait(region_id, 0, 10)) for region_id in ("us-west-1", "cn-hangzhou")]
        await asyncio.sleep(0)
        feed.wake_all()
        return await asyncio.gather(*waiting)

    assert asyncio.run(scenario()) == [True, True]
    assert asyncio.run(feed.wait("us-west-1", 0, 0.05)) is False, "a wake-up is not a revision"


def test_a_change_survives_its_way_through_another_server() -> None:
    change = Change(9, frozenset({"us-west-1", "cn-hangzhou"}))
    assert Change.from_json(change.to_json()) == change
