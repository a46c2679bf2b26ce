"""What a terminal pane printed, as it stood when it was last read: its lines, and the hits of a search in them."""

from collections.abc import Sequence

from rich.style import Style

from swarm_tui.ui.lines import Parts
from swarm_tui.ui.sgr import parse, plain

ALIKE = 20
"""Lines that must be the same for two readings to be laid over each other."""


class Scrollback:
    """Lines of one reading. `whole` says that it holds the pane's history, and not only what the terminal shows."""

    def __init__(self, raw: Sequence[str] = (), *, whole: bool = False) -> None:
        end = len(raw)
        while end and not raw[end - 1].strip():
            end -= 1
        self.raw = list(raw[:end])
        self.whole = whole
        self.lines: list[Parts] = []
        style = Style()
        for line in self.raw:
            segments, style = parse(line, style)
            self.lines.append(segments)

    def text_of(self, index: int) -> str:
        """A line without colours."""
        return plain(self.raw[index]).rstrip()

    def text(self) -> str:
        """All lines, without colours."""
        return "\n".join(self.text_of(index) for index in range(len(self.raw)))

    def has(self, index: int, words: str) -> bool:
        """Whether the line holds the words, in capitals or not."""
        return words.lower() in "".join(segment.text for segment in self.lines[index]).lower()

    def hits(self, words: str) -> list[int]:
        """The lines that hold the words."""
        return [index for index in range(len(self.lines)) if self.has(index, words)]

    def lower_by(self, older: "Scrollback") -> int:
        """By how many lines what an older reading holds stands lower in this one."""
        most = 0 if older.whole or not self.whole else len(self.raw) - len(older.raw)
        for by in range(most, -len(older.raw), -1):
            here, there = max(0, by), max(0, -by)
            size = min(ALIKE, len(self.raw) - here, len(older.raw) - there)
            if self.raw[here : here + size] == older.raw[there : there + size]:
                return by
        return most
