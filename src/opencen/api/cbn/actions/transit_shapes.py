"""What the operations of transit routers share: ids, pages by token, dry runs.

A router, a peer attachment and a VPC attachment are other names for a region of an instance, a region connection and
an attachment, so their ids are made of theirs, and lead back to them without a table.
"""

from __future__ import annotations

import hashlib
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, TypeVar

from opencen.api.cbn.actions.products import ServiceCall
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, RpcError, invalid_parameter
from opencen.api.cbn.protocol.parameters import Rule
from opencen.domain import errors as domain
from opencen.domain.errors import NotFoundError
from opencen.domain.transit import TransitRouter
from opencen.services import geography, transit_routers
from opencen.services.context import Context, RehearsedError
from opencen.store.records import Listing, Page

T = TypeVar("T")
_ALPHABET = string.digits + string.ascii_lowercase
_SUFFIX_LENGTH = 16
_DIGEST_LENGTH = 8

TRANSIT_ERRORS: ErrorMap = {
    (domain.NotFoundError, "CEN instance"): Refusal("InvalidCenId.NotFound", 400),
    (domain.NotFoundError, "transit router"): Refusal("InvalidTransitRouterId.NotFound", 400),
    (domain.NotFoundError, "region connection"): Refusal("InvalidTransitRouterAttachmentId.NotFound", 400),
    (domain.NotFoundError, "attachment"): Refusal("InvalidTransitRouterAttachmentId.NotFound", 400),
    (domain.InvalidValueError, "region_id"): Refusal("IllegalParam.RegionId", 400),
    domain.SameRegionError: Refusal("IllegalParam.PeerRegionId", 400),
    domain.BandwidthValueError: Refusal("IllegalParam.Bandwidth", 400),
    domain.BandwidthExceededError: Refusal("InvalidOperation.BwpBandwidthExceeded", 400),
    domain.PackageNotBoundError: Refusal("InvalidOperation.BwpNotAssociated", 400),
    domain.NetworkAttachedError: Refusal("InvalidOperation.ChildInstanceAlreadyAttached", 400),
    domain.NotGrantedError: Refusal("Forbbiden.AttachChildInstanceAcrossUid", 409),
    # The real service publishes no code for a second connection of a pair, or a second router of a region.
    domain.AlreadyConnectedError: Refusal("InvalidOperation", 400),
    domain.RouterExistsError: Refusal("InvalidOperation.TransitRouterAlreadyExist", 400),
    domain.RouterInUseError: Refusal("InvalidOperation.AttachedChildInstanceExist", 400),
}
"""The newer operations answer with HTTP 400 where the older ones have 404 and 409 (reference, section 2.8)."""


def _digest(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    letters = []
    for _ in range(_DIGEST_LENGTH):
        number, remainder = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[remainder])
    return "".join(letters)


def _suffix(identifier: str) -> str:
    return identifier.partition("-")[2]


def router_id(cen_id: str, region_id: str) -> str:
    return f"tr-{_suffix(cen_id)}{_digest(region_id)}"


def peer_attachment_id(cen_id: str, pair: tuple[str, str]) -> str:
    """`pair` is sorted."""
    return f"tr-attach-{_suffix(cen_id)}{_digest(':'.join(pair))}"


def vpc_attachment_id(network_id: str) -> str:
    return f"tr-attach-{_suffix(network_id)}"


def network_of(attachment_id: str) -> str:
    """The id of the network whose attachment this is."""
    return f"vpc-{attachment_id.removeprefix('tr-attach-')}"


def _split(identifier: str, prefix: str) -> tuple[str, str]:
    """The instance's id and the digest in an id; both are empty when it is none of ours."""
    rest = identifier.removeprefix(prefix)
    if not identifier.startswith(prefix) or len(rest) != _SUFFIX_LENGTH + _DIGEST_LENGTH:
        return "", ""
    return f"cen-{rest[:_SUFFIX_LENGTH]}", rest[_SUFFIX_LENGTH:]


def find_router(call: ServiceCall, identifier: str) -> TransitRouter:
    """Raises NotFoundError."""
    cen_id, digest = _split(identifier, "tr-")
    for region in geography.find_regions(call.context) if cen_id else ():
        if _digest(region.id) == digest:
            return transit_routers.get(call.context, call.actor, cen_id, region.id)
    raise NotFoundError("transit router", identifier, field="id")


