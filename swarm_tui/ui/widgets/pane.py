"""A terminal pane, live: lines as tmux captured them, only the changed ones redrawn."""

from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.lines import Lines, Parts
from swarm_tui.ui.sgr import parse, plain
from swarm_tui.ui.text import flat


class PaneView(Lines):
    """One pane. It keeps to the end unless scrolled; `history` puts older lines before."""

    HEAD = 1
    CURSOR = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pane_id: str | None = None
        self.agent_id: str | None = None
        self.state: tuple[str, str] = ("", "plain")
        self.note = ""
        self.why_empty: list[str] = []
        self.tail = True
        self._raw: list[str] = []
        self._older: list[str] = []
        self._lines: list[Parts] = []
        self.needle = ""

    def follow_agent(self, agent_id: str | None, pane_id: str | None, state: tuple[str, str], why: list[str]) -> None:
        """Show another agent's pane, or a new state of the same."""
        if (agent_id, pane_id) != (self.agent_id, self.pane_id):
            self.agent_id, self.pane_id = agent_id, pane_id
            self._raw, self._older, self._lines = [], [], []
            self.top, self.tail = 0, True
            self.redraw()
        self.why_empty = why
        if state != self.state:
            self.state = state
            self.redraw_head()

    def capture(self, lines: list[str]) -> None:
        """The pane as it is now."""
        self._set(self._older, lines)

    def history(self, lines: list[str]) -> None:
        """The pane with its history: the older lines stay until the pane is left."""
        keep = max(0, len(lines) - len(self._raw))
        self._set(lines[:keep], lines[keep:] or self._raw)

    def _set(self, older: list[str], raw: list[str]) -> None:
        while raw and not raw[-1].strip():
            raw = raw[:-1]
        before = self._lines
        fresh: list[Parts] = []
        style = Style()
        for line in (*older, *raw):
            segments, style = parse(line, style)
            fresh.append(segments)
        self._older, self._raw, self._lines = older, raw, fresh
        if len(before) != len(fresh):
            self.cursor = min(self.cursor, max(0, len(fresh) - 1))
            self.show_end() if self.tail else self.redraw()
            self.redraw()
            return
        self.redraw_lines(i for i, (old, new) in enumerate(zip(before, fresh, strict=True)) if old != new)

    def show_end(self) -> None:
        """Go to the end."""
        self.top = self.cursor = max(0, self.count() - self.room)

    def follow_end(self) -> None:
        """Keep to the end from now on."""
        self.tail = True
        self.show_end()
        self.redraw()

    def go(self, index: int) -> None:
        super().go(index)
        self.tail = self.top >= self.count() - self.room
        self.redraw_head()

    def move(self, by: int) -> None:
        self.go(self.top + by)

    def page(self, by: int) -> None:
        self.go(self.top + by * max(1, self.room - 1))

    def wheel(self, by: int) -> None:
        self.go(self.top + by)

    def on_resize(self) -> None:
        super().on_resize()
        if self.tail:
            self.show_end()

    def find(self, text: str, back: bool = True) -> bool:
        """Scroll to the last line before the view (or the first after) that holds `text`."""
        self.needle = text
        low = text.lower()
        order = range(self.top - 1, -1, -1) if back else range(self.top + 1, self.count())
        for index in [*order, *(range(self.count() - 1, -1, -1) if back else range(self.count()))]:
            if low in "".join(s.text for s in self._lines[index]).lower():
                self.go(max(0, index - self.room // 2))
                self.redraw()
                return True
        return False

    def count(self) -> int:
        return len(self._lines)

    def parts(self, index: int, width: int) -> Parts:
        segments = self._lines[index]
        if self.needle and self.needle.lower() in "".join(s.text for s in segments).lower():
            return [Segment("".join(s.text for s in segments), self.look["match"])]
        return segments

    def head(self, width: int) -> list[Parts]:
        look = self.look
        parts = [
            Segment("▌" if self.has_focus else " ", look["accent"]),
            Segment("PANE", look["head-on"] if self.has_focus else look["strong"]),
            Segment(f" {flat(self.agent_id or '-', 40)} ", look["strong"]),
            Segment(self.state[0], look[self.state[1]]),
        ]
        if not self.tail:
            parts.append(Segment(f" {self.count() - self.top - self.room} lines below: f follows", look["warn"]))
        return [parts]

    def empty(self) -> list[str]:
        return self.why_empty

    def text(self) -> str:
        """All lines, without colours."""
        return "\n".join(plain(line).rstrip() for line in (*self._older, *self._raw))
