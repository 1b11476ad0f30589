"""The cross-region bandwidth of a pair of regions: what CEN is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import page_of, paged
from opencen.api.cbn.actions.spans import span_id
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import Refusal
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.domain.bandwidth import MBPS
from opencen.domain.connection import ConnectionView
from opencen.domain.errors import BandwidthValueError, InvalidValueError, NotFoundError
from opencen.domain.geography import region_pair
from opencen.services import connections, geography, views
from opencen.services.context import Context
from opencen.store.records import Page

ACTIONS = Actions[Context](CBN)
_ILLEGAL_LIMIT = "ParameterIllegal.BandwidthLimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCenInterRegionBandwidthLimit:
    cen_id: str
    local_region_id: str
    opposite_region_id: str
    bandwidth_limit: Annotated[int, Rule(code=_ILLEGAL_LIMIT)]
    bandwidth_type: Annotated[str, Rule(one_of=("BandwidthPackage", ""), code="IllegalParam.BandwidthType")] = ""
    bandwidth_package_id: str | None = None


@ACTIONS.action("SetCenInterRegionBandwidthLimit", errors={BandwidthValueError: Refusal(_ILLEGAL_LIMIT, 400)})
def set_cen_inter_region_bandwidth_limit(call: ServiceCall, given: SetCenInterRegionBandwidthLimit) -> Answer:
    """The order in which a request is checked is the service's: reference `cbn-api.md`, section 7, point 5."""
    regions = (given.local_region_id, given.opposite_region_id)
    if given.bandwidth_limit == 0:
        _remove(call, given.cen_id, regions)
    else:
        connections.set_bandwidth(
            call.context,
            call.actor,
            given.cen_id,
            *regions,
            given.bandwidth_limit,
            package_id=given.bandwidth_package_id or None,
        )
    return {}


def _remove(call: ServiceCall, cen_id: str, regions: tuple[str, str]) -> None:
    """Zero removes the region connection; when there is none, nothing is left to do, and that is a success."""
    pair = region_pair(*regions)
    if views.search(call.context, call.actor, Page(1, 1), cen_id=cen_id, pair=pair).total:
        try:
            connections.delete(call.context, call.actor, cen_id, *pair)
        except NotFoundError as gone:
            if gone.kind != "region connection":
                raise
        return
    known = {region.id for region in geography.find_regions(call.context)}
    for region_id in pair:
        if region_id not in known:
            raise InvalidValueError(f"there is no region {region_id!r}", field="region_id", value=region_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenInterRegionBandwidthLimits(Paging):
    cen_id: str | None = None
    tr_region_id: str | None = None


@ACTIONS.action("DescribeCenInterRegionBandwidthLimits")
def describe_cen_inter_region_bandwidth_limits(
    call: ServiceCall, given: DescribeCenInterRegionBandwidthLimits
) -> Answer:
    found = views.search(
        call.context,
        call.actor,
        page_of(given),
        cen_id=given.cen_id or None,
        region_id=given.tr_region_id or None,
    )
    area_ids = {region.id: region.area_id for region in geography.find_regions(call.context)} if found.items else {}
    return paged(
        given,
        found,
        "CenInterRegionBandwidthLimits",
        "CenInterRegionBandwidthLimit",
        lambda view: _limit(view, area_ids),
    )


def _limit(view: ConnectionView, area_ids: dict[str, str]) -> dict[str, object]:
    connection = view.connection
    return {
        "CenId": connection.cen_id,
        "LocalRegionId": connection.region_a_id,
        "OppositeRegionId": connection.region_b_id,
        "GeographicSpanId": span_id(area_ids[connection.region_a_id], area_ids[connection.region_b_id]),
        "BandwidthLimit": view.limit_bps // MBPS,
        "BandwidthPackageId": connection.package_id,
        "BandwidthType": "BandwidthPackage",
        "Status": view.status.value,
    }
