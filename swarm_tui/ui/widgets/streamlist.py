"""The stream panel: every message as it comes."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.segment import Segment

from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
    PathsClaim,
    PathsClaimed,
    PathsRefused,
    PathsReleased,
)
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.look.text import Parts, ago, amount, clock, fit, flat, span
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.stream import Message, body_text
from swarm_tui.ui.widgets.lines import Lines

_STYLE = {
    "tasks/complete": "ok", "tasks/failed": "bad", "tasks/dead": "bad", "tasks/held": "warn", "tasks/rejected": "bad",
    "tasks/retrying": "warn", "tasks/cancelled": "warn", "tasks/declined": "warn", "alerts": "warn", "halt": "bad",
    "messages/rejected": "bad", "messages/dead": "warn", "messages/delivered": "quiet", "messages/read": "quiet",
    "paths/refused": "warn", "agents/heartbeat": "quiet", "tasks/progress": "quiet", "agents/shutdown": "warn",
}  # fmt: skip
#: Payload fields that the line says by itself, or that say too little for a line.
_DULL = frozenset(
    {"agent_id", "role", "v", "task_id", "status", "incarnation", "timestamp", "epoch", "started_at", "capacity", "pid",
     "active", "position", "claimed_at", "completed_at", "failed_at", "host"}
)  # fmt: skip


def summary(message: Message) -> str:
    """Return what the message says, in a line."""
    if isinstance(message, Rejected):
        return f"refused: {message.reason}  {message.first}"
    payload: Mapping[str, Any] = message.payload
    if told := _mail(message):
        return told
    words = [str(payload["task_id"])] if isinstance(payload.get("task_id"), str) else []
    if ended_badly(message):
        words.append(f"✗ {outcome(payload.get('result'))}")
    elif isinstance(payload.get("status"), str):
        words.append(payload["status"])
    for name, value in payload.items():
        if name in _DULL or value in (None, "", False, [], {}):
            continue
        words.append(f"{name}={_measure(message.kind, name, value) or _short(value)}")
        if len(words) > 8:
            break
    return " ".join(words)


def _mail(message: Event) -> str:
    """Return what a message of mail or about paths says; empty for any other."""
    body = message.body
    match body:
        case Inbox(message=MessageNew() as mail):
            return _mail_of("mail from", mail, mail.sender)
        case MessageNew():
            return _mail_of("to", body, body.to or "who asked")
        case MessageAccepted():
            return f"{body.message_id} from {body.sender} to {body.to}"
        case MessageReceipt():
            return f"{body.message_id} {'by' if message.kind is Kind.MESSAGE_READ else 'to'} {body.agent_id}"
        case MessageAnswered():
            return f"{body.message_id} by {body.sender}: {body.text}"
        case MessageRejected():
            return f"{body.message_id} {body.reason}"
        case MessageDead():
            return f"{body.message_id} to {body.agent_id or 'nobody'}: {body.reason}"
        case PathsClaim() | PathsClaimed():
            return f"{body.task_id} {', '.join(body.paths)}"
        case PathsReleased():
            return f"{body.task_id} {', '.join(body.paths)} ({body.reason})"
        case PathsRefused():
            return f"{body.task_id} {body.reason}"
    return ""


def _mail_of(word: str, message: MessageNew, who: str | None) -> str:
    answers = (
        f" (answers {message.reply_to})" if message.reply_to else " (wants an answer)" if message.expects_answer else ""
    )
    return f"{word} {who or '?'}{answers}: {message.text}"


def ended_badly(message: Event) -> bool:
    """Tell whether it tells of a task that ran to its end and came out badly."""
    return message.kind is Kind.TASK_COMPLETE and verdict_failed(message.payload.get("result"))


def _style(message: Event) -> str:
    return "warn" if ended_badly(message) else _STYLE.get(message.kind.value, "topic")


def _measure(kind: Kind, name: str, value: object) -> str:
    """Return what agents say of themselves all the time, in the units of the agents panel, and how long tasks took;
    empty for anything else."""
    if name == "duration" and kind in (Kind.TASK_COMPLETE, Kind.TASK_FAILED) and isinstance(value, int | float):
        return span(value / 1000)
    if name == "uptime" and isinstance(value, int | float):
        return ago(value)
    if name == "memory" and isinstance(value, dict) and isinstance(rss := value.get("rss"), int | float):
        return amount(rss)
    return ""


def _short(value: object) -> str:
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])[:80]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {str(inner)[:40]}" for name, inner in list(value.items())[:4]) + "}"
    return str(value)[:80]


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
            style, sender = "bad", message.who.removeprefix("operator:") or "?"
        else:
            style, sender = _style(message), message.sender.removeprefix("operator:")
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
