"""The console's own elements: semantic HTML with labels, fed with text only."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import nicegui
from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from opencen.console.points import Points

_ECHARTS = Path(nicegui.__file__).parent / "elements" / "echart" / "dist"
Cells = dict[str, list[dict[str, Any]]]
Row = dict[str, Any]
Handler = Callable[[], Any]


class Text(TextElement):
    """An element of any tag that holds text."""

    def __init__(self, tag: str, text: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        if classes:
            self.classes(classes)


def box(tag: str = "div", classes: str = "", **attributes: Any) -> Element:
    """A plain element."""
    element = Element(tag).classes(classes)
    for name, value in attributes.items():
        element._props[name.strip("_").replace("_", "-")] = value
    return element


def link(text: str, href: str, classes: str = "", **attributes: Any) -> Text:
    """An anchor; `href` is one of our own paths."""
    anchor = Text("a", text, classes)
    anchor._props["href"] = href
    for name, value in attributes.items():
        anchor._props[name.strip("_").replace("_", "-")] = value
    return anchor


def button(text: str, on_click: Handler | None, classes: str = "", **attributes: Any) -> Text:
    """A push button."""
    made = Text("button", text, f"oc-button {classes}".strip())
    made._props["type"] = "button" if on_click else "submit"
    for name, value in attributes.items():
        made._props[name.strip("_").replace("_", "-")] = value
    if on_click is not None:
        made.on("click", on_click, args=[])
    return made


class Difference:
    """What changed between two lists of rows, encoded once for all the pages that show them.

    `patch` is None when the rows are other ones.
    """

    def __init__(self, patch: str | None, paging: Row | None) -> None:
        self.patch = patch
        self.paging = paging


class Table(Element, component="components/opencen_table.js"):
    """Rows that were worked out elsewhere; live changes are sent as differences.

    They are kept as a tuple: NiceGUI wraps lists and dicts in properties, all the way down, to notice changes in them.
    For 50 rows on 100 pages a second that took more than a core.
    """

    def __init__(
        self,
        columns: Sequence[Row],
        rows: Sequence[Row],
        *,
        caption: str,
        empty: str,
        on_act: Callable[[str, str], Awaitable[None]] | None = None,
        on_page: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._props.update({"columns": list(columns), "rows": tuple(rows), "caption": caption, "empty": empty})
        if on_act is not None:
            self.on("act", lambda event: on_act(str(event.args["act"]), str(event.args["id"])))
        if on_page is not None:
            self.on("page", lambda event: on_page(int(event.args)))

    def show(self, rows: tuple[Row, ...], paging: Row | None = None) -> None:
        """Other rows in place of those shown."""
        with self._props.suspend_updates():
            self._props["rows"] = rows
            self._props["paging"] = paging
        self.update()

    def follow(self, rows: tuple[Row, ...], difference: Difference) -> None:
        """The same page with news: a patch when the rows are the same ones, all of them otherwise."""
        if difference.patch is None:
            self.show(rows, difference.paging)
            return
        with self._props.suspend_updates():
            self._props["rows"] = rows
        self.client.run_javascript(f"runMethod({self.id}, 'patch', [{difference.patch}])")


class Listed:
    """Rows and their paging, as one value to compare, and the answer that they were made from."""

    def __init__(self, rows: Sequence[Row], paging: Row | None = None, answer: dict[str, Any] | None = None) -> None:
        self.rows = tuple(rows)
        self.paging = paging
        self.answer: dict[str, Any] = answer or {"items": [], "total": 0}


def difference(before: Listed, now: Listed) -> Difference | None:
    """None when nothing changed."""
    same_rows = [row["id"] for row in before.rows] == [row["id"] for row in now.rows]
    if not same_rows or before.paging != now.paging:
        return Difference(None, now.paging)
    changes = []
    for old, new in zip(before.rows, now.rows, strict=True):
        cells = {key: cell for key, cell in new["cells"].items() if old["cells"].get(key) != cell}
        if cells:
            changes.append([new["id"], cells])
    return Difference(script_json(changes), now.paging) if changes else None


def script_json(value: Any) -> str:
    """JSON that may stand in a script: `<` cannot end one."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


