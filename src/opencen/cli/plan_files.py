"""Documents of wanted state as files: YAML, JSON, or a CSV of connections from a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

CSV_COLUMNS = ("region_a", "region_b", "bandwidth_mbps")


class Format(StrEnum):
    YAML = "yaml"
    JSON = "json"
    CSV = "csv"


class DocumentError(Exception):
    """A file cannot be read as a document; the text names the file, the place and what would be right."""


def read(path: Path) -> tuple[str | None, dict[str, Any]]:
    """The instance that a file names, if it does, and the document as the API takes it. Raises DocumentError."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not text in UTF-8: {error.reason} at byte {error.start}") from error
    if path.suffix.lower() == ".csv":
        return None, {"connections": _connections(path, text)}
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise DocumentError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise DocumentError(f"{path}: a document has the keys instance, packages and connections")
    unknown = sorted(str(key) for key in found if key not in {"instance", "packages", "connections"})
    if unknown:
        raise DocumentError(f"{path}: unknown key {unknown[0]!r}; a document has instance, packages and connections")
    instance = found.pop("instance", None)
    if instance is not None and not isinstance(instance, str):
        raise DocumentError(f"{path}: instance is an id or a name, not {instance!r}")
    return instance, found


def _connections(path: Path, text: str) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(text))
    missing = [column for column in CSV_COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise DocumentError(
            f"{path}: the first line must name the columns {', '.join(CSV_COLUMNS)}; {missing[0]} is missing"
        )
    connections = []
    for row in rows:
        amount = (row["bandwidth_mbps"] or "").strip()
        if not (amount.isascii() and amount.isdigit()):
            raise DocumentError(
                f"{path}: line {rows.line_num}: bandwidth_mbps is a whole number of Mbit/s, not {amount!r}"
            )
        regions = [(row[column] or "").strip() for column in CSV_COLUMNS[:2]]
        connections.append({"regions": regions, "bandwidth_mbps": int(amount)})
    return connections


def write(document: dict[str, Any], instance: str, form: Format) -> str:
    """A document as a file's text. A CSV has the connections alone."""
    if form is Format.CSV:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(CSV_COLUMNS)
        rows.writerows([*item["regions"], item["bandwidth_mbps"]] for item in document["connections"])
        return text.getvalue()
    whole = {"instance": instance, **document}
    if form is Format.JSON:
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None)
