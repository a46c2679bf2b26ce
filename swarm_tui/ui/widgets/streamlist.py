"""The stream panel: every message as it comes."""

from collections.abc import Callable

from rich.segment import Segment

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.look.message_line import style_of, summary
from swarm_tui.ui.look.text import Parts, clock, fit, flat
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.stream import Message, body_text
from swarm_tui.ui.widgets.lines import Lines


class StreamList(Lines):
    """The messages the filter lets through, the newest last; it follows the end until the cursor leaves it."""

    HEAD = 1

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(id=id)
        self.model = model
        self.tail = True
        self._chosen: Message | None = None
        """What the user put the cursor on, which may be hidden now; None: the end, whatever that is."""
        self._drawn = 0
        self._counted = (0, 0)
        """Messages and heartbeats, as the heading has them."""
        self._gone = 0
        """Messages that fell off the front: the number of each is kept whatever falls."""

    def count(self) -> int:
        return len(self.model.stream.shown)

    def identity(self, index: int) -> int:
        return self._gone + index

    def current(self) -> Message | None:
        """Return the message under the cursor."""
        shown = self.model.stream.shown
        return shown[self.cursor] if self.cursor < len(shown) else None

    def extend(self) -> None:
        """Show the messages that came."""
        dropped = self.model.stream.take_dropped()
        count = self.count()
        self._gone += dropped
        if self.tail:
            self.cursor = max(0, count - 1)
            self.top -= dropped
            self.scroll_lines(max(0, count - self.room))
            self.refresh()
        elif dropped:
            self.cursor = max(0, self.cursor - dropped)
            self.scroll_lines(max(0, self.top - dropped))
            self.refresh()
        elif self._drawn < self.top + self.room:
            self.redraw()
        else:
            self.redraw_head()
        self._drawn = count

    def tick(self) -> None:
        """Let a second pass: the heading counts what is not listed too."""
        counts = self.model.received, self.model.fleet.counts.kinds.get(Kind.HEARTBEAT, 0)
        if counts != self._counted:
            self._counted = counts
            self.redraw_head()

    def go(self, index: int) -> None:
        super().go(index)
        self.tail = self.cursor >= self.count() - 1
        self._chosen = None if self.tail else self.current()
        self.redraw_head()

    def narrow(self, change: Callable[[], None]) -> None:
        """Do what changes which messages show: the cursor comes back to its message, else it follows the end."""
        change()
        self.model.stream.take_dropped()
        chosen, shown = self._chosen, self.model.stream.shown
        index = next((n for n, message in enumerate(shown) if message is chosen), None)
        self.tail = index is None
        self.cursor = max(0, self.count() - 1) if index is None else index
        self.show(self.cursor)
        self._drawn = self.count()
        self.redraw()

    def follow(self, on: bool) -> None:
        """Keep to the newest, or stay."""
        self.tail = on
        self._chosen = self.current()
        if on:
            self.last()
        self.redraw_head()

    def parts(self, index: int, width: int) -> Parts:
        message = self.model.stream.shown[index]
        look = self.look
        topic = flat(message.topic.removeprefix(self.model.swarm + "/"), 200)
        if isinstance(message, Rejected):
            style, sender = style_of(message), message.who.removeprefix("operator:") or "?"
        else:
            style, sender = style_of(message), message.sender.removeprefix("operator:")
        room = max(14, min(30, width // 4))
        who = max(12, min(18, width // 6))
        parts = [
            Segment(f" {clock(message.received)} ", look["quiet"]),
            Segment(fit(topic, room) + " ", look[style]),
        ]
        if width >= 70:
            parts.append(Segment(fit(flat(sender), who) + " ", look["strong"]))
        used = sum(p.cell_length for p in parts)
        parts.append(
            Segment(fit(flat(summary(message)), max(0, width - used)), look["bad" if style == "bad" else "plain"])
        )
        return parts

    def head(self, width: int) -> list[Parts]:
        look, stream = self.look, self.model.stream
        parts = [
            Segment("▌" if self.has_focus else " ", look["accent"]),
            Segment("STREAM", look["head-on"] if self.has_focus else look["strong"]),
            Segment(f" {self.model.received:,}", look["strong"]),
        ]
        if stream.paused:
            parts.append(
                Segment(f" ‖ paused, {stream.missed:,} came since: {self.told('pause')} goes on", look["caution"])
            )
        elif not self.tail:
            parts.append(Segment(f" held here: {self.told('follow')} follows", look["warn"]))
        if stream.pattern.text:
            parts.append(Segment(f" /{flat(stream.pattern.text, 40)} {len(stream.shown):,}", look["accent"]))
        beats = self.model.fleet.counts.kinds.get(Kind.HEARTBEAT, 0)
        if beats and not stream.heartbeats and not stream.pattern.text:
            parts.append(Segment(f" {beats:,} heartbeats folded", look["quiet"]))
        if stream.skipped:
            parts.append(Segment(f" {stream.skipped:,} not listed: too fast", look["warn"]))
        return [parts]

    def empty(self) -> list[str]:
        if self.model.stream.pattern.text:
            return ["No message matches", f"{self.told('clear')} clears the filter"]
        if self.model.stream.problems:
            return ["No message tells of trouble", f"{self.told('clear')} shows all"]
        if waiting := self.model.waiting():
            return [f"Opening: waiting for {waiting}"]
        return ["No message yet", "They show here as the swarm speaks"]

    def text_of(self, message: Message) -> str:
        """Return the message as `watch` prints it, to copy."""
        return f"{message.topic} {body_text(message)}"


def title_of(message: Message) -> str:
    """Return the message's name for a page."""
    return f"{message.topic}" if isinstance(message, Event) else f"refused: {message.topic}"
