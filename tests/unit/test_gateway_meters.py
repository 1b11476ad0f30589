"""Totals that never go backwards, from counters that vanish with their class."""

from __future__ import annotations

from opencen.gateway.kernel.model import PARENT_CLASS, PING_CLASS, REST_CLASS, SET_CLASS, Counters
from opencen.gateway.meters import LinkMeter


def test_a_link_counts_its_leaf_classes_and_not_their_parent() -> None:
    meter = LinkMeter()
    meter.observe(
        {PARENT_CLASS: Counters(999), PING_CLASS: Counters(1), REST_CLASS: Counters(2), SET_CLASS: Counters(4)}
    )
    assert meter.totals.sent_bytes == 7


def test_what_a_removed_class_counted_stays_in_the_total() -> None:
    meter = LinkMeter()
    meter.observe({REST_CLASS: Counters(10), SET_CLASS: Counters(1_000, 10, 1)})
    meter.removed(SET_CLASS, Counters(1_200, 12, 2))
    meter.observe({REST_CLASS: Counters(10)})
    assert meter.totals == Counters(1_210, 12, 2)
    meter.observe({REST_CLASS: Counters(10), SET_CLASS: Counters(50)})
    assert meter.totals.sent_bytes == 1_260


def test_a_class_that_somebody_removed_by_hand_is_noticed() -> None:
    meter = LinkMeter()
    meter.observe({SET_CLASS: Counters(1_000)})
    meter.observe({})
    meter.observe({SET_CLASS: Counters(5)})
    assert meter.totals.sent_bytes == 1_005


def test_queued_bytes_are_those_of_now() -> None:
    meter = LinkMeter()
    meter.observe({SET_CLASS: Counters(queued_bytes=500, queued_packets=5)})
    meter.removed(SET_CLASS, Counters(queued_bytes=500, queued_packets=5))
    meter.observe({})
    assert meter.totals.queued_bytes == 0


def test_the_rate_is_what_was_sent_since_the_report_before() -> None:
    meter = LinkMeter()
    meter.observe({SET_CLASS: Counters(1_000)})
    assert meter.measured_bps(10.0) is None
    meter.observe({SET_CLASS: Counters(2_000)})
    assert meter.measured_bps(12.0) == 4_000
