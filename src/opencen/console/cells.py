"""What stands in the cells of tables: values of the API turned into text, numbers with units, chips and bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencen.console.backend import Json
from opencen.console.formats import rate
from opencen.console.texts import Texts
from opencen.console.widgets import Row

Part = dict[str, Any]
Lines = list[dict[str, Any]]
HIGH_USE = 0.8
FULL_USE = 0.97
MBPS = 1_000_000
_COLOURS = 6
_MOST_SHARES = 12


def line(*parts: Part | None, cls: str | None = None) -> dict[str, Any]:
    """A line of a cell; parts that are None are left out."""
    made: dict[str, Any] = {"line": [part for part in parts if part is not None]}
    return made if cls is None else made | {"cls": cls}


def text(value: str, cls: str | None = None, title: str | None = None) -> Part:
    return _without_none({"t": value, "cls": cls, "title": title})


def href(value: str, target: str, cls: str | None = None) -> Part:
    return _without_none({"t": value, "href": target, "cls": cls})


def number(value: str, unit: str = "", direction: str | None = None, title: str | None = None) -> Part:
    return _without_none({"n": value, "u": unit, "d": direction, "title": title})


def chip(kind: str, value: str) -> Part:
    """A status: `kind` is ok, wait, bad or off; the text says the same."""
    return {"chip": kind, "t": value}


def act(name: str, value: str, label: str, *, danger: bool = False) -> Part:
    """A button; `label` says to a screen reader what it is about."""
    return _without_none({"act": name, "t": value, "label": label, "cls": "is-danger" if danger else None})


def _without_none(part: Part) -> Part:
    return {key: value for key, value in part.items() if value is not None}


def use_level(measured_bps: float | None, limit_bps: float) -> tuple[float, str]:
    """How much of a limit is used, 0 to 1, and what to call it: idle, low, high or full."""
    if not measured_bps or limit_bps <= 0:
        return 0.0, "idle"
    fraction = measured_bps / limit_bps
    level = "full" if fraction >= FULL_USE else "high" if fraction >= HIGH_USE else "low"
    return round(min(fraction, 1.0), 3), level


def kernel_line(side: Json, direction: str, title: str) -> dict[str, Any]:
    """What one gateway has in its kernel."""
    value, unit = rate(side["in_kernel_bps"])
    return line(number(value, unit, direction, title))


def measured_line(side: Json, limit_bps: float, direction: str, title: str) -> dict[str, Any]:
    """What passes now in one direction, and how much of the limit that is."""
    value, unit = rate(side["measured_bps"])
    fraction, level = use_level(side["measured_bps"], limit_bps)
    return line(number(value, unit, direction, title), {"fill": fraction, "level": level})


def shares(texts: Texts, package: Json, held: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """A package's stacked bar: who holds how much, `held` as (name, Mbit/s), and what is free."""
    total = package["bandwidth_mbps"]
    parts = [
        _share(texts("share", name=name, mbps=mbps), mbps, total, str(index % _COLOURS))
        for index, (name, mbps) in enumerate(held[:_MOST_SHARES])
    ]
    rest_mbps = package["allocated_mbps"] - sum(mbps for _, mbps in held[:_MOST_SHARES])
    if rest_mbps > 0:
        parts.append(_share(texts("share", name=texts("share.others"), mbps=rest_mbps), rest_mbps, total, "rest"))
    free_mbps = package["free_mbps"]
    parts.append(_share(texts("share", name=texts("share.free"), mbps=free_mbps), free_mbps, total, "free"))
    label = texts("package.use", total=total, allocated=package["allocated_mbps"], free=free_mbps)
    return {"stack": parts, "label": label}


def _share(value: str, mbps: int, total: int, colour: str) -> dict[str, Any]:
    return {"t": value, "w": round(100 * mbps / total, 2), "c": colour}


def paging(texts: Texts, answer: Json) -> Row | None:
    """Where in a list one is; None for a list of one page."""
    page, size, total = answer["page"], answer["page_size"], answer["total"]
    pages = max(-(-total // size), 1)
    if pages <= 1:
        return None
    first = (page - 1) * size + 1
    return {
        "page": page,
        "pages": pages,
        "text": texts("paging.part", first=first, last=min(page * size, total), total=total),
        "previous": texts("paging.previous"),
        "next": texts("paging.next"),
        "label": texts("paging.label"),
    }
