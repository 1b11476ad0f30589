"""Where a lab cannot run, a person is told what is missing and how to get it."""

from __future__ import annotations

from opencen.lab.requirements import missing_from

ALL = ["ip", "tc", "nsenter", "setpriv", "timeout", "ethtool", "nft", "iperf3"]


def test_a_machine_with_everything_lacks_nothing() -> None:
    assert missing_from("linux", 0, ALL, {}) == []


def test_another_system_is_told_that_a_lab_needs_linux() -> None:
    (missing,) = missing_from("darwin", 501, [], {})
    assert "Linux" in missing.what


def test_a_user_who_is_not_root_is_told_to_use_sudo() -> None:
    (missing,) = missing_from("linux", 1000, ALL, {})
    assert "sudo" in missing.remedy


def test_a_missing_command_comes_with_the_package_that_has_it() -> None:
    missing = missing_from("linux", 0, [name for name in ALL if name not in {"iperf3", "ip", "tc"}], {})
    assert [(item.what, item.remedy) for item in missing] == [
        ("the command iperf3", "apt-get install iperf3"),
        ("the command ip, tc", "apt-get install iproute2"),
    ]


def test_a_missing_kernel_feature_comes_with_what_the_kernel_said() -> None:
    (missing,) = missing_from("linux", 0, ALL, {"vxlan": "Unknown device type."})
    assert missing.what == "the kernel's vxlan (Unknown device type.)"
    assert missing.remedy == "modprobe vxlan"
