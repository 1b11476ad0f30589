"""What the agent does to the kernel, and in which order."""

from __future__ import annotations

from dataclasses import replace

from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.diff import diff
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.fake import Delivery, FakeKernel
from opencen.gateway.kernel.model import NO_TREE, REST_CLASS, SET_CLASS, Filter, Match, TunnelNow
from opencen.gateway.plan import Site, plan
from opencen.gateway.shaping import tree_for
from opencen.wire.gateway import TEST_RATE_BPS, GatewayState, InstanceState, LinkState, NetworkState

SITE = Site("gw-1", "100.64.0.1", [DeclaredNetwork("web", "lan0", "10.1.0.1/24")], leaf_queue="bfifo")
NAMESPACE = "gw-1-cen-a"
EAST, SOUTH = "to-east", "to-south"


def state(**rates_bps: int) -> GatewayState:
    """An instance with a network, and links to the regions that are named."""
    links = [
        LinkState(
            peer_region_id=peer,
            vni=10 + number,
            peer_endpoint=f"100.64.0.{10 + number}",
            remote_cidr_blocks=[f"10.{10 + number}.0.0/16"],
            rate_bps=rate_bps,
        )
        for number, (peer, rate_bps) in enumerate(rates_bps.items())
    ]
    network = NetworkState(network_id="vpc-1", name="web", cidr_blocks=["10.1.0.0/16"])
    instance = InstanceState(cen_id="cen-a", revision=1, networks=[network], links=links)
    return GatewayState(gateway_id="gw-1", region_id="west", revision=1, full=True, instances=[instance])


def operations(kernel: FakeKernel, wanted: GatewayState) -> list[ops.Operation]:
    now = kernel.read()
    return diff(now, plan(wanted, SITE, now).namespaces)


def kernel_with(wanted: GatewayState) -> FakeKernel:
    kernel = FakeKernel(interfaces={"lan0"})
    assert kernel.apply(operations(kernel, wanted)).refused == {}
    return kernel


def kinds(items: list[ops.Operation]) -> list[str]:
    return [type(item).__name__ for item in items]


def altered(kernel: FakeKernel, device: str, now: TunnelNow | None) -> None:
    """Somebody's hand in the kernel."""
    there = kernel.namespaces[NAMESPACE]
    tunnels = {name: tunnel for name, tunnel in there.tunnels.items() if name != device}
    kernel.namespaces[NAMESPACE] = replace(there, tunnels=tunnels | ({device: now} if now else {}))


def test_packets_go_to_their_region_at_its_rate_and_to_hosts_here_unshaped() -> None:
    kernel = kernel_with(state(east=10_000_000, south=TEST_RATE_BPS))
    assert kernel.answer(NAMESPACE, "10.10.3.4") == Delivery(EAST, 10_000_000)
    assert kernel.answer(NAMESPACE, "10.11.3.4") == Delivery(SOUTH, TEST_RATE_BPS)
    assert kernel.answer(NAMESPACE, "10.1.0.7") == Delivery("lan0", None)
    assert kernel.answer(NAMESPACE, "192.0.2.1") is None


def test_a_tunnel_comes_up_after_its_queues_are_complete() -> None:
    built = kinds([o for o in operations(FakeKernel(), state(east=10_000_000)) if o.scope.part == EAST])
    up = built.index("SetUp")
    assert built[0] == "CreateTunnel"
    assert {"PutRoot", "AddClass", "PutLeaf", "AddFilter", "SetNextHop"} <= set(built[:up])
    assert set(built[up + 1 :]) == {"AddRoute"}


def test_changing_a_rate_changes_its_class_and_queue_in_place_and_nothing_else() -> None:
    kernel = kernel_with(state(east=10_000_000, south=5_000_000))
    changes = operations(kernel, state(east=8_000_000, south=5_000_000))
    assert kinds(changes) == ["ChangeClass", "ChangeLeaf"]
    assert {change.scope for change in changes} == {ops.Scope(NAMESPACE, EAST)}


def test_setting_a_rate_starts_a_fresh_class_and_then_empties_the_test_queues() -> None:
    kernel = kernel_with(state(east=TEST_RATE_BPS))
    changes = operations(kernel, state(east=10_000_000))
    assert kinds(changes) == ["AddClass", "PutLeaf", "AddFilter", "PutLeaf", "PutLeaf"]
    kernel.apply(changes)
    assert kernel.answer(NAMESPACE, "10.10.0.1") == Delivery(EAST, 10_000_000)


