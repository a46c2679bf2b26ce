"""The flight recorder on disk: SQLite, written in batches by a thread of its own, bounded by age and by size."""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from swarm_tui.journal.db import JournalError, connect
from swarm_tui.journal.record_reader import prepare, read_history, read_keyframe, read_step, read_timeline
from swarm_tui.journal.recorder_port import (
    HistoryQuery,
    Keyframe,
    Recorded,
    RecorderStats,
    Timeline,
    bounded_parts,
    cut,
    limit_of,
)

COMMIT_EVERY = 0.5
MAX_AGE = 7 * 86400.0
MAX_SIZE = 256 * 1024 * 1024
MAX_PENDING = 64 * 1024 * 1024
_TRIM_EVERY = 60.0
_PAGE = 4096
_OVERHEAD = 200
T = TypeVar("T")
_log = logging.getLogger("swarm_tui.journal")

MIGRATIONS = (
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, agent TEXT, task TEXT
    );
    CREATE INDEX message_at ON message (at);
    CREATE INDEX message_agent ON message (agent, at) WHERE agent IS NOT NULL;
    CREATE INDEX message_task ON message (task, at) WHERE task IS NOT NULL
    """,
    """
    ALTER TABLE message ADD COLUMN retained INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE message ADD COLUMN mark TEXT;
    CREATE INDEX message_event ON message (at) WHERE mark IS NOT NULL;
    CREATE INDEX message_mark ON message (at) WHERE mark IS NOT NULL AND mark != 'event';
    CREATE TABLE keyframe (at REAL PRIMARY KEY, id INTEGER NOT NULL, state BLOB NOT NULL)
    """,
    """
    ALTER TABLE message ADD COLUMN proved TEXT;
    ALTER TABLE message ADD COLUMN refused TEXT
    """,
)


class SqliteRecorder:
    """Keeps messages in `path`; the files there, its write-ahead log too, never exceed `max_size` bytes.

    What a SIGKILL costs is what came since the last commit, at most `commit_every` seconds. A file that is damaged is
    put aside as `<path>.damaged`. Raises JournalError when the file cannot be opened; a disk that fails later costs
    messages, which are counted as dropped, and nothing else.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age: float = MAX_AGE,
        max_size: int = MAX_SIZE,
        commit_every: float = COMMIT_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._max_age = max_age
        self._commit_every = commit_every
        self._clock = clock
        # An eighth for the log, an eighth of slack: the rest for the database itself.
        self._max_batch = max(64 * 1024, min(4 * 1024 * 1024, max_size // 16))
        self._max_pages = max(64, max_size * 3 // 4 // _PAGE)
        self._log_limit = max(_PAGE * 16, max_size // 8)
        self._db = _opened(path)
        self._db.execute(f"PRAGMA max_page_count={self._max_pages}")
        self._db.execute(f"PRAGMA journal_size_limit={self._log_limit}")
        self._db.execute(f"PRAGMA wal_autocheckpoint={max(16, self._log_limit // _PAGE // 2)}")
        self._reader = connect(path, MIGRATIONS, synchronous="NORMAL")
        prepare(self._reader)
        self._read_lock = threading.Lock()
        self._pending: deque[Recorded | Keyframe] = deque()
        self._pending_size = 0
        self._dropped = 0
        self._failed = ""
        self._trimmed = 0.0
        self._wake = threading.Condition()
        self._added = self._written = 0
        self._hurry = self._closing = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, message: Recorded) -> None:
        """Keep one message, from the next commit on; returns at once."""
        message = cut(message)
        size = _size(message)
        with self._wake:
            if self._closing or self._pending_size + size > MAX_PENDING:
                self._dropped += 1
                return
            self._pending.append(message)
            self._pending_size += size
            self._added += 1
            if self._pending_size > self._max_batch:
                self._wake.notify_all()

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """Keep a keyframe, which holds for all messages that were added before it."""
        with self._wake:
            if not self._closing and self._pending_size + len(keyframe.state) <= MAX_PENDING:
                self._pending.append(keyframe)
                self._pending_size += _size(keyframe)
                self._added += 1

    def flush(self) -> None:
        """Return when all that was added is kept, or it is known that it cannot be."""
        with self._wake:
            target = self._added
            self._hurry = True
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._written >= target or not self._thread.is_alive(), 10.0)

    def history(self, query: HistoryQuery) -> list[Recorded]:
        """Return the newest messages that match, oldest first."""
        nothing: list[Recorded] = []
        return self._read(lambda db: read_history(db, query, limit_of(query)), nothing)

    def keyframe(self, at: float) -> Keyframe | None:
        """Return the newest keyframe of that moment or before."""
        return self._read(lambda db: read_keyframe(db, at), None)

    def timeline(self, since: float, until: float, parts: int) -> Timeline:
        """Return the span in so many parts."""
        nothing = Timeline(since=since, until=until, oldest=None, density=[0] * bounded_parts(parts), marks=[])
        return self._read(lambda db: read_timeline(db, since, until, parts), nothing)

    def step(self, at: float, forward: bool) -> float | None:
        """Return when the next event after that moment was, or the last one before it; None at the end."""
        return self._read(lambda db: read_step(db, at, forward), None)

    def _read(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._read_lock:
            try:
                return work(self._reader)
            except sqlite3.Error as error:
                _log.warning("the recorder cannot be read: %s", error)
                return otherwise

    @property
    def failure(self) -> str:
        """Why the last messages could not be kept; empty while they can."""
        return self._failed

    def stats(self) -> RecorderStats:
        """Return how much is kept."""
        with self._read_lock:
            try:
                stored, oldest = self._reader.execute("SELECT count(*), min(at) FROM message").fetchone()
            except sqlite3.Error:
                stored, oldest = 0, None
        return RecorderStats(stored=stored, dropped=self._dropped, size=self.size(), oldest=oldest)

    def size(self) -> int:
        """Return the bytes on disk, the write-ahead log and its index included."""
        total = 0
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                total += self._path.with_name(self._path.name + suffix).stat().st_size
        return total

    def close(self) -> None:
        """Keep what is pending and let go."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(10.0)
        with self._read_lock:
            self._reader.close()
        if not self._thread.is_alive():
            self._db.close()

    # On the recorder's own thread.

    def _run(self) -> None:
        self._shrink()
        while True:
            with self._wake:
                self._wake.wait_for(self._must_write, self._commit_every)
                batch, size = self._take()
                closing = self._closing and not self._pending
                self._hurry = self._hurry and bool(self._pending)
            if batch:
                self._write(batch)
            if not closing and self._clock() - self._trimmed > _TRIM_EVERY:
                self._trim_age()
            with self._wake:
                self._pending_size -= size
                self._written += len(batch)
                self._wake.notify_all()
            if closing:
                return

    def _must_write(self) -> bool:
        return self._closing or self._hurry or self._pending_size > self._max_batch

    def _take(self) -> tuple[list[Recorded | Keyframe], int]:
        batch: list[Recorded | Keyframe] = []
        size = 0
        while self._pending and size < self._max_batch:
            message = self._pending.popleft()
            batch.append(message)
            size += _size(message)
        return batch, size

    def _write(self, batch: list[Recorded | Keyframe]) -> None:
        for _ in range(8):
            try:
                self._insert(batch)
                self._checkpoint()
                self._failed = ""
                return
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                if "full" not in str(error) or not self._disk_has_room() or not self._trimmed_to_size():
                    self._failed = str(error)
                    break
        self._dropped += len(batch)
        _log.warning("%d messages were not recorded: %s", len(batch), self._failed)

    def _insert(self, batch: list[Recorded | Keyframe]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        messages = (m for m in batch if isinstance(m, Recorded))
        self._db.executemany(
            "INSERT INTO message (at, topic, payload, agent, task, retained, mark, proved, refused) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(_values, messages),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO keyframe (at, id, state) VALUES (?, (SELECT ifnull(max(id), 0) FROM message), ?)",
            [(k.at, k.state) for k in batch if isinstance(k, Keyframe)],
        )
        self._db.execute("COMMIT")

    def _checkpoint(self) -> None:
        """A reader can keep the log from being written back by itself: once it is half of what it may be, insist."""
        with contextlib.suppress(OSError, sqlite3.Error):
            if self._path.with_name(self._path.name + "-wal").stat().st_size > self._log_limit // 2:
                with self._read_lock:
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _disk_has_room(self) -> bool:
        """Return whether it is our own bound that was reached: to let the oldest go makes no room on a full disk."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize > 2 * self._max_batch

    def _trimmed_to_size(self) -> bool:
        """Let the oldest go; False when that cannot be done either."""
        try:
            return self._trim_size()
        except sqlite3.Error:
            return False

    def _trim_size(self) -> bool:
        """The database is as large as it may be: the oldest eighth goes. False when there is nothing to let go."""
        oldest, newest = self._db.execute("SELECT min(id), max(id) FROM message").fetchone()
        if oldest is None:
            return False
        # In small steps, so that no single transaction fills the log.
        end = oldest + max(1, (newest - oldest) // 8)
        step = max(1, (end - oldest) // 8)
        for upto in range(oldest + step, end + step, step):
            self._db.execute("DELETE FROM message WHERE id < ?", (upto,))
            self._db.execute("DELETE FROM keyframe WHERE id < ?", (upto,))
            self._checkpoint()
        return True

    def _shrink(self) -> None:
        """Bring a record that was kept under a larger bound down to this one: the oldest goes."""
        try:
            if self._pages("page_count") <= self._max_pages:
                return
            while self._pages("page_count") - self._pages("freelist_count") > self._max_pages * 7 // 8:
                if not self._trim_size():
                    break
            self._db.execute("VACUUM")
            with self._read_lock:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute(f"PRAGMA max_page_count={self._max_pages}")
        except sqlite3.Error as error:
            _log.warning("the record stays larger than its bound: %s", error)

    def _pages(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def _trim_age(self) -> None:
        self._trimmed = self._clock()
        limit = self._trimmed - self._max_age
        with contextlib.suppress(sqlite3.Error):
            while self._db.execute(
                "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE at < ? LIMIT 2000)", (limit,)
            ).rowcount:
                self._checkpoint()
            self._db.execute("DELETE FROM keyframe WHERE at < ?", (limit,))


def _values(m: Recorded) -> tuple[object, ...]:
    said = (m.at, m.topic, m.payload, m.agent_id, m.task_id, m.retained, m.mark)
    return (*said, m.proved or None, m.refused or None)


def _size(item: Recorded | Keyframe) -> int:
    """Return the bytes that the item takes while it waits."""
    held = item.state if isinstance(item, Keyframe) else item.payload
    return len(held) + _OVERHEAD + (0 if isinstance(item, Keyframe) else len(item.topic))


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return connect(path, MIGRATIONS, synchronous="NORMAL")
    except JournalError as error:
        damaged = isinstance(error.__cause__, sqlite3.DatabaseError)
        if not damaged or isinstance(error.__cause__, sqlite3.OperationalError):
            raise
        _log.warning("%s; it is put aside, and a new one begun", error)
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(f"{path.name}{suffix}.damaged"))
    return connect(path, MIGRATIONS, synchronous="NORMAL")
