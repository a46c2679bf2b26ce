"""Runs as the fleet sees them: from what is said of them, and of their steps' tasks."""

from swarm_tui.domain.fleet.runs import MOST_STEPS
from swarm_tui.domain.fleet.snapshot import restored, snapshot
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.rows import RunRow, StepRow
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunRejected, RunStarted, new_run
from swarm_tui.protocol.topics import Kind
from tests.unit.fleet.swarm import Paper

STEPS = {"a": {"type": "noop"}, "b": {"type": "noop", "needs": ["a"]}}


def begun() -> Paper:
    paper = Paper()
    paper.say("op", Kind.RUN_NEW, RunNew(run_id="r", workflow={"workflow": "w", "steps": STEPS}))
    paper.say("tm", Kind.RUN_STARTED, RunStarted(run_id="r", workflow="w", steps={"a": "noop", "b": "noop"}))
    return paper


def step(paper: Paper, task_id: str, result: object = None) -> None:
    paper.say("tm", Kind.TASK_QUEUED, b.Queued(task_id=task_id, type="noop", run_id="r"))
    assigned = b.Assigned(task_id=task_id, agent_id="w", attempt=1, epoch=1)
    paper.say("tm", Kind.TASK_ASSIGNED, assigned)
    paper.say("w", Kind.TASK_COMPLETE, b.Complete(task_id=task_id, agent_id="w", attempt=1, epoch=1, result=result))


def test_a_runs_steps_follow_from_what_is_said_of_their_tasks() -> None:
    paper = begun()
    run = paper.fleet.runs["r"]
    assert (run.state, run.workflow, run.steps["b"].needs) == ("running", "w", ("a",))
    paper.say("tm", Kind.TASK_QUEUED, b.Queued(task_id="r.a", type="noop", run_id="r"))
    assert paper.fleet.tasks["r.a"].type == "noop"
    assert (run.steps["a"].state, run.steps["b"].state) == ("running", "blocked")
    step(paper, "r.a")
    assert run.steps["a"].state == "complete"
    paper.say("tm", Kind.RUN_ENDED, RunEnded(run_id="r", outcome="failed", steps={"b": "failed"}, reason="b broke"))
    assert (run.state, run.steps["b"].state, run.reason) == ("failed", "failed", "b broke")


def test_a_step_with_items_is_done_when_all_of_its_tasks_are_and_a_retry_begins_it_anew() -> None:
    paper = begun()
    run = paper.fleet.runs["r"]
    for n in range(2):
        paper.say("tm", Kind.TASK_QUEUED, b.Queued(task_id=f"r.b.{n}", type="noop", run_id="r"))
    step(paper, "r.b.0")
    assert run.steps["b"].state == "running"
    paper.say("tm", Kind.TASK_DEAD, b.TaskVerdict(task_id="r.b.1", attempt=1))
    assert run.steps["b"].state == "failed"
    paper.say("tm", Kind.TASK_QUEUED, b.Queued(task_id="r.b.1:2", type="noop", run_id="r"))
    assert run.steps["b"].state == "running"


def test_a_run_that_is_refused_says_why_and_one_that_runs_is_not_refused_late() -> None:
    paper = Paper()
    paper.say("op", Kind.RUN_NEW, RunNew(run_id="r", workflow={}))
    paper.say("tm", Kind.RUN_REJECTED, RunRejected(run_id="r", reason="no"))
    assert (paper.fleet.runs["r"].state, paper.fleet.runs["r"].reason) == ("rejected", "no")
    other = begun()
    other.say("tm", Kind.RUN_REJECTED, RunRejected(run_id="r", reason="taken"))
    assert other.fleet.runs["r"].state == "running"


def test_what_the_dispatcher_has_of_a_run_is_taken_as_it_is() -> None:
    paper = Paper()
    row = RunRow(run_id="r", workflow="w", state="failed", steps=[StepRow(step="a", type="noop", state="failed")])
    changes = paper.fleet.load_runs([row])
    assert (changes.runs, paper.fleet.runs["r"].steps["a"].state) == ({"r"}, "failed")


