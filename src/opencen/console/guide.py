"""The way from an empty server to the first region connection, as steps with one next thing to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opencen.console.texts import Texts
from opencen.console.widgets import Text, box, button, link


@dataclass(frozen=True)
class Step:
    """Something to do once; `target` is a path, or a function to call."""

    title: str
    text: str
    label: str = ""
    target: str | Callable[[], None] | None = None
    done: bool = False


def show_steps(texts: Texts, steps: Sequence[Step]) -> None:
    """A list of steps; the first that is not done is the next one, with its button."""
    following = next((step for step in steps if not step.done), None)
    with box("ol", "oc-steps"):
        for number, step in enumerate(steps, 1):
            state = "is-done" if step.done else "is-next" if step is following else "is-later"
            with box("li", f"oc-step {state}"):
                mark = Text("span", "✓" if step.done else str(number), "oc-step-mark")
                mark._props["aria-hidden"] = "true"
                with box("span", "oc-step-title"):
                    Text("span", step.title)
                    if step.done:
                        Text("span", texts("guide.done"), "oc-sr")
                Text("span", step.text, "oc-step-text")
                if step is following and callable(step.target):
                    button(step.label, step.target, "is-primary")
                elif step is following and step.target:
                    link(step.label, str(step.target), "oc-button is-primary")
