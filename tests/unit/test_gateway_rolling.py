"""A check looks at all instances while they are few, and at each of thousands in its turn within a budget."""

from __future__ import annotations

from opencen.gateway.rolling import BUDGET_S, Rolling

MANY = [f"cen-{number:04}" for number in range(1_000)]


def test_few_instances_are_all_checked_each_time() -> None:
    assert Rolling().next(["cen-b", "cen-a"]) == ["cen-a", "cen-b"]


def test_thousands_are_checked_in_turn_and_none_is_left_out() -> None:
    rolling = Rolling(cost_s=0.005)
    rounds = [rolling.next(MANY) for _ in range(10)]
    assert {len(chosen) for chosen in rounds} == {100}
    assert sorted(cen_id for chosen in rounds for cen_id in chosen) == MANY
    assert rolling.next(MANY) == rounds[0]


def test_a_slow_kernel_is_asked_for_less_until_the_budget_is_kept() -> None:
    rolling = Rolling()
    for _ in range(20):
        chosen = rolling.next(MANY)
        rolling.took(len(chosen), len(chosen) * 0.1)
    assert len(rolling.next(MANY)) * 0.1 <= BUDGET_S * 1.05


def test_one_instance_is_checked_however_long_it_takes() -> None:
    assert len(Rolling(cost_s=60.0).next(MANY)) == 1
