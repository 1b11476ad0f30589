"""What an interface was like before a gateway took it survives as its alias, or it is not taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencen.gateway.kernel.takeover import Before, before_of, note

ADDRESSES = st.lists(st.ip_addresses().map(lambda address: f"{address}/24"), max_size=2).map(tuple)
BEFORE = st.builds(Before, ADDRESSES, st.booleans(), st.booleans(), st.text(st.characters(codec="ascii"), max_size=12))


@given(BEFORE)
def test_what_is_noted_is_read_back(before: Before) -> None:
    assert before_of(note(before)) == before


@pytest.mark.parametrize(
    "alias", ["", "uplink to the office", "opencen", "opencen {", 'opencen {"up":1}', "opencen []"]
)
def test_another_alias_says_nothing(alias: str) -> None:
    assert before_of(alias) is None


def test_an_interface_with_more_addresses_than_can_be_kept_is_not_taken() -> None:
    many = tuple(f"2001:db8:1234:5678:9abc:def0:1234:{number:x}/64" for number in range(8))
    with pytest.raises(OSError, match=r"it has 8 addresses .* remove some"):
        note(Before(many, up=True))
