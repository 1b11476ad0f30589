"""The provider's APIs that are served, chosen by version, each with its own codes for the domain's errors.

Sources: reference `cbn-api.md`, sections 2, 4 and "OpenCEN's choices"; the VPC API's published error tables.
"""

from __future__ import annotations

from opencen.api.cbn.catalogue import CBN_OPERATIONS
from opencen.api.cbn.protocol.action import Call, Product
from opencen.api.cbn.protocol.errors import Refusal
from opencen.domain import errors as domain
from opencen.services.context import Context

ServiceCall = Call[Context]

CBN = Product(
    "Cbn",
    "2017-09-12",
    {
        (domain.NotFoundError, "CEN instance"): Refusal("ParameterCenInstanceId", 404),
        (domain.NotFoundError, "bandwidth package"): Refusal("ParameterBwpInstanceId", 404),
        (domain.NotFoundError, "network"): Refusal("ParameterInstanceId", 404),
        (domain.NotFoundError, "attachment"): Refusal("ParameterInstanceId", 404),
        (domain.NotFoundError, "binding"): Refusal("InvalidOperation.BwpInstanceStatus", 409),
        (domain.NotFoundError, "resource group"): Refusal("IllegalParam.ResourceGroupId", 400),
        (domain.InvalidValueError, "tag_key"): Refusal("InvalidTagKey", 400),
        (domain.InvalidValueError, "tag_value"): Refusal("InvalidTagValue", 400),
        (domain.InvalidValueError, "name"): Refusal("InvalidName", 400),
        (domain.InvalidValueError, "description"): Refusal("InvalidDescription", 400),
        (domain.InvalidValueError, "region_id"): Refusal("ParameterIllegal.RegionId", 400),
        (domain.InvalidValueError, "area_a_id"): Refusal("GeographicSpan.NotFound", 404),
        (domain.InvalidValueError, "area_b_id"): Refusal("GeographicSpan.NotFound", 404),
        domain.TokenReusedError: Refusal("IdempotenceParam.NotMatch", 400),
        domain.SameRegionError: Refusal("ParameterIllegal.RegionId", 400),
        domain.BandwidthExceededError: Refusal("InvalidOperation.BwpBandwidthExceeded", 409),
        # What the real service answers when it has nothing left to sell is not published; the family is its quotas'.
        domain.CapacityExceededError: Refusal("QuotaExceeded.Bandwidth", 400),
        domain.QuotaExceededError: Refusal("QuotaExceeded.CenCountExceeded", 400),
        domain.PackageNotBoundError: Refusal("InvalidOperation.BwpForGeoSpanNotAssociated", 409),
        domain.AreaPairTakenError: Refusal("InvalidOperation.BwpForGeoSpanAlreadyAssociated", 409),
        domain.PackageBoundError: Refusal("InvalidOperation.BwpInstanceStatus", 409),
        domain.PackageExpiredError: Refusal("InvalidOperation.BwpBusinessStatus", 409),
        domain.PackageInUseError: Refusal("InvalidOperation.CenBandwidthLimitsNotZero", 409),
        domain.PackagesBoundError: Refusal("InvalidOperation.CenInstanceStatus", 409),
        domain.RegionWithoutNetworkError: Refusal("InvalidOperation.NoChildInstanceEitherRegion", 400),
        domain.NetworkAttachedError: Refusal("InvalidOperation.ChildInstanceAlreadyAttached", 409),
        domain.NetworksAttachedError: Refusal("InvalidOperation.AttachedChildInstanceExist", 409),
        # No published code says that two networks overlap; the family is the one of this operation's conflicts.
        domain.OverlappingNetworksError: Refusal("InvalidOperation.ChildInstanceCidrConflict", 409),
    },
    CBN_OPERATIONS,
)

VPC = Product(
    "Vpc",
    "2016-04-28",
    {
        (domain.NotFoundError, "network"): Refusal("InvalidVpcId.NotFound", 404),
        (domain.NotFoundError, "vSwitch"): Refusal("InvalidVSwitchId.NotFound", 404),
        domain.QuotaExceededError: Refusal("QuotaExceeded.Vpc", 400),
        (domain.NotFoundError, "resource group"): Refusal("InvalidResourceGroupId.NotFound", 400),
        (domain.InvalidValueError, "tag_key"): Refusal("InvalidTagKey", 400),
        (domain.InvalidValueError, "tag_value"): Refusal("InvalidTagValue", 400),
        (domain.InvalidValueError, "zone_id"): Refusal("InvalidZoneId.NotFound", 404),
        (domain.InvalidValueError, "cidr_block"): Refusal("InvalidCidrBlock.Malformed", 400),
        domain.OverlappingVSwitchesError: Refusal("InvalidCidrBlock.Overlapped", 400),
        domain.VSwitchesExistError: Refusal("DependencyViolation.VSwitch", 400),
        (domain.InvalidValueError, "region_id"): Refusal("InvalidRegionId.NotFound", 404),
        (domain.InvalidValueError, "name"): Refusal("InvalidVpcName.Malformed", 400),
        (domain.InvalidValueError, "description"): Refusal("InvalidVpcDiscription.Malformed", 400),
        domain.NetworkAttachedError: Refusal("DependencyViolation.CenInstance", 400),
    },
)

CMS = Product("Cms", "2019-01-01", {domain.InvalidValueError: Refusal("ParameterInvalid", 400)})
STS = Product("Sts", "2015-04-01")
LOCATION = Product("Location", "2015-06-12")
BILLING = Product("BssOpenApi", "2017-12-14")
RESOURCE_MANAGER = Product(
    "ResourceManager",
    "2020-03-31",
    {
        (domain.NotFoundError, "resource group"): Refusal("EntityNotExists.ResourceGroup", 404),
        (domain.ConflictError, "name"): Refusal("EntityAlreadyExists.ResourceGroup", 409),
        (domain.ConflictError, "resource_group_id"): Refusal("DeleteConflict.ResourceGroup.Resource", 409),
        (domain.InvalidValueError, "name"): Refusal("InvalidParameter.Name", 400),
    },
)
