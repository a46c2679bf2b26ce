"""Filters as people type them: words, and facts by name (`state:failed type:testing.* since:5m`)."""

import shlex
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct

from swarm_tui.protocol.moments import read_moment

#: The facts that can be asked for by name.
FACTS = frozenset({"agent", "task", "type", "state", "role", "host"})
TIMES = frozenset({"since", "until"})
Facts = Mapping[str, str | None]


class Searched(Struct, frozen=True):
    """A row as filters see it: its `words`, its `facts` by name, and when something was last heard of it."""

    words: str
    facts: Facts
    at: float | None


class Filter(Struct, frozen=True):
    """A filter, read: `words` must all be there, `facts` must be as wanted, `times` bound the moment."""

    inverse: bool = False
    words: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    times: tuple[tuple[str, str], ...] = ()

    def takes(self, row: Searched, now: float) -> bool:
        """Tell whether the row passes."""
        low = row.words.lower()
        return self.passes(lambda word: word.lower() in low, lambda: row.facts, row.at, now)

    def passes(self, has: Callable[[str], bool], facts: Callable[[], Facts], at: float | None, now: float) -> bool:
        """Tell whether something passes of which `has(word)` is known, at moment `at`, None where it has none."""
        if not (self.words or self.facts or self.times):
            return True
        found = (
            all(_in_time(name, text, at, now) for name, text in self.times)
            and all(map(has, self.words))
            and (not self.facts or _as_wanted(self.facts, facts()))
        )
        return found != self.inverse


@lru_cache(16)
def read_filter(text: str) -> Filter:
    """Return the filter of a text; what names no fact, and a time that is none, is a word."""
    text = text.strip()
    inverse = text.startswith("!")
    words, facts, times = [], [], []
    for word in _split(text.removeprefix("!")):
        name, colon, value = word.partition(":")
        if colon and value and name in FACTS:
            facts.append((name, value.lower()))
        elif colon and name in TIMES and _is_moment(value):
            times.append((name, value))
        else:
            words.append(word)
    return Filter(inverse, tuple(words), tuple(facts), tuple(times))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _is_moment(text: str) -> bool:
    try:
        read_moment(text, 0.0)
    except ValueError:
        return False
    return True


def _in_time(name: str, text: str, at: float | None, now: float) -> bool:
    if at is None:
        return False
    try:
        moment = read_moment(text, now)
    except ValueError:
        return False
    return at >= moment if name == "since" else at <= moment


def _as_wanted(wanted: tuple[tuple[str, str], ...], facts: Facts) -> bool:
    return all(_fits(value, (facts.get(name) or "").lower()) for name, value in wanted)


def _fits(wanted: str, value: str) -> bool:
    """Tell whether the value is what is wanted: a part of it, or, with `*` or `?`, all of it."""
    return fnmatchcase(value, wanted) if "*" in wanted or "?" in wanted else wanted in value
