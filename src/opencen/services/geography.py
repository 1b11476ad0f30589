"""Areas and regions."""

from __future__ import annotations

import re

from opencen.domain.errors import ConflictError, InvalidValueError
from opencen.domain.geography import Area, Region
from opencen.domain.names import checked_name
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.store import regions

_REGION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def find_areas(context: Context) -> list[Area]:
    with context.database.read() as tx:
        return regions.find_areas(tx)


def find_regions(context: Context) -> list[Region]:
    with context.database.read() as tx:
        return regions.find_regions(tx)


def add_region(context: Context, actor: Actor, region: Region) -> Region:
    """A region of one's own, in an area that is there. Administrators only."""
    with context.change(actor, "region.add", region.id) as work:
        work.revision()  # so that two who add the same region come one after the other
        if region.area_id not in {area.id for area in regions.find_areas(work.tx)}:
            raise InvalidValueError(f"there is no area {region.area_id!r}", field="area_id", value=region.area_id)
        checked_name(region.name)
        checked_name(region.name_zh)
        if not _REGION_ID.fullmatch(region.id):
            raise InvalidValueError(
                f"a region's id has up to 64 letters, digits, - and _, not {region.id[:80]!r}",
                field="id",
                value=region.id[:80],
            )
        if regions.areas_of(work.tx, [region.id]):
            raise ConflictError(f"there is a region {region.id} already", field="id", region_id=region.id)
        regions.add_region(work.tx, region)
        work.tell(None, region)
    return region