def test_deleting_a_rate_frees_the_test_queues_before_traffic_falls_to_them() -> None:
    kernel = kernel_with(state(east=10_000_000))
    changes = operations(kernel, state(east=TEST_RATE_BPS))
    assert kinds(changes) == ["PutLeaf", "PutLeaf", "DeleteFilters", "DeleteClass"]


def test_what_shrinks_does_so_before_anything_grows() -> None:
    kernel = kernel_with(state(east=2_000_000, south=8_000_000))
    changes = operations(kernel, state(east=8_000_000, south=2_000_000))
    assert [change.scope.part for change in changes] == [SOUTH, SOUTH, EAST, EAST]


def test_a_refusal_of_one_link_does_not_stop_another() -> None:
    kernel = FakeKernel(interfaces={"lan0"})
    kernel.refuse = lambda o: "No buffer space" if isinstance(o, ops.PutRoot) and o.scope.part == EAST else None
    outcome = kernel.apply(operations(kernel, state(east=10_000_000, south=10_000_000)))
    assert outcome.refused == {ops.Scope(NAMESPACE, EAST): "PutRoot: No buffer space"}
    assert kernel.answer(NAMESPACE, "10.10.0.1") is None, "a tunnel without its queues must not come up"
    assert kernel.answer(NAMESPACE, "10.11.0.1") == Delivery(SOUTH, 10_000_000)


def test_a_deleted_root_queue_is_made_again_with_its_whole_tree() -> None:
    kernel = kernel_with(state(east=10_000_000))
    now = kernel.namespaces[NAMESPACE].tunnels[EAST]
    altered(kernel, EAST, replace(now, tunnel=replace(now.tunnel, tree=NO_TREE)))
    kernel.apply(operations(kernel, state(east=10_000_000)))
    assert kernel.answer(NAMESPACE, "10.10.0.1") == Delivery(EAST, 10_000_000)
    assert operations(kernel, state(east=10_000_000)) == []


def test_a_lost_filter_means_the_test_rate_and_is_put_back_with_a_fresh_class() -> None:
    kernel = kernel_with(state(east=10_000_000))
    kernel.apply([ops.DeleteFilters(ops.Scope(NAMESPACE, EAST), 1, 3)])
    delivery = kernel.answer(NAMESPACE, "10.10.0.1")
    assert delivery is not None
    assert delivery.rate_bps is not None
    assert delivery.rate_bps <= TEST_RATE_BPS
    changes = operations(kernel, state(east=10_000_000))
    assert kinds(changes)[0] == "DeleteClass"
    assert kernel.apply(changes).refused == {}
    assert operations(kernel, state(east=10_000_000)) == []


def test_a_strange_filter_or_class_is_removed() -> None:
    kernel = kernel_with(state(east=10_000_000))
    scope = ops.Scope(NAMESPACE, EAST)
    fast = replace(tree_for(1_000_000_000, "bfifo").classes[SET_CLASS])
    bypass = Filter(priority=7, protocol=3, matches=(Match(0, 0, 0),), target=0x99)
    kernel.apply([ops.AddClass(scope, 0x99, fast), ops.AddFilter(scope, bypass)])
    assert kernel.apply(operations(kernel, state(east=10_000_000))).refused == {}
    tree = kernel.namespaces[NAMESPACE].tunnels[EAST].tunnel.tree
    assert tree == tree_for(10_000_000, "bfifo")


def test_a_peer_that_moved_gets_a_new_tunnel() -> None:
    kernel = kernel_with(state(east=10_000_000))
    moved = state(east=10_000_000)
    link = moved.instances[0].links[0].model_copy(update={"peer_endpoint": "100.64.0.99"})
    moved = moved.model_copy(update={"instances": [moved.instances[0].model_copy(update={"links": [link]})]})
    assert kinds(operations(kernel, moved))[:2] == ["DeleteTunnel", "CreateTunnel"]


def test_an_instance_that_is_gone_gives_its_interface_back() -> None:
    kernel = kernel_with(state(east=10_000_000))
    assert kernel.interfaces == set()
    gone = state().model_copy(update={"instances": []})
    assert kinds(operations(kernel, gone)) == ["DeleteNamespace"]
    kernel.apply(operations(kernel, gone))
    assert kernel.interfaces == {"lan0"}


def test_anything_unclassified_falls_to_the_test_rate_and_what_has_no_class_is_dropped() -> None:
    tree = tree_for(10_000_000, "bfifo")
    assert tree.root is not None
    assert tree.root.default_class == REST_CLASS
    assert tree.root.direct_packets == 0
