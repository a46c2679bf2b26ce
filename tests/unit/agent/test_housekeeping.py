"""Large results on a machine without a dispatcher: they go when they are old, but for those that are still owed."""

import os
from pathlib import Path

import pytest

from swarm_tui.agent import housekeeping
from swarm_tui.agent.housekeeping import EVERY, FIRST, NEXT, Housekeeping
from swarm_tui.agent.worker_journal import WorkerJournal
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.worker.actions import Answer, Save
from swarm_tui.protocol.bodies import Complete
from swarm_tui.protocol.topics import Kind

NOW, DAY = 1.7e9, 86400.0


def result(state: StateDir, name: str, age: float, now: float = NOW) -> None:
    state.results().mkdir(exist_ok=True)
    path = state.results() / name
    path.write_text("{}")
    os.utime(path, (now - age, now - age))


def left(state: StateDir) -> list[str]:
    return sorted(path.name for path in state.results().iterdir())


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "s").create()


def keeper(state: StateDir) -> Housekeeping:
    return Housekeeping(state, 0.0, clock=lambda: NOW)


def test_results_go_after_a_week_and_what_an_agent_here_still_owes_stays(state: StateDir) -> None:
    for name, age in (("old-1.json", 8 * DAY), ("young-1.json", 6 * DAY), ("owed-1.json", 8 * DAY)):
        result(state, name, age)
    journal = WorkerJournal(state.worker("another"))
    journal.open()
    answer = Answer(kind=Kind.TASK_COMPLETE, body=Complete(task_id="owed", agent_id="another"), message_id="m")
    journal.save(Save(what="answer", task_id="owed", attempt=1, epoch=1, answer=answer))
    journal.close()
    keeping = keeper(state)
    assert FIRST <= keeping.tick(0.0) <= 2 * FIRST
    assert left(state) == ["old-1.json", "owed-1.json", "young-1.json"], "not while it starts"
    assert EVERY / 2 < keeping.tick(2 * FIRST) - 2 * FIRST < 2 * EVERY
    assert left(state) == ["owed-1.json", "young-1.json"]


def test_where_a_dispatcher_keeps_its_journal_it_sweeps_itself(state: StateDir) -> None:
    result(state, "held-1.json", 8 * DAY)
    state.dispatch.touch()
    keeper(state).tick(2 * FIRST)
    assert left(state) == ["held-1.json"]


def test_a_full_folder_is_gone_through_in_parts(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    for number in range(5):
        result(state, f"t{number}-1.json", 8 * DAY)
    keeping, now = keeper(state), 2 * FIRST
    for count in (3, 1):
        assert keeping.tick(now) == now + NEXT
        assert len(left(state)) == count
        now += NEXT
    assert keeping.tick(now) > now + NEXT
    assert left(state) == []


def test_what_cannot_be_read_keeps_all(state: StateDir) -> None:
    result(state, "old-1.json", 8 * DAY)
    (state.root / "work" / "x.journal").mkdir()
    keeper(state).tick(2 * FIRST)
    assert left(state) == ["old-1.json"]
