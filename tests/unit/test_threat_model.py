"""Each claim of THREAT_MODEL.md is held by a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "THREAT_MODEL.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))


@pytest.mark.parametrize(("path", "function"), NAMED)
def test_the_test_that_holds_a_claim_exists(path: str, function: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert any(name.startswith("test_") for name in functions), path
    assert not function or function in functions, f"{path}::{function}"


def test_every_cannot_names_its_test() -> None:
    claims = re.split(r"\n(?=\* |\n)", TEXT)
    bare = [claim[:80] for claim in claims if claim.startswith("* Cannot") and "`tests/" not in claim]
    assert bare == []
    assert len(NAMED) > 30
