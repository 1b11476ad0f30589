"""What can go wrong in a lab.

LabError
├── TopologyError        the topology file is not one
├── RequirementsError    this machine cannot run a lab; says what is missing and how to get it
├── LabStateError        no such lab, or one of that name is up already
├── CommandError         a system command failed
└── TransferError        a transfer could not be made
"""

from __future__ import annotations

from collections.abc import Sequence


class LabError(Exception):
    """Something of the lab failed; the message is written for a person."""


class TopologyError(LabError):
    """The topology file is not valid; the message names each field that is wrong."""


class RequirementsError(LabError):
    """This machine cannot run a lab."""


class LabStateError(LabError):
    """There is no such lab, or there is one already."""


class CommandError(LabError):
    """A system command failed."""

    def __init__(self, argv: Sequence[str], exit_code: int, output: str) -> None:
        self.argv = list(argv)
        self.exit_code = exit_code
        self.output = output.strip()
        super().__init__(f"`{' '.join(argv)}` failed with exit code {exit_code}: {self.output}")


class TransferError(LabError):
    """A transfer between two hosts could not be made."""
