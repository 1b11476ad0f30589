"""Bandwidth packages: buy, describe, resize, associate with a CEN instance and back, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

from opencen.api.cbn.actions.products import CBN, ServiceCall
from opencen.api.cbn.actions.shapes import (
    ClientToken,
    GivenTags,
    WantedTags,
    filter_values,
    group_of,
    labels,
    minute,
    page_of,
    paged,
    tag_list,
    wanted_labels,
)
from opencen.api.cbn.actions.spans import answer_area_id, china_first, find_area, is_cross_border, span_id
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import Refusal, RpcError
from opencen.api.cbn.protocol.parameters import Filter, Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.connection import Connection
from opencen.domain.errors import PackageBoundError
from opencen.domain.labels import Labelled, Tag
from opencen.domain.nouns import Package
from opencen.services import geography, packages
from opencen.services import labels as label_service
from opencen.services.context import Context

ACTIONS = Actions[Context](CBN)
_NEVER_EXPIRES = "2999-09-08T16:00Z"
_FILTER_KEYS = ("CenId", "Status", "CenBandwidthPackageId", "Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCenBandwidthPackage:
    geographic_region_a_id: str
    geographic_region_b_id: str
    bandwidth: int
    name: str = ""
    description: str = ""
    bandwidth_package_charge_type: Annotated[
        str, Rule(one_of=("PREPAY", "POSTPAY", ""), code="UnSupported.ChargeType")
    ] = "POSTPAY"
    period: Annotated[int, Rule(minimum=1, maximum=12)] = 1
    pricing_cycle: Annotated[str, Rule(one_of=("Month", "Year", ""))] = "Month"
    resource_group_id: str = ""
    tag: GivenTags = ()
    client_token: ClientToken = ""


@ACTIONS.action("CreateCenBandwidthPackage")
def create_cen_bandwidth_package(call: ServiceCall, given: CreateCenBandwidthPackage) -> Answer:
    areas = geography.find_areas(call.context)
    area_a = find_area(areas, given.geographic_region_a_id)
    area_b = find_area(areas, given.geographic_region_b_id)
    prepaid = given.bandwidth_package_charge_type == "PREPAY"
    months = given.period * (12 if given.pricing_cycle == "Year" else 1)
    package = packages.buy(
        call.context,
        call.actor,
        area_a_id=area_a.id if area_a else given.geographic_region_a_id,
        area_b_id=area_b.id if area_b else given.geographic_region_b_id,
        bandwidth_mbps=given.bandwidth,
        name=given.name,
        description=given.description,
        charge_type="PREPAY" if prepaid else "POSTPAY",
        months=months if prepaid else None,
        labelled=labels(given.tag, given.resource_group_id),
    )
    return {
        "CenBandwidthPackageId": package.id,
        "CenBandwidthPackageOrderId": package.created_at.strftime("%Y%m%d%H%M%S%f"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCenBandwidthPackages(Paging):
    filter: Annotated[tuple[Filter, ...], Rule(max_items=5)] = ()
    is_or_key: bool = False
    tag: WantedTags = ()
    resource_group_id: str | None = None


@ACTIONS.action("DescribeCenBandwidthPackages")
def describe_cen_bandwidth_packages(call: ServiceCall, given: DescribeCenBandwidthPackages) -> Answer:
    wanted = filter_values(given.filter, _FILTER_KEYS, any_of=given.is_or_key)
    found = packages.search(
        call.context,
        call.actor,
        page_of(given),
        any_of=given.is_or_key,
        labelled=wanted_labels(given.tag, given.resource_group_id),
        **_conditions(wanted, any_of=given.is_or_key),
    )
    ids = [package.id for package in found.items]
    tags = label_service.tags_of(call.context, Labelled.PACKAGE, ids)
    drawn = packages.connections_of(call.context, ids)
    return paged(
        given,
        found,
        "CenBandwidthPackages",
        "CenBandwidthPackage",
        lambda package: _package(package, drawn.get(package.id, ()), tags.get(package.id, ())),
    )


class _Conditions(TypedDict, total=False):
    ids: Sequence[str]
    names: Sequence[str]
    cen_ids: Sequence[str]
    bound: bool


def _conditions(wanted: Mapping[str, Sequence[str]], *, any_of: bool) -> _Conditions:
    """What to search for. Both statuses together are every package, and an unknown status is none."""
    conditions = _Conditions()
    if "CenBandwidthPackageId" in wanted:
        conditions["ids"] = wanted["CenBandwidthPackageId"]
    if "Name" in wanted:
        conditions["names"] = wanted["Name"]
    if "CenId" in wanted:
        conditions["cen_ids"] = wanted["CenId"]
    statuses = set(wanted.get("Status", ())) & {"Idle", "InUse"}
    if len(statuses) == 2:
        return _Conditions() if any_of else conditions
    if len(statuses) == 1:
        conditions["bound"] = "InUse" in statuses
    elif "Status" in wanted and not (any_of and conditions):
        conditions["ids"] = ()
    return conditions


def _package(package: Package, drawn: Sequence[Connection], tags: Sequence[Tag]) -> dict[str, object]:
    area_a_id, area_b_id = china_first(package.area_a_id, package.area_b_id)
    span = span_id(area_a_id, area_b_id)
    limits = [
        {
            "LocalRegionId": connection.region_a_id,
            "OppositeRegionId": connection.region_b_id,
            "GeographicSpanId": span,
            "BandwidthLimit": str(connection.bandwidth_mbps),
        }
        for connection in drawn
    ]
    return {
        "CenBandwidthPackageId": package.id,
        "Name": package.name,
        "Description": package.description,
        "ResourceGroupId": group_of(package),
        "Bandwidth": package.bandwidth_mbps,
        "BandwidthPackageChargeType": package.charge_type,
        "GeographicRegionAId": answer_area_id(area_a_id),
        "GeographicRegionBId": answer_area_id(area_b_id),
        "GeographicSpanId": span,
        "IsCrossBorder": is_cross_border(area_a_id, area_b_id),
        "Status": "InUse" if package.cen_id else "Idle",
        "BusinessStatus": "FinancialLocked" if package.expired_at else "Normal",
        "CreationTime": minute(package.created_at),
        "ExpiredTime": minute(package.expires_at) if package.expires_at else _NEVER_EXPIRES,
        "HasReservationData": "false",
        "CenIds": wrapped("CenId", [package.cen_id] if package.cen_id else []),
        "OrginInterRegionBandwidthLimits": wrapped("OrginInterRegionBandwidthLimit", limits),
        "Tags": tag_list(tags),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyCenBandwidthPackageAttribute:
    cen_bandwidth_package_id: str
    name: str | None = None
    description: str | None = None


@ACTIONS.action("ModifyCenBandwidthPackageAttribute")
def modify_cen_bandwidth_package_attribute(call: ServiceCall, given: ModifyCenBandwidthPackageAttribute) -> Answer:
    packages.modify(
        call.context, call.actor, given.cen_bandwidth_package_id, name=given.name, description=given.description
    )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyCenBandwidthPackageSpec:
    cen_bandwidth_package_id: str
    bandwidth: int


@ACTIONS.action("ModifyCenBandwidthPackageSpec")
def modify_cen_bandwidth_package_spec(call: ServiceCall, given: ModifyCenBandwidthPackageSpec) -> Answer:
    package = packages.get(call.context, call.actor, given.cen_bandwidth_package_id)
    if package.bandwidth_mbps == given.bandwidth:
        raise RpcError(
            "OperationFailed.UpDownRadeConfigNoChange",
            400,
            f"Package {package.id} has {given.bandwidth} Mbit/s already.",
        )
    packages.modify(call.context, call.actor, package.id, bandwidth_mbps=given.bandwidth)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    cen_id: str
    cen_bandwidth_package_id: str


@ACTIONS.action("AssociateCenBandwidthPackage")
def associate_cen_bandwidth_package(call: ServiceCall, given: Association) -> Answer:
    packages.bind(call.context, call.actor, given.cen_bandwidth_package_id, given.cen_id)
    return {}


@ACTIONS.action("UnassociateCenBandwidthPackage")
def unassociate_cen_bandwidth_package(call: ServiceCall, given: Association) -> Answer:
    packages.unbind(call.context, call.actor, given.cen_bandwidth_package_id, cen_id=given.cen_id)
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCenBandwidthPackage:
    cen_bandwidth_package_id: str


@ACTIONS.action(
    "DeleteCenBandwidthPackage", errors={PackageBoundError: Refusal("InvalidOperation.BwpInstanceStatus", 403)}
)
def delete_cen_bandwidth_package(call: ServiceCall, given: DeleteCenBandwidthPackage) -> Answer:
    package = packages.get(call.context, call.actor, given.cen_bandwidth_package_id)
    if package.cen_id is None and package.expires_at is not None and package.expires_at > call.context.clock():
        raise RpcError(
            "Forbidden.Release",
            403,
            f"Package {package.id} is prepaid until {minute(package.expires_at)}; it ends then.",
        )
    packages.delete(call.context, call.actor, package.id)
    return {}
