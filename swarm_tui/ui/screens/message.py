"""A message, as a tree."""

from rich.segment import Segment

from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.look.text import Parts, clock, flat, wrapped
from swarm_tui.ui.look.words import units_of
from swarm_tui.ui.model.stream import Message, body_text
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line, Value, rule
from swarm_tui.ui.widgets.tree import Path, tree


class MessageScreen(PageScreen):
    """Its envelope, its payload, and what the reader had to mend."""

    SCOPE = "message"

    def turn_to(self, message: Message) -> None:
        self.message = message

    def title_parts(self, width: int) -> Parts:
        return self.titled("MESSAGE", flat(self.message.topic, 200), [Segment(clock(self.message.received, ms=True))])

    def lay(self, width: int) -> list[Line]:
        look, message = self.desk.look, self.message
        lines: list[Line] = []
        if isinstance(message, Event):
            facts = {
                "from": message.sender,
                "role": message.role,
                "id": message.id,
                "said at": clock(message.at, ms=True),
                "retained": message.retained,
            }
            lines += tree({k: v for k, v in facts.items() if v}, look, width)
            for warning in message.warnings:
                lines += self._told("! ", warning, "warn", width)
            lines.append(rule("payload", width, self.page))
            lines += tree(message.payload, look, width, units=self._units(message))
        else:
            lines += self._told("refused: ", message.reason, "bad", width)
            lines.append(rule("it began", width, self.page))
            lines += tree(message.first, look, width)
        return lines

    def _told(self, before: str, text: str, style: str, width: int) -> list[Line]:
        """Return what was wrong, whole, in as many lines as it takes."""
        said = wrapped(f"{before}{flat(text, 2000)}", width - 4)
        return [([Segment(f"  {line}", self.desk.look[style])], Value(text)) for line in said]

    def _units(self, message: Event) -> dict[Path, str]:
        if message.kind not in (Kind.TASK_COMPLETE, Kind.TASK_FAILED):
            return {}
        task = self.model.task(str(message.payload.get("task_id")))
        inner = units_of(task) if task is not None else {}
        return {("duration",): "ms", **{("result", *path): unit for path, unit in inner.items()}}

    def copy(self) -> None:
        """Copy what the line says; on the first line and the heading, the message as `watch` prints it."""
        if self.page.cursor and self.page.value() is not None:
            super().copy()
        else:
            self.desk.copy(f"{self.message.topic} {body_text(self.message)}")

    def copies(self) -> bool:
        return True
