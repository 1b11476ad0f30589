"""What a name and an address block may be."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencen.domain import errors
from opencen.domain.errors import InvalidValueError, OverlappingNetworksError
from opencen.domain.names import check_no_overlap, checked_cidr_blocks, checked_description, checked_name


@pytest.mark.parametrize("name", ["", "Büro München", "测试", "<img src=x onerror=alert(1)>", "a" * 128])
def test_names_may_be_any_text(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["a" * 129, "http://x", "HTTPS://x", "a\nb", "\x00", "a\x7f"])
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(InvalidValueError):
        checked_name(name)


def test_descriptions_are_longer() -> None:
    assert len(checked_description("x" * 256)) == 256
    with pytest.raises(InvalidValueError, match="256"):
        checked_description("x" * 257)


def test_blocks_of_a_network_do_not_overlap_each_other() -> None:
    assert checked_cidr_blocks(["10.0.0.0/16", "10.1.0.0/16"]) == ("10.0.0.0/16", "10.1.0.0/16")
    with pytest.raises(InvalidValueError, match="overlaps another"):
        checked_cidr_blocks(["10.0.0.0/16", "10.0.1.0/24"])
    with pytest.raises(InvalidValueError, match="at least one"):
        checked_cidr_blocks([])


blocks = st.tuples(st.integers(0, 63), st.integers(24, 29)).map(
    lambda pair: str(ip_network((0x0A000000 + (pair[0] << 6), pair[1]), strict=False))
)


@given(st.lists(blocks, min_size=1, max_size=3), st.lists(blocks, min_size=1, max_size=3))
def test_overlap_is_found_exactly_where_two_networks_share_an_address(own: list[str], other: list[str]) -> None:
    def addresses(texts: list[str]) -> set[int]:
        return {int(address) for text in texts for address in ip_network(text)}

    shares = bool(addresses(own) & addresses(other))
    try:
        check_no_overlap("vpc-own", own, [("vpc-other", other)])
    except OverlappingNetworksError as refusal:
        assert shares
        assert refusal.numbers["other_network_id"] == "vpc-other"
    else:
        assert not shares


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """The picture at the top of the module names every error, in no other place of the tree."""
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        if line.strip() and words.strip().split()[0].endswith("Error"):
            drawn.append((len(words) - len(words.lstrip()), words.split()[0]))
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for depth, name in drawn:
        while stack and stack[-1][0] >= depth:
            stack.pop()
        if stack:
            parents[name] = stack[-1][1]
        stack.append((depth, name))
    real = {
        value.__name__: value.__mro__[1].__name__
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DomainError) and value is not errors.DomainError
    }
    assert parents == real
    assert all(before[1] != after[1] for before, after in pairwise(drawn))
