"""The conversation as a person reads it on the agent's pane, in 60 columns."""

import textwrap
from pathlib import Path
from typing import Any

from swarm_tui.agent.conversation.tool_calls import ToolCall
from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.handlers.output import as_shown
from swarm_tui.domain.usage import Usage, told

WIDTH = 57
#: Stands before each line of a change, by which the pane knows to colour it.
EDGE = "┊"
#: Lines of a diff, and of what a tool printed, that the pane shows.
_DIFF, _OUTPUT = 12, 3
_TICKS = {"completed": "✓", "in_progress": "▸", "pending": "·"}


class Narrator:
    """Says what happens in a conversation, line by line, on the pane and in the task's output."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context, self._folder = context, folder
        self._rest = ""
        self._thinks = False
        self._retry = ""

    def say(self, line: str) -> None:
        """Say one thing."""
        self.flush()
        self._context.log(line)

    def words(self, text: str, *, thought: bool = False) -> None:
        """Take in words of the model's, and say the lines that are whole."""
        if thought is not self._thinks:
            self.flush()
            self._thinks = thought
        self._rest += text
        *whole, self._rest = self._rest.split("\n")
        for line in whole:
            self._paragraph(line)

    def flush(self) -> None:
        """Say what is left of the model's words."""
        if self._rest.strip():
            self._paragraph(self._rest)
        self._rest = ""

    def _paragraph(self, line: str) -> None:
        shown = as_shown(line)
        mark = "~ " if self._thinks else ""
        for part in textwrap.wrap(shown, WIDTH, break_long_words=False, break_on_hyphens=False):
            self._context.log(f"{mark}{part}")

    def tool_began(self, call: ToolCall) -> None:
        """Say that a tool is called."""
        self.flush()

    def tool_ended(self, call: ToolCall) -> None:
        """Say what a tool did, with its diff or the end of what it printed."""
        if call.refused:
            return
        mark = "✓" if call.status == "completed" else "✗"
        self.say(f"{mark} {self._head(call)}")
        diff = call.diff(self._folder)
        lines = [line for line in diff.split("\n") if line and not line.startswith(("---", "+++", "@@"))]
        if not lines and call.output:
            lines = [line for line in as_shown(call.output).strip().split("\n")[-_OUTPUT:] if line.strip()]
        most = _DIFF if diff else _OUTPUT
        for line in lines[:most]:
            self._context.log(f"  {EDGE if diff else ''}{line[:WIDTH]}")
        if len(lines) > most:
            self._context.log(f"  … {len(lines) - most} more lines")

    def tool_refused(self, call: ToolCall) -> None:
        """Say that a tool was refused, and why."""
        self.say(f"⛔ {self._head(call)}")
        for part in textwrap.wrap(call.refused, WIDTH):
            self._context.log(f"  {part}")

    def retrying(self, words: str, code: str) -> None:
        """Say that the CLI tries again, and why, once for each time."""
        line = f"⏳ {code}: {as_shown(words).replace(chr(10), ' ')}"[: WIDTH * 2]
        if line != self._retry:
            self._retry = line
            self.say(line)

    def used(self, usage: Usage) -> None:
        """Say what was used so far, at the end of a turn."""
        self.flush()
        if not usage.is_nothing:
            self._context.log(f"Σ {told(usage)}")

    def plan(self, entries: Any) -> None:
        """Say the plan, with ticks."""
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(words := entry.get("content"), str):
                self.say(f"{_TICKS.get(str(entry.get('status')), '·')} {as_shown(words)[:WIDTH]}")

    def _head(self, call: ToolCall) -> str:
        target = as_shown(call.target(self._folder)).replace("\n", "⏎")
        shown = f"`{target}`" if call.tool == "Bash" else target
        return f"{call.tool} {shown}"[: WIDTH + 2]
