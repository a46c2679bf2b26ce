"""The dispatcher's journal: every task as it is, and what must still be said, in one transaction."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.config.paths import StateDir
from swarm_tui.config.urls import same_broker, shown_url
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.mail.model import Mail
from swarm_tui.domain.states import OPEN
from swarm_tui.domain.workflows.run import Run
from swarm_tui.journal.db import JournalError, connect, grow_log, in_memory, lock
from swarm_tui.journal.mails import MAIL_TABLE, MailRows
from swarm_tui.journal.results import KEEP_DAYS, swept
from swarm_tui.journal.runs import RUN_TABLE, RunRows
from swarm_tui.protocol.envelope import Outgoing

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE task (
        task_id TEXT PRIMARY KEY, state TEXT NOT NULL, type TEXT NOT NULL, key TEXT,
        created REAL NOT NULL, ended REAL, body BLOB NOT NULL
    );
    CREATE INDEX task_state ON task (state, created);
    CREATE INDEX task_type ON task (type, created);
    CREATE INDEX task_created ON task (created);
    CREATE INDEX task_key ON task (key) WHERE key IS NOT NULL;
    CREATE INDEX task_ended ON task (ended) WHERE ended IS NOT NULL;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL
    )
    """,
    # AUTOINCREMENT writes a page of its own with each transaction.
    """
    CREATE TABLE outbox_plain (
        id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL
    );
    INSERT INTO outbox_plain SELECT id, task_id, attempt, kind, topic, payload, qos, retain FROM outbox;
    DROP TABLE outbox;
    ALTER TABLE outbox_plain RENAME TO outbox
    """,
    RUN_TABLE,
    MAIL_TABLE,
)
KEEP_TASKS = 100_000
#: Tasks that are forgotten in one go, and files of results that are looked at.
AT_ONCE = 2000

#: Levels of what is kept of a payload or a result: far above what any message nests, far below what the stack takes.
MAX_DEPTH = 64
#: Bits of the filter of ids.
_BITS = 2**23

_decode = msgspec.msgpack.Decoder(Job).decode
_encode = msgspec.msgpack.Encoder().encode
_UNFIT = (OverflowError, RecursionError, TypeError, ValueError)
_OPEN = tuple(sorted(state.value for state in OPEN))
#: Of an open run, what ended is referred to by what has not.
_NOT_REFERRED_TO = "(run IS NULL OR run NOT IN (SELECT run_id FROM run WHERE state = 'running'))"
_UPSERT = (
    "INSERT INTO task (task_id, state, type, key, created, ended, body, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (task_id) DO UPDATE SET state = excluded.state, ended = excluded.ended, body = excluded.body"
)
_INSERT = "INSERT INTO outbox (id, task_id, attempt, kind, topic, payload, qos, retain) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class OutboxRow(Struct, gc=False):
    """A message that must be said, as an outbox row; `row` is 0 until it is journaled."""

    message: Outgoing
    kind: str
    task_id: str
    attempt: int
    row: int = 0


class IdFilter:
    """A Bloom filter of a mebibyte, for to ask the table for an id that is not there costs each new task a read.

    What it does not hold was never added; of a million ids, it takes one other in twenty for one of them.
    """

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def add(self, name: str) -> None:
        """Hold the id from now on."""
        for at in _places(name):
            self._bits[at >> 3] |= 1 << (at & 7)

    def may_hold(self, name: str) -> bool:
        """Return whether the id may have been added; False: it never was."""
        return all(self._bits[at >> 3] & 1 << (at & 7) for at in _places(name))


