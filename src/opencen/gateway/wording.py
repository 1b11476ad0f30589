"""Changes to the kernel in words, for the log: what was changed, where, and to what. Keys are never in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from opencen.gateway.kernel import operations as ops

AT_MOST: Final = 40
"""Of one application; a cold start has tens of thousands."""


def in_words(operations: Sequence[ops.Operation]) -> list[str]:
    """A sentence each, in their order; at the end how many more there were."""
    said = [_one(operation) for operation in operations[:AT_MOST]]
    more = len(operations) - len(said)
    return [*said, f"and {more} more"] if more else said


def _one(operation: ops.Operation) -> str:
    what = re.sub(r"(?<!^)(?=[A-Z])", " ", type(operation).__name__).lower()
    where = f"{operation.scope.namespace} {operation.scope.part}".strip()
    detail = _detail(operation)
    return f"{where}: {what} {detail}" if detail else f"{where}: {what}"


def _detail(operation: ops.Operation) -> str:
    match operation:
        case ops.AddClass(_, minor, htb) | ops.ChangeClass(_, minor, htb):
            return f"1:{minor} {htb.rate_bps} bit/s"
        case ops.DeleteClass(_, minor):
            return f"1:{minor}"
        case ops.PutLeaf(_, minor, leaf) | ops.ChangeLeaf(_, minor, leaf):
            return f"1:{minor} {leaf.kind}"
        case ops.AddRoute(_, cidr_block) | ops.DeleteRoute(_, cidr_block):
            return cidr_block
        case ops.SetPeerEndpoint(_, _, endpoint):
            return endpoint
        case _:
            return ""