def test_a_workflow_that_is_none_is_seen_and_breaks_nothing() -> None:
    paper = Paper()
    for steps in (None, 3, [1], {"a": 1}, {"a": {"needs": [1, "b\x1b[2J"], "type": 4}}):
        paper.say("op", Kind.RUN_NEW, RunNew(run_id="r", workflow={"workflow": ["x"], "steps": steps}))
    assert "\x1b" not in str(paper.fleet.runs["r"].steps)


def test_a_snapshot_has_the_runs() -> None:
    paper = begun()
    step(paper, "r.a")
    again = restored(snapshot(paper.fleet), kept=100)
    assert again.runs == paper.fleet.runs


def test_what_the_dispatcher_tells_of_a_run_keeps_how_its_tasks_are() -> None:
    paper = Paper()
    paper.say("tm", Kind.TASK_HELD, b.TaskVerdict(task_id="r.a", state="awaiting-approval"))
    told = StepRow(step="a", type="noop", state="running", tasks=["r.a"])
    paper.fleet.load_runs([RunRow(run_id="r", workflow="w", state="running", steps=[told])])
    assert paper.fleet.runs["r"].steps["a"].tasks == {"r.a": TaskState.AWAITING_APPROVAL}


def test_steps_of_many_large_runs_fill_no_memory() -> None:
    paper = begun()
    large = {f"s{n}": {"type": "noop"} for n in range(9000)}
    for n in range(12):
        paper.say("op", Kind.RUN_NEW, new_run(f"large{n}", {"workflow": "w", "steps": large}, {}))
        assert not paper.fleet.runs[f"large{n}"].steps, "it is unpacked once it is taken"
        paper.say("tm", Kind.RUN_STARTED, RunStarted(run_id=f"large{n}", workflow="w"))
    runs = paper.fleet.runs
    assert len(runs["large11"].steps) == 9000
    assert sum(len(run.steps) for run in runs.values()) <= MOST_STEPS
    assert list(runs)[-1] == "large11", "what was said last is kept"


def test_what_nobody_took_is_forgotten_first() -> None:
    paper = begun()
    steps = {f"s{n}": {"type": "noop"} for n in range(2000)}
    for n in range(40):
        paper.say("guest", Kind.RUN_NEW, RunNew(run_id=f"g{n}", workflow={"workflow": "w", "steps": steps}))
    assert "r" in paper.fleet.runs
    assert sum(len(run.steps) for run in paper.fleet.runs.values()) <= MOST_STEPS


def test_what_waits_for_its_turn_is_among_the_tasks_from_the_runs_beginning_on() -> None:
    paper = Paper()
    told = RunStarted(
        run_id="r", workflow="w", steps={"a": "noop", "b": "docs.x"}, blocked=["r.a", "r.b", "other.c", "r.not an id"]
    )
    paper.say("tm", Kind.RUN_STARTED, told)
    assert {name: (task.state, task.type) for name, task in paper.fleet.tasks.items()} == {
        "r.a": (TaskState.BLOCKED, "noop"),
        "r.b": (TaskState.BLOCKED, "docs.x"),
    }
    step(paper, "r.a")
    assert paper.fleet.tasks["r.a"].state is TaskState.COMPLETE
    # Said once more by a dispatcher that began anew.
    paper.say("tm", Kind.RUN_STARTED, told)
    assert paper.fleet.tasks["r.a"].state is TaskState.COMPLETE
    paper.say("tm", Kind.TASK_CANCELLED, b.TaskVerdict(task_id="r.b", reason="a failed", state="skipped"))
    assert paper.fleet.tasks["r.b"].state is TaskState.SKIPPED


def test_why_a_step_waited_is_not_said_of_it_once_it_goes_on() -> None:
    paper = begun()
    row = StepRow(step="a", type="noop", state="running", reason="r.a waits for approval", tasks=["r.a"])
    paper.fleet.load_runs([RunRow(run_id="r", workflow="w", state="running", steps=[row])])
    assert paper.fleet.runs["r"].steps["a"].reason == "r.a waits for approval"
    step(paper, "r.a")
    assert paper.fleet.runs["r"].steps["a"].reason == ""
