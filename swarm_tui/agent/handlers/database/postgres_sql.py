"""Reads PostgreSQL scripts as psql does: where a statement begins and ends, and what may not be run."""

import re
from collections.abc import Iterator

from msgspec import Struct

from swarm_tui.agent.handlers.base import HandlerError

_WORD = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*"
_TOKEN = re.compile(
    r"(?P<space>[ \t\n\r\f\v]+|--[^\n]*)"
    r"|(?P<comment>/\*)"
    r"|(?P<escaped>[eE]')"
    r"|(?P<string>')"
    r'|(?P<name>")'
    r"|(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)"
    r"|(?P<number>\$?[0-9][A-Za-z0-9_.$\x80-\U0010ffff]*'?)"
    rf"|(?P<word>{_WORD})"
    r"|(?P<backslash>\\\S*)"
    r"|(?P<end>;)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_ESCAPED = re.compile(r"['\\]")
#: By which psql goes on with a string on a later line.
_CONTINUED = re.compile(r"[ \t\f\v]*\n(?:[ \t\n\f\v]|--[^\n]*\n)*'")
#: Words that would end our transaction, as a statement's first.
_ENDS = frozenset({"begin", "commit", "rollback", "end", "abort"})
#: A statement's words that are kept: what decides stands in front.
_KEPT = 40


class ScriptError(HandlerError):
    """A script that may not be run, or that psql could read otherwise than we do; `line` is where."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"{line}: {why}", code="bad-migrations")


class Statement(Struct, frozen=True, kw_only=True):
    """A statement: its first line of code, its last line, its words in lower case (not those in quotes)."""

    line: int
    last: int
    words: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Return whether PostgreSQL refuses it within a transaction."""
        match self.words[:2]:
            case ("vacuum", *_) | ("alter", "system") | ("create" | "drop", "database" | "tablespace"):
                return True
            case ("create", "unique" | "index") | ("drop", "index"):
                return "concurrently" in self.words[2:4]
            case ("reindex", kind):
                return kind in ("schema", "database", "system") or "concurrently" in self.words
            case ("alter", "table"):
                return "detach" in self.words and "concurrently" in self.words
        return False

    @property
    def beside(self) -> bool:
        """Return whether it may stand in one file with those: it can be run again, or changes only the session."""
        return self.words[:1] in (("set",), ("reset",), ("select",), ("analyze",)) or self.words[:2] == (
            "drop",
            "index",
        )


def read(sql: str) -> list[Statement]:
    """Return the statements of a script, in one pass. Raises ScriptError for one that may not be run."""
    return list(_Reader(sql).statements())


def refused(sql: str) -> str | None:
    """Return `line: reason` where a script could leave our transaction or run programs by psql's commands."""
    try:
        read(sql)
    except ScriptError as error:
        return str(error)
    return None


class _Reader:
    """Walks a script once; `_line` is the line of `_counted`."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._line, self._counted = 1, 0
        self._words: list[str] = []
        self._first = 0
        self._parens = self._begun = 0

    def statements(self) -> Iterator[Statement]:
        sql, place = self._sql, 0
        while token := _TOKEN.match(sql, place):
            kind, start, place = token.lastgroup, token.start(), token.end()
            if kind == "space":
                continue
            if kind == "comment":
                place = self._comment(start)
                continue
            if kind == "end" and self._parens == 0 and self._begun == 0:
                if self._first:
                    yield self._statement(start)
                continue
            if not self._first:
                self._first = self._at(start)
            if kind == "word":
                self._word(token[0].lower(), start)
            elif kind == "backslash" or (kind == "number" and token[0].endswith("'")):
                # A quote behind a number begins another kind of string in some releases of psql than in others.
                self._refuse(start, f"it may not {token[0][:60]}")
            elif kind == "other":
                self._parens += {"(": 1, ")": -1 if self._parens else 0}.get(token[0], 0)
            elif kind in ("escaped", "string", "name", "dollar"):
                place = self._quoted(kind, token[0], start, place)
        if self._first:
            yield self._statement(len(sql))

    def _at(self, place: int) -> int:
        self._line += self._sql.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _refuse(self, place: int, why: str) -> None:
        raise ScriptError(self._sql.count("\n", 0, place) + 1, why)

    def _statement(self, end: int) -> Statement:
        words = tuple(self._words)
        if (words[:1] and words[0] in _ENDS) or words[:2] in (("start", "transaction"), ("prepare", "transaction")):
            raise ScriptError(self._first, f"it may not {' '.join(words[:2]) if words[0] not in _ENDS else words[0]}")
        found = Statement(line=self._first, last=self._at(end), words=words)
        self._words, self._first, self._parens, self._begun = [], 0, 0, 0
        return found

    def _word(self, word: str, start: int) -> None:
        if word == "standard_conforming_strings":
            self._refuse(start, f"it may not change {word}")
        # The body of an SQL function, BEGIN ATOMIC … END, holds semicolons.
        if self._parens == 0 and _makes_a_routine(self._words):
            if word == "begin" or (word == "case" and self._begun):
                self._begun += 1
            elif word == "end" and self._begun:
                self._begun -= 1
        if len(self._words) < _KEPT:
            self._words.append(word)

    def _comment(self, start: int) -> int:
        depth, place = 1, start + 2
        while depth:
            found = _COMMENT.search(self._sql, place)
            if found is None:
                self._refuse(start, "/* is not closed")
                break
            depth += 1 if found[0] == "/*" else -1
            place = found.end()
        return place

    def _quoted(self, kind: str, opened: str, start: int, place: int) -> int:
        """Return where what is quoted ends; psql reads no command within it."""
        sql = self._sql
        if kind != "escaped":
            end = {"string": "'", "name": '"'}.get(kind, opened)
            found = sql.find(end, place)
            if found < 0:
                self._refuse(start, f"{opened} is not closed")
            return found + len(end)
        while True:
            match = _ESCAPED.search(sql, place)
            if match is None:
                self._refuse(start, "' is not closed")
                break
            place = match.end() + (match[0] == "\\")
            if match[0] == "'":
                again = _CONTINUED.match(sql, place)
                if not sql.startswith("'", place) and again is None:
                    break
                place = again.end() if again is not None else place + 1
        return place


def _makes_a_routine(words: list[str]) -> bool:
    kind = words[3:4] if words[1:3] == ["or", "replace"] else words[1:2]
    return words[:1] == ["create"] and kind in (["function"], ["procedure"])
