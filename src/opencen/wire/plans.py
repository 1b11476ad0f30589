"""Plans over the REST API: documents of wanted state, what they would change, and those that were applied."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from opencen.wire.rest import Given, Taken


class PlanPackage(Taken):
    """A package bound to the instance. Without an id: the one bound between these areas, or a new one is bought."""

    areas: list[str] = Field(min_length=2, max_length=2)
    bandwidth_mbps: int
    id: str | None = None
    name: str = ""


class PlanConnection(Taken):
    regions: list[str] = Field(min_length=2, max_length=2)
    bandwidth_mbps: int


class PlanDocument(Taken):
    """A wanted state. A list that is not given stays as it is; what a given list does not name goes."""

    packages: list[PlanPackage] | None = Field(default=None, max_length=1_000)
    connections: list[PlanConnection] | None = Field(default=None, max_length=20_000)


class PlanApply(Taken):
    document: PlanDocument
    confirm_within_s: int | None = Field(
        default=None, description="rolled back unless confirmed within so many seconds; not given: kept"
    )
    note: str = ""


class PlanChange(Given):
    """`ends` are areas for a package and regions for a connection; 0 Mbit/s: not there."""

    subject: Literal["package", "connection"]
    effect: Literal["goes", "shrinks", "grows", "appears"]
    ends: tuple[str, str]
    before_mbps: int
    after_mbps: int
    package_id: str | None
    name: str


class PlanBudget(Given):
    """What a package has before and after; `left_mbps` below 0: so much too little."""

    areas: tuple[str, str]
    package_id: str | None
    before_mbps: int
    after_mbps: int
    allocated_before_mbps: int
    allocated_after_mbps: int
    left_mbps: int


class PlanPreview(Given):
    """What a document would do, in the order in which it would be done; `refusals` says what stands in the way."""

    base: str = Field(description="names the state that was looked at: the If-Match of applying this")
    changes: list[PlanChange]
    packages: list[PlanBudget]
    refusals: list[dict[str, Any]]


class PlanVersion(Given):
    """A plan that was applied."""

    number: int
    applied_at: datetime
    username: str
    note: str
    state: Literal["applied", "awaiting confirmation", "rolled back"]
    confirm_by: datetime | None
    outcome: str


class PlanVersionDocument(PlanVersion):
    """The same, with the states before and after it."""

    before: PlanDocument
    after: PlanDocument
