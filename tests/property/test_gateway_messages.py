"""What is written to the kernel is what would be read back from it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from opencen.gateway.kernel import links, queues
from opencen.gateway.kernel.messages import attribute, attributes, text, text_of
from opencen.gateway.kernel.model import Filter, HtbClass, Leaf, Match, RootQueue
from opencen.gateway.shaping import tree_for

U32 = st.integers(0, (1 << 32) - 1)
MINOR = st.integers(1, 0xFFFE)


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40)))
def test_attributes_survive(wanted: dict[int, bytes]) -> None:
    assert attributes(b"".join(attribute(kind, payload) for kind, payload in wanted.items())) == wanted


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_failing(garbage: bytes) -> None:
    attributes(garbage)


@given(MINOR, st.integers(-64, 64), U32)
def test_a_root_queue_survives(default_class: int, overhead_bytes: int, direct_packets: int) -> None:
    root = RootQueue(default_class, overhead_bytes, direct_packets)
    message = queues.root_body(7, root)
    assert queues.tc_header(message) == (7, queues.ROOT_HANDLE, queues.TC_H_ROOT, 0)
    assert queues.root_of(queues.tc_attributes(message)) == root


@given(st.integers(1, 10_000_000), MINOR)
def test_a_class_survives_up_to_terabits(rate_mbps: int, minor: int) -> None:
    rate_bps = rate_mbps * 1_000_000
    htb = HtbClass(0, rate_bps, rate_bps, 5, 6, 60_000, 0)
    message = queues.class_body(7, minor, htb)
    _, handle, parent, _ = queues.tc_header(message)
    assert handle & 0xFFFF == minor
    assert queues.class_of(parent, queues.tc_attributes(message)) == htb


@given(st.sampled_from(["bfifo", "pfifo"]), st.integers(1, (1 << 31) - 1), st.integers(1, 0xFFFE))
def test_a_leaf_survives(kind: str, limit: int, handle: int) -> None:
    leaf = Leaf(kind, limit, handle)
    message = queues.leaf_body(7, 0x10, leaf)
    found = queues.leaf_of(queues.tc_header(message)[1], queues.tc_attributes(message))
    assert (found, found.handle) == (leaf, handle)


@given(
    st.integers(1, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.lists(st.builds(Match, U32, U32, st.integers(-64, 64)), min_size=1, max_size=8),
    MINOR,
)
def test_a_filter_survives(priority: int, protocol: int, matches: list[Match], target: int) -> None:
    item = Filter(priority, protocol, tuple(matches), target)
    message = queues.filter_body(7, item)
    assert queues.filter_of(queues.tc_header(message)[3], queues.tc_attributes(message)) == item


@given(st.integers(1, 1_000_000))
def test_every_class_of_every_rate_fits_the_kernels_fields(rate_mbps: int) -> None:
    for minor, htb in tree_for(rate_mbps * 1_000_000, "bfifo").classes.items():
        message = queues.class_body(7, minor, htb)
        _, _, parent, _ = queues.tc_header(message)
        assert queues.class_of(parent, queues.tc_attributes(message)) == htb


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_route_survives(address: IPv4Address, prefix_bits: int) -> None:
    block = str(IPv4Network((address, prefix_bits), strict=False))
    assert links.route_of(links.route_body(7, block)) == (7, block)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_an_address_survives(address: IPv4Address, prefix_bits: int) -> None:
    assert links.address_of(links.address_body(7, f"{address}/{prefix_bits}")) == (7, f"{address}/{prefix_bits}")


def test_a_next_hop_survives() -> None:
    assert links.next_hop_of(links.next_hop_body(7, "02:00:00:aa:bb:cc")) == (7, "02:00:00:aa:bb:cc")


@given(st.text(alphabet="abc-_09", min_size=1, max_size=15))
def test_text_survives(name: str) -> None:
    assert text_of(attributes(text(3, name))[3]) == name
