"""The last line: what the keys do here and now, or the latest notice."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from swarm_tui.config.keynames import key_name
from swarm_tui.ui.desk.actions import AGENTS, TASKS, Action, Registry, pretty
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import ScreenPort, desk_of
from swarm_tui.ui.desk.notices import Notice
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, fit_sentence
from swarm_tui.ui.widgets.static_lines import StaticLines, clicking

Hint = tuple[str, str]
"""A key as people write it, and what it does."""


class Footer(StaticLines):
    """The last line: what acts on the thing at hand first. What cannot act is left out; help always has its place."""

    DEFAULT_CSS = "Footer { height: 1; background: $panel; dock: bottom; }"

    note = ""
    """A word that the screen above says of itself, before the last hint."""

    def lines(self, width: int) -> list[Parts]:
        screen, desk = cast(ScreenPort, self.screen), desk_of(self)
        typing = screen.scope == "form"
        notice = desk.notices.current()
        if notice is not None:
            return [self._notice(notice, desk.registry, width, typing=typing)]
        registry, context = desk.registry, screen.context()
        acts = [
            act
            for act in registry.here(screen.scope)
            if (act.rank or act.asked_for(context)) and act.why_not(context) is None
        ]
        own = "tasks" if screen.scope in TASKS else "agents" if screen.scope in AGENTS else ""
        acts.sort(key=lambda act: _place(act, own, context))
        hints = [
            (registry.key_text(act.name, typing=typing), act.now(context) or act.label)
            for act in acts
            if act.name != "help"
        ]
        keys = [key for act in registry.here(screen.scope) for key in registry.keys(act.name)]
        clicks = {pretty(key): f"screen.press('{key}')" for key in keys}
        last = (registry.key_text("help", typing=typing), "help")
        return [keys_line(hints, self.look, width, clicks, last, self.note)]

    def _notice(self, notice: Notice, registry: Registry, width: int, *, typing: bool) -> Parts:
        """Return the notice; of one that is too long less, and the key that shows it whole."""
        look, text = self.look["bad" if notice.bad else "accent"], f" {'✗' if notice.bad else '›'} {notice.text}"
        key = registry.key_text("notices", typing=typing)
        if cell_len(text) <= width or not key:
            return [Segment(fit_sentence(text, width), look)]
        ends = [Segment(f"  {key}", self.look["key"]), Segment(" whole ", self.look["quiet"])]
        said = fit_sentence(text, width - sum(part.cell_length for part in ends)).rstrip()
        return [Segment(said, look), *ends]


def _place(act: Action, own: str, context: Context) -> float:
    """Return where the act stands: what the thing at hand waits for, what is done to such things, then the rest."""
    if act.asked_for(context):
        return 5.1
    return act.rank / 10 + 5 if act.group == own else act.rank


class KeyLine(StaticLines):
    """The last line of a dialog."""

    DEFAULT_CSS = "KeyLine { height: 1; background: $panel; dock: bottom; }"

    def __init__(self, hints: Callable[[], list[Hint]]) -> None:
        super().__init__()
        self._hints = hints

    def lines(self, width: int) -> list[Parts]:
        hints = self._hints()
        return [keys_line(hints, self.look, width, {key: _typed(name) for key, _ in hints if (name := key_name(key))})]


def _typed(key: str) -> str:
    """Return what a click on a dialog's key does."""
    return f"app.simulate_key('{key}')"


def keys_line(
    hints: Sequence[Hint],
    look: ThemeStyles,
    width: int,
    clicks: Mapping[str, str],
    last: Hint | None = None,
    note: str = "",
) -> Parts:
    """Return as many hints as fit, each whole, or a `verb: object` with less of it; `note` and `last` at the right end.

    `clicks`: what a click on a hint does.
    """
    end = [Segment(f" {note}  ", look["accent"])] if note else []
    end += _hint(last, look, clicks) if last is not None and last[0] else []
    room = width - sum(part.cell_length for part in end)
    parts: Parts = [Segment(" ")]
    used = 1
    for key, label in hints:
        size = cell_len(key) + cell_len(label) + 3
        verb, _, rest = label.partition(": ")
        for short in dict.fromkeys((label, f"{verb}: {rest.split()[0]}" if rest else label, verb)):
            size = cell_len(key) + cell_len(short) + 3
            if key and used + size <= room:
                parts += _hint((key, short), look, clicks)
                used += size
                break
    return [*parts, Segment(" " * max(0, room - used)), *end]


def _hint(hint: Hint, look: ThemeStyles, clicks: Mapping[str, str]) -> Parts:
    key, label = hint
    does = clicking(clicks[key]) if key in clicks else Style()
    return [Segment(key, look["key"] + does), Segment(f" {label}  ", look["quiet"] + does)]
