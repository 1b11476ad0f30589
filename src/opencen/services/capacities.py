"""What the backbone carries between two areas: declared by administrators, never sold twice."""

from __future__ import annotations

from opencen.domain import permissions
from opencen.domain.bandwidth import sold_after, whole_mbps
from opencen.domain.errors import InvalidValueError, NotFoundError
from opencen.domain.geography import area_pair
from opencen.domain.nouns import Actor, Capacity
from opencen.services.context import Context, Work
from opencen.store import capacities, regions

MAX_CAPACITY_MBPS = 100_000_000


def find_all(context: Context, actor: Actor) -> list[Capacity]:
    """The capacities declared; a pair of areas without one has no limit."""
    permissions.check_read(actor, "capacity.list")
    with context.database.read() as tx:
        return capacities.find_all(tx)


def declare(context: Context, actor: Actor, area_id: str, other_area_id: str, capacity_mbps: int) -> Capacity:
    """Set what may be sold between two areas. Raises CapacityExceededError below what is sold."""
    areas = area_pair(area_id, other_area_id)
    with context.change(actor, "capacity.declare", ":".join(areas)) as work:
        work.revision()
        known = {area.id for area in regions.find_areas(work.tx)}
        for name in areas:
            if name not in known:
                raise InvalidValueError(f"there is no area {name!r}", field="area_id", value=name)
        whole_mbps(capacity_mbps, MAX_CAPACITY_MBPS)
        sold_mbps = capacities.sum_of_packages(work.tx, areas)
        sold_after(*areas, capacity_mbps=capacity_mbps, sold_mbps=sold_mbps, asked_mbps=0)
        before = capacities.find(work.tx, areas)
        after = Capacity(*areas, capacity_mbps, sold_mbps)
        capacities.declare(work.tx, after)
        work.tell(before, after)
    return after


def withdraw(context: Context, actor: Actor, area_id: str, other_area_id: str) -> None:
    """No limit any more between two areas. Raises NotFoundError."""
    areas = area_pair(area_id, other_area_id)
    with context.change(actor, "capacity.withdraw", ":".join(areas)) as work:
        work.revision()
        before = capacities.find(work.tx, areas)
        if before is None:
            raise NotFoundError("capacity", ":".join(areas), field="area_id")
        capacities.remove(work.tx, before)
        work.tell(before, None)


def sell(work: Work, areas: tuple[str, str], more_mbps: int) -> None:
    """Packages between these areas grow by this much, or shrink. Raises CapacityExceededError."""
    work.revision()
    capacity = capacities.find(work.tx, areas)
    if capacity is None or more_mbps == 0:
        return
    area_a_id, area_b_id = areas
    sold_mbps = sold_after(
        area_a_id,
        area_b_id,
        capacity_mbps=capacity.capacity_mbps,
        sold_mbps=capacity.sold_mbps,
        asked_mbps=more_mbps,
    )
    capacities.sell(work.tx, capacity, sold_mbps)
