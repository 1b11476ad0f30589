"""Today's CEN in the older one's things: transit routers, and what hangs on them.

A transit router is a region of a CEN instance. Every region with a network attached or a region connection set has one
that nobody made; one that was made, or named, has a row. An attachment of a network and a region connection seen as
something that hangs on transit routers may have a note: what a client said of it beyond the thing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RouterKind(StrEnum):
    """Whether somebody made the router, or it came with a network or a region connection."""

    IMPLICIT = "implicit"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class TransitRouter:
    cen_id: str
    region_id: str
    account_id: str
    kind: RouterKind
    name: str
    description: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectionNote:
    """Of a region connection: `local_region_id` is the end from which it was made."""

    local_region_id: str
    name: str = ""
    description: str = ""
    announces_routes: bool = False
    """Kept for the client that asked; gateways know all published routes in any case."""


@dataclass(frozen=True, slots=True)
class AttachmentNote:
    """Of a network's attachment; `zone_mappings` are (zone, vSwitch)."""

    name: str = ""
    description: str = ""
    announces_routes: bool = False
    zone_mappings: tuple[tuple[str, str], ...] = ()