class Field(Element, component="components/opencen_field.js"):
    """A labelled control; `value` is what is typed now."""

    def __init__(
        self,
        name: str,
        label: str,
        *,
        kind: str = "text",
        value: Any = "",
        options: Sequence[tuple[str, str]] = (),
        on_change: Handler | None = None,
        **more: Any,
    ) -> None:
        super().__init__()
        self.name = name
        self.value: Any = value
        self._props.update({"kind": kind, "name": name, "label": label, "value": value, "options": _options(options)})
        self._props.update({key: item for key, item in more.items() if item is not None})

        def typed(event: GenericEventArguments) -> Any:
            self.value = event.args
            with self._props.suspend_updates():
                self._props["value"] = event.args
            return on_change() if on_change is not None else None

        self.on("value", typed)

    @property
    def text(self) -> str:
        """The value without blanks around it."""
        return str(self.value if self.value is not None else "").strip()

    def set_options(self, options: Sequence[tuple[str, str]], value: str) -> None:
        """Other options, one of them chosen."""
        self.value = value
        with self._props.suspend_updates():
            self._props["options"] = _options(options)
            self._props["value"] = value
        self.update()

    def fail(self, sentence: str | None) -> None:
        """Show what is wrong beside the field, or nothing any more."""
        if self._props.get("error") != sentence:
            self._props["error"] = sentence


def _options(options: Sequence[tuple[str, str]]) -> list[Row]:
    return [{"v": value, "t": text} for value, text in options]


class Bandwidth(Element, component="components/opencen_bandwidth.js"):
    """Slider, number and the package's bar. `others` are the shares of the other connections."""

    name = "bandwidth_mbps"

    def __init__(
        self,
        *,
        label: str,
        slider_label: str,
        sum_text: str,
        over_text: str,
        total: int,
        others: Sequence[Row],
        value: int,
    ) -> None:
        super().__init__()
        self.value: Any = value
        self._props.update({"label": label, "slider-label": slider_label, "sum-text": sum_text, "value": value})
        self._props.update({"over-text": over_text, "total": total, "others": list(others)})

        def typed(event: GenericEventArguments) -> None:
            self.value = event.args
            with self._props.suspend_updates():
                self._props["value"] = event.args

        self.on("value", typed)

    @property
    def text(self) -> str:
        return str(self.value if self.value is not None else "").strip()

    def set_package(self, total: int, others: Sequence[Row]) -> None:
        """The package changed, or what others hold of it; what was typed stays."""
        with self._props.suspend_updates():
            self._props["total"] = total
            self._props["others"] = list(others)
        self.update()

    def fail(self, sentence: str | None) -> None:
        """Show what is wrong beside the number, or nothing any more."""
        if self._props.get("error") != sentence:
            self._props["error"] = sentence


class Map(Element, component="components/opencen_map.js"):
    """Regions and connections as a picture."""

    def __init__(self, picture: Row, *, label: str, on_edge: Callable[[str], Awaitable[None]]) -> None:
        super().__init__()
        self._props.update(_frozen(picture) | {"label": label})
        self.on("edge", lambda event: on_edge(str(event.args)))

    def follow(self, picture: Row, patch: str | None) -> None:
        """The same regions with news of the connections, or another picture."""
        with self._props.suspend_updates():
            self._props.update(_frozen(picture))
        if patch is None:
            self.update()
        else:
            self.client.run_javascript(f"runMethod({self.id}, 'patch', [{patch}])")


class Chart(Element, component="components/opencen_usage.js", esm={"nicegui-echart": str(_ECHARTS)}):
    """Usage over time. Columns go to the browser once; afterwards only what is new."""

    def __init__(self, points: Points, *, label: str, words: dict[str, str], series: Sequence[dict[str, str]]) -> None:
        super().__init__()
        self._props.update({"label": label, "words": words, "series": tuple(series), "summary": points.summary})
        self._props["points"] = points.payload()

    def follow(self, points: Points, news: dict[str, Any]) -> None:
        """The same lines with what is new, or other columns."""
        with self._props.suspend_updates():
            self._props["points"] = points.payload()
        method, value = ("replace", news["points"]) if "points" in news else ("patch", news)
        self.client.run_javascript(
            f"runMethod({self.id}, '{method}', [{script_json(value)}, {script_json(points.summary)}])"
        )


def go(path: str) -> None:
    """Load another page of the console; `path` begins with its prefix."""
    ui.context.client.run_javascript(f"location.href = {script_json(path)}")


def _frozen(picture: Row) -> Row:
    """Lists as tuples, as in Table."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in picture.items()}


def notify(text: str, *, bad: bool = False) -> None:
    """A short message at the edge of the page; `text` is shown as text."""
    ui.notify(text, type="negative" if bad else "info", position="bottom-right", timeout=6000 if bad else 3500)
