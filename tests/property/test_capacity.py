"""The packages of all accounts between two areas never exceed the capacity declared there."""

from __future__ import annotations

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from opencen.domain.errors import CapacityExceededError, NotFoundError
from opencen.domain.nouns import Actor
from opencen.serve import open_context
from opencen.services import capacities, check, packages, people
from opencen.services.context import Context
from opencen.store import people as rows
from opencen.store.schema import area_capacities

PAIRS = (("China", "North-America"), ("China", "China"))


def accounts(context: Context, admin: Actor) -> list[Actor]:
    other = people.create_account(context, admin, "other")
    return [admin, replace(admin, account_id=other.id)]


@pytest.mark.parametrize("seed", range(4))
def test_random_operations_agree_with_a_dictionary(context: Context, admin: Actor, seed: int) -> None:
    dice = random.Random(seed)
    actors = accounts(context, admin)
    owned: dict[str, tuple[Actor, tuple[str, str], int]] = {}
    limits: dict[tuple[str, str], int] = {}
    outcomes: dict[bool, int] = defaultdict(int)
    for _ in range(120):
        pair, actor, mbps = dice.choice(PAIRS), dice.choice(actors), dice.randint(2, 40)
        sold = sum(size for _, there, size in owned.values() if there == pair)
        what = dice.choice(["buy", "buy", "resize", "delete", "declare", "withdraw"])
        try:
            if what == "buy":
                fits = sold + mbps <= limits.get(pair, 10**9)
                bought = packages.buy(context, actor, area_a_id=pair[1], area_b_id=pair[0], bandwidth_mbps=mbps)
                owned[bought.id] = (actor, pair, mbps)
            elif what == "declare":
                mbps *= 3
                fits = sold <= mbps
                capacities.declare(context, admin, *pair, mbps)
                limits[pair] = mbps
            elif what == "withdraw":
                if dice.random() < 0.8:
                    continue
                fits = pair in limits
                capacities.withdraw(context, admin, *pair)
                del limits[pair]
            elif owned:
                package_id = dice.choice(sorted(owned))
                actor, pair, size = owned[package_id]
                sold = sum(other for _, there, other in owned.values() if there == pair)
                fits = what == "delete" or sold - size + mbps <= limits.get(pair, 10**9)
                if what == "delete":
                    packages.delete(context, actor, package_id)
                    del owned[package_id]
                else:
                    packages.modify(context, actor, package_id, bandwidth_mbps=mbps)
                    owned[package_id] = (actor, pair, mbps)
            else:
                continue
            done = True
        except CapacityExceededError as refusal:
            done = False
            assert refusal.numbers["sold_mbps"] == sold
        except NotFoundError:
            done = False
        assert done == fits, what
        outcomes[done] += 1
    assert check.check(context) == []
    assert set(outcomes) == {True, False}
    shown = {(item.area_a_id, item.area_b_id): item.capacity_mbps for item in capacities.find_all(context, admin)}
    assert shown == limits


def test_the_database_itself_refuses_to_sell_more(context: Context, admin: Actor) -> None:
    capacities.declare(context, admin, *PAIRS[0], 10)
    with pytest.raises(IntegrityError), context.database.write() as tx:
        tx.execute(update(area_capacities).values(sold_mbps=11))


def test_eight_writers_of_two_accounts_never_sell_more(tmp_path: Path, database_url: str | None) -> None:
    context, _ = open_context(tmp_path, database_url)
    with context.database.read() as tx:
        user = rows.find_users(tx)[0]
    admin = Actor(user.account_id, user.id, user.username, user.role)
    actors = accounts(context, admin)

    def buy(number: int) -> int:
        try:
            packages.buy(context, actors[number % 2], area_a_id="China", area_b_id="North-America", bandwidth_mbps=3)
        except CapacityExceededError:
            return 0
        if number == 5:
            capacities.declare(context, admin, *PAIRS[0], 100)
        return 3

    capacities.declare(context, admin, *PAIRS[0], 100)
    with ThreadPoolExecutor(8) as pool:
        bought = sum(pool.map(buy, range(60)))
    assert bought == 99
    assert [item.sold_mbps for item in capacities.find_all(context, admin)] == [99]
    assert check.check(context) == []
    context.database.close()
