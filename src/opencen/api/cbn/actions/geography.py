"""Areas, their regions, and the pairs of areas between which bandwidth is sold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import paged, sliced
from opencen.api.cbn.actions.spans import answer_area_id, find_area, span_id
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import RpcError
from opencen.api.cbn.protocol.parameters import Paging
from opencen.domain.geography import area_pair
from opencen.services import geography, instances, packages
from opencen.services.context import Context
from opencen.store.records import Page

ACTIONS = Actions[Context](CBN)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGeographicRegionMembership(Paging):
    geographic_region_id: str


@ACTIONS.action("DescribeGeographicRegionMembership")
def describe_geographic_region_membership(call: ServiceCall, given: DescribeGeographicRegionMembership) -> Answer:
    area = find_area(geography.find_areas(call.context), given.geographic_region_id)
    if area is None:
        raise RpcError("ParameterError", 400, f"There is no area {given.geographic_region_id[:64]!r}.")
    members = [region for region in geography.find_regions(call.context) if region.area_id == area.id]
    return paged(given, sliced(given, members), "RegionIds", "RegionId", lambda region: {"RegionId": region.id})


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenGeographicSpans(Paging):
    geographic_span_id: str | None = None


@ACTIONS.action("DescribeCenGeographicSpans")
def describe_cen_geographic_spans(call: ServiceCall, given: DescribeCenGeographicSpans) -> Answer:
    area_ids = sorted(answer_area_id(area.id) for area in geography.find_areas(call.context))
    spans = [
        {"GeographicSpanId": span_id(*pair), "LocalGeoRegionId": pair[0], "OppositeGeoRegionId": pair[1]}
        for pair in combinations_with_replacement(area_ids, 2)
    ]
    asked = [span for span in spans if given.geographic_span_id in (None, "", span["GeographicSpanId"])]
    return paged(given, sliced(given, asked), "GeographicSpanModels", "GeographicSpanModel", lambda span: span)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenGeographicSpanRemainingBandwidth:
    cen_id: str
    geographic_region_a_id: str
    geographic_region_b_id: str


@ACTIONS.action("DescribeCenGeographicSpanRemainingBandwidth")
def describe_cen_geographic_span_remaining_bandwidth(
    call: ServiceCall, given: DescribeCenGeographicSpanRemainingBandwidth
) -> Answer:
    instance = instances.get(call.context, call.actor, given.cen_id)
    areas = geography.find_areas(call.context)
    ends = [find_area(areas, asked) for asked in (given.geographic_region_a_id, given.geographic_region_b_id)]
    area_ids = [area.id for area in ends if area is not None]
    if len(area_ids) != 2:
        raise RpcError("GeographicSpan.NotFound", 404, "The pair of areas is not known.")
    wanted = area_pair(*area_ids)
    bound = packages.search(call.context, call.actor, Page(1, 1_000), cen_ids=[instance.id]).items
    free_mbps = sum(package.free_mbps for package in bound if (package.area_a_id, package.area_b_id) == wanted)
    return {"RemainingBandwidth": free_mbps}
