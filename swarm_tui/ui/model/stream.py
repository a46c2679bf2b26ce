"""The messages the screen keeps: a bounded tail, a filter over it, and a pause that loses nothing but the view."""

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, matches
from swarm_tui.ui.look.message_line import is_heartbeat
from swarm_tui.ui.model.filters import read_filter

KEEP = 5_000
#: What screens and commands ask of the swarm, and are answered: counted, and no news.
ASKED = frozenset({Kind.QUERY, Kind.REPLY})
Message = Event | Rejected


class Pattern(Struct, frozen=True):
    """A filter as the user typed it: words, MQTT patterns and facts by name, all of which must fit; `!` turns it round.

    `now` is when it was typed, in seconds since the epoch: spans of time are counted from then.
    """

    text: str = ""
    now: float = 0.0

    def test(self, swarm: str, message: Message, type_of: Callable[[str], str | None] = lambda _: None) -> bool:
        """Tell whether the message passes; `type_of` knows the types of tasks."""
        return read_filter(self.text).passes(
            lambda word: _fits(word, swarm, message),
            lambda: _facts(swarm, message, type_of),
            message.received,
            self.now,
        )

    def names(self, swarm: str, topic: str) -> bool:
        """Tell whether a word of it asks for this topic by its name."""
        found = read_filter(self.text)
        return not found.inverse and any(
            matches(word, topic) or matches(word, topic[len(swarm) + 1 :])
            if "+" in word or "#" in word
            else len(word) > 2 and word.lower() in topic[len(swarm) :].lower()
            for word in found.words
        )


def _fits(word: str, swarm: str, message: Message) -> bool:
    topic = message.topic
    if "+" in word or "#" in word:
        return matches(word, topic) or matches(word, topic[len(swarm) + 1 :]) or (word in body_text(message))
    low = word.lower()
    return low in topic.lower() or low in body_text(message).lower()


def _facts(swarm: str, message: Message, type_of: Callable[[str], str | None]) -> dict[str, str | None]:
    """Return what a message says by name; one that was refused only its topic's."""
    levels = message.topic[len(swarm) + 1 :].split("/")
    about = levels[1] if levels[0] == "agents" and len(levels) == 3 else ""
    if isinstance(message, Rejected):
        return {"agent": about}
    said = message.payload
    task = said["task"] if isinstance(said.get("task"), dict) else said
    task_id, kind = task.get("task_id"), task.get("type")
    state = said.get("state") or said.get("status")
    if levels[0] == "tasks":
        state = f"{state or ''} {levels[-1]}"
    return {
        "agent": f"{message.sender} {about}",
        "task": task_id if isinstance(task_id, str) else None,
        "type": kind if isinstance(kind, str) else type_of(task_id) if isinstance(task_id, str) else None,
        "state": state if isinstance(state, str) else None,
        "role": message.role,
        "host": levels[1] if levels[0] == "hosts" and len(levels) == 3 else None,
    }


def body_text(message: Message) -> str:
    """Return the message's payload as one line of JSON."""
    if isinstance(message, Rejected):
        return message.hint or message.first
    try:
        return msgspec.json.encode(message.payload).decode()
    except (msgspec.MsgspecError, TypeError, ValueError, UnicodeError):
        return ""


def _name(message: Message) -> tuple[object, ...]:
    """Return what tells a message from all others: its id, or what is there of one that has none."""
    if isinstance(message, Event) and message.id:
        return message.topic, message.id
    return message.topic, message.received, body_text(message)


class Stream:
    """The last messages, and which of them the filter lets through. `skipped` were counted but never listed."""

    def __init__(self, swarm: str, keep: int = KEEP, *, heartbeats: bool = True) -> None:
        self.swarm = swarm
        self.heartbeats = heartbeats
        self.all: deque[Message] = deque(maxlen=keep)
        self.shown: deque[Message] = deque(maxlen=keep)
        self.pattern = Pattern()
        self.type_of: Callable[[str], str | None] = lambda _: None
        """Returns the type of a task, where it is known."""
        self.problems = False
        self.paused = False
        self.missed = 0
        """Messages that came while paused, and would show."""
        self._held: list[Message] = []
        """What was kept when the pause began; nothing else can show until it ends."""
        self.skipped = 0
        self.dropped = 0
        """How many fell off the front of `shown` since the last `take_dropped`."""

    def add(self, message: Message) -> bool:
        """Keep a message; True when it shows."""
        self.all.append(message)
        if self.paused:
            self.missed += self._passes(message)
            return False
        return self._show(message)

    def _show(self, message: Message) -> bool:
        if not self._passes(message):
            return False
        if len(self.shown) == self.shown.maxlen:
            self.dropped += 1
        self.shown.append(message)
        return True

    def _passes(self, message: Message) -> bool:
        if self.problems and not is_problem(message):
            return False
        if isinstance(message, Event):
            folded = message.kind in ASKED or (not self.heartbeats and is_heartbeat(message))
            if folded and not self.pattern.names(self.swarm, message.topic):
                return False
        return not self.pattern.text or self.pattern.test(self.swarm, message, self.type_of)

    def filter(self, text: str | None = None, problems: bool | None = None) -> None:
        """Show only what passes from now on, of what is kept too."""
        if text is not None:
            self.pattern = Pattern(text, self.all[-1].received if self.all else 0.0)
        if problems is not None:
            self.problems = problems
        self.shown.clear()
        self.shown.extend(message for message in (self._held if self.paused else self.all) if self._passes(message))

    def pause(self, on: bool) -> None:
        """Hold the view still, or let it catch up."""
        self.paused = on
        self._held = list(self.all) if on else []
        self.missed = 0
        if not on:
            self.filter()

    def load(self, messages: list[Message]) -> None:
        """Put messages of the past where their time is among what is kept; one that is kept already stays once."""
        known = {_name(message) for message in self.all}
        fresh = {name: message for message in messages if (name := _name(message)) not in known}
        kept = sorted([*fresh.values(), *self.all], key=lambda message: message.received)
        self.all.clear()
        self.all.extend(kept)
        if self.paused:
            self._held = sorted([*fresh.values(), *self._held], key=lambda message: message.received)
        self.filter()

    def take_dropped(self) -> int:
        """Count the lines that left the front since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped


def is_problem(message: Message) -> bool:
    """Tell whether the message tells of trouble."""
    if isinstance(message, Rejected):
        return True
    return message.kind.value in _BAD or bool(message.warnings)


_BAD = {
    "tasks/failed",
    "tasks/dead",
    "tasks/held",
    "tasks/rejected",
    "tasks/retrying",
    "tasks/declined",
    "alerts",
    "halt",
}
