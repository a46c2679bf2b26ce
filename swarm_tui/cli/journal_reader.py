"""Facts of a swarm from this machine's state folder, read without disturbing who writes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from swarm_tui.cli.common import USAGE, Failure
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.task_rows import mail_row, row, run_row
from swarm_tui.journal.db import LED_BY
from swarm_tui.journal.mails import MailRows
from swarm_tui.journal.runs import RunRows
from swarm_tui.protocol.rows import MailRow, RunRow, TaskRow

_decode = msgspec.msgpack.Decoder(Job).decode


def has_journal(state: StateDir) -> bool:
    """Return whether the dispatcher's journal is on this machine."""
    return state.dispatch.is_file()


def journal_is_current(state: StateDir) -> bool:
    """Return whether this machine's journal tells how the swarm is now: its dispatcher is the last one that led.

    Of one after which another host's led, it tells how the swarm was then: who leads is to be asked. Raises Failure.
    """
    if not has_journal(state):
        return False
    with opened_read_only(state.dispatch) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            return True
        found = db.execute("SELECT value FROM meta WHERE name = ?", (LED_BY,)).fetchone()
    return found is None or not found[0]


@contextmanager
def opened_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that somebody else writes. Raises Failure."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
            yield db
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise Failure(f"{path} cannot be read ({error}); `swarm-tui doctor` looks into it") from None


def journal_rows(
    state: StateDir, *, task_state: str | None = None, task_type: str | None = None, limit: int = 50
) -> list[TaskRow]:
    """The newest tasks of the journal, newest first. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        found = db.execute(
            "SELECT body FROM task WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR type = ?2) "
            "ORDER BY created DESC, task_id LIMIT ?3",
            (task_state, task_type, limit),
        )
        return [row(_decode(body)) for (body,) in found]


def tasks_between(state: StateDir, since: float, until: float) -> Iterator[TaskRow]:
    """Yield the tasks that the span touched, oldest first, with all their hops. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        found = db.execute(
            "SELECT body FROM task WHERE created <= ? AND (ended IS NULL OR ended >= ?) ORDER BY created, task_id",
            (until, since),
        )
        for (body,) in found:
            yield row(_decode(body), whole=True)


def journal_task(state: StateDir, task_id: str) -> TaskRow | None:
    """Return one task of the journal with all its hops, or None. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        found = db.execute("SELECT body FROM task WHERE task_id = ?", (task_id,)).fetchone()
        return row(_decode(found[0]), whole=True) if found else None


def journal_runs(
    state: StateDir, *, run_id: str | None = None, run_state: str | None = None, limit: int = 50
) -> list[RunRow]:
    """The newest runs of the journal, newest first; or one, with its tasks. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        if not _has_runs(db):
            return []
        rows = RunRows(db)
        if run_id is None:
            return [run_row(run) for run in rows.search(run_state, limit, 0)]
        run = rows.find(run_id)
        if run is None:
            return []
        jobs = [_decode(body) for (body,) in db.execute("SELECT body FROM task WHERE run = ?", (run_id,))]
        return [run_row(run, jobs, whole=True)]


def _has_runs(db: sqlite3.Connection) -> bool:
    """Return whether the journal is of a version that knows runs."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'run'").fetchone() is not None


def journal_mail(
    state: StateDir,
    *,
    message_id: str | None = None,
    agent: str | None = None,
    task: str | None = None,
    limit: int = 50,
) -> list[MailRow]:
    """The newest messages of the journal, newest first; or one. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'mail'").fetchone() is None:
            return []
        rows = MailRows(db)
        if message_id is None:
            return [mail_row(mail) for mail in rows.search(agent, task, limit, 0)]
        found = rows.find(message_id)
        return [] if found is None else [mail_row(found)]


def whole_id(state: StateDir, text: str) -> str:
    """The id that begins with `text`, with or without `task_`; `text` itself when no task of the journal has it.

    Raises Failure (exit 2) when several do.
    """
    with opened_read_only(state.dispatch) as db:
        if db.execute("SELECT 1 FROM task WHERE task_id = ?", (text,)).fetchone():
            return text
        if _has_runs(db) and RunRows(db).find(text) is not None:
            # A run, whose steps' ids all begin with its own.
            return text
        found = db.execute(
            "SELECT task_id FROM task WHERE substr(task_id, 1, length(?1)) = ?1 "
            "OR substr(task_id, 1, length(?1) + 5) = 'task_' || ?1 ORDER BY created DESC LIMIT 5",
            (text,),
        ).fetchall()
    if len(found) > 1:
        raise Failure(f"several tasks begin with `{text}`: {', '.join(task_id for (task_id,) in found)}", USAGE)
    return str(found[0][0]) if found else text


def newest_ids(state: StateDir, begun: str, limit: int) -> list[tuple[str, str, str]]:
    """The id, type and state of the newest tasks whose id begins with `begun`. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        return db.execute(
            "SELECT task_id, type, state FROM task WHERE substr(task_id, 1, length(?1)) = ?1 "
            "ORDER BY created DESC LIMIT ?2",
            (begun, limit),
        ).fetchall()


def journal_run_counts(state: StateDir) -> dict[str, int]:
    """Return how many runs of the journal are in each state. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        if not _has_runs(db):
            return {}
        return dict(db.execute("SELECT state, count(*) FROM run GROUP BY state").fetchall())


def journal_counts(state: StateDir) -> dict[str, int]:
    """Return how many tasks of the journal are in each state. Raises Failure."""
    with opened_read_only(state.dispatch) as db:
        return dict(db.execute("SELECT state, count(*) FROM task GROUP BY state").fetchall())
