"""What clients call around CEN: who am I, where is an API, what kind of account is this."""

from __future__ import annotations

from dataclasses import dataclass

from opencen.api.cbn.actions.products import BILLING, LOCATION, STS, ServiceCall
from opencen.api.cbn.protocol.action import Actions, Answer
from opencen.api.cbn.protocol.parameters import Nothing
from opencen.api.cbn.protocol.render import wrapped
from opencen.services import identities
from opencen.services.context import Context

STS_ACTIONS = Actions[Context](STS)
LOCATION_ACTIONS = Actions[Context](LOCATION)
BILLING_ACTIONS = Actions[Context](BILLING)


@STS_ACTIONS.action("GetCallerIdentity")
def get_caller_identity(call: ServiceCall, given: Nothing) -> Answer:
    account = identities.find_account(call.context, call.actor.account_id)
    return {
        "AccountId": str(account.number),
        "UserId": call.actor.user_id,
        "PrincipalId": call.actor.user_id,
        "IdentityType": "RAMUser",
        "Arn": f"acs:ram::{account.number}:user/{call.actor.username}",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeEndpoints:
    id: str
    service_code: str
    type: str = "openAPI"


@LOCATION_ACTIONS.action("DescribeEndpoints")
def describe_endpoints(call: ServiceCall, given: DescribeEndpoints) -> Answer:
    endpoint = {
        "Endpoint": call.host,
        "Id": given.id,
        "Namespace": "",
        "SerivceCode": given.service_code,
        "Type": given.type,
        "Protocols": wrapped("Protocols", ["HTTP", "HTTPS"]),
    }
    return {"Endpoints": wrapped("Endpoint", [endpoint]), "Success": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAvailableInstances:
    page_num: int = 1
    page_size: int = 20


@BILLING_ACTIONS.action("QueryAvailableInstances")
def query_available_instances(call: ServiceCall, given: QueryAvailableInstances) -> Answer:
    """Nothing is sold here, so the list is empty; clients ask only to learn what kind of account this is."""
    return {
        "Success": True,
        "Data": {
            "PageNum": given.page_num,
            "PageSize": given.page_size,
            "TotalCount": 0,
            "InstanceList": [],
        },
    }
