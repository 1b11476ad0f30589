"""Networks of one account attached to another account's instance: only when granted, and as both sides see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbn_server import VPC, Caller, Server, child, open_server
from opencen.domain.nouns import Role

EAST = "cn-hangzhou"
GRANT = "GrantInstanceToCen"
REVOKE = "RevokeInstanceFromCen"
RULES = "DescribeGrantRulesToCen"
ATTACH = "AttachCenChildInstance"
DETACH = "DetachCenChildInstance"
ATTACHED = "DescribeCenAttachedChildInstances"


@pytest.fixture
def server(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    """On SQLite, and on PostgreSQL."""
    with open_server(tmp_path, database_url) as opened:
        yield opened
        assert opened.problems() == []


class Accounts:
    """The administrator's account with an instance, and another one with a network."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.other: Caller = server.add_user("other", Role.ADMINISTRATOR, own_account=True)
        self.cen_id: str = server.ok("CreateCen")["CenId"]
        made = self.other.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.2.0.0/16", VpcName="theirs")
        self.vpc_id: str = made["VpcId"]
        self.cen_owner = int(server.ok("GetCallerIdentity", "2015-04-01")["AccountId"])
        self.vpc_owner = int(self.other.ok("GetCallerIdentity", "2015-04-01")["AccountId"])

    @property
    def grant(self) -> dict[str, Any]:
        return {
            "version": VPC,
            "RegionId": EAST,
            "InstanceId": self.vpc_id,
            "InstanceType": "VPC",
            "CenId": self.cen_id,
            "CenOwnerId": self.cen_owner,
        }

    def child(self, **more: object) -> dict[str, Any]:
        return {**child(self.cen_id, self.vpc_id, EAST), **more}

    def attached(self) -> list[tuple[str, int]]:
        found = self.server.ok(ATTACHED, CenId=self.cen_id)["ChildInstances"]["ChildInstance"]
        return [(item["ChildInstanceId"], item["ChildInstanceOwnerId"]) for item in found]


@pytest.fixture
def accounts(server: Server) -> Accounts:
    return Accounts(server)


def test_a_granted_network_is_attached_and_detached_by_the_instances_account(accounts: Accounts) -> None:
    server = accounts.server
    accounts.other.ok(GRANT, **accounts.grant)
    server.ok(ATTACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner))
    assert accounts.attached() == [(accounts.vpc_id, accounts.vpc_owner)]
    attribute = server.ok("DescribeCenAttachedChildInstanceAttribute", **accounts.child())
    assert (attribute["ChildInstanceName"], attribute["ChildInstanceOwnerId"]) == ("theirs", accounts.vpc_owner)
    vpc = accounts.other.ok("DescribeVpcAttribute", VPC, RegionId=EAST, VpcId=accounts.vpc_id)
    assert vpc["AssociatedCens"]["AssociatedCen"] == [
        {"CenId": accounts.cen_id, "CenOwnerId": accounts.cen_owner, "CenStatus": "Attached"}
    ]
    server.ok(DETACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner))
    assert accounts.attached() == []


def test_the_networks_account_detaches_it_from_the_foreign_instance(accounts: Accounts) -> None:
    accounts.other.ok(GRANT, **accounts.grant)
    accounts.server.ok(ATTACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner))
    assert accounts.other.refused(DETACH, **accounts.child()) == ("ParameterCenInstanceId", 404)
    accounts.other.ok(DETACH, **accounts.child(CenOwnerId=accounts.cen_owner))
    assert accounts.attached() == []
    again = accounts.other.refused(DETACH, **accounts.child(CenOwnerId=accounts.cen_owner))
    assert again == ("ParameterInstanceId", 404)


def test_a_grant_serves_transit_routers_too(accounts: Accounts) -> None:
    accounts.other.ok(GRANT, **accounts.grant)
    asked = {"CenId": accounts.cen_id, "RegionId": EAST, "VpcId": accounts.vpc_id, "VpcOwnerId": accounts.vpc_owner}
    made = accounts.server.ok("CreateTransitRouterVpcAttachment", **asked)
    listed = accounts.server.ok("ListTransitRouterVpcAttachments", CenId=accounts.cen_id)
    (attachment,) = listed["TransitRouterAttachments"]
    assert attachment["VpcOwnerId"] == accounts.vpc_owner
    accounts.server.ok("DeleteTransitRouterVpcAttachment", TransitRouterAttachmentId=made["TransitRouterAttachmentId"])
    assert accounts.attached() == []


