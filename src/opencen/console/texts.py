"""What the console says, in the viewer's language. One catalogue file per language, flat keys, `{name}` to fill in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from opencen.client import ApiError

CATALOGUES = Path(__file__).parent / "catalogues"
LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "简体中文"}
HTML_LANGUAGES: Mapping[str, str] = {"en": "en-US", "zh": "zh-CN"}
DEFAULT_LANGUAGE = "en"


@cache
def load_catalogue(language: str) -> Mapping[str, str]:
    """The sentences of one language by key."""
    sentences: dict[str, str] = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    return sentences


@dataclass(frozen=True)
class Texts:
    """The catalogue of one language."""

    language: str

    def __call__(self, key: str, **values: Any) -> str:
        """The sentence of `key` with `values` filled in. Raises KeyError for an unknown key."""
        sentence = load_catalogue(self.language)[key]
        return sentence.format(**values) if values else sentence

    def name_of(self, thing: Mapping[str, Any]) -> str:
        """The display name of an area or a region."""
        return str(thing["name_zh"] if self.language == "zh" and thing["name_zh"] else thing["name"])


def texts_of(cookie: str | None, accept_language: str) -> Texts:
    """The viewer's choice, or else what the browser asks for, or else English."""
    if cookie in LANGUAGES:
        return Texts(str(cookie))
    for part in accept_language.split(","):
        wanted = part.split(";")[0].strip().lower()[:2]
        if wanted in LANGUAGES:
            return Texts(wanted)
    return Texts(DEFAULT_LANGUAGE)


def explain(texts: Texts, refusal: ApiError) -> str:
    """A refusal as a sentence: the catalogue's for its code with its numbers, or else the server's own."""
    sentence = _sentence(texts, refusal)
    return sentence[:1].upper() + sentence[1:] if sentence.split(" ")[0].isalpha() else sentence


def _sentence(texts: Texts, refusal: ApiError) -> str:
    values = dict(refusal.problem) | {"detail": refusal.detail}
    key = f"error.{refusal.code}"
    if refusal.code == "BandwidthExceeded" and "fits_mbps" not in values:
        key = "error.PackageShrink"
    elif refusal.code == "BandwidthExceeded":
        key += ".some" if values["fits_mbps"] > 0 else ".none"
    sentence = load_catalogue(texts.language).get(key)
    if sentence is None:
        return refusal.detail
    try:
        return sentence.format(**values)
    except (KeyError, IndexError, AttributeError):
        return refusal.detail
