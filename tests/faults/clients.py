"""Clients that write without pause, and log what was acknowledged and what may have been done all the same.

Each value has one writer, so what may be in the database afterwards is known: the last acknowledged value, or one that
was sent after it and got no answer that says that nothing was changed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from opencen.client import ApiError, Client, Credential, ServerUnreachableError

UNSET = 0
"""The value of a connection that is not set."""
_TIMEOUT_S = 30.0
_PAUSE_S = 0.04
_AFTER_TROUBLE_S = 0.1


@dataclass
class Log:
    """What one writer knows of its value. `possible` begins with the last acknowledged one."""

    name: str
    possible: list[int]
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    unavailable: int = 0
    strange: list[str] = field(default_factory=list)

    def settle(self, found: int) -> None:
        """The database was read while nobody wrote: from here on this is what is known."""
        self.possible = [found]


Write = Callable[[Client, int], None]


class Writer:
    """A client with a connection to one server at a time, which goes to another when that one does not answer."""

    def __init__(self, log: Log, write: Write, choose: Callable[[random.Random], int], seed: str) -> None:
        self.log = log
        self._write = write
        self._choose = choose
        self._random = random.Random(seed)

    def run(self, urls: list[str], credential: Credential, stop: threading.Event) -> None:
        """Write until told to stop."""
        while not stop.is_set():
            url = self._random.choice(urls)
            with Client(url, credential, _TIMEOUT_S) as client:
                while not stop.wait(self._random.uniform(0, _PAUSE_S)) and self._turn(client):
                    pass
            stop.wait(_AFTER_TROUBLE_S)

    def _turn(self, client: Client) -> bool:
        """One write; False when this server is better left."""
        value = self._choose(self._random)
        try:
            self._write(client, value)
        except ServerUnreachableError as error:
            if "refused" not in str(error).lower():
                self.log.unknown += 1
                self.log.possible.append(value)
            return False
        except ApiError as error:
            return self._refused(error, value)
        self.log.acknowledged += 1
        self.log.possible = [value]
        return True

    def _refused(self, error: ApiError, value: int) -> bool:
        if error.status == 503:  # nothing was changed, or the database vanished between its commit and its word
            self.log.unavailable += 1
            self.log.possible.append(value)
            if error.code != "Unavailable":
                self.log.strange.append(f"{self.log.name}: 503 {error.code}: {error.detail[:200]}")
            return False
        if error.code not in {"BandwidthExceeded", "PackageShrink", "NotFound"}:
            self.log.strange.append(f"{self.log.name}: {error.status} {error.code}: {error.detail[:200]}")
        if error.code == "NotFound" and value == UNSET:
            self.log.possible = [UNSET]
        self.log.refused += 1
        return True
