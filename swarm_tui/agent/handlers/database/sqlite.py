"""Copies of SQLite files for backups and migrations: copy it while it is in use, and prove a copy whole."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm_tui.agent.handlers.base import HandlerError

#: Pages copied in one step, between which others may write.
PAGES = 2000
#: Seconds to wait for another writer.
BUSY = 15.0


@contextlib.contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection without implicit transactions; a file that is not there is never made. Raises HandlerError."""
    mode = "rw" if write else "ro"
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=BUSY, isolation_level=None
        )
    except sqlite3.Error as error:
        raise HandlerError(f"{path} cannot be opened: {error}", code="not-found") from error
    with contextlib.closing(connection):
        yield connection


def copy(source: Path, target: Path, stop: Callable[[], bool], said: Callable[[float], None] = lambda _: None) -> None:
    """Copy a database that may be in use to a new file, 0600.

    Raises HandlerError: `cancelled`, or `not-a-database` with SQLite's own words.
    """

    def step(_: int, remaining: int, total: int) -> None:
        if stop():
            raise HandlerError("cancelled while it was copied", code="cancelled")
        said(100 * (total - remaining) / total if total else 100)

    target.touch(mode=0o600)
    try:
        with opened(source) as from_, opened(target, write=True) as to:
            from_.backup(to, pages=PAGES, progress=step, sleep=0.01)
            # A copy stands alone: it must not need a write-ahead log beside it.
            to.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise HandlerError(f"{source} cannot be copied: {error}", code="not-a-database") from error


def prove(path: Path) -> dict[str, int]:
    """The rows of each table of a database that SQLite finds whole. Raises HandlerError (`damaged`)."""
    try:
        with opened(path) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            if problems != ["ok"]:
                raise HandlerError(f"{path} is damaged: {'; '.join(problems)}", code="damaged")
            return {name: _count(connection, name) for name in _tables(connection)}
    except sqlite3.Error as error:
        raise HandlerError(f"{path} is damaged: {error}", code="damaged") from error


def schema(path: Path) -> list[tuple[str, str | None]]:
    """The names and definitions in a database, in order."""
    with opened(path) as connection:
        return list(connection.execute("SELECT name, sql FROM sqlite_master ORDER BY type, name"))


def broken_references(connection: sqlite3.Connection) -> int:
    """Return how many rows refer to rows that are not there."""
    return sum(1 for _ in connection.execute("PRAGMA foreign_key_check"))


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
    return sorted(row[0] for row in rows)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])