def test_without_a_grant_another_accounts_network_is_refused_or_does_not_exist(accounts: Accounts) -> None:
    server = accounts.server
    refused = ("Forbbiden.AttachChildInstanceAcrossUid", 409)
    assert server.refused(ATTACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner)) == refused
    assert server.refused(ATTACH, **accounts.child(ChildInstanceOwnerId=42)) == refused
    assert server.refused(ATTACH, **accounts.child()) == ("ParameterInstanceId", 404)
    accounts.other.ok(GRANT, **accounts.grant)
    assert server.refused(ATTACH, **accounts.child()) == ("ParameterInstanceId", 404), "its owner must be named"
    other_cen_id = server.ok("CreateCen")["CenId"]
    elsewhere = accounts.child(ChildInstanceOwnerId=accounts.vpc_owner, CenId=other_cen_id)
    assert server.refused(ATTACH, **elsewhere) == refused, "granted to one instance only"
    accounts.other.ok(REVOKE, **accounts.grant)
    assert server.refused(ATTACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner)) == refused


def test_both_accounts_see_the_grant_and_a_third_one_does_not(accounts: Accounts) -> None:
    accounts.other.ok(GRANT, **accounts.grant)
    of_vpc = {"RegionId": EAST, "InstanceId": accounts.vpc_id, "InstanceType": "VPC"}
    (given,) = accounts.other.ok(RULES, VPC, **of_vpc)["CenGrantRules"]["CbnGrantRule"]
    assert (given["CenInstanceId"], given["CenOwnerId"]) == (accounts.cen_id, accounts.cen_owner)
    answer = accounts.server.ok(RULES, CenId=accounts.cen_id, ProductType="VPC")
    (received,) = answer["GrantRules"]["GrantRule"]
    assert (received["ChildInstanceId"], received["ChildInstanceOwnerId"]) == (accounts.vpc_id, accounts.vpc_owner)
    assert (answer["TotalCount"], answer["NextToken"]) == (1, "")
    assert accounts.server.ok(RULES, CenId=accounts.cen_id, ProductType="VBR")["TotalCount"] == 0
    assert accounts.server.refused(RULES, VPC, **of_vpc) == ("InvalidInstanceId.NotFound", 404)
    assert accounts.other.refused(RULES, CenId=accounts.cen_id) == ("ParameterCenInstanceId", 404)


def test_a_grant_of_an_attached_network_cannot_be_taken_back(accounts: Accounts) -> None:
    accounts.other.ok(GRANT, **accounts.grant)
    accounts.server.ok(ATTACH, **accounts.child(ChildInstanceOwnerId=accounts.vpc_owner))
    assert accounts.other.refused(REVOKE, **accounts.grant) == ("IncorrectStatus", 409)
    deleted = accounts.other.refused("DeleteVpc", VPC, VpcId=accounts.vpc_id)
    assert deleted == ("DependencyViolation.CenInstance", 400)


def test_refusals_of_grants_name_what_is_wrong(accounts: Accounts) -> None:
    other, good = accounts.other, accounts.grant
    assert other.refused(GRANT, **{**good, "CenOwnerId": accounts.vpc_owner}) == ("InvalidCenId.NotFound", 404)
    assert other.refused(GRANT, **{**good, "CenId": "cen-nope"}) == ("InvalidCenId.NotFound", 404)
    assert other.refused(GRANT, **{**good, "InstanceId": "vpc-nope"}) == ("InvalidInstanceId.NotFound", 404)
    assert other.refused(GRANT, **{**good, "RegionId": "us-west-1"}) == ("InvalidInstanceId.NotFound", 404)
    assert other.refused(GRANT, **{**good, "InstanceType": "VBR"}) == ("InvalidParameter", 400)
    assert accounts.server.refused(GRANT, **good) == ("InvalidInstanceId.NotFound", 404), "not the caller's network"
    assert other.refused(REVOKE, **good) == ("InvalidInstanceId.NotFound", 404)
    other.ok(GRANT, **good)
    assert other.refused(GRANT, **good) == ("OperationDenied.GrantRuleExist", 400)


def test_a_grant_repeated_with_its_token_is_the_same_one(accounts: Accounts) -> None:
    for _ in range(2):
        accounts.other.ok(GRANT, **accounts.grant, ClientToken="once")
    assert accounts.server.ok(RULES, CenId=accounts.cen_id)["TotalCount"] == 1


def test_what_is_deleted_takes_its_grants_along(accounts: Accounts) -> None:
    accounts.other.ok(GRANT, **accounts.grant)
    accounts.server.ok("DeleteCen", CenId=accounts.cen_id)
    of_vpc = {"RegionId": EAST, "InstanceId": accounts.vpc_id, "InstanceType": "VPC"}
    assert accounts.other.ok(RULES, VPC, **of_vpc)["TotalCount"] == 0
    accounts.other.ok("DeleteVpc", VPC, VpcId=accounts.vpc_id)
