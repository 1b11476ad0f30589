"""What passed in all, by package, instance, pair of areas and account; and what a month is billed by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.nouns import Actor, Role
from opencen.domain.usage import HOUR_S, month_bounds
from opencen.services import attachments, connections, instances, networks, packages, people
from opencen.services.usage import asking, months, rolling
from opencen.services.usage.asking import GroupBy, Span
from usage_world import HOUR_0, PEERS, Tick, World, world_on

MBIT = 1_000_000 // 8


@pytest.fixture
def world(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    with world_on(tmp_path, database_url) as made:
        yield made


def connected(world: World, actor: Actor | None = None) -> tuple[str, str]:
    """An instance with 10 Mbit/s to Hangzhou and 5 to Shanghai out of a package of 20; its id and the package's."""
    context, actor = world.context, actor or world.admin
    cen_id = instances.create(context, actor).id
    for number, region_id in enumerate(("us-west-1", *PEERS)):
        network = networks.create(context, actor, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"])
        attachments.attach(context, actor, cen_id, network.id)
    package = packages.buy(context, actor, area_a_id="China", area_b_id="North-America", bandwidth_mbps=20)
    packages.bind(context, actor, package.id, cen_id)
    for peer, mbps in zip(PEERS, (10, 5), strict=True):
        connections.set_bandwidth(context, actor, cen_id, "us-west-1", peer, mbps)
    return cen_id, package.id


def steady(from_s: int, to_s: int, rates: tuple[int, int], step_s: int = 10) -> list[Tick]:
    return [(at_s, step_s, (rates[0] * step_s, rates[1] * step_s)) for at_s in range(from_s + step_s, to_s + 1, step_s)]


def send(world: World, cen_id: str, ticks: list[Tick], sequence: int = 1) -> None:
    world.now_s = float(max(world.now_s, ticks[-1][0]))
    world.send(cen_id, sequence, ticks)


def keys(totals: list[asking.Total]) -> dict[str, int]:
    return {total.key: total.sent_bytes for total in totals}


def test_totals_by_each_of_what_there_is(world: World) -> None:
    cen_id, package_id = connected(world)
    send(world, cen_id, steady(HOUR_0, HOUR_0 + 600, (8 * MBIT, 2 * MBIT)))
    span = Span(HOUR_0, HOUR_0 + 600, 10)
    hangzhou, shanghai = 600 * 8 * MBIT, 600 * 2 * MBIT
    expected = {
        GroupBy.CONNECTION: {
            f"{cen_id}:cn-hangzhou:us-west-1": hangzhou,
            f"{cen_id}:cn-shanghai:us-west-1": shanghai,
        },
        GroupBy.PACKAGE: {package_id: hangzhou + shanghai},
        GroupBy.INSTANCE: {cen_id: hangzhou + shanghai},
        GroupBy.AREA_PAIR: {"China:North-America": hangzhou + shanghai},
        GroupBy.ACCOUNT: {world.admin.account_id: hangzhou + shanghai},
    }
    for by, wanted in expected.items():
        assert keys(asking.totals(world.context, world.admin, by, span)) == wanted
    (package,) = asking.totals(world.context, world.admin, GroupBy.PACKAGE, span)
    assert (package.a_to_b_bytes, package.b_to_a_bytes) == (0, hangzhou + shanghai), (
        "China sorts first, and sent nothing"
    )


def test_an_administrator_is_told_of_all_accounts_and_others_of_their_own(world: World) -> None:
    account = people.create_account(world.context, world.admin, "other")
    stranger = Actor(account.id, "usr-x", "stranger", Role.OPERATOR)
    cen_id, package_id = connected(world, stranger)
    send(world, cen_id, steady(HOUR_0, HOUR_0 + 60, (8 * MBIT, 0)))
    span = Span(HOUR_0, HOUR_0 + 60, 10)
    assert keys(asking.totals(world.context, world.admin, GroupBy.ACCOUNT, span)) == {account.id: 60 * 8 * MBIT}
    assert asking.totals(world.context, world.admin, GroupBy.INSTANCE, span) == []
    assert keys(asking.totals(world.context, stranger, GroupBy.INSTANCE, span)) == {cen_id: 60 * 8 * MBIT}
    with pytest.raises(NotFoundError):
        asking.package_chart(world.context, world.admin, package_id, span)
    with pytest.raises(NotFoundError):
        asking.chart(world.context, world.admin, cen_id, "us-west-1", PEERS[0], span)


def test_a_package_is_stacked_of_what_was_out_of_it_at_the_time(world: World) -> None:
    cen_id, package_id = connected(world)
    send(world, cen_id, steady(HOUR_0, HOUR_0 + 100, (8 * MBIT, 2 * MBIT)))
    connections.delete(world.context, world.admin, cen_id, "us-west-1", PEERS[1])
    send(world, cen_id, steady(HOUR_0 + 100, HOUR_0 + 200, (8 * MBIT, 2 * MBIT)), 2)
    found = asking.package_chart(world.context, world.admin, package_id, Span(HOUR_0, HOUR_0 + 200, 10))
    hangzhou, shanghai = found.shares
    assert (hangzhou.key[1], shanghai.key[1]) == PEERS
    assert hangzhou.b_to_a_bps == (8_000_000,) * 20
    assert shanghai.b_to_a_bps == (2_000_000,) * 10 + (0,) * 10
    assert found.package.bandwidth_mbps == 20
    (total,) = asking.totals(world.context, world.admin, GroupBy.PACKAGE, Span(HOUR_0, HOUR_0 + 200, 10))
    assert total.sent_bytes == 200 * 8 * MBIT + 100 * 2 * MBIT


def test_limits_are_those_that_were_set_at_the_time(world: World) -> None:
    cen_id, _ = connected(world)
    world.now_s += 100
    connections.set_bandwidth(world.context, world.admin, cen_id, "us-west-1", PEERS[0], 3)
    world.now_s += 100
    connections.delete(world.context, world.admin, cen_id, "us-west-1", PEERS[0])
    chart = asking.chart(world.context, world.admin, cen_id, "us-west-1", PEERS[0], Span(HOUR_0, HOUR_0 + 300, 50))
    assert chart.directions[0].limit_bps == (10_000_000, 10_000_000, 3_000_000, 3_000_000, None, None)


def test_a_months_percentile_is_exact_while_it_runs_and_once_it_is_final(world: World) -> None:
    """Of 12 intervals since the month began, one is at 9 Mbit/s and eleven at 3: 95 % of 12 is the twelfth."""
    begun_s, ends_s = month_bounds("2027-02")
    world.now_s = float(begun_s)
    cen_id, package_id = connected(world)
    send(world, cen_id, steady(begun_s, begun_s + 300, (9 * MBIT, 1 * MBIT)))
    send(world, cen_id, steady(begun_s + 300, begun_s + HOUR_S, (3 * MBIT, 1 * MBIT)), 2)
    connection_id = f"{cen_id}:cn-hangzhou:us-west-1"

    def percentiles() -> dict[str, tuple[int, int]]:
        found = months.month(world.context, world.admin, "2027-02")
        return {row.id: (row.a_to_b_bps, row.b_to_a_bps) for row in found.rows}

    world.now_s = begun_s + HOUR_S - 1.0
    assert percentiles()[connection_id] == (0, 9_000_000)
    assert percentiles()[package_id] == (0, 10_000_000)

    # in 21 intervals the twentieth counts: the one at 9 Mbit/s is in the 5 % that is free
    send(world, cen_id, steady(begun_s + HOUR_S, begun_s + HOUR_S + 2_700, (3 * MBIT, 1 * MBIT)), 3)
    rolling.run(world.context)
    world.now_s = begun_s + HOUR_S + 2_699.0
    assert percentiles()[connection_id] == (0, 3_000_000)
    assert percentiles()[package_id] == (0, 4_000_000)

    # over the whole month, most of which was silent, 95 % of the intervals carried nothing
    for day in range(1, 32):
        world.now_s = float(begun_s + day * 86_400)
        rolling.run(world.context)
    assert months.month(world.context, world.admin, "2027-02").final
    assert percentiles()[connection_id] == (0, 0)
    before = percentiles()
    world.now_s = float(ends_s + 200 * 86_400)
    rolling.run(world.context)
    assert percentiles() == before, "they outlive the points that they were made of"


@pytest.mark.parametrize(
    ("name", "says"), [("2026-13", "like 2026-11"), ("now", "like 2026-11"), ("2099-01", "not begun")]
)
def test_a_month_that_is_none_is_refused(world: World, name: str, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        months.month(world.context, world.admin, name)
