"""SQLite as the journals use it: durable, versioned, and locked to one process."""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

#: SQLite's log begins anew after a thousand pages, and a commit may go somewhat beyond.
LOG_BYTES = 1_024 * (4_096 + 24)
#: It is grown where the free disk has room for so many of them.
ROOM_FOR_LOG = 20
#: The name under which a dispatcher's journal has who led after it; empty while that is the last one that led.
LED_BY = "led_by"


class JournalError(OSError):
    """The journal cannot be used; the text is one sentence that says why and what to do next."""


class JournalInUseError(JournalError):
    """Another process has the journal."""


def connect(path: Path, migrations: Sequence[str], *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open the database (0600) and bring it to the last schema. Raises JournalError.

    `migrations[n]` is the script that leads from version n to n + 1, run in one transaction with its number.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        migrate(db, migrations)
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"the journal {path} cannot be opened: {error}") from error
    return db


def grow_log(path: Path) -> None:
    """Give the write-ahead log of an open database the size at which it begins anew.

    Until it has it, each commit waits for the disk twice: for its pages, and for the file's new length.
    """
    with suppress(OSError):
        log = os.open(f"{path}-wal", os.O_WRONLY | os.O_CLOEXEC)
        try:
            there, room = os.fstat(log).st_size, os.fstatvfs(log)
            if there < LOG_BYTES < room.f_bavail * room.f_frsize // ROOM_FOR_LOG:
                # What is no frame ends the log for whoever reads it.
                os.pwrite(log, bytes(LOG_BYTES - there), there)
                os.fsync(log)
        finally:
            os.close(log)


def in_memory(migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database that lasts as long as its connection, for tests and simulations."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(db, migrations)
    return db


def migrate(db: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the migrations that the database has not had. Raises JournalError for a newer database, sqlite3.Error."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise JournalError(
            f"the journal has schema {version} and this program knows {len(migrations)}: run a newer swarm-tui"
        )
    for number in range(version, len(migrations)):
        db.executescript(f"BEGIN IMMEDIATE; {migrations[number]}; PRAGMA user_version={number + 1}; COMMIT;")


def lock(path: Path) -> IO[str]:
    """Hold the lock until the returned file is closed or the process ends. Raises JournalInUseError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise JournalInUseError(f"another dispatcher (pid {holder}) has {path.parent}") from None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle
