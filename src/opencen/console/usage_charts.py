"""What a chart of usage shows: answers of the API turned into columns and sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from opencen.console.backend import Json
from opencen.console.cells import MBPS
from opencen.console.formats import NOTHING, rate
from opencen.console.frame import Visit
from opencen.console.points import Points

Column = list[int | None]
MOST_STACKED = 6
_COLOURS = 6


@dataclass(frozen=True)
class Range:
    """A span that a chart may show: up to now, asked again `every_s`."""

    key: str
    last_s: int
    every_s: float
    step_s: int | None = None


RANGES = (
    Range("15m", 900, 1.0, 1),
    Range("1h", 3600, 5.0),
    Range("6h", 21_600, 10.0),
    Range("1d", 86_400, 30.0),
    Range("7d", 604_800, 60.0),
    Range("30d", 2_592_000, 60.0),
    Range("1y", 31_536_000, 300.0),
    Range("2y", 63_072_000, 300.0),
)
MOST_POINTS = 1500


def chosen_range(given: str | None) -> Range:
    """The range of the URL; an hour without one."""
    return next((one for one in RANGES if one.key == given), RANGES[1])


def whole(values: Sequence[float | None]) -> Column:
    return [None if value is None else round(value) for value in values]


def connection_series(visit: Visit, region_a: str, region_b: str, step_s: int) -> list[dict[str, str]]:
    """The lines of a connection's chart; where a point is more than a second, also the greatest within it."""
    texts = visit.texts
    names = {
        "forth": texts("direction", a=visit.region(region_a), b=visit.region(region_b)),
        "back": texts("direction", a=visit.region(region_b), b=visit.region(region_a)),
    }
    colours = {"forth": "--oc-share-0", "back": "--oc-share-3"}
    made = [{"k": key, "t": names[key], "c": colours[key], "kind": "line"} for key in names]
    if step_s > 1:
        made += [
            {"k": f"{key}_max", "t": texts("usage.most", name=names[key]), "c": colours[key], "kind": "thin"}
            for key in names
        ]
    made.append({"k": "limit", "t": texts("usage.limit"), "c": "--oc-bad", "kind": "limit"})
    made += [
        {"k": f"{key}_drops", "t": texts("usage.dropped", name=names[key]), "c": colours[key], "kind": "bar"}
        for key in names
    ]
    return made


def connection_points(visit: Visit, answer: Json) -> Points:
    """A connection's usage as columns."""
    columns: dict[str, Column] = {"limit": whole(answer["directions"][0]["limit_bps"])}
    for key, direction in zip(("forth", "back"), answer["directions"], strict=True):
        columns[key] = whole(direction["mean_bps"])
        columns[f"{key}_max"] = whole(direction["max_bps"])
        known = zip(columns[key], direction["dropped_packets"], strict=True)
        columns[f"{key}_drops"] = [None if mean is None else drops for mean, drops in known]
    limits = [value for value in columns["limit"] if value is not None]
    summary = visit.texts(
        "usage.summary",
        forth=_latest(columns["forth"]),
        back=_latest(columns["back"]),
        most=_text(max((v for key in ("forth_max", "back_max") for v in columns[key] if v is not None), default=None)),
        limit=_text(limits[-1] if limits else None),
        drops=sum(v for key in ("forth_drops", "back_drops") for v in columns[key] if v),
    )
    return Points(_ms(answer["from_time"]), answer["step_s"] * 1000, columns, summary)


def package_names(visit: Visit, answer: Json) -> list[str]:
    return [
        f"{visit.region(item['region_a_id'])} – {visit.region(item['region_b_id'])}" for item in answer["connections"]
    ]


def package_series(visit: Visit, names: Sequence[str]) -> list[dict[str, str]]:
    """The layers of one direction of a package's chart, and the package as a line."""
    texts = visit.texts
    shown = [
        {"k": f"c{number}", "t": name, "c": f"--oc-share-{number % _COLOURS}", "kind": "stack"}
        for number, name in enumerate(names[:MOST_STACKED])
    ]
    if len(names) > MOST_STACKED:
        shown.append({"k": "rest", "t": texts("share.others"), "c": "--oc-share-rest", "kind": "stack"})
    return [*shown, {"k": "limit", "t": texts("usage.package"), "c": "--oc-bad", "kind": "limit"}]


def package_points(visit: Visit, package: Json, answer: Json, *, forth: bool) -> Points:
    """One direction of a package's usage as columns: from its first area to its second, or back."""
    layers: list[Column] = []
    for item in answer["connections"]:
        from_a = visit.regions[item["region_a_id"]]["area_id"] == package["area_a_id"]
        layers.append(whole(item["a_to_b_bps" if from_a is forth else "b_to_a_bps"]))
    count = max((len(layer) for layer in layers), default=_count(answer))
    columns: dict[str, Column] = {f"c{number}": layer for number, layer in enumerate(layers[:MOST_STACKED])}
    if len(layers) > MOST_STACKED:
        columns["rest"] = _sum(layers[MOST_STACKED:])
    total = _sum(layers) if layers else [None] * count
    columns["limit"] = [answer["bandwidth_mbps"] * MBPS] * count
    summary = visit.texts(
        "usage.package.summary",
        now=_latest(total),
        most=_text(max((value for value in total if value is not None), default=None)),
        package=_text(answer["bandwidth_mbps"] * MBPS),
    )
    return Points(_ms(answer["from_time"]), answer["step_s"] * 1000, columns, summary)


def _sum(layers: Sequence[Column]) -> Column:
    return [
        None if all(value is None for value in row) else sum(value or 0 for value in row)
        for row in zip(*layers, strict=True)
    ]


def _count(answer: Json) -> int:
    return (_ms(answer["to_time"]) - _ms(answer["from_time"])) // (int(answer["step_s"]) * 1000)


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _latest(column: Sequence[int | None]) -> str:
    return _text(next((value for value in reversed(column) if value is not None), None))


def _text(bps: float | None) -> str:
    value, unit = rate(bps)
    return f"{value} {unit}" if unit else NOTHING
