"""Where regions, areas and connections lie in the picture of an instance. Pure; lengths are SVG units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AREA_ORDER = ("North-America", "Europe", "Middle-East", "Asia-Pacific", "China", "Australia")
NODE_W, NODE_H, NODE_GAP = 190.0, 46.0, 26.0
AREA_PAD, AREA_HEAD, COLUMN_GAP, MARGIN = 18.0, 38.0, 250.0, 12.0
ARC_ROOM = 120.0
TAG_H = 38.0
_LEAST_W, _MOST_W = 2.0, 12.0
_CHARACTER_W = 7.2
_PLACES = (0.5, 0.62, 0.38, 0.72, 0.28, 0.8, 0.2, 0.56, 0.44)


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    w: float
    h: float

    def overlaps(self, other: Box) -> bool:
        apart_x = self.x + self.w <= other.x or other.x + other.w <= self.x
        return not (apart_x or self.y + self.h <= other.y or other.y + other.h <= self.y)


@dataclass(frozen=True)
class Curve:
    """A cubic Bézier curve."""

    points: tuple[tuple[float, float], ...]

    def at(self, t: float) -> tuple[float, float]:
        weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        x = sum(weight * point[0] for weight, point in zip(weights, self.points, strict=True))
        y = sum(weight * point[1] for weight, point in zip(weights, self.points, strict=True))
        return x, y

    @property
    def path(self) -> str:
        (x0, y0), *rest = self.points
        return f"M {x0:.1f} {y0:.1f} C " + ", ".join(f"{x:.1f} {y:.1f}" for x, y in rest)


@dataclass(frozen=True)
class Layout:
    """Boxes of areas and regions by id, and the size of the whole."""

    width: float
    height: float
    areas: Mapping[str, Box]
    nodes: Mapping[str, Box]


def lay_out(area_of: Mapping[str, str], arcs_in: frozenset[str] = frozenset()) -> Layout:
    """A column per area, in the order of longitude, its regions below one another, all centred.

    `arcs_in` names areas that have connections inside: these get room for arcs beside their regions.
    """
    columns: dict[str, list[str]] = {}
    for region_id in sorted(area_of):
        columns.setdefault(area_of[region_id], []).append(region_id)
    order = sorted(columns, key=lambda area: (AREA_ORDER.index(area) if area in AREA_ORDER else 99, area))
    heights = {area: AREA_HEAD + len(columns[area]) * (NODE_H + NODE_GAP) - NODE_GAP + AREA_PAD for area in order}
    tallest = max(heights.values(), default=0.0)
    areas: dict[str, Box] = {}
    nodes: dict[str, Box] = {}
    x = MARGIN
    for area in order:
        width = NODE_W + 2 * AREA_PAD + (ARC_ROOM if area in arcs_in else 0.0)
        y = MARGIN + (tallest - heights[area]) / 2
        areas[area] = Box(x, y, width, heights[area])
        for index, region_id in enumerate(columns[area]):
            nodes[region_id] = Box(x + AREA_PAD, y + AREA_HEAD + index * (NODE_H + NODE_GAP), NODE_W, NODE_H)
        x += width + COLUMN_GAP
    return Layout(max(x - COLUMN_GAP + MARGIN, 2 * MARGIN), tallest + 2 * MARGIN, areas, nodes)


def curves(nodes: Mapping[str, Box], pairs: Sequence[tuple[str, str]]) -> list[Curve]:
    """From side to side between columns, an arc on the right within one; ends at one side are spread along it."""
    ends: dict[tuple[str, bool], list[tuple[float, int]]] = {}
    for index, (one, other) in enumerate(pairs):
        for region_id, peer_id in ((one, other), (other, one)):
            box, peer = nodes[region_id], nodes[peer_id]
            ends.setdefault((region_id, box.x <= peer.x), []).append((peer.y, index))
    heights: dict[tuple[str, int], float] = {}
    for (region_id, _), attached in ends.items():
        box = nodes[region_id]
        for place, (_, index) in enumerate(sorted(attached)):
            heights[region_id, index] = box.y + box.h * (place + 1) / (len(attached) + 1)
    return [
        _curve(nodes[one], nodes[other], heights[one, index], heights[other, index])
        for index, (one, other) in enumerate(pairs)
    ]


def _curve(one: Box, other: Box, one_y: float, other_y: float) -> Curve:
    if one.x == other.x:
        x, reach = one.x + one.w, ARC_ROOM * 0.9
        return Curve(((x, one_y), (x + reach, one_y), (x + reach, other_y), (x, other_y)))
    left, right, left_y, right_y = (one, other, one_y, other_y) if one.x < other.x else (other, one, other_y, one_y)
    x0, x1 = left.x + left.w, right.x
    bend = (x1 - x0) * 0.42
    return Curve(((x0, left_y), (x0 + bend, left_y), (x1 - bend, right_y), (x1, right_y)))


def line_width(bandwidth_mbps: int, most_mbps: int) -> float:
    """In proportion to the largest connection."""
    return round(max(_MOST_W * bandwidth_mbps / max(most_mbps, 1), _LEAST_W), 1)


def tag_width(*texts: str) -> float:
    """Room for a tag's lines; a wide character takes two places."""
    return max(sum(2 if ord(character) > 0x2E7F else 1 for character in text) for text in texts) * _CHARACTER_W + 14


def place_tags(curves: Sequence[tuple[Curve, float]], taken: Sequence[Box]) -> list[tuple[float, float]]:
    """A middle for each curve's tag, clear of the others and of the regions where that can be."""
    boxes = list(taken)
    places: list[tuple[float, float]] = []
    for line, width in curves:
        candidates = [line.at(t) for t in _PLACES]
        spots = [Box(x - width / 2 - 2, y - TAG_H / 2 - 2, width + 4, TAG_H + 4) for x, y in candidates]
        best = next((i for i, spot in enumerate(spots) if not any(spot.overlaps(box) for box in boxes)), 0)
        boxes.append(spots[best])
        places.append(candidates[best])
    return places
