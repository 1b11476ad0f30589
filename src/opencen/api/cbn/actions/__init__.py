"""The actions, one module per noun, and the registry of all of them."""

from __future__ import annotations

from opencen.api.cbn.actions import (
    bandwidth_limits,
    bandwidth_packages,
    child_instances,
    geography,
    grants,
    instances,
    monitoring,
    peer_attachments,
    resource_groups,
    route_tables,
    routes,
    surroundings,
    tags,
    transit_routers,
    vpc,
    vpc_attachments,
    vswitches,
)
from opencen.api.cbn.protocol.action import Registry
from opencen.services.context import Context

REGISTRY: Registry[Context] = Registry(
    [
        instances.ACTIONS,
        child_instances.ACTIONS,
        bandwidth_packages.ACTIONS,
        bandwidth_limits.ACTIONS,
        geography.ACTIONS,
        transit_routers.ACTIONS,
        vpc_attachments.ACTIONS,
        peer_attachments.ACTIONS,
        routes.ACTIONS,
        grants.CBN_ACTIONS,
        grants.VPC_ACTIONS,
        vpc.ACTIONS,
        vswitches.ACTIONS,
        route_tables.ACTIONS,
        surroundings.STS_ACTIONS,
        surroundings.LOCATION_ACTIONS,
        surroundings.BILLING_ACTIONS,
        resource_groups.ACTIONS,
        resource_groups.CBN_ACTIONS,
        resource_groups.VPC_ACTIONS,
        tags.CBN_ACTIONS,
        tags.VPC_ACTIONS,
        monitoring.ACTIONS,
    ]
)
