"""The package holds on the wire: grants against a model of gateways that acknowledge late, early or never."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from opencen.domain.bandwidth import MBPS
from opencen.domain.grants import Link, regrant

PACKAGE_MBPS = 20
KEYS = [("cen-x", "a", str(number)) for number in range(4)]


@st.composite
def splits(draw: st.DrawFn) -> dict[tuple[str, str, str], int]:
    """A way to divide the package among the links, as the cap allows."""
    left = PACKAGE_MBPS
    wanted = {}
    for key in draw(st.permutations(KEYS)):
        share = draw(st.integers(0, left))
        wanted[key] = share * MBPS
        left -= share
    return wanted


steps = st.lists(
    st.one_of(splits().map(lambda split: ("split", split)), st.sampled_from(KEYS).map(lambda key: ("ack", key))),
    max_size=30,
)


@given(steps)
@settings(max_examples=300, deadline=None)
def test_kernels_never_hold_more_than_the_package_together(history: list[tuple[str, object]]) -> None:
    """A kernel may hold anything it was granted since it last acknowledged: the worst case is what is summed."""
    wanted = dict.fromkeys(KEYS, 0)
    granted = dict.fromkeys(KEYS, 0)
    may_hold: dict[tuple[str, str, str], set[int]] = {key: {0} for key in KEYS}

    def settle() -> None:
        links = [Link(key, wanted[key], granted[key], max(may_hold[key])) for key in KEYS]
        for key, rate_bps in regrant(PACKAGE_MBPS, links).items():
            granted[key] = rate_bps
            may_hold[key].add(rate_bps)
        assert sum(max(held) for held in may_hold.values()) <= PACKAGE_MBPS * MBPS

    for what, detail in history:
        if what == "split":
            wanted.update(detail)  # type: ignore[call-overload]
        else:
            key = detail
            may_hold[key] = {granted[key]}  # type: ignore[index]
        settle()
    for _ in KEYS:
        for key in KEYS:
            may_hold[key] = {granted[key]}
        settle()
    assert granted == wanted, "once everybody has acknowledged, everybody has what was set"


def test_who_waits_longest_grows_first() -> None:
    links = [
        Link(KEYS[0], 0, 0, 10 * MBPS),
        Link(KEYS[1], 10 * MBPS, 0, 0, waiting_since=7),
        Link(KEYS[2], 10 * MBPS, 0, 0, waiting_since=5),
    ]
    assert regrant(PACKAGE_MBPS, links) == {KEYS[2]: 10 * MBPS}


def test_a_shrink_is_granted_at_once_and_frees_nothing_before_it_is_acknowledged() -> None:
    links = [Link(KEYS[0], 5 * MBPS, 20 * MBPS, 20 * MBPS), Link(KEYS[1], 15 * MBPS, 0, 0)]
    assert regrant(PACKAGE_MBPS, links) == {KEYS[0]: 5 * MBPS}
