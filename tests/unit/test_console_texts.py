"""Both languages say everything, and nothing is kept that nobody says."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from opencen.client import ApiError
from opencen.console import texts as module
from opencen.console.reasons import translate
from opencen.console.texts import LANGUAGES, Texts, explain, load_catalogue, texts_of
from opencen.domain import errors, status

SOURCES = "\n".join(path.read_text() for path in sorted(Path(module.__file__).parent.rglob("*.py")))
COMPUTED = (
    r"nav\.\w+",
    r"tab\.\w+",
    r"theme\.\w+",
    r"status\.[\w.]+",
    r"gateways\.(live|late|silent|absent|active|standby)",
    r"gateways\.(rotate|release|promote|remove)(\.text)?",
    r"joining\.lifetime\.\d+",
    r"gateways\.(endpoint|version|networks|credential)",
    r"map\.(idle|low|high|full)",
    r"plan\.(same|goes|shrinks|grows|appears|package|connection)",
    r"plan\.key\.\w+",
    r"audit\.(done|refused)",
    r"alarms\.(tab|kind|finding|unit|event|silence)\.\w+",
    r"alarms\.is\.(raised|clear)",
    r"usage\.range\.\w+",
    r"usage\.(empty|table|time|rate|drops)",
    r"error\..+",
    r"reason\..+",
    r"people\.(accounts|users|keys|capacity)(\.\w+)?",
    r"people\.(column|kind|role|reset)\.\w+",
)


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_language_has_every_sentence() -> None:
    keys = {language: set(load_catalogue(language)) for language in LANGUAGES}
    assert all(found == keys["en"] for found in keys.values())
    assert all(sentence.strip() for language in LANGUAGES for sentence in load_catalogue(language).values())


def test_translations_fill_in_the_same_values() -> None:
    english, chinese = load_catalogue("en"), load_catalogue("zh")
    differing = {
        key
        for key in english
        if not key.startswith("error.") and placeholders(english[key]) != placeholders(chinese[key])
    }
    assert differing == set()


def test_no_sentence_is_unused_and_none_is_missing() -> None:
    used = set(re.findall(r'"([a-z_]+(?:\.[a-zA-Z_]+)*)"', SOURCES))
    computed = re.compile("|".join(f"(?:{pattern})" for pattern in COMPUTED))
    unused = {key for key in load_catalogue("en") if key not in used and not computed.fullmatch(key)}
    assert unused == set()
    asked = set(re.findall(r'texts\(\s*"([^"]+)"', SOURCES))
    assert asked - set(load_catalogue("en")) == set()


def test_translated_refusals_are_ones_that_there_are() -> None:
    def codes(kind: type[errors.DomainError]) -> set[str]:
        return {kind.code}.union(*(codes(child) for child in kind.__subclasses__()))

    translated = {key.split(".")[1] for key in load_catalogue("zh") if key.startswith("error.")}
    assert translated - {"unreachable", "PackageShrink"} - codes(errors.DomainError) == set()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_a_refusal_says_the_numbers(language: str) -> None:
    refusal = errors.BandwidthExceededError("cenbwp-1", bandwidth_mbps=20, allocated_mbps=16, asked_mbps=5)
    problem = {"code": refusal.code, "detail": refusal.message, **refusal.numbers}
    sentence = explain(Texts(language), ApiError(409, problem))
    assert re.findall(r"\d+", sentence) == ["20", "16", "4", "5", "4"]


def test_an_unknown_refusal_is_shown_as_the_server_put_it() -> None:
    problem = {"code": "SomethingNew", "detail": "cen-1 is {odd}"}
    assert explain(Texts("zh"), ApiError(409, problem)) == "cen-1 is {odd}"


def test_every_reason_of_a_status_is_translated() -> None:
    side = status.Side
    silent = status.Liveness.SILENT
    live = status.Liveness.LIVE
    verdicts = [
        status.connection_verdict(5, 5, [side("a-1", False), side("b-1", True)]),
        status.connection_verdict(5, 5, [side("a-1", True), side("b-1", True)]),
        status.connection_verdict(5, 5, [side("a-1", True, "gw-1", silent), side("b-1", True, "gw-2", live)]),
        status.connection_verdict(5, 0, [side("a-1", True, "gw-1", live), side("b-1", True, "gw-2", live)]),
        status.connection_verdict(5, 0, [], ["gateway gw-1 of a-1 still holds 10 Mbit/s of a-1 - b-1"]),
    ]
    reasons = [reason for verdict in verdicts for reason in verdict.reasons]
    assert len(reasons) >= 6
    for reason in reasons:
        assert translate(Texts("zh"), reason) != reason
        assert re.search("[一-鿿]", translate(Texts("zh"), reason))


def test_a_reason_that_is_not_known_is_shown_as_it_came() -> None:
    kernel_said = "gateway gw-1 of a-1: HTB refused: no such device"
    assert translate(Texts("zh"), kernel_said) == kernel_said


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de-DE,de;q=0.9", "en"),
        (None, "fr, zh;q=0.5", "zh"),
        ("en", "zh-CN", "en"),
        ("xx", "zh-CN", "zh"),
        (None, "", "en"),
    ],
)
def test_the_viewers_language_is_the_one_chosen_or_else_the_browsers(
    cookie: str | None, accepted: str, language: str
) -> None:
    assert texts_of(cookie, accepted).language == language
