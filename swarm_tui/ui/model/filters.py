"""Filters as people type them: words, and facts by name (`state:failed type:testing.* since:5m`)."""

import shlex
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache, reduce
from typing import Any, Protocol

from msgspec import Struct

from swarm_tui.protocol.moments import read_moment

#: The facts that can be asked for by name.
FACTS = frozenset({"agent", "task", "type", "state", "role", "host"})
TIMES = frozenset({"since", "until"})
Facts = Mapping[str, str | None]


class Rows(Protocol):
    """Rows of one kind, as filters see them."""

    def has(self, word: str, *, of_all: bool) -> Callable[[Any], bool]:
        """Return what tells whether a row has the word, which is in small letters; `of_all` rows there are now."""
        ...

    def facts(self) -> Mapping[str, Callable[[Any], str | None]]:
        """Return what gives a row's facts, by their names."""
        ...

    def heard(self, row: Any) -> float | None:
        """Return when something was last heard of the row."""
        ...


class Known(dict[Any, bool]):
    """Values that were looked at, and whether they are what is wanted: of many rows few values differ."""

    def __init__(self, test: Callable[[str], bool]) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, value: str | None) -> bool:
        self[value] = found = self._test((value or "").lower())
        return found


class Filter(Struct, frozen=True):
    """A filter, read: `words` must all be there, `facts` must be as wanted, `times` bound the moment."""

    inverse: bool = False
    words: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    times: tuple[tuple[str, str], ...] = ()

    def compiled(self, rows: Rows, now: float, *, of_all: bool) -> Callable[[Any], bool]:
        """Return what tells whether a row passes; `of_all`: it is asked of all rows there are now, at once."""
        checks: list[Callable[[Any], bool]] = [rows.has(word.lower(), of_all=of_all) for word in self.words]
        facts = rows.facts()
        checks += [_fact(facts.get(name), wanted) for name, wanted in self.facts]
        checks += [_heard(name, read_moment(text, now), rows.heard) for name, text in self.times]
        if not checks:
            return lambda row: True
        check = reduce(_both, checks)
        return (lambda row: not check(row)) if self.inverse else check

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


def _fact(get: Callable[[Any], str | None] | None, wanted: str) -> Callable[[Any], bool]:
    """Return what tells whether a row's fact is what is wanted; rows that have no such fact have none of it."""
    known = Known(lambda value: _fits(wanted, value))
    if get is None:
        found = known[None]
        return lambda row: found
    return lambda row: known[get(row)]


def _both(one: Callable[[Any], bool], other: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda row: one(row) and other(row)


def _heard(name: str, moment: float, heard: Callable[[Any], float | None]) -> Callable[[Any], bool]:
    """Return what tells whether something was heard of a row since that moment, or until then."""
    if name == "since":
        return lambda row: (at := heard(row)) is not None and at >= moment
    return lambda row: (at := heard(row)) is not None and at <= moment


def is_narrower(text: str, before: str) -> bool:
    """Tell whether whatever passes the one filter passed the other, as when a letter more was typed."""
    one, other = read_filter(text), read_filter(before)
    if one.inverse or other.inverse or other.times or other.facts or one.times:
        return False
    return all(any(old.lower() in word.lower() for word in one.words) for old in other.words)


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
