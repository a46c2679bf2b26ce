"""The types that fit what was typed: the arrows choose, enter takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from rich.segment import Segment
from textual.fuzzy import Matcher

from swarm_tui.ui.look.text import Parts, fit, flat
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.widgets.lines import Lines


class TakesType(Protocol):
    """The form that the list is for."""

    def take_type(self, name: str) -> None:
        """Take the type that was chosen."""
        ...


class TypeList(Lines):
    """Shown while the type is typed and is not one of them yet."""

    DEFAULT_CSS = "TypeList { height: 6; display: none; margin-left: 12; background: $surface; }"

    def __init__(self, types: Mapping[str, TaskType], sent: Callable[[], Sequence[str]], *, id: str) -> None:
        super().__init__(id=id)
        self.can_focus = False
        self._types, self._sent = types, sent
        self.found: list[TaskType] = []

    def match(self, text: str) -> None:
        """List the types that fit `text`: what has it whole before what has its letters, then what was sent last."""
        matcher, types, sent = Matcher(text), self._types, self._sent()
        scored = [(matcher.match(name) if text else 1.0, each) for name, each in types.items()]

        def place(pair: tuple[float, TaskType]) -> tuple[bool, int, float, int, str]:
            score, name = pair[0], pair[1].name
            lately = sent.index(name) if name in sent else len(sent)
            return text.lower() not in name.lower(), lately, -score, len(name) if text else 0, name

        self.found = [each for score, each in sorted(scored, key=place) if score > 0]
        self.cursor = self.top = 0
        # Enter takes nothing of a list in which nobody has chosen anything.
        self.CURSOR = bool(text)
        self.display = bool(self.found) and text not in types
        self.styles.height = min(6, max(1, len(self.found)))
        self.redraw()

    def count(self) -> int:
        return len(self.found)

    def move(self, by: int) -> None:
        """Move the cursor; the first arrow shows it where it is."""
        self.go(self.cursor + by if self.CURSOR else self.cursor)

    def go(self, index: int) -> None:
        self.CURSOR = True
        super().go(index)

    def parts(self, index: int, width: int) -> Parts:
        each = self.found[index]
        roles = ", ".join(each.roles)
        return [
            Segment(" " + fit(flat(each.name), 26), self.look["strong"]),
            Segment(fit(flat(each.summary or roles), max(0, width - 28)), self.look["quiet"]),
        ]

    def chosen(self) -> str | None:
        """Return the type under the cursor."""
        shown = self.display and self.CURSOR and self.cursor < len(self.found)
        return self.found[self.cursor].name if shown else None

    def part_of(self) -> str:
        """Return of which types what was typed is a part, and how to go on."""
        names = [each.name for each in self.found]
        which = f"{', '.join(names[:2])} and {len(names) - 2} more" if len(names) > 2 else " and ".join(names)
        return f"a part of {which}: enter takes, tab keeps it"

    def on_lines_opened(self) -> None:
        if (name := self.chosen()) is not None:
            cast(TakesType, self.screen).take_type(name)
