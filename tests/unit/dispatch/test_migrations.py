"""A journal that an earlier version wrote."""

from pathlib import Path

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.journal import db
from swarm_tui.journal.dispatch import MIGRATIONS, Journal, OutboxRow
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.envelope import Outgoing


def test_its_log_has_its_size_from_the_beginning_and_a_copy_of_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "dispatch.db"
    journal = Journal(path)
    log = path.with_name("dispatch.db-wal")
    assert log.stat().st_size == db.LOG_BYTES
    jobs = [
        Job(task=Task(task_id=f"t{n}", type="noop"), digest="", seq=n, created_at=n, updated_at=n) for n in range(9)
    ]
    for job in jobs:
        journal.commit([job], [])
    assert log.stat().st_size == db.LOG_BYTES
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (path, log):
        # As a crash leaves them.
        (copy / file.name).write_bytes(file.read_bytes())
    again = Journal(copy / "dispatch.db")
    assert [job.task_id for job in again.open_jobs()] == [job.task_id for job in jobs]
    again.close()
    journal.close()


def test_what_it_was_to_say_is_still_to_be_said_and_new_rows_follow(tmp_path: Path) -> None:
    path = tmp_path / "dispatch.db"
    old = db.connect(path, MIGRATIONS[:1])
    said = ("t1", 1, "tasks/queued", "s/tasks/queued", b"{}", 1, 0)
    old.execute(
        "INSERT INTO outbox (id, task_id, attempt, kind, topic, payload, qos, retain) VALUES (7, ?, ?, ?, ?, ?, ?, ?)",
        said,
    )
    old.close()

    journal = Journal(path)
    kept = journal.outbox()
    assert [(letter.row, letter.message) for letter in kept] == [(7, Outgoing("s/tasks/queued", b"{}"))]
    job = Job(task=Task(task_id="t2", type="noop"), digest="", seq=1, created_at=1.0, updated_at=1.0)
    fresh = OutboxRow(Outgoing("s/tasks/queued", b"{}"), "tasks/queued", "t2", 1)
    journal.commit([job], [fresh], sent=[7])
    assert [letter.row for letter in journal.outbox()] == [8]
    journal.close()
