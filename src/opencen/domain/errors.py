"""Every way in which OpenCEN refuses, in one tree.

    DomainError
    ├── InvalidValueError            a value is not acceptable                       400
    │   ├── SameRegionError          a region connection needs two different regions
    │   └── BandwidthValueError      not a whole number of Mbit/s within bounds
    ├── NotFoundError                no such thing, or it is another account's       404
    ├── ConflictError                right in itself, but not in the present state   409
    │   ├── BandwidthExceededError   the sum of a package's connections would exceed it
    │   │   └── PackageShrinkError   a package would become smaller than what is allocated
    │   ├── CapacityExceededError    packages between two areas would exceed the backbone there
    │   ├── QuotaExceededError       the account may not have more of this kind
    │   ├── PackageNotBoundError     no package of that pair of areas is bound
    │   ├── AreaPairTakenError       a package of that pair of areas is bound already
    │   ├── PackageBoundError        the package is bound (to this or another instance)
    │   ├── PackageExpiredError      the package was bought for a time that has passed
    │   ├── PackageInUseError        the package still carries region connections
    │   ├── RegionWithoutNetworkError  a region of the pair has no network attached
    │   ├── NetworkAttachedError     the network is attached (to this or another instance)
    │   ├── NetworksAttachedError    the instance still has networks
    │   ├── PackagesBoundError       the instance still has packages bound
    │   ├── OverlappingNetworksError networks of one instance must not overlap
    │   ├── OverlappingVSwitchesError vSwitches of one network must not overlap
    │   ├── VSwitchesExistError      the network still has vSwitches
    │   ├── GatewayExistsError       the region has two gateways already
    │   ├── GatewayInUseError        two hosts use one gateway's credential
    │   ├── AlreadyConnectedError    the pair of regions has a connection already
    │   ├── RouterExistsError        the region has a transit router already
    │   ├── RouterInUseError         the transit router still has networks or connections
    │   ├── GrantExistsError         the network is granted to the instance already
    │   ├── NotGrantedError          the network's account has not granted it to the instance
    │   ├── PlanRefusedError         a plan cannot be carried out; nothing of it was
    │   ├── PlanSettledError         a plan was confirmed or rolled back already
    │   └── TokenReusedError         a client token was used for another call
    ├── EditConflictError            somebody else changed it meanwhile (If-Match)   412
    ├── UnauthenticatedError         no or wrong credentials                         401
    │   ├── JoinTokenRefusedError    a join token is unknown, used, expired or revoked
    │   └── TotpRequiredError        the password is right; a code of the second factor is needed too
    ├── ThrottledError               too many requests a second by this caller       429
    ├── TooManyAttemptsError         wrong passwords came too fast                   429
    ├── ForbiddenError               this caller may not do this                     403
    └── UnavailableError             try again later                                 503

`code` is stable and documented; `numbers` carries the values that caused the refusal, so that a program can act on
them; the message says the same to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal. `field` names the parameter at fault, where there is one."""

    code: ClassVar[str] = "Refused"

    def __init__(self, message: str, *, field: str | None = None, **numbers: Any) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.numbers = numbers
        self.audited = False
        """Whether the audit log says it already."""


class InvalidValueError(DomainError):
    """A value is not acceptable; `value` is the one given."""

    code = "InvalidValue"


class SameRegionError(InvalidValueError):
    """A region connection joins two different regions."""

    code = "SameRegion"


class BandwidthValueError(InvalidValueError):
    """Bandwidth is a whole number of Mbit/s within bounds."""

    code = "InvalidBandwidth"


class NotFoundError(DomainError):
    """There is no such thing, or it belongs to another account. `kind` is the domain's word for it."""

    code = "NotFound"

    def __init__(self, kind: str, identifier: str, *, field: str | None = None) -> None:
        super().__init__(f"there is no {kind} {identifier!r}", field=field, kind=kind, value=identifier)
        self.kind = kind
        self.identifier = identifier


class ConflictError(DomainError):
    """Right in itself, but not in the present state."""

    code = "Conflict"


class BandwidthExceededError(ConflictError):
    """The sum of a package's region connections would exceed the package."""

    code = "BandwidthExceeded"

    def __init__(
        self, package_id: str, *, bandwidth_mbps: int, allocated_mbps: int, asked_mbps: int, own_mbps: int = 0
    ):
        free_mbps = bandwidth_mbps - allocated_mbps
        fits_mbps = free_mbps + own_mbps
        fit = f"at most {fits_mbps} would fit" if fits_mbps > 0 else "nothing more fits"
        super().__init__(
            f"package {package_id}: {bandwidth_mbps} Mbit/s bound, {allocated_mbps} allocated, {free_mbps} free, "
            f"{asked_mbps} asked" + (f" in place of {own_mbps}" if own_mbps else "") + f"; {fit}",
            field="bandwidth_mbps",
            package_id=package_id,
            bandwidth_mbps=bandwidth_mbps,
            allocated_mbps=allocated_mbps,
            free_mbps=free_mbps,
            asked_mbps=asked_mbps,
            own_mbps=own_mbps,
            fits_mbps=fits_mbps,
        )


class PackageShrinkError(BandwidthExceededError):
    """A package cannot become smaller than what is allocated out of it."""

    code = "BandwidthExceeded"

    def __init__(self, package_id: str, *, bandwidth_mbps: int, allocated_mbps: int, asked_mbps: int):
        DomainError.__init__(
            self,
            f"package {package_id}: {bandwidth_mbps} Mbit/s, of which {allocated_mbps} are allocated to region "
            f"connections; it cannot shrink to {asked_mbps}; at least {allocated_mbps} is needed",
            field="bandwidth_mbps",
            package_id=package_id,
            bandwidth_mbps=bandwidth_mbps,
            allocated_mbps=allocated_mbps,
            free_mbps=bandwidth_mbps - allocated_mbps,
            asked_mbps=asked_mbps,
        )


