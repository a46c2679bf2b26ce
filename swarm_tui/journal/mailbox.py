"""An agent's mailbox: what came, what was read, what it sent. The agent and the programs of its tasks share it."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.domain.mail.model import LONGEST_LIFE
from swarm_tui.journal.db import JournalError, connect
from swarm_tui.protocol.mail_bodies import MessageNew

MIGRATIONS = (
    """
    CREATE TABLE inbox (
        seq INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, task TEXT, expires REAL NOT NULL, came REAL NOT NULL,
        read REAL, reader TEXT, told INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL
    );
    CREATE INDEX inbox_unread ON inbox (seq) WHERE read IS NULL;
    CREATE INDEX inbox_untold ON inbox (seq) WHERE read IS NOT NULL AND told = 0;
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, sent REAL NOT NULL, body BLOB NOT NULL
    )
    """,
)
#: Messages that are read at a time; and those that are remembered at least, so that none is taken twice.
AT_ONCE, REMEMBERED = 100, 1000
#: Seconds for which each is, whatever their number: none comes again after that.
KEPT = LONGEST_LIFE + 86_400.0
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MessageNew).decode


class Mailbox:
    """A file that is made with the first message. Thread-safe; times are wall time.

    Methods raise JournalError when the disk does not do what they want.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise JournalError(f"the mailbox {self._path}: {error}") from error

    def _open(self, *, make: bool) -> sqlite3.Connection | None:
        if self._db is None and (make or self._path.exists()):
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise JournalError(f"the mailbox {self._path} cannot be made: {error.strerror}") from error
            self._db = connect(self._path, MIGRATIONS, synchronous="NORMAL")
        return self._db

    def take(self, message: MessageNew, now: float) -> bool | None:
        """Keep a message, once. Returns whether it was read already; None when it is new."""
        with self._working():
            db = self._open(make=True)
            assert db is not None
            expires = message.expires_at if message.expires_at is not None else now + LONGEST_LIFE
            new = db.execute(
                "INSERT OR IGNORE INTO inbox (message_id, task, expires, came, body) VALUES (?, ?, ?, ?, ?)",
                (message.message_id, message.task_id, expires, now, _encode(message)),
            )
            if new.rowcount:
                return None
            found = db.execute("SELECT read FROM inbox WHERE message_id = ?", (message.message_id,)).fetchone()
            return found[0] is not None

    def read(self, now: float, task_id: str | None = None, others: Iterable[str] = ()) -> list[MessageNew]:
        """Take out what nobody has read, oldest first; each is given once, whoever asks.

        What is about one of the tasks in `others` is left to that.
        """
        theirs = tuple(other for other in others if other != task_id)
        marks = ",".join("?" * len(theirs))
        rest = f"AND (task IS NULL OR task NOT IN ({marks}))" if theirs else ""
        return self._read(
            f"SELECT seq, body FROM inbox WHERE read IS NULL AND expires > ? {rest} ORDER BY seq LIMIT ?",
            (now, *theirs, AT_ONCE),
            now,
            task_id,
        )

    def read_one(self, message_id: str, now: float, task_id: str | None = None) -> MessageNew | None:
        """Take out one message; None when it is not there, or was read."""
        sql = "SELECT seq, body FROM inbox WHERE read IS NULL AND message_id = ?"
        return next(iter(self._read(sql, (message_id,), now, task_id)), None)

    def read_answer(self, reply_to: str, now: float, task_id: str | None = None) -> MessageNew | None:
        """Take out the answer to a message; None when it has not come, or another task has read it.

        What the same task has read is given again: another attempt asks what one before it asked.
        """
        sql = "SELECT read, body FROM inbox WHERE read IS NULL OR reader = ? ORDER BY seq"
        for read, body in self._rows(sql, task_id):
            message = _decode(body)
            if message.reply_to == reply_to:
                return message if read is not None else self.read_one(message.message_id, now, task_id)
        return None

    def _read(self, sql: str, values: tuple[object, ...], now: float, task_id: str | None) -> list[MessageNew]:
        with self._working():
            db = self._open(make=False)
            if db is None:
                return []
            db.execute("BEGIN IMMEDIATE")
            try:
                found = db.execute(sql, values).fetchall()
                db.executemany(
                    "UPDATE inbox SET read = ?, reader = ? WHERE seq = ?", [(now, task_id, seq) for seq, _ in found]
                )
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return [_decode(body) for _, body in found]

    def unread(self) -> list[MessageNew]:
        """Return what nobody has read, oldest first, and leave it where it is."""
        return [_decode(body) for (body,) in self._rows("SELECT body FROM inbox WHERE read IS NULL ORDER BY seq")]

    def has_unread(self, now: float) -> bool:
        """Return whether something waits to be read, and may still be."""
        return bool(self._rows("SELECT 1 FROM inbox WHERE read IS NULL AND expires > ? LIMIT 1", now))

    def untold(self) -> list[tuple[str, str | None]]:
        """Return what was read, with its reader's task, where nobody has confirmed that he knows of it."""
        sql = "SELECT message_id, reader FROM inbox WHERE read IS NOT NULL AND told = 0 ORDER BY seq"
        return [(message_id, reader) for message_id, reader in self._rows(sql)]

    def told(self, message_id: str) -> None:
        """Note that it is known that the message was read."""
        self._write("UPDATE inbox SET told = 1 WHERE message_id = ? AND read IS NOT NULL", message_id)

    def keep_sent(self, message: MessageNew, now: float) -> None:
        """Keep what is to be said until it is accepted."""
        with self._working():
            db = self._open(make=True)
            assert db is not None
            db.execute(
                "INSERT OR IGNORE INTO outbox (message_id, sent, body) VALUES (?, ?, ?)",
                (message.message_id, now, _encode(message)),
            )

    def settled(self, message_id: str) -> None:
        """Note that a message of ours is accepted, or refused for good."""
        self._write("DELETE FROM outbox WHERE message_id = ?", message_id)

    def unsent(self) -> list[MessageNew]:
        """Return what is to be said, oldest first."""
        return [_decode(body) for (body,) in self._rows("SELECT body FROM outbox ORDER BY seq")]

    def prune(self, now: float) -> None:
        """Forget what came so long ago that it cannot come again, and that nobody waits for its receipt any more."""
        newest = "(SELECT seq FROM inbox ORDER BY seq DESC LIMIT ?)"
        self._write(
            f"DELETE FROM inbox WHERE came < ? AND seq NOT IN {newest}",
            now - KEPT,
            REMEMBERED,
        )

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._working():
            db = self._open(make=False)
            return [] if db is None else db.execute(sql, values).fetchall()

    def _write(self, sql: str, *values: object) -> None:
        with self._working():
            db = self._open(make=False)
            if db is not None:
                db.execute(sql, values)
