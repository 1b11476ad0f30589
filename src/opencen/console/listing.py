"""A table that follows a list of the API: page by page, live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence

from opencen.console.backend import Json
from opencen.console.frame import Visit
from opencen.console.live import Question, View
from opencen.console.widgets import Difference, Listed, Row, Table, difference, script_json

PAGE_SIZE = 50


class LiveTable:
    """`question` makes the question for a page number; `rows` turns an answer into rows. Call `start` once."""

    def __init__(
        self,
        visit: Visit,
        *,
        key: Hashable,
        columns: Sequence[Row],
        caption: str,
        empty: str,
        question: Callable[[int], Question],
        rows: Callable[[Json], Listed],
        on_act: Callable[[str, str], Awaitable[None]] | None = None,
        on_answer: Callable[[Listed], None] | None = None,
    ) -> None:
        self._visit = visit
        self._question = question
        self._view = View(visit.view_key(key), rows, difference)
        self._on_answer = on_answer
        self._cancel: Callable[[], None] | None = None
        self.listed = Listed([])
        self.table = Table(columns, [], caption=caption, empty=empty, on_act=on_act, on_page=self.turn)

    async def start(self, page: int = 1) -> None:
        """Show a page, and keep it fresh."""
        if self._cancel is not None:
            self._cancel()
        listed, self._cancel = await self._visit.follow(self._question(page), self._view, self._news)
        self._keep(listed)
        self.table.show(listed.rows, listed.paging)

    async def turn(self, page: int) -> None:
        """Another page, which becomes part of the URL."""
        await self.start(page)
        set_query(self._visit, page=str(page) if page > 1 else None)

    def _news(self, listed: Listed, news: Difference) -> None:
        self._keep(listed)
        self.table.follow(listed.rows, news)

    def _keep(self, listed: Listed) -> None:
        self.listed = listed
        if self._on_answer is not None:
            self._on_answer(listed)


def set_query(visit: Visit, **values: str | None) -> None:
    """Change parameters of the page's URL without loading it again."""
    visit.client.run_javascript(
        f"""(() => {{ const url = new URL(location); const values = {script_json(values)};
        for (const [key, value] of Object.entries(values))
          value === null ? url.searchParams.delete(key) : url.searchParams.set(key, value);
        history.replaceState(history.state, "", url); }})()"""
    )


def page_of(visit: Visit) -> int:
    """The page number in the URL."""
    given = visit.request.query_params.get("page", "1")
    return max(int(given), 1) if given.isdigit() and len(given) < 7 else 1
