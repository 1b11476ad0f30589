"""What open pages show, kept fresh: one poller per question, however many pages ask it.

Pages of one account share their questions. A change of the account's revision asks all of them again; questions about
live figures are also asked every second. Each page is told only of what is new to it. A page whose session has ended
is told so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from opencen.client import ApiError, ServerUnreachableError
from opencen.console.backend import Json, Rest

T = TypeVar("T")
LONG_POLL_S = 25
SESSION_CHECK_S = 15.0
PAGES_AT_FULL_PACE = 50
"""More pages than this with the same live figures get them less often, so that their cost stays bounded: telling a
page takes about 1 ms. Changes of status are told at once all the same."""
_AGAIN_S = 1.0
_MIN_GAP_S = 0.15
_log = structlog.get_logger()


@dataclass(frozen=True)
class Question:
    """A GET of the REST API; `every_s` for figures that change without a revision."""

    path: str
    params: tuple[tuple[str, Any], ...] = ()
    every_s: float | None = None

    @classmethod
    def of(cls, path: str, every_s: float | None = None, **params: Any) -> Question:
        return cls(path, tuple(sorted((key, value) for key, value in params.items() if value is not None)), every_s)

    async def ask(self, rest: Rest) -> Json:
        return await rest.get(self.path, **dict(self.params))


@dataclass(frozen=True)
class View(Generic[T]):
    """How pages show an answer: pages of equal `key` show the same, so it is worked out once for all of them.

    `difference` says what to tell a page that shows the first of two; None when nothing is to be told.
    """

    key: Hashable
    render: Callable[[Json], T]
    difference: Callable[[T, T], Any]


@dataclass(eq=False)
class Subscription(Generic[T]):
    """One page's interest in a question. `told` is given what is shown now, and the difference to before."""

    view: View[T]
    told: Callable[[T, Any], None]
    expired: Callable[[], None]
    rest: Rest
    feed: _Feed
    question: Question

    def cancel(self) -> None:
        """The page is gone."""
        self.feed.drop(self)


@dataclass(eq=False)
class _Topic:
    """A question, what was answered last, and who wants to know."""

    question: Question
    answer: Json | None = None
    asked_s: float = 0.0
    shown: dict[Hashable, Any] = field(default_factory=dict)
    subscriptions: set[Subscription[Any]] = field(default_factory=set)

    def render(self, view: View[T], answer: Json) -> T:
        if view.key not in self.shown:
            self.shown[view.key] = view.render(answer)
        shown: T = self.shown[view.key]
        return shown

    def publish(self, answer: Json) -> None:
        """Show `answer` to every page, with the difference to what it shows."""
        unchanged, self.answer = self.answer == answer, answer
        if unchanged:
            return
        before, self.shown = self.shown, {}
        differences: dict[Hashable, Any] = {}
        for subscription in list(self.subscriptions):
            view = subscription.view
            now = self.render(view, answer)
            if view.key not in differences:
                differences[view.key] = view.difference(before[view.key], now) if view.key in before else now
            if differences[view.key] is not None:
                _tell(subscription, now, differences[view.key])


def _tell(subscription: Subscription[Any], now: Any, difference: Any) -> None:
    try:
        subscription.told(now, difference)
    except Exception:
        _log.exception("a page could not show what is new", question=subscription.question.path)


