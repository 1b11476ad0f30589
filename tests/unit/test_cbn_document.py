"""docs/cbn.md says what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from alibabacloud_cbn20170912 import models

from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.document import write

PAGE = Path(__file__).parents[2] / "docs" / "cbn.md"


def test_the_page_is_what_the_code_writes() -> None:
    assert PAGE.read_text() == write(), "python -m opencen.api.cbn.document > docs/cbn.md"


def test_every_operation_of_the_sdk_is_on_the_page() -> None:
    requests = (re.fullmatch(r"(\w+?)(Shrink)?Request", name) for name in vars(models))
    operations = {match[1] for match in requests if match}
    listed = set(re.findall(r"^\| `(\w+)` \|", write(), re.MULTILINE))
    assert operations - listed == set()


def test_every_parameter_that_is_named_is_one_that_the_sdk_sends_or_a_known_addition() -> None:
    """A misspelt parameter would be ignored in silence."""
    additions = {"ResourceGroupId", "Tag", "DryRun", "ClientToken", "IsOrKey", "BandwidthPackageId"}
    for action in REGISTRY:
        request = getattr(models, f"{action.name}Request", None)
        if action.product.name != "Cbn" or request is None:
            continue
        known = set(re.findall(r"'([A-Z]\w*)'", _source(request)))
        unknown = {name for name, _ in action.parameters} - known - additions
        assert unknown == set(), action.name


def _source(request: type) -> str:
    return inspect.getsource(request)
