"""Files that must not be half there, and not be read by others."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str, mode: int = 0o600) -> None:
    """Whole and on the disk, or not at all. Raises OSError."""
    temporary = path.with_name(path.name + ".writing")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    move(temporary, path)


def move(path: Path, target: Path) -> None:
    """Replace `target`, and be sure that a power cut does not bring the old one back."""
    path.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
