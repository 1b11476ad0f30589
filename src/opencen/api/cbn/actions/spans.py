"""Pairs of areas as Cbn names them: geographic spans.

The order of the two parts of a span's id follows no rule of the real service that anybody has written down; ids seen
are `china_china`, `north-america_china`, `china_asia-pacific`, `asia-pacific_asia-pacific` (reference, section 3.2).
Here: the other area first when China is in the pair, but for `china_asia-pacific`; else alphabetical.
"""

from __future__ import annotations

from collections.abc import Iterable

from opencen.domain.geography import Area

_CHINA = "china"
_SEEN_OTHERWISE = {("asia-pacific", _CHINA): "china_asia-pacific"}


def answer_area_id(area_id: str) -> str:
    """`North-America` as answers write it: `north-america`."""
    return area_id.lower()


def span_id(area_id: str, other_area_id: str) -> str:
    """The geographic span of an unordered pair of areas."""
    first, second = sorted((area_id.lower(), other_area_id.lower()))
    if (first, second) in _SEEN_OTHERWISE:
        return _SEEN_OTHERWISE[first, second]
    if _CHINA in (first, second) and first != second:
        return f"{second if first == _CHINA else first}_{_CHINA}"
    return f"{first}_{second}"


def is_cross_border(area_id: str, other_area_id: str) -> bool:
    """One end in mainland China, the other outside of it."""
    return (area_id.lower() == _CHINA) != (other_area_id.lower() == _CHINA)


def china_first(area_id: str, other_area_id: str) -> tuple[str, str]:
    """A pair in the order that clients ask for and compare with: China is area A whenever it is in the pair."""
    if other_area_id.lower() == _CHINA:
        return other_area_id, area_id
    return area_id, other_area_id


def find_area(areas: Iterable[Area], asked: str) -> Area | None:
    """The area of an id in either spelling, `North-America` or `north-america`."""
    return next((area for area in areas if area.id.lower() == asked.lower()), None)
