"""Answers of the control plane: how they add up, and what is no answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opencen.client import ApiError, ServerUnreachableError
from opencen.gateway.follow import ControlPlaneError, HttpControlPlane, backoff_s, merge
from opencen.wire.gateway import GatewayState, InstanceState


def answer(revision: int, *cen_ids: str, full: bool = False, removed: tuple[str, ...] = ()) -> GatewayState:
    instances = [InstanceState(cen_id=cen_id, revision=revision, networks=[], links=[]) for cen_id in cen_ids]
    return GatewayState(
        gateway_id="gw-1",
        region_id="west",
        revision=revision,
        full=full,
        instances=instances,
        removed_cen_ids=list(removed),
    )


def revisions(state: GatewayState) -> dict[str, int]:
    return {instance.cen_id: instance.revision for instance in state.instances}


def test_changes_replace_what_they_name_and_keep_the_rest() -> None:
    held = merge(None, answer(1, "cen-a", "cen-b", "cen-c", full=True))
    held = merge(held, answer(3, "cen-b", "cen-d", removed=("cen-c",)))
    assert revisions(held) == {"cen-a": 1, "cen-b": 3, "cen-d": 3}
    assert held.full
    assert held.revision == 3


def test_a_full_answer_replaces_everything() -> None:
    held = merge(answer(1, "cen-a", full=True), answer(2, "cen-b", full=True))
    assert revisions(held) == {"cen-b": 2}


def test_changes_to_nothing_held_are_no_answer() -> None:
    with pytest.raises(ControlPlaneError):
        merge(None, answer(1))


def test_waits_double_up_to_five_seconds_and_are_spread() -> None:
    waits_s = [backoff_s(failures, lambda: 1.0) for failures in range(20)]
    assert waits_s[:3] == [0.1, 0.2, 0.4]
    assert max(waits_s) == 5.0
    assert backoff_s(10, lambda: 0.0) == 2.5


class AnsweringClient:
    """Stands for the HTTP client: answers or fails as the test says."""

    def __init__(self, answered: Any) -> None:
        self._answered = answered

    async def request(self, *_: Any, **__: Any) -> Any:
        if isinstance(self._answered, Exception):
            raise self._answered
        return self._answered

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    "answered",
    [
        None,
        [],
        {"revision": "many"},
        "<html>",
        ValueError("no JSON"),
        ServerUnreachableError("nobody"),
        ApiError(401, {"code": "Unauthorized"}),
    ],
)
def test_garbage_and_silence_are_one_kind_of_trouble(answered: Any) -> None:
    client: Any = AnsweringClient(answered)
    with pytest.raises(ControlPlaneError):
        asyncio.run(HttpControlPlane(client, client, client).state(0, 0))