class _Feed:
    """All that the open pages of one account want to know."""

    def __init__(self) -> None:
        self.topics: dict[Question, _Topic] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.revision = 0

    def add(self, subscription: Subscription[Any]) -> None:
        self.topics.setdefault(subscription.question, _Topic(subscription.question)).subscriptions.add(subscription)
        if not self._tasks:
            self._tasks = [asyncio.create_task(job()) for job in (self._listen, self._refresh, self._check_sessions)]
        self._changed.set()

    def drop(self, subscription: Subscription[Any]) -> None:
        topic = self.topics.get(subscription.question)
        if topic is None:
            return
        topic.subscriptions.discard(subscription)
        if not topic.subscriptions:
            del self.topics[subscription.question]
        if not self.topics:
            self.stop()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _subscriptions(self) -> list[Subscription[Any]]:
        return [subscription for topic in self.topics.values() for subscription in topic.subscriptions]

    async def _ask(self, question: Question, candidates: list[Subscription[Any]]) -> Json | None:
        """The answer, asked as one of the pages that want it; those whose session has ended are told."""
        for subscription in candidates:
            try:
                return await question.ask(subscription.rest)
            except ApiError as refusal:
                if refusal.status != 401:
                    _log.debug("a page's question was refused", question=question.path, code=refusal.code)
                    return None
                self._expire(subscription.rest)
            except ServerUnreachableError:
                return None
        return None

    def _expire(self, rest: Rest) -> None:
        for subscription in self._subscriptions():
            if subscription.rest is rest:
                self.drop(subscription)
                subscription.expired()

    async def _listen(self) -> None:
        """Wait for revisions, and have everything asked again at each."""
        while True:
            question = Question.of("/v1/changes", after=self.revision, wait_s=LONG_POLL_S)
            answer = await self._ask(question, self._subscriptions())
            if answer is None:
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer["revision"] > self.revision:
                self.revision = answer["revision"]
                for topic in self.topics.values():
                    topic.asked_s = 0.0
                self._changed.set()
                await asyncio.sleep(_MIN_GAP_S)

    async def _refresh(self) -> None:
        """Ask the questions whose time has come."""
        while True:
            now_s = time.monotonic()
            due = [topic for topic in list(self.topics.values()) if _due_s(topic) <= now_s]
            for topic in due:
                topic.asked_s = now_s
                answer = await self._ask(topic.question, list(topic.subscriptions))
                if answer is not None:
                    topic.publish(answer)
            self._changed.clear()
            next_s = min((_due_s(topic) for topic in self.topics.values()), default=now_s + LONG_POLL_S)
            await _wait(self._changed, max(next_s - time.monotonic(), 0.0))

    async def _check_sessions(self) -> None:
        """A page whose session was revoked must not go on showing what others may see."""
        while True:
            await asyncio.sleep(SESSION_CHECK_S)
            for rest in {subscription.rest for subscription in self._subscriptions()}:
                try:
                    await rest.get("/v1/me")
                except ApiError as refusal:
                    if refusal.status == 401:
                        self._expire(rest)
                except ServerUnreachableError:
                    break


def _due_s(topic: _Topic) -> float:
    if topic.asked_s == 0.0:
        return 0.0
    if topic.question.every_s is None:
        return float("inf")
    return topic.asked_s + topic.question.every_s * max(1.0, len(topic.subscriptions) / PAGES_AT_FULL_PACE)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(min(timeout_s, LONG_POLL_S)):
            await event.wait()
    except TimeoutError:
        pass


class Live:
    """All pollers of a console."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}

    async def follow(
        self,
        account_id: str,
        rest: Rest,
        question: Question,
        view: View[T],
        told: Callable[[T, Any], None],
        expired: Callable[[], None],
    ) -> tuple[T, Subscription[T]]:
        """What to show now, and the subscription by which the page is told of news. Raises as `Rest.get` does."""
        feed = self._feeds.setdefault(account_id, _Feed())
        subscription = Subscription(view, told, expired, rest, feed, question)
        present = feed.topics.get(question)
        if present is not None and present.answer is not None:
            feed.add(subscription)
            return present.render(view, present.answer), subscription
        revision = feed.revision
        answer = await question.ask(rest)
        feed.add(subscription)
        topic = feed.topics[question]
        topic.answer = answer
        topic.asked_s = time.monotonic() if feed.revision == revision else 0.0
        return topic.render(view, answer), subscription

    def open_questions(self) -> Mapping[str, int]:
        """How many questions are being asked for each account."""
        return {account_id: len(feed.topics) for account_id, feed in self._feeds.items() if feed.topics}
