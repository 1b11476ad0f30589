"""What the console's pages decide, without a browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opencen.client import ApiError
from opencen.console import cells, formats, widgets
from opencen.console import live as live_module
from opencen.console.backend import Rest
from opencen.console.live import Live, Question, View
from opencen.console.map_layout import Box, curves, lay_out, line_width, place_tags
from opencen.console.pages.audit import change_texts
from opencen.console.pages.connection_dialogs import joined_regions, whole_mbps
from opencen.console.texts import Texts
from opencen.console.tickets import LIFETIME_S, Tickets

ENGLISH = Texts("en")


@pytest.mark.parametrize(
    ("rate_bps", "text"),
    [
        (None, "–"),
        (0, "0 bit/s"),
        (999.4, "999 bit/s"),
        (1000, "1 kbit/s"),
        (9_984_000, "9.98 Mbit/s"),
        (9_996_000, "10 Mbit/s"),
        (999_700, "1 Mbit/s"),
        (99_970_000, "100 Mbit/s"),
        (12_340_000, "12.3 Mbit/s"),
        (4_999_000_000, "5 Gbit/s"),
    ],
)
def test_rates_have_three_digits_and_a_unit(rate_bps: float | None, text: str) -> None:
    assert " ".join(formats.rate(rate_bps)).strip() == text


def test_times_are_shown_in_the_viewers_zone() -> None:
    shanghai = formats.zone_of("Asia/Shanghai")
    assert formats.local_time("2026-11-23T16:05:09.5+00:00", shanghai) == "2026-11-24 00:05:09 CST"
    assert {formats.zone_of(name).key for name in ("../../etc/passwd", "No/Where", "", "\0")} == {"UTC"}


@pytest.mark.parametrize(
    ("measured", "use"),
    [(None, (0.0, "idle")), (0, (0.0, "idle")), (5e6, (0.5, "low")), (8e6, (0.8, "high")), (9.9e6, (0.99, "full"))],
)
def test_use_has_a_level_that_colours_mean(measured: float | None, use: tuple[float, str]) -> None:
    assert cells.use_level(measured, 10e6) == use


def test_a_packages_bar_adds_up_to_the_package() -> None:
    package = {"bandwidth_mbps": 100, "allocated_mbps": 45, "free_mbps": 55}
    held = [(f"pair {number}", 3) for number in range(15)]
    bar = cells.shares(ENGLISH, package, held)
    assert sum(share["w"] for share in bar["stack"]) == pytest.approx(100)
    assert [share["t"] for share in bar["stack"][-2:]] == ["others: 9 Mbit/s", "free: 55 Mbit/s"]


def test_only_changed_cells_are_sent() -> None:
    before = widgets.Listed([{"id": "1", "cells": {"a": ["x"], "b": ["y"]}}, {"id": "2", "cells": {"a": ["z"]}}])
    now = widgets.Listed([{"id": "1", "cells": {"a": ["x"], "b": ["!"]}}, {"id": "2", "cells": {"a": ["z"]}}])
    changed = widgets.difference(before, now)
    assert changed is not None
    assert changed.patch == '[["1",{"b":["!"]}]]'
    assert widgets.difference(now, now) is None
    other_rows = widgets.difference(before, widgets.Listed(now.rows[:1]))
    assert other_rows is not None
    assert other_rows.patch is None


def test_a_name_cannot_end_a_script() -> None:
    assert "<" not in widgets.script_json({"name": "</script><img src=x>"})


def test_lists_of_one_page_have_no_paging() -> None:
    assert cells.paging(ENGLISH, {"page": 1, "page_size": 50, "total": 50}) is None
    shown = cells.paging(ENGLISH, {"page": 2, "page_size": 50, "total": 51})
    assert shown is not None
    assert (shown["pages"], shown["text"]) == (2, "51–51 of 51")


def test_only_regions_that_the_package_joins_are_offered() -> None:
    area_of = {"us": "America", "hz": "China", "sh": "China", "de": "Europe"}
    package = {"area_a_id": "America", "area_b_id": "China"}
    assert joined_regions(package, ["de", "hz", "us"], area_of) == (["us"], ["hz"])


@pytest.mark.parametrize(
    ("typed", "mbps"), [("10", 10), ("0", 0), ("", None), ("1.5", None), ("-3", None), ("１０", None)]
)
def test_bandwidth_is_a_whole_number(typed: str, mbps: int | None) -> None:
    assert whole_mbps(typed) == mbps


def test_the_audit_log_says_what_differs() -> None:
    before = {"bandwidth_mbps": 10, "name": "a", "version": 1}
    assert change_texts(before, {"bandwidth_mbps": 8, "name": "a", "version": 2}) == ["bandwidth_mbps: 10 → 8"]
    assert change_texts(None, {"name": "a", "description": ""}) == ["name: a"]


def test_the_map_keeps_regions_and_tags_apart() -> None:
    area_of = {"us-1": "North-America", **{f"cn-{number}": "China" for number in range(6)}}
    layout = lay_out(area_of)
    boxes = list(layout.nodes.values())
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])
    assert layout.areas["North-America"].x < layout.areas["China"].x
    lines = curves(layout.nodes, [("us-1", f"cn-{number}") for number in range(6)])
    tags = [Box(x - 40, y - 19, 80, 38) for x, y in place_tags([(line, 80) for line in lines], boxes)]
    assert not any(one.overlaps(other) for i, one in enumerate(tags) for other in [*tags[i + 1 :], *boxes])
    starts = {line.points[0] for line in lines}
    assert len(starts) == 6


def test_line_widths_are_in_proportion() -> None:
    assert line_width(10, 20) * 2 == line_width(20, 20)
    assert line_width(1, 10_000) >= 1


def test_a_ticket_is_good_once_and_for_a_while() -> None:
    now_s = [0.0]
    tickets = Tickets(lambda: now_s[0])
    ticket, late = tickets.issue("one"), tickets.issue("two")
    assert tickets.redeem(ticket) == "one"
    assert tickets.redeem(ticket) is None
    now_s[0] = LIFETIME_S
    assert tickets.redeem(late) is None


class FakeRest(Rest):
    """Answers with what the test puts there, and counts who asked."""

    def __init__(self, server: FakeServer, *, valid: bool = True) -> None:
        self.server = server
        self.valid = valid

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        if not self.valid:
            raise ApiError(401, {"code": "Unauthenticated", "detail": "gone"})
        if path == "/v1/changes":
            await self.server.wait_after(params["after"])
            return {"revision": self.server.revision}
        self.server.asked += 1
        return {"value": self.server.value}


class FakeServer:
    def __init__(self) -> None:
        self.value = 1
        self.revision = 1
        self.asked = 0
        self._changed = asyncio.Event()

    def change(self, value: int) -> None:
        self.value = value
        self.revision += 1
        self._changed.set()

    async def wait_after(self, revision: int) -> None:
        while self.revision <= revision:
            self._changed.clear()
            await self._changed.wait()


VALUE: View[int] = View(
    "value", lambda answer: int(answer["value"]), lambda before, now: None if before == now else now
)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  it looks at lists that callbacks fill
            await asyncio.sleep(0.01)


def test_pages_share_one_poller_and_all_hear_of_a_change() -> None:
    async def scenario() -> None:
        server, live = FakeServer(), Live()
        told: list[int] = []
        cancels = []
        for _ in range(20):
            shown, subscription = await live.follow(
                "account", FakeRest(server), Question.of("/v1/x"), VALUE, lambda now, _: told.append(now), lambda: None
            )
            assert shown == 1
            cancels.append(subscription.cancel)
        await asyncio.sleep(0.3)
        asked = server.asked
        assert asked <= 3
        server.change(7)
        await _until(lambda: len(told) == 20)
        assert server.asked == asked + 1
        assert set(told) == {7}
        for cancel in cancels:
            cancel()
        assert live.open_questions() == {}

    asyncio.run(scenario())


def test_a_page_whose_session_ended_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "SESSION_CHECK_S", 0.05)

    async def scenario() -> None:
        server, live = FakeServer(), Live()
        told: list[int] = []
        expired: list[str] = []
        rests = [FakeRest(server), FakeRest(server)]
        for name, rest in zip(("lost", "kept"), rests, strict=True):
            await live.follow(
                "account",
                rest,
                Question.of("/v1/x"),
                VALUE,
                lambda now, _: told.append(now),
                lambda name=name: expired.append(name),
            )
        rests[0].valid = False
        server.change(5)
        await _until(lambda: told and expired)
        server.change(6)
        await _until(lambda: told[-1] == 6)
        assert expired == ["lost"]

    asyncio.run(scenario())