class CapacityExceededError(ConflictError):
    """The packages of all accounts between two areas would exceed the capacity declared there."""

    code = "CapacityExceeded"

    def __init__(self, area_a_id: str, area_b_id: str, *, capacity_mbps: int, sold_mbps: int, asked_mbps: int):
        left_mbps = max(capacity_mbps - sold_mbps, 0)
        super().__init__(
            f"between {area_a_id} and {area_b_id}: capacity {capacity_mbps} Mbit/s, {sold_mbps} sold, "
            f"{left_mbps} left, {asked_mbps} more asked",
            field="bandwidth_mbps",
            area_a_id=area_a_id,
            area_b_id=area_b_id,
            capacity_mbps=capacity_mbps,
            sold_mbps=sold_mbps,
            left_mbps=left_mbps,
            asked_mbps=asked_mbps,
        )


class QuotaExceededError(ConflictError):
    """The account may not have more of this kind."""

    code = "QuotaExceeded"

    def __init__(self, kind: str, *, most: int, used: int) -> None:
        super().__init__(
            f"this account may have {most} {kind}, and has {used}; an administrator can raise the quota",
            kind=kind,
            most=most,
            used=used,
        )


class PackageNotBoundError(ConflictError):
    """The instance has no package bound that joins the areas of the two regions."""

    code = "PackageNotBound"


class AreaPairTakenError(ConflictError):
    """An instance has at most one package per pair of areas."""

    code = "AreaPairTaken"


class PackageBoundError(ConflictError):
    """The package is bound; unbind it first."""

    code = "PackageBound"


class PackageExpiredError(ConflictError):
    """The package was bought for a time that has passed; renew it first."""

    code = "PackageExpired"


class PackageInUseError(ConflictError):
    """The package still carries region connections; delete those first."""

    code = "PackageInUse"


class RegionWithoutNetworkError(ConflictError):
    """A region connection can be set only between regions that have a network attached."""

    code = "RegionWithoutNetwork"


class NetworkAttachedError(ConflictError):
    """The network is attached to a CEN instance."""

    code = "NetworkAttached"


class NetworksAttachedError(ConflictError):
    """The CEN instance still has networks attached."""

    code = "NetworksAttached"


class PackagesBoundError(ConflictError):
    """The CEN instance still has bandwidth packages bound."""

    code = "PackagesBound"


class OverlappingNetworksError(ConflictError):
    """Networks of one CEN instance must not overlap."""

    code = "OverlappingNetworks"


class OverlappingVSwitchesError(ConflictError):
    """VSwitches of one network must not overlap."""

    code = "OverlappingVSwitches"


class VSwitchesExistError(ConflictError):
    """The network still has vSwitches."""

    code = "VSwitchesExist"


class GatewayExistsError(ConflictError):
    """The region has two gateways already."""

    code = "GatewayExists"


class GatewayInUseError(ConflictError):
    """Another host is this gateway: one credential on two hosts."""

    code = "GatewayInUse"


class AlreadyConnectedError(ConflictError):
    """The pair of regions has a region connection already."""

    code = "AlreadyConnected"


class RouterExistsError(ConflictError):
    """The region has a transit router in this CEN instance already."""

    code = "RouterExists"


class RouterInUseError(ConflictError):
    """Networks or region connections still hang on the transit router."""

    code = "RouterInUse"


class GrantExistsError(ConflictError):
    """The network is granted to this CEN instance already."""

    code = "GrantExists"


class NotGrantedError(ConflictError):
    """The account that owns the network has not granted it to this CEN instance."""

    code = "NotGranted"


class PlanRefusedError(ConflictError):
    """A plan cannot be carried out; `refusals` says everything that stands in its way."""

    code = "PlanRefused"

    def __init__(self, refusals: Sequence[DomainError]) -> None:
        count = "one thing stands" if len(refusals) == 1 else f"{len(refusals)} things stand"
        super().__init__(
            f"{count} in the way of this plan, nothing was changed: {'; '.join(item.message for item in refusals)}",
            refusals=[{"code": item.code, "message": item.message, **item.numbers} for item in refusals],
        )


class PlanSettledError(ConflictError):
    """A plan that was confirmed or rolled back awaits nothing any more."""

    code = "PlanSettled"


class TokenReusedError(ConflictError):
    """A client token stands for one call; this one was used for another."""

    code = "TokenReused"


class EditConflictError(DomainError):
    """The thing is not what the caller last saw (If-Match); `seen` and `current` are both values."""

    code = "EditConflict"


class UnauthenticatedError(DomainError):
    """No credentials, or wrong ones."""

    code = "Unauthenticated"


class JoinTokenRefusedError(UnauthenticatedError):
    """A join token is unknown, was used by another host, has expired or was revoked."""

    code = "JoinTokenRefused"


class TotpRequiredError(UnauthenticatedError):
    """The username and the password are right; a code of the user's second factor is needed too."""

    code = "TotpRequired"


class ThrottledError(DomainError):
    """Too many requests a second by this access key or session."""

    code = "Throttled"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            f"too many requests a second by this caller; try again in {retry_after_s:.3f} s",
            retry_after_s=retry_after_s,
        )
        self.retry_after_s = retry_after_s


class TooManyAttemptsError(DomainError):
    """Wrong passwords came faster than they are looked at; nothing is locked, trying again in a moment helps."""

    code = "TooManyAttempts"


class ForbiddenError(DomainError):
    """This caller may not do this."""

    code = "Forbidden"


class UnavailableError(DomainError):
    """The server cannot answer now; nothing was changed; trying again later may help."""

    code = "Unavailable"
