"""The last state that the control plane wanted, kept for a start without it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from opencen.gateway.files import write_whole
from opencen.wire.gateway import GatewayState

NAME: Final = "state.json"
_ACCEPTANCE_NAME: Final = "accepted-revision.json"
_DIVERGENCE_NAME: Final = "another-history.json"


@dataclass(frozen=True)
class Acceptance:
    """An operator's word that the control plane may go back, from what was held to `revision` or later."""

    revision: int
    instead_of: int

    def covers(self, held_revision: int, their_revision: int) -> bool:
        return self.instead_of <= held_revision and self.revision <= their_revision


def note_divergence(state_dir: Path, revision: int) -> None:
    """The control plane at this revision has not seen what is held: an operator may accept it. Raises OSError."""
    write_whole(state_dir / _DIVERGENCE_NAME, json.dumps({"revision": revision}))


def diverges(state_dir: Path) -> bool:
    return (state_dir / _DIVERGENCE_NAME).exists()


class CorruptStateError(Exception):
    """The file is not what was written: unreadable, altered, or of another gateway."""


def save(state_dir: Path, state: GatewayState) -> None:
    """Replace the file at once and durably. Raises OSError."""
    body = state.model_dump_json()
    write_whole(state_dir / NAME, json.dumps({"sha256": sha256(body.encode()).hexdigest(), "state": body}))


def load(state_dir: Path, gateway_id: str) -> GatewayState | None:
    """What was saved; None if nothing was. Raises CorruptStateError."""
    path = state_dir / NAME
    try:
        content = json.loads(path.read_text())
        body = content["state"]
        if sha256(body.encode()).hexdigest() != content["sha256"]:
            raise CorruptStateError(f"{path}: the checksum does not match")
        state = GatewayState.model_validate_json(body)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise CorruptStateError(f"{path}: {error}") from error
    if state.gateway_id != gateway_id:
        raise CorruptStateError(f"{path} belongs to {state.gateway_id}, not to {gateway_id}")
    return state


def remove(state_dir: Path) -> None:
    (state_dir / NAME).unlink(missing_ok=True)


def accept(state_dir: Path, acceptance: Acceptance) -> None:
    """Keep it for the agent, which obeys it once. Raises OSError."""
    write_whole(state_dir / _ACCEPTANCE_NAME, json.dumps(asdict(acceptance)))


def acceptance(state_dir: Path) -> Acceptance | None:
    """What was accepted and not yet used; None also for a file that makes no sense: nothing is accepted by accident."""
    try:
        content = json.loads((state_dir / _ACCEPTANCE_NAME).read_text())
        return Acceptance(int(content["revision"]), int(content["instead_of"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_acceptance(state_dir: Path) -> None:
    (state_dir / _ACCEPTANCE_NAME).unlink(missing_ok=True)
    (state_dir / _DIVERGENCE_NAME).unlink(missing_ok=True)
