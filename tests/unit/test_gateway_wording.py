"""What the log says of changes to the kernel."""

from __future__ import annotations

from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import SET_CLASS
from opencen.gateway.shaping import tree_for
from opencen.gateway.wording import AT_MOST, in_words

SCOPE = ops.Scope("gw-1-cen-1", "to-cn-hangzhou")


def test_a_change_says_where_what_and_to_what() -> None:
    htb = tree_for(20_000_000, "bfifo").classes[SET_CLASS]
    assert in_words([ops.ChangeClass(SCOPE, SET_CLASS, htb), ops.SetUp(SCOPE)]) == [
        f"gw-1-cen-1 to-cn-hangzhou: change class 1:{SET_CLASS} 20000000 bit/s",
        "gw-1-cen-1 to-cn-hangzhou: set up",
    ]


def test_a_cold_start_does_not_fill_the_log() -> None:
    said = in_words([ops.DeleteTunnel(SCOPE)] * (AT_MOST + 7))
    assert len(said) == AT_MOST + 1
    assert said[-1] == "and 7 more"


def test_keys_are_never_said() -> None:
    (said,) = in_words([ops.SetPresharedKey(SCOPE, "public", "hush")])
    assert said == "gw-1-cen-1 to-cn-hangzhou: set preshared key"
