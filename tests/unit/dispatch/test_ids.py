"""The filter before the journal: it may take a stranger for one of its own, never one of its own for a stranger."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.journal.dispatch import IdFilter, Journal
from swarm_tui.protocol.bodies import Task


@given(st.sets(st.text(max_size=20), max_size=50))
def test_what_was_added_is_held(names: set[str]) -> None:
    ids = IdFilter()
    assert not any(ids.may_hold(name) for name in names)
    for name in names:
        ids.add(name)
    assert all(ids.may_hold(name) for name in names)


def test_few_strangers_are_taken_for_its_own() -> None:
    ids = IdFilter()
    for number in range(20_000):
        ids.add(f"task-{number}")
    assert sum(ids.may_hold(f"other-{number}") for number in range(20_000)) < 20


def test_a_journal_finds_what_an_earlier_process_wrote(tmp_path: Path) -> None:
    path = tmp_path / "dispatch.db"
    task = Task(task_id="t1", type="noop", idempotency_key="k1")
    journal = Journal(path)
    journal.commit([Job(task=task, digest="", seq=1, created_at=1.0, updated_at=1.0)], [])
    journal.close()
    again = Journal(path)
    found = again.find("t1")
    assert found is not None
    assert found.task == task
    assert again.find("t2") is None
    assert again.find("t2", "k1") == found
    again.close()