class Journal:
    """A process's hold on one journal. Used by one thread. Methods raise sqlite3.Error when the disk does."""

    def __init__(self, path: Path | None) -> None:
        """`path` None keeps it in memory, without a lock. Raises JournalError."""
        self._lock: IO[str] | None = None
        self._last_row = 0
        self._ids = IdFilter()
        self._swept = () if path is None else swept(StateDir(path.parent))
        if path is None:
            self._db = in_memory(MIGRATIONS)
            self.runs, self.mails = RunRows(self._db), MailRows(self._db)
            return
        self._lock = lock(path.with_suffix(".lock"))
        try:
            self._db = connect(path, MIGRATIONS)
            self.runs, self.mails = RunRows(self._db), MailRows(self._db)
            self._look()
            grow_log(path)
        except (JournalError, sqlite3.Error):
            self._lock.close()
            raise

    def _look(self) -> None:
        """Learn what the tables hold already."""
        # What an earlier life said is acknowledged to nobody: a number that is free may be used again.
        self._last_row = int(self._db.execute("SELECT max(id) FROM outbox").fetchone()[0] or 0)
        for (task_id,) in self._db.execute("SELECT task_id FROM task"):
            self._ids.add(task_id)

    def bind(self, url: str, host: str, *, take_over: bool) -> str | None:
        """Tie the journal to its broker and host; None when it is, else the sentence that says whose it is."""
        bound = self.meta("url"), self.meta("host")
        if bound == (None, None) or take_over:
            self._db.execute("BEGIN IMMEDIATE")
            self.set_meta("url", shown_url(url))
            self.set_meta("host", host)
            self._db.execute("COMMIT")
            return None
        if bound[1] == host and bound[0] is not None and same_broker(bound[0], url):
            if bound[0] != shown_url(url):
                self._db.execute("BEGIN IMMEDIATE")
                self.set_meta("url", shown_url(url))
                self._db.execute("COMMIT")
            return None
        where = shown_url(bound[0] or "")
        return (
            f"this journal belongs to {bound[1]} and the broker {where}: `swarm-tui up --take-over` uses it here "
            "(of an agent that is started by hand, `--take-over`)"
        )

    def meta(self, name: str) -> str | None:
        """Return the value kept under `name`; None when there is none."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def metas(self, begin: str) -> list[tuple[str, str]]:
        """Return what is kept under names that begin so: the rest of the name, and the value."""
        found = self._db.execute("SELECT name, value FROM meta WHERE name >= ? AND name < ?", (begin, begin + "\x7f"))
        return [(str(name)[len(begin) :], str(value)) for name, value in found]

    def set_meta(self, name: str, value: str) -> None:
        """Keep `value` under `name`."""
        self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def commit(
        self,
        jobs: Iterable[Job],
        letters: Iterable[OutboxRow],
        sent: Iterable[int] = (),
        meta: dict[str, str] | None = None,
        runs: Iterable[Run] = (),
        mails: Iterable[Mail] = (),
    ) -> None:
        """Write one transaction: jobs, runs, mail as they are, new outbox rows, and those gone that the broker has."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_UPSERT, [self._columns(job) for job in jobs])
            self.runs.write(runs)
            self.mails.write(mails)
            self._db.executemany(_INSERT, [self._row(letter) for letter in letters])
            if gone := [(row,) for row in sent]:
                self._db.executemany("DELETE FROM outbox WHERE id = ?", gone)
            for name, value in (meta or {}).items():
                self.set_meta(name, value)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _row(self, letter: OutboxRow) -> tuple[object, ...]:
        self._last_row += 1
        letter.row = self._last_row
        m = letter.message
        return (letter.row, letter.task_id, letter.attempt, letter.kind, m.topic, m.payload, m.qos, m.retain)

    def _columns(self, job: Job) -> tuple[object, ...]:
        task = job.task
        self._ids.add(task.task_id)
        ended = job.ended_at if job.ended else None
        return (
            task.task_id,
            job.state,
            task.type,
            task.idempotency_key,
            job.created_at,
            ended,
            encoded(job),
            job.run_id or None,
        )

    def open_jobs(self) -> list[Job]:
        """Return every job that has not ended, oldest first."""
        marks = ",".join("?" * len(_OPEN))
        rows = self._db.execute(f"SELECT body FROM task WHERE state IN ({marks})", _OPEN)
        return sorted((_decode(body) for (body,) in rows), key=lambda job: job.seq)

    def jobs_of(self, run_id: str) -> list[Job]:
        """Return every job of a run's steps, open or ended, oldest first."""
        rows = self._db.execute("SELECT body FROM task WHERE run = ?", (run_id,))
        return sorted((_decode(body) for (body,) in rows), key=lambda job: job.seq)

    def outbox(self) -> list[OutboxRow]:
        """Return what was to be said and may not have been, in order."""
        rows = self._db.execute(
            "SELECT id, task_id, attempt, kind, topic, payload, qos, retain FROM outbox ORDER BY id"
        )
        return [
            OutboxRow(Outgoing(topic, bytes(payload), qos, bool(retain)), kind, task_id, attempt, row)
            for row, task_id, attempt, kind, topic, payload, qos, retain in rows
        ]

    def find(self, task_id: str, key: str | None = None) -> Job | None:
        """Return the job of that id, or else of that idempotency key."""
        row = None
        if self._ids.may_hold(task_id):
            row = self._db.execute("SELECT body FROM task WHERE task_id = ?", (task_id,)).fetchone()
        if row is None and key is not None:
            row = self._db.execute("SELECT body FROM task WHERE key = ? ORDER BY created DESC", (key,)).fetchone()
        return None if row is None else _decode(row[0])

    def last_seq(self) -> int:
        """Return a number that no task has passed."""
        return int(self.meta("seq") or 0)

    def counts(self) -> dict[str, int]:
        """Return how many tasks are in each state that some are in."""
        return dict(self._db.execute("SELECT state, count(*) FROM task GROUP BY state").fetchall())

    def search(self, state: str | None, task_type: str | None, limit: int, offset: int) -> Iterator[Job]:
        """Yield jobs, newest first."""
        where, values = [], []
        for column, value in (("state", state), ("type", task_type)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        sql = f"SELECT body FROM task {clause} ORDER BY created DESC LIMIT ? OFFSET ?"
        for (body,) in self._db.execute(sql, (*values, limit, offset)):
            yield _decode(body)

    def prune(self, now: float, *, days: float = KEEP_DAYS, keep: int = KEEP_TASKS, at_once: int = AT_ONCE) -> int:
        """Forget ended tasks that are too old or too many, and the files of results of tasks that are forgotten.

        Returns how many were removed. It is bounded: when they are `at_once` or more, others may be due.
        """
        oldest = now - days * 86400
        self._db.execute("BEGIN IMMEDIATE")
        try:
            gone = self._db.execute(
                f"DELETE FROM task WHERE task_id IN "
                f"(SELECT task_id FROM task WHERE ended < ? AND {_NOT_REFERRED_TO} ORDER BY ended LIMIT ?)",
                (oldest, at_once),
            ).rowcount
            count = self._db.execute("SELECT count(*) FROM task WHERE ended IS NOT NULL").fetchone()[0]
            if count > keep:
                gone += self._db.execute(
                    f"DELETE FROM task WHERE task_id IN "
                    f"(SELECT task_id FROM task WHERE ended IS NOT NULL AND {_NOT_REFERRED_TO} ORDER BY ended LIMIT ?)",
                    (min(count - keep, at_once),),
                ).rowcount
            if count >= keep:
                found = self._db.execute("SELECT min(ended) FROM task WHERE ended IS NOT NULL").fetchone()[0]
                oldest = max(oldest, found or oldest)
            gone += self.runs.prune(oldest, keep, at_once)
            gone += self.mails.prune(now - days * 86400, keep, at_once)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        for files in self._swept:
            # A task that the journal never had, for it was done without a dispatcher, keeps its files as long.
            gone += files.sweep(oldest, now, self._has, at_once=at_once)
        return int(gone)

    def _has(self, task_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM task WHERE task_id = ?", (task_id,)).fetchone() is not None

    def close(self) -> None:
        """Let go of the database and its lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()


def _places(name: str) -> tuple[int, int]:
    number = hash(name)
    return number % _BITS, (number >> 32) % _BITS


def encoded(job: Job) -> bytes:
    """Return the job in bytes; what cannot be kept of its payload and its result is replaced by a text that says so.

    Raises sqlite3.DataError when it cannot be kept even so.
    """
    try:
        return _encode(job)
    except _UNFIT:
        # One such job may not keep the others of its transaction from being written.
        pass
    try:
        task = replace(job.task, payload=storable(job.task.payload))
        return _encode(replace(job, task=task, result=storable(job.result), usage=storable(job.usage)))
    except _UNFIT as error:
        raise sqlite3.DataError(f"task {job.task_id} cannot be kept: {error}") from error


def storable(value: Any, depth: int = 0) -> Any:
    """Return `value` with a text in place of each part that the journal cannot keep; the rest stays as it is."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else f"(an integer of {value.bit_length()} bits was left out)"
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict | list | tuple) and depth >= MAX_DEPTH:
        return f"(what nests over {MAX_DEPTH} deep was left out)"
    if isinstance(value, dict):
        return {storable(str(name)): storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner, depth + 1) for inner in value]
    return f"(a value of type {type(value).__name__} was left out)"
