"""The error contract of transit routers, routes and grants: one row each of operation, situation, code, HTTP status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cbn_server import VPC, Scenario, Server, build_scenario, child, open_server, set_limit
from opencen.domain.nouns import Role

WEST, EAST, SOUTH = "us-west-1", "cn-hangzhou", "cn-shanghai"
JOIN = "CreateTransitRouterPeerAttachment"
CHANGE = "UpdateTransitRouterPeerAttachmentAttribute"
PART = "DeleteTransitRouterPeerAttachment"
PEERS = "ListTransitRouterPeerAttachments"
ATTACH = "CreateTransitRouterVpcAttachment"
NETWORKS = "ListTransitRouterVpcAttachments"


@dataclass(frozen=True)
class Situation:
    """The scenario with 10 Mbit/s between us-west-1 and cn-hangzhou, and a second instance with a router."""

    server: Server
    scenario: Scenario
    routers: dict[str, str]
    london_id: str
    other_cen_id: str
    other_router_id: str
    peer_id: str
    idle_vpc_id: str
    foreign_vpc_id: str
    foreign_owner: int

    @property
    def cen_id(self) -> str:
        return self.scenario.cen_id

    def join(self, **changed: object) -> dict[str, Any]:
        return {
            "CenId": self.cen_id,
            "TransitRouterId": self.routers[WEST],
            "PeerTransitRouterId": self.routers[SOUTH],
            "Bandwidth": 2,
            **changed,
        }

    def change(self, **changed: object) -> dict[str, Any]:
        return {"TransitRouterAttachmentId": self.peer_id, **changed}

    def attach(self, **changed: object) -> dict[str, Any]:
        return {"TransitRouterId": self.routers[EAST], "VpcId": self.idle_vpc_id, **changed}

    def route(self, **changed: object) -> dict[str, Any]:
        vpc_id = self.scenario.vpc_ids[WEST]
        table = {"ChildInstanceRouteTableId": "vtb-" + vpc_id.removeprefix("vpc-")}
        return {**child(self.cen_id, vpc_id, WEST), **table, "DestinationCidrBlock": "10.1.0.0/16", **changed}


def _routers(server: Server, cen_id: str) -> dict[str, str]:
    found = server.ok("ListTransitRouters", CenId=cen_id)["TransitRouters"]
    return {router["RegionId"]: router["TransitRouterId"] for router in found}


@pytest.fixture(scope="module")
def situation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situation]:
    directory: Path = tmp_path_factory.mktemp("cbn-transit-errors")
    with open_server(directory) as server:
        scenario = build_scenario(server)
        server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, WEST, EAST, 10))
        (peer,) = server.ok(PEERS, CenId=scenario.cen_id)["TransitRouterAttachments"]
        other = server.add_user("other", Role.ADMINISTRATOR, own_account=True)
        other_cen_id = server.ok("CreateCen")["CenId"]
        london = server.ok("CreateTransitRouter", CenId=scenario.cen_id, RegionId="eu-west-1")
        elsewhere = server.ok("CreateTransitRouter", CenId=other_cen_id, RegionId=EAST)
        yield Situation(
            server=server,
            scenario=scenario,
            routers=_routers(server, scenario.cen_id),
            london_id=london["TransitRouterId"],
            other_cen_id=other_cen_id,
            other_router_id=elsewhere["TransitRouterId"],
            peer_id=peer["TransitRouterAttachmentId"],
            idle_vpc_id=server.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.9.0.0/16")["VpcId"],
            foreign_vpc_id=other.ok("CreateVpc", VPC, RegionId=EAST, CidrBlock="10.8.0.0/16")["VpcId"],
            foreign_owner=int(other.ok("GetCallerIdentity", "2015-04-01")["AccountId"]),
        )
        assert server.problems() == []


GONE = "InvalidTransitRouterAttachmentId.NotFound"
Parameters = Callable[[Situation], dict[str, Any]]
ROWS: list[tuple[str, str, Parameters, str, int]] = [
    ("CreateTransitRouter", "no instance", lambda s: {"RegionId": EAST}, "MissingParameter", 400),
    ("CreateTransitRouter", "unknown instance", lambda s: {"CenId": "cen-nope", "RegionId": EAST},
     "ParameterCenInstanceId", 404),
    ("CreateTransitRouter", "unknown region", lambda s: {"CenId": s.cen_id, "RegionId": "mars-1"},
     "IllegalParam.RegionId", 400),
    ("CreateTransitRouter", "twice in a region", lambda s: {"CenId": s.cen_id, "RegionId": "eu-west-1"},
     "InvalidOperation.TransitRouterAlreadyExist", 400),
    ("CreateTransitRouter", "long name",
     lambda s: {"CenId": s.cen_id, "RegionId": EAST, "TransitRouterName": "x" * 129}, "InvalidName", 400),
    ("CreateTransitRouter", "multicast", lambda s: {"CenId": s.cen_id, "RegionId": EAST, "SupportMulticast": "true"},
     "InvalidParameter", 400),
    ("CreateTransitRouter", "addresses of its own",
     lambda s: {"CenId": s.cen_id, "RegionId": EAST, "TransitRouterCidrList": '[{"Cidr":"10.0.0.0/24"}]'},
     "InvalidParameter", 400),
    ("CreateTransitRouter", "dry run", lambda s: {"CenId": s.cen_id, "RegionId": EAST, "DryRun": "true"},
     "DryRunOperation", 400),
    ("ListTransitRouters", "nothing named", lambda s: {}, "InvalidParameterCombination.TransitRouter", 400),
    ("ListTransitRouters", "unknown instance", lambda s: {"CenId": "cen-nope"}, "ParameterCenInstanceId", 404),
    ("ListTransitRouters", "unknown feature",
     lambda s: {"CenId": s.cen_id, "FeatureFilter_1_Key": "Speed", "FeatureFilter_1_Value_1": "Enabled"},
     "InvalidOperation.UnsupportFilter", 400),
    ("ListTransitRouters", "unknown value of a feature",
     lambda s: {"CenId": s.cen_id, "FeatureFilter_1_Key": "Multicast", "FeatureFilter_1_Value_1": "Maybe"},
     "InvalidOperation.UnsupportFilterValue", 400),
    ("UpdateTransitRouter", "unknown", lambda s: {"TransitRouterId": "tr-nope"}, "ParameterInstanceId", 404),
    ("UpdateTransitRouter", "another region", lambda s: {"TransitRouterId": s.london_id, "RegionId": EAST},
     "IllegalParam.RegionId", 400),
    ("UpdateTransitRouter", "dry run", lambda s: {"TransitRouterId": s.london_id, "DryRun": "true"},
     "DryRunOperation", 400),
    ("DeleteTransitRouter", "unknown", lambda s: {"TransitRouterId": "tr-nope"}, "ParameterInstanceId", 404),
    ("DeleteTransitRouter", "in use", lambda s: {"TransitRouterId": s.routers[EAST]},
     "InvalidOperation.AttachedChildInstanceExist", 400),
    ("DeleteTransitRouter", "dry run", lambda s: {"TransitRouterId": s.london_id, "DryRun": "true"},
     "DryRunOperation", 400),
    ("ListTransitRouterAvailableResource", "unknown region", lambda s: {"RegionId": "mars-1"},
     "IllegalParam.RegionId", 400),
    (JOIN, "no peer", lambda s: s.join(PeerTransitRouterId=""), "MissingParameter", 400),
    (JOIN, "no router, instance or region", lambda s: s.join(TransitRouterId="", CenId=""),
     "MissingParam.CenIdOrRegionId", 400),
    (JOIN, "no bandwidth", lambda s: s.join(Bandwidth=""), "MissingParam.Bandwidth", 400),
    (JOIN, "unknown router", lambda s: s.join(TransitRouterId="tr-nope"), "InvalidTransitRouterId.NotFound", 400),
    (JOIN, "unknown peer", lambda s: s.join(PeerTransitRouterId="tr-nope"),
     "InvalidPeerTransitRouterId.NotFound", 400),
    (JOIN, "unknown instance", lambda s: s.join(TransitRouterId="", CenId="cen-nope", RegionId=WEST),
     "InvalidCenId.NotFound", 400),
    (JOIN, "a router of another instance", lambda s: s.join(CenId=s.other_cen_id), "InvalidCenId.NotFound", 400),
    (JOIN, "a peer of another instance", lambda s: s.join(PeerTransitRouterId=s.other_router_id),
     "IllegalParam.PeerTransitRouterId", 400),
    (JOIN, "itself", lambda s: s.join(PeerTransitRouterId=s.routers[WEST]), "IllegalParam.PeerRegionId", 400),
    (JOIN, "another region", lambda s: s.join(RegionId=EAST), "IllegalParam.RegionId", 400),
    (JOIN, "another region of the peer", lambda s: s.join(PeerTransitRouterRegionId=EAST),
     "IllegalParam.PeerRegionId", 400),
    (JOIN, "joined already", lambda s: s.join(PeerTransitRouterId=s.routers[EAST]), "InvalidOperation", 400),
    (JOIN, "sum exceeded by one", lambda s: s.join(Bandwidth=11), "InvalidOperation.BwpBandwidthExceeded", 400),
    (JOIN, "no package of the areas", lambda s: s.join(PeerTransitRouterId=s.london_id),
     "InvalidOperation.BwpNotAssociated", 400),
    (JOIN, "another package", lambda s: s.join(CenBandwidthPackageId="cenbwp-nope"),
     "InvalidOperation.BwpNotAssociated", 400),
    (JOIN, "bandwidth zero", lambda s: s.join(Bandwidth=0), "IllegalParam.Bandwidth", 400),
    (JOIN, "bandwidth as text", lambda s: s.join(Bandwidth="ten"), "IllegalParam.Bandwidth", 400),
    (JOIN, "unknown type of bandwidth", lambda s: s.join(BandwidthType="Free"), "IllegalParam.BandwidthType", 400),
    (JOIN, "traffic billing", lambda s: s.join(BandwidthType="DataTransfer"),
     "OperationUnsupported.CloudDataTransferService", 400),
    (JOIN, "platinum", lambda s: s.join(DefaultLinkType="Platinum"),
     "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold", 400),
    (JOIN, "long name", lambda s: s.join(TransitRouterAttachmentName="x" * 129), "InvalidName", 400),
    (CHANGE, "unknown", lambda s: s.change(TransitRouterAttachmentId="tr-attach-nope"), GONE, 400),
    (CHANGE, "sum exceeded by one", lambda s: s.change(Bandwidth=21), "InvalidOperation.BwpBandwidthExceeded", 400),
    (CHANGE, "bandwidth zero", lambda s: s.change(Bandwidth=0), "IllegalParam.Bandwidth", 400),
    (CHANGE, "traffic billing", lambda s: s.change(BandwidthType="DataTransfer"),
     "OperationUnsupported.CloudDataTransferService", 400),
    (CHANGE, "platinum", lambda s: s.change(DefaultLinkType="Platinum"),
     "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold", 400),
    (CHANGE, "another package", lambda s: s.change(CenBandwidthPackageId="cenbwp-nope"),
     "InvalidOperation.BwpNotAssociated", 400),
    (PART, "unknown", lambda s: s.change(TransitRouterAttachmentId="tr-attach-nope"), GONE, 400),
    (PEERS, "unknown instance", lambda s: {"CenId": "cen-nope"}, "InvalidCenId.NotFound", 400),
    (PEERS, "unknown router", lambda s: {"TransitRouterId": "tr-nope"}, "InvalidTransitRouterId.NotFound", 400),
    (PEERS, "made-up token", lambda s: {"CenId": s.cen_id, "NextToken": "hello"}, "InvalidParameter", 400),
    (PEERS, "101 at once", lambda s: {"CenId": s.cen_id, "MaxResults": 101}, "InvalidParameter", 400),
    (ATTACH, "no VPC", lambda s: s.attach(VpcId=""), "MissingParameter", 400),
    (ATTACH, "unknown VPC", lambda s: s.attach(VpcId="vpc-nope"), "ParameterInstanceId", 404),
    (ATTACH, "attached already", lambda s: s.attach(VpcId=s.scenario.vpc_ids[EAST]),
     "InvalidOperation.ChildInstanceAlreadyAttached", 400),
    (ATTACH, "no router or instance", lambda s: s.attach(TransitRouterId=""), "MissingParam.CenIdOrRegionId", 400),
    (ATTACH, "unknown router", lambda s: s.attach(TransitRouterId="tr-nope"), "InvalidTransitRouterId.NotFound", 400),
    (ATTACH, "a router of another region", lambda s: s.attach(TransitRouterId=s.routers[WEST]),
     "IllegalParam.RegionId", 400),
    (ATTACH, "another account's VPC, not granted",
     lambda s: s.attach(VpcId=s.foreign_vpc_id, VpcOwnerId=s.foreign_owner),
     "Forbbiden.AttachChildInstanceAcrossUid", 409),
    (ATTACH, "another account's VPC, its owner not named", lambda s: s.attach(VpcId=s.foreign_vpc_id),
     "ParameterInstanceId", 404),
    (ATTACH, "dry run", lambda s: s.attach(DryRun="true"), "DryRunOperation", 400),
    ("UpdateTransitRouterVpcAttachmentAttribute", "unknown",
     lambda s: {"TransitRouterAttachmentId": "tr-attach-nope"}, GONE, 400),
    ("DeleteTransitRouterVpcAttachment", "unknown", lambda s: {"TransitRouterAttachmentId": "tr-attach-nope"},
     GONE, 400),
    (NETWORKS, "unknown instance", lambda s: {"CenId": "cen-nope"}, "InvalidCenId.NotFound", 400),
    ("DescribeCenRegionDomainRouteEntries", "unknown instance",
     lambda s: {"CenId": "cen-nope", "CenRegionId": WEST}, "ParameterCenInstanceId", 404),
    ("DescribeCenRegionDomainRouteEntries", "unknown status",
     lambda s: {"CenId": s.cen_id, "CenRegionId": WEST, "Status": "Odd"}, "InvalidParameter", 400),
    ("PublishRouteEntries", "no destination", lambda s: s.route(DestinationCidrBlock=""), "MissingParameter", 400),
    ("PublishRouteEntries", "outside of the VPC", lambda s: s.route(DestinationCidrBlock="192.168.0.0/24"),
     "InvalidOperation.NotFoundRoute", 400),
    ("WithdrawPublishedRouteEntries", "never published", lambda s: s.route(DestinationCidrBlock="10.1.7.0/24"),
     "InvalidOperation.NotFoundRoute", 400),
    ("WithdrawPublishedRouteEntries", "not attached", lambda s: s.route(ChildInstanceId=s.idle_vpc_id),
     "ParameterInstanceId", 404),
    ("DescribePublishedRouteEntries", "not attached", lambda s: child(s.cen_id, s.idle_vpc_id, EAST),
     "ParameterInstanceId", 404),
    ("DescribeGrantRulesToCen", "unknown instance", lambda s: {"CenId": "cen-nope"}, "ParameterCenInstanceId", 404),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "status"),
    [(operation, parameters, code, status) for operation, _, parameters, code, status in ROWS],
    ids=[f"{operation}: {situation}" for operation, situation, *_ in ROWS],
)
def test_a_refusal_has_its_code_and_status(
    situation: Situation, operation: str, parameters: Parameters, code: str, status: int
) -> None:
    assert situation.server.refused(operation, **parameters(situation)) == (code, status)


def test_nothing_changed_by_all_those_refusals(situation: Situation) -> None:
    server = situation.server
    (peer,) = server.ok(PEERS, CenId=situation.cen_id)["TransitRouterAttachments"]
    assert (peer["TransitRouterAttachmentId"], peer["Bandwidth"]) == (situation.peer_id, 10)
    assert _routers(server, situation.cen_id) == situation.routers
    assert server.ok(NETWORKS, CenId=situation.cen_id)["TotalCount"] == 3
