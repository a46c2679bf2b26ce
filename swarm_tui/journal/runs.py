"""The runs of the dispatcher's journal: what of one never changes, and what does, in one row."""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from swarm_tui.domain.workflows.model import RUNNING, RunPlan, RunRecord
from swarm_tui.domain.workflows.run import Run

RUN_TABLE = """
    CREATE TABLE run (
        run_id TEXT PRIMARY KEY, state TEXT NOT NULL, workflow TEXT NOT NULL, created REAL NOT NULL, ended REAL,
        plan BLOB NOT NULL, record BLOB NOT NULL
    );
    CREATE INDEX run_state ON run (state, created);
    CREATE INDEX run_created ON run (created);
    CREATE INDEX run_ended ON run (ended) WHERE ended IS NOT NULL;
    ALTER TABLE task ADD COLUMN run TEXT;
    CREATE INDEX task_run ON task (run) WHERE run IS NOT NULL
    """
_NEW = "INSERT INTO run (run_id, state, workflow, created, ended, plan, record) VALUES (?, ?, ?, ?, ?, ?, ?)"
_AGAIN = "UPDATE run SET state = ?, ended = ?, record = ? WHERE run_id = ?"
_COLUMNS = "SELECT plan, record FROM run"
_encode = msgspec.msgpack.Encoder().encode
_plan = msgspec.msgpack.Decoder(RunPlan).decode
_record = msgspec.msgpack.Decoder(RunRecord).decode


class RunRows:
    """The table of runs. Methods raise sqlite3.Error when the disk does; who writes has a transaction open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def write(self, runs: Iterable[Run]) -> None:
        """Write the runs as they are: whole the first time, then only what has changed."""
        for run in runs:
            record = run.record
            raw = _encode(record)
            if self._db.execute(_AGAIN, (record.state, record.ended_at, raw, run.run_id)).rowcount == 0:
                plan, name = _encode(run.plan), run.plan.workflow.workflow
                row = (run.run_id, record.state, name, run.plan.created_at, record.ended_at, plan, raw)
                self._db.execute(_NEW, row)

    def open(self) -> list[Run]:
        """Return the runs that have no outcome yet, oldest first."""
        return list(self._read(f"{_COLUMNS} WHERE state = ? ORDER BY created", (RUNNING,)))

    def find(self, run_id: str) -> Run | None:
        """Return a run; None when there is none of that id."""
        return next(self._read(f"{_COLUMNS} WHERE run_id = ?", (run_id,)), None)

    def has_tasks(self, run_id: str) -> bool:
        """Return whether there are tasks with ids as a run of that name would give to its own."""
        found = self._db.execute(
            "SELECT 1 FROM task WHERE task_id > ? AND task_id < ? LIMIT 1", (f"{run_id}.", f"{run_id}/")
        )
        return found.fetchone() is not None

    def search(self, state: str | None, limit: int, offset: int) -> Iterator[Run]:
        """Yield runs, newest first."""
        where, values = ("WHERE state = ? ", (state,)) if state is not None else ("", ())
        return self._read(f"{_COLUMNS} {where}ORDER BY created DESC LIMIT ? OFFSET ?", (*values, limit, offset))

    def _read(self, sql: str, values: tuple[object, ...]) -> Iterator[Run]:
        for plan, record in self._db.execute(sql, values):
            yield Run(_plan(plan), _record(record))

    def prune(self, oldest: float, keep: int, at_once: int) -> int:
        """Forget runs that ended before `oldest` (wall time), or that are more than `keep`. Returns how many."""
        gone = self._db.execute(
            "DELETE FROM run WHERE run_id IN (SELECT run_id FROM run WHERE ended < ? ORDER BY ended LIMIT ?)",
            (oldest, at_once),
        ).rowcount
        count = self._db.execute("SELECT count(*) FROM run WHERE ended IS NOT NULL").fetchone()[0]
        if count > keep:
            gone += self._db.execute(
                "DELETE FROM run WHERE run_id IN "
                "(SELECT run_id FROM run WHERE ended IS NOT NULL ORDER BY ended LIMIT ?)",
                (min(count - keep, at_once),),
            ).rowcount
        return int(gone)
