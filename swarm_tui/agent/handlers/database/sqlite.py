"""Opens SQLite files: copies them while they are in use, and proves a copy whole."""

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
def opened(
    path: Path, *, write: bool = False, shown: Path | None = None, wait: float = BUSY
) -> Iterator[sqlite3.Connection]:
    """Yield a connection without implicit transactions; a file that is not there is never made.

    Raises HandlerError for all that SQLite raises within, naming `shown` (the file that a copy is of): `locked`, which
    is retryable, after `wait` s, `not-written`, or `not-a-database`.
    """
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={'rw' if write else 'ro'}", uri=True, timeout=wait, isolation_level=None
        )
        with contextlib.closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise _failure(shown or path, error, wait) from error


def _failure(path: Path, error: sqlite3.Error, wait: float) -> HandlerError:
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        message = f"{path} is locked by another program, for over {wait:g} s"
        return HandlerError(message, code="locked", retryable=True)
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return HandlerError(f"{path} cannot be written: {error}", code="not-written")
    if kind == sqlite3.SQLITE_CANTOPEN:
        return HandlerError(f"{path} cannot be opened: {error}", code="not-found")
    if kind == sqlite3.SQLITE_CORRUPT:
        return HandlerError(f"{path} is damaged: {error}", code="damaged")
    return HandlerError(f"{path}: {error}", code="not-a-database")


def copy(
    source: Path,
    target: Path,
    stop: Callable[[], bool],
    said: Callable[[float], None] = lambda _: None,
    *,
    wait: float = BUSY,
) -> None:
    """Copy a database that may be in use to a new file, 0600.

    Raises HandlerError: `cancelled`, `locked`, or `not-a-database` with SQLite's own words.
    """

    def step(status: int, remaining: int, total: int) -> None:
        if stop():
            raise HandlerError("cancelled while it was copied", code="cancelled")
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            # Left alone, the copy would try again for ever; SQLite has waited its `wait` seconds by now.
            message = f"{source} is locked by another program, for over {wait:g} s"
            raise HandlerError(message, code="locked", retryable=True)
        said(100 * (total - remaining) / total if total else 100)

    target.touch(mode=0o600)
    with opened(source, wait=wait) as from_, opened(target, write=True, shown=source) as to:
        from_.backup(to, pages=PAGES, progress=step, sleep=0.01)
        # A copy stands alone: it must not need a write-ahead log beside it.
        to.execute("PRAGMA journal_mode=DELETE")


def prove(path: Path, shown: Path | None = None) -> dict[str, int]:
    """Return the rows of each table of a database that SQLite finds whole.

    Raises HandlerError (`damaged`) that names `shown`, the file that `path` is a copy of.
    """
    with opened(path, shown=shown) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        if problems != ["ok"]:
            raise HandlerError(f"{shown or path} is damaged: {'; '.join(problems)}", code="damaged")
        return {name: _count(connection, name) for name in _tables(connection)}


def schema(path: Path) -> list[tuple[str, str | None]]:
    """Return the names and definitions in a database, in order."""
    with opened(path) as connection:
        return list(connection.execute("SELECT name, sql FROM sqlite_master ORDER BY type, name"))


@contextlib.contextmanager
def required(path: Path, *, create: bool) -> Iterator[None]:
    """Raise HandlerError (`not-found`) unless the file is there, or may be made (0600).

    A file that was made goes again when what is done within fails before it holds anything.
    """
    made = not path.is_file()
    if made and not create:
        raise HandlerError(f"target: {path} is not there; `create` makes it", code="not-found")
    try:
        if made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
    except OSError as error:
        raise HandlerError(f"target: {path} cannot be made: {error}", code="not-written") from error
    try:
        yield
    except BaseException:
        if made and path.is_file() and path.stat().st_size == 0:
            path.unlink()
        raise


def broken_references(connection: sqlite3.Connection) -> int:
    """Return how many rows refer to rows that are not there."""
    return sum(1 for _ in connection.execute("PRAGMA foreign_key_check"))


def sha256(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
    return sorted(row[0] for row in rows)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])
