"""Reader of a CLI's own log of a session: what its model took, known of killed processes too."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from glob import escape, glob
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.agent.conversation.spec import SessionLog, find, fits
from swarm_tui.domain.usage import Price, Usage, priced

#: Bytes of one log that are read at most: a longer one is left alone, and what it says is not known.
MOST_BYTES = 512 * 1024 * 1024


class ModelCall(Struct, frozen=True):
    """Answer of the model: its name, and what it took; `usage` is None while, or because, that was not written."""

    model: str | None
    usage: Usage | None


class Logged(Struct, frozen=True):
    """All that a session has in its log: the answers, and whether the last question had none when it was read."""

    calls: tuple[ModelCall, ...]
    waiting: bool = False

    @property
    def untold(self) -> int:
        """Return how many calls of the model began of which it is not written what they took."""
        return sum(call.usage is None for call in self.calls) + self.waiting

    def usage(self, prices: Mapping[str, Price], model: str | None) -> Usage:
        """Return the sum; `model` is that of calls that name none. Its cost is None where a price is not known."""
        whole = Usage()
        for call in self.calls:
            if call.usage is not None:
                whole = whole.plus(priced(call.usage, call.model or model, prices))
        return whole

    def dearest(self, prices: Mapping[str, Price], model: str | None) -> float:
        """Return the cost of the call that cost most, in US dollars; 0 where none has a price."""
        known = (priced(call.usage, call.model or model, prices).cost for call in self.calls if call.usage is not None)
        return max((cost for cost in known if cost is not None), default=0.0)


class SessionLogReader:
    """Reads the log of one session, each time only what was added. Used by one thread at a time."""

    def __init__(self, spec: SessionLog, environment: Mapping[str, str], session: str) -> None:
        """Make it; `environment` is the CLI's, whose variables say where it writes."""
        self._spec = spec
        self.session = session
        self._folder = Path(environment.get(spec.home) or Path(environment.get("HOME", "~")) / spec.folder).expanduser()
        self._at: dict[str, int] = {}
        """Bytes of each file that were read."""
        self._calls: dict[str, ModelCall] = {}
        self._waiting: dict[str, bool] = {}
        self.interrupts = 0
        """Turns that a person has ended, as far as was read."""

    def read(self) -> Logged | None:
        """Return what the session has in its log by now; None where there is none that can be read."""
        try:
            files = self._files()
            for file in files:
                if self._spec.query:
                    self._take_all(file, self._rows(file))
                else:
                    self._take_all(file, self._lines(file))
        except (OSError, sqlite3.Error):
            return None
        if not files or not (self._calls or self._waiting):
            return None
        return Logged(calls=tuple(self._calls.values()), waiting=any(self._waiting.values()))

    def _files(self) -> list[str]:
        # A session's name is the CLI's word: as part of a pattern it stands for itself, and for no path.
        name = escape(self.session.replace("/", "_"))
        patterns = [one.replace("{session}", name).replace("{session:8}", name[:8]) for one in self._spec.files]
        return sorted({file for one in patterns for file in glob(one, root_dir=self._folder, recursive=True)})

    def _lines(self, file: str) -> Iterator[bytes]:
        with (self._folder / file).open("rb") as stream:
            size = stream.seek(0, 2)
            at = self._at.get(file, 0)
            if size < at:
                # Written anew: what is in it is known by its names.
                at = 0
            if size - at > MOST_BYTES:
                raise OSError(f"{file} is too large")
            stream.seek(at)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                at += len(line)
                self._at[file] = at
                yield line

    def _rows(self, file: str) -> Iterator[bytes]:
        path = f"file:{escape_uri(str(self._folder / file))}?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=1.0)) as base:
            for key, row in base.execute(self._spec.query, (self.session,)):
                yield msgspec.json.encode({"key": key, "data": msgspec.Raw(str(row).encode())})

    def _take_all(self, file: str, lines: Iterator[bytes]) -> None:
        for line in lines:
            try:
                entry = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if isinstance(entry, dict):
                self._take(file, entry)

    def _take(self, file: str, entry: dict[str, Any]) -> None:
        spec = self._spec
        if any(fits(entry, when) for when in spec.asked):
            self._waiting[file] = True
        self.interrupts += any(fits(entry, when) for when in spec.interrupted)
        if not fits(entry, spec.answered) or not isinstance(key := next(iter(find(entry, spec.key)), None), str):
            return
        self._waiting[file] = False
        used = self._usage(entry)
        # An answer is written more than once; what it took may come with any of these.
        if used is not None or (spec.empty_first and key not in self._calls):
            names = [name for name in find(entry, spec.model) if isinstance(name, str)] if spec.model else []
            self._calls[key] = ModelCall(names[0] if names else None, used)

    def _usage(self, entry: dict[str, Any]) -> Usage | None:
        sums = [
            int(sum(value for path in paths for value in find(entry, path) if _is_number(value)))
            for paths in (self._spec.tokens_in, self._spec.tokens_out, self._spec.tokens_cached)
        ]
        used = Usage(tokens_in=max(0, sums[0]), tokens_out=max(0, sums[1]), tokens_cached=max(0, sums[2]))
        return None if used.is_nothing else used


def escape_uri(path: str) -> str:
    """Return a path as SQLite's URIs have it."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15