def find_pair(call: ServiceCall, attachment_id: str) -> tuple[str, tuple[str, str]]:
    """The instance and the sorted pair of regions that a peer attachment's id names. Raises NotFoundError."""
    cen_id, digest = _split(attachment_id, "tr-attach-")
    region_ids = sorted(region.id for region in geography.find_regions(call.context)) if cen_id else []
    for pair in combinations(region_ids, 2):
        if _digest(":".join(pair)) == digest:
            return cen_id, pair
    raise NotFoundError("region connection", attachment_id, field="id")


def router_of(call: ServiceCall, context: Context, identifier: str, cen_id: str, region_id: str) -> TransitRouter:
    """The named router, or the one of a region of an instance, which is made in `context` when there is none.

    Raises RpcError, NotFoundError.
    """
    if identifier:
        router = find_router(call, identifier)
        if cen_id not in ("", router.cen_id):
            raise RpcError("InvalidCenId.NotFound", 400, f"Transit router {identifier} is not one of {cen_id[:64]}.")
        return router
    if not cen_id or not region_id:
        raise RpcError(
            "MissingParam.CenIdOrRegionId", 400, "Without TransitRouterId both CenId and RegionId are required."
        )
    return transit_routers.ensure(context, call.actor, cen_id, region_id)


def require_region(parameter: str, region_id: str, router: TransitRouter) -> None:
    """Raises RpcError `IllegalParam.…` when the parameter names another region than the router's."""
    if region_id not in ("", router.region_id):
        raise RpcError(
            f"IllegalParam.{parameter}", 400, f"The transit router is in {router.region_id}, not in {region_id[:64]}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPaging:
    """MaxResults and NextToken, as the newer lists take them."""

    max_results: Annotated[int, Rule(minimum=1, maximum=100)] = 20
    next_token: Annotated[str, Rule(max_length=64)] = ""


def page_of_token(given: TokenPaging) -> Page:
    """The asked page: a token names the page after the one that it came with, and its size. Raises RpcError."""
    if not given.next_token:
        return Page(1, given.max_results)
    try:
        number, size = urlsafe_b64decode(given.next_token.encode("ascii")).decode("ascii").split(".")
        page = Page(int(number), int(size))
    except ValueError as error:
        raise invalid_parameter("NextToken", "it is none that was given out") from error
    if not (1 < page.number <= 1_000_000 and 1 <= page.size <= 100):
        raise invalid_parameter("NextToken", "it is none that was given out")
    return page


def cut(page: Page, items: Sequence[T]) -> Listing[T]:
    """The page of a list that is here in full."""
    start = (page.number - 1) * page.size
    return Listing(tuple(items[start : start + page.size]), len(items))


def by_token(page: Page, found: Listing[T], outer: str, shape: Callable[[T], object]) -> dict[str, object]:
    """A list as the newer operations answer it: a plain array, with the token of the next page."""
    return {
        outer: list(map(shape, found.items)),
        "TotalCount": found.total,
        "MaxResults": page.size,
        "NextToken": token_after(page, found.total),
    }


def token_after(page: Page, total: int) -> str:
    """The token of the next page; empty after the last one."""
    more = page.number * page.size < total
    return urlsafe_b64encode(f"{page.number + 1}.{page.size}".encode()).decode() if more else ""


@contextmanager
def rehearsable(call: ServiceCall, dry_run: bool) -> Iterator[Context]:
    """The services to change something with; after a dry run that passed, refuses with `DryRunOperation`."""
    if not dry_run:
        yield call.context
        return
    try:
        yield call.context.rehearsal()
    except RehearsedError:
        raise RpcError("DryRunOperation", 400, "Request validation has been passed with DryRun flag set.") from None


def only(items: Iterable[T], *conditions: tuple[object, Callable[[T], object]]) -> list[T]:
    """The items whose value is the wanted one, for each (wanted, value of an item) whose wanted is not blank."""
    wanted = [(value, of) for value, of in conditions if value]
    return [item for item in items if all(of(item) == value for value, of in wanted)]
