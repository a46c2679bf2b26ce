"""The messages the screen keeps: a bounded tail, a filter over it, and a pause that loses nothing but the view."""

import shlex
from collections import deque
from functools import lru_cache

import msgspec
from msgspec import Struct

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, matches

KEEP = 5_000
#: What screens and commands ask of the swarm, and are answered: counted, and no news.
ASKED = frozenset({Kind.QUERY, Kind.REPLY})
Message = Event | Rejected


class Pattern(Struct, frozen=True):
    """A filter as the user typed it: words, MQTT patterns and `agent:ID`, all of which must fit; `!` turns it round."""

    text: str = ""

    def test(self, swarm: str, message: Message) -> bool:
        """Tell whether the message passes."""
        text = self.text.strip()
        inverse = text.startswith("!")
        words = _words(text[1:] if inverse else text)
        if not words:
            return True
        return all(_fits(word, swarm, message) for word in words) != inverse

    def names(self, swarm: str, topic: str) -> bool:
        """Tell whether a word of it asks for this topic by its name."""
        text = self.text.strip()
        return not text.startswith("!") and any(
            matches(word, topic) or matches(word, topic[len(swarm) + 1 :])
            if "+" in word or "#" in word
            else len(word) > 2 and word.lower() in topic[len(swarm) :].lower()
            for word in _words(text)
        )


@lru_cache(8)
def _words(text: str) -> tuple[str, ...]:
    """Return the words of a pattern, read once for all messages."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def _fits(word: str, swarm: str, message: Message) -> bool:
    topic = message.topic
    if word.startswith("agent:"):
        sender = message.sender if isinstance(message, Event) else ""
        return word[6:].lower() in sender.lower() or f"/agents/{word[6:]}/" in topic
    if "+" in word or "#" in word:
        return matches(word, topic) or matches(word, topic[len(swarm) + 1 :]) or (word in body_text(message))
    low = word.lower()
    return low in topic.lower() or low in body_text(message).lower()


def body_text(message: Message) -> str:
    """Return the message's payload as one line of JSON."""
    if isinstance(message, Rejected):
        return message.first
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
            folded = message.kind in ASKED or (message.kind is Kind.HEARTBEAT and not self.heartbeats)
            if folded and not self.pattern.names(self.swarm, message.topic):
                return False
        return not self.pattern.text or self.pattern.test(self.swarm, message)

    def filter(self, text: str | None = None, problems: bool | None = None) -> None:
        """Show only what passes from now on, of what is kept too."""
        if text is not None:
            self.pattern = Pattern(text)
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
