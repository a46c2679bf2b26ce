"""A task's progress among its hops: out of the record, thinned, and in order with what the dispatcher noted."""

import re
import time

import msgspec
import pytest

from swarm_tui.cli.group import run
from swarm_tui.cli.task_progress import with_progress
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.journal.recorder_port import Recorded
from swarm_tui.protocol.bodies import Progress, Task
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.rows import Hop, TaskRow
from swarm_tui.protocol.topics import Kind

SWARM = "opencto-dev"


def said(percent: float, at: float, *, task_id: str = "t", attempt: int = 1, message: str = "") -> tuple[float, bytes]:
    writer = Writer(SWARM, "a1", "testing", new_id=lambda: f"m{at}", clock=time.time)
    body = Progress(task_id=task_id, agent_id="a1", attempt=attempt, progress=percent, message=message)
    return at, writer.message(Kind.TASK_PROGRESS, body).payload


def row(state: str = "complete", **more: object) -> TaskRow:
    hops = [
        Hop(at=0.0, what="published"),
        Hop(at=1.0, what="started", agent_id="a1", attempt=1),
        Hop(at=9.0, what="complete", agent_id="a1", attempt=1),
    ]
    return TaskRow(task_id="t", type="x", state=state, attempt=1, hops=hops, **more)  # type: ignore[arg-type]


def test_progress_stands_between_begin_and_end() -> None:
    heard = [
        said(0, 1.0),
        said(40, 5.0, message="half"),
        said(100, 9.01),
        (6.0, b"nonsense"),
        said(1, 6.0, task_id="u"),
    ]
    hops = with_progress(row(), SWARM, heard).hops
    assert [(hop.at, hop.what, hop.detail) for hop in hops] == [
        (0.0, "published", ""),
        (1.0, "started", ""),
        (1.0, "progress", "0%"),
        (5.0, "progress", "40% half"),
        (9.0, "progress", "100%"),
        (9.0, "complete", ""),
    ]
    assert {(hop.agent_id, hop.attempt) for hop in hops[2:5]} == {("a1", 1)}


def test_progress_is_shown_once_a_second_and_not_without_end() -> None:
    heard = [said(number % 100, 1.0 + number / 10) for number in range(50)]
    shown = [hop.at for hop in with_progress(row(), SWARM, heard).hops if hop.what == "progress"]
    assert shown == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0, 5.9])
    long = [said(number % 100, float(number), attempt=2) for number in range(4000)]
    shown = [hop.at for hop in with_progress(row(), SWARM, long).hops if hop.what == "progress"]
    assert len(shown) <= 202
    assert (shown[0], shown[-1]) == (0.0, 3999.0)


def test_without_a_record_how_far_it_is_stands_for_how_it_got_there() -> None:
    running = row("running", progress=30.0, message="on it", agent_id="a1", updated_at=4.0)
    (hop,) = (hop for hop in with_progress(running, SWARM, []).hops if hop.what == "progress")
    assert (hop.at, hop.detail) == (4.0, "30% on it")
    assert with_progress(row(progress=100.0), SWARM, []) == row(progress=100.0)


def journaled(state: StateDir, at: float) -> None:
    job = Job(
        task=Task(task_id="t", type="x"), digest="", seq=1, created_at=at, updated_at=at,
        state=TaskState.COMPLETE, hops=[Hop(at=at, what="published")],
    )  # fmt: skip
    journal = Journal(state.dispatch)
    journal.commit([job], [])
    journal.close()


def keep(state: StateDir, *heard: tuple[float, bytes]) -> None:
    recorder = SqliteRecorder(state.recorder)
    for at, payload in heard:
        recorder.add(Recorded(at, f"{SWARM}/tasks/progress", payload, "a1", "t"))
    recorder.flush()
    recorder.close()


def test_tasks_shows_the_progress_that_monitoring_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    state = state_dir(SWARM).create()
    now = time.time()
    journaled(state, now)
    assert run(["tasks", "t"]) == 0
    assert "progress" not in capsys.readouterr().out
    keep(state, said(40, now + 1, message="half"))
    assert run(["tasks", "t"]) == 0
    assert "+  1.000s  progress #1  on a1  40% half" in capsys.readouterr().out
    assert run(["tasks", "t", "--json"]) == 0
    hops = msgspec.json.decode(capsys.readouterr().out)["hops"]
    assert [(hop["what"], hop["detail"]) for hop in hops] == [("published", ""), ("progress", "40% half")]


def test_a_record_that_cannot_be_read_costs_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    state = state_dir(SWARM).create()
    journaled(state, 1.0)
    state.recorder.write_bytes(b"no database at all" * 100)
    assert run(["tasks", "t"]) == 0
    assert "hops" in capsys.readouterr().out


def test_a_task_that_is_asked_to_stop_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    job = Job(
        task=Task(task_id="t", type="x"), digest="", seq=1, created_at=now, updated_at=now, state=TaskState.RUNNING,
        cancelling="an operator cancelled it", cancel_at=now - 7.0, rerun_by="operator:ann",
        hops=[Hop(at=now - 9.0, what="published"), Hop(at=now - 7.0, what="cancelling", by="operator:ann")],
    )  # fmt: skip
    journal = Journal(state_dir(SWARM).create().dispatch)
    journal.commit([job], [])
    journal.close()
    for argv in (["tasks"], ["tasks", "t"]):
        assert run(argv) == 0
        out = capsys.readouterr().out
        assert re.search(r"cancelling: asked to stop [78] s ago, ends within 25 s of that; it runs again", out)
    assert re.search(r"cancel  by operator:ann", out)
