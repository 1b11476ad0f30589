"""Grants between accounts: an account lets another account's CEN instance attach one of its networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from opencen.api.cbn.actions.products import CBN, VPC, ServiceCall
from opencen.api.cbn.actions.shapes import ClientToken, page_of, paged, second
from opencen.api.cbn.actions.transit_shapes import TokenPaging, page_of_token, token_after
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.errors import ErrorMap, Refusal, invalid_parameter
from opencen.api.cbn.protocol.parameters import Paging, Rule
from opencen.api.cbn.protocol.render import wrapped
from opencen.domain.errors import GrantExistsError, NetworkAttachedError, NotFoundError
from opencen.services import network_grants, networks
from opencen.services.context import Context
from opencen.services.network_grants import NetworkGrant
from opencen.store.records import Listing, Page

CBN_ACTIONS = Actions[Context](CBN)
VPC_ACTIONS = Actions[Context](VPC)
_NO_NETWORK = Refusal("InvalidInstanceId.NotFound", 404)
_ERRORS: ErrorMap = {
    (NotFoundError, "network"): _NO_NETWORK,
    (NotFoundError, "grant"): _NO_NETWORK,
    (NotFoundError, "CEN instance"): Refusal("InvalidCenId.NotFound", 404),
    # Terraform waits for the end of what is in the way when it reads this code.
    NetworkAttachedError: Refusal("IncorrectStatus", 409),
    # The real service refuses a second grant, with a code that is published nowhere.
    GrantExistsError: Refusal("OperationDenied.GrantRuleExist", 400),
}
_Type = Annotated[str, Rule(one_of=("VPC", "VBR", "CCN"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    region_id: str
    instance_id: str
    instance_type: _Type
    cen_id: str
    cen_owner_id: int
    client_token: ClientToken = ""


@VPC_ACTIONS.action("GrantInstanceToCen", errors=_ERRORS)
def grant_instance_to_cen(call: ServiceCall, given: Granted) -> Answer:
    _require_network(call, given.instance_id, given.instance_type, given.region_id)
    network_grants.add(call.context, call.actor, given.instance_id, given.cen_id, cen_account_number=given.cen_owner_id)
    return {}


@VPC_ACTIONS.action("RevokeInstanceFromCen", errors=_ERRORS)
def revoke_instance_from_cen(call: ServiceCall, given: Granted) -> Answer:
    _require_network(call, given.instance_id, given.instance_type, given.region_id)
    network_grants.remove(
        call.context, call.actor, given.instance_id, given.cen_id, cen_account_number=given.cen_owner_id
    )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGrantRulesOfVpc(Paging):
    region_id: str
    instance_id: str
    instance_type: _Type


@VPC_ACTIONS.action("DescribeGrantRulesToCen", errors=_ERRORS)
def describe_grant_rules_of_vpc(call: ServiceCall, given: DescribeGrantRulesOfVpc) -> Answer:
    _require_network(call, given.instance_id, given.instance_type, given.region_id)
    found = network_grants.given(call.context, call.actor, given.instance_id, page_of(given))
    return paged(given, found, "CenGrantRules", "CbnGrantRule", _rule_of_vpc)


def _rule_of_vpc(grant: NetworkGrant) -> dict[str, object]:
    return {
        "CenInstanceId": grant.cen_id,
        "CenOwnerId": grant.cen_account_number,
        "CreationTime": second(grant.created_at),
    }


def _require_network(call: ServiceCall, instance_id: str, instance_type: str, region_id: str) -> None:
    """Raises RpcError for what is no VPC; NotFoundError unless it is one of the account's in this region."""
    if instance_type != "VPC":
        raise invalid_parameter("InstanceType", f"networks of type {instance_type} are not supported; use VPC")
    if networks.get(call.context, call.actor, instance_id).region_id != region_id:
        raise NotFoundError("network", instance_id, field="network_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGrantRulesToCen(TokenPaging):
    cen_id: str
    product_type: Annotated[str, Rule(one_of=("VPC", "VBR", "CCN", "VPN", "ECR", ""))] = ""
    child_instance_id: str = ""
    child_instance_owner_id: int | None = None
    region_id: str = ""


@CBN_ACTIONS.action("DescribeGrantRulesToCen")
def describe_grant_rules_to_cen(call: ServiceCall, given: DescribeGrantRulesToCen) -> Answer:
    page = page_of_token(given)
    found = _received(call, given, page)
    return {
        "GrantRules": wrapped("GrantRule", map(_rule_of_cen, found.items)),
        "TotalCount": found.total,
        "MaxResults": page.size,
        "NextToken": token_after(page, found.total),
    }


def _received(call: ServiceCall, given: DescribeGrantRulesToCen, page: Page) -> Listing[NetworkGrant]:
    found = network_grants.received(
        call.context,
        call.actor,
        page,
        cen_id=given.cen_id,
        network_id=given.child_instance_id or None,
        network_account_number=given.child_instance_owner_id or None,
    )
    return found if given.product_type in ("VPC", "") else Listing((), 0)


def _rule_of_cen(grant: NetworkGrant) -> dict[str, object]:
    return {
        "CenId": grant.cen_id,
        "CenOwnerId": grant.cen_account_number,
        "ChildInstanceId": grant.network_id,
        "ChildInstanceOwnerId": grant.network_account_number,
        "ChildInstanceRegionId": grant.region_id,
        "ChildInstanceType": "VPC",
        "CreateTime": int(grant.created_at.timestamp() * 1_000),
        "OrderType": "PayByCenOwner",
        "EffectiveOrderType": "PayByCenOwner",
    }
