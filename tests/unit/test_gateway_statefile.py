"""The saved state: what was wanted, for a start without the control plane."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencen.gateway import statefile
from opencen.wire.gateway import GatewayState

STATE = GatewayState(gateway_id="gw-1", region_id="west", revision=7, full=True)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    statefile.save(tmp_path, STATE)
    statefile.save(tmp_path, STATE.model_copy(update={"revision": 8}))
    loaded = statefile.load(tmp_path, "gw-1")
    assert loaded is not None
    assert loaded.revision == 8
    assert [path.name for path in tmp_path.iterdir()] == [statefile.NAME]


def test_nothing_saved_is_no_error(tmp_path: Path) -> None:
    assert statefile.load(tmp_path, "gw-1") is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", "{", '{"sha256": "x", "state": "{}"}', '{"state": 5, "sha256": 5}', "\x00"]
)
def test_a_corrupt_file_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / statefile.NAME).write_text(content)
    with pytest.raises(statefile.CorruptStateError):
        statefile.load(tmp_path, "gw-1")


def test_a_changed_file_is_reported(tmp_path: Path) -> None:
    statefile.save(tmp_path, STATE)
    path = tmp_path / statefile.NAME
    path.write_text(path.read_text().replace("west", "east"))
    with pytest.raises(statefile.CorruptStateError, match="checksum"):
        statefile.load(tmp_path, "gw-1")


def test_the_file_of_another_gateway_is_not_used(tmp_path: Path) -> None:
    statefile.save(tmp_path, STATE)
    with pytest.raises(statefile.CorruptStateError, match="belongs to gw-1"):
        statefile.load(tmp_path, "gw-2")
