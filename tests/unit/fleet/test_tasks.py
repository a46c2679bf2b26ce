"""Tasks: every hop, whatever the order, and what is told from what."""

import msgspec
import pytest

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.kept_tasks import MAX_ENDED
from swarm_tui.domain.fleet.tasks import Tasks
from swarm_tui.domain.states import TaskState as S
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.rows import Hop, TaskRow
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import Paper, story


@pytest.fixture
def paper() -> Paper:
    return Paper()


def test_a_story_is_told_state_by_state(paper: Paper) -> None:
    seen = []
    paper.birth("a1")
    for event in story(paper, "t"):
        changes = paper.fleet.apply(event, paper.now)
        assert changes.tasks == {"t"}
        seen.append(str(paper.fleet.tasks["t"].state))
    assert seen == [
        "queued", "queued", "assigned", "running", "retry-wait", "retry-wait", "assigned", "running", "queued",
        "assigned", "running", "running", "running", "complete",
    ]  # fmt: skip
    task = paper.fleet.tasks["t"]
    assert (task.attempt, task.agent_id, task.result, task.duration, task.progress) == (3, "a1", {"n": 3}, 9, 100.0)
    assert task.late == ("a success of attempt 2 by slow",)
    assert task.errors == ("attempt 1 on a1: failed, and did not say why",)
    assert [hop.what for hop in task.hops] == [
        "published", "queued", "assigned", "started", "failed", "retrying", "assigned", "progress", "retrying",
        "assigned", "started", "complete", "progress", "complete",
    ]  # fmt: skip
    agent = paper.fleet.agents["a1"]
    assert (agent.done, agent.failed, agent.tasks) == (1, 0, set())


def test_the_seed_dialect_needs_no_dispatcher(paper: Paper) -> None:
    paper.raw("tasks/new", b'{"payload": {"task_id": "t", "type": "code.review", "payload": {}}}')
    paper.raw("tasks/assigned", b'{"agent_id": "r1", "payload": {"task_id": "t", "agent_id": "r1"}}')
    assert (paper.fleet.tasks["t"].state, paper.fleet.tasks["t"].agent_id) == (S.ASSIGNED, "r1")
    paper.raw("tasks/complete", b'{"task_id": "t", "status": "success", "agent_id": "r1", "result": {"ok": 1}}')
    task = paper.fleet.tasks["t"]
    assert (task.state, task.result, task.agent_id, task.accepted) == (S.COMPLETE, {"ok": 1}, "r1", False)


def test_a_failure_without_a_dispatcher_is_the_end(paper: Paper) -> None:
    paper.raw("tasks/new", b'{"payload": {"task_id": "t", "type": "x", "payload": {}}}')
    paper.raw("tasks/failed", b'{"payload": {"task_id": "t", "agent_id": "r1", "error": "boom\\u001b[2J"}}')
    task = paper.fleet.tasks["t"]
    assert (task.state, task.error) == (S.FAILED, "boom␛[2J")


def test_the_first_of_two_claims_holds_until_one_starts(paper: Paper) -> None:
    paper.say("a1", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a1"))
    paper.say("a2", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a2"))
    assert paper.fleet.tasks["t"].agent_id == "a1"
    paper.say("a2", K.TASK_STARTED, b.Started(task_id="t", agent_id="a2"))
    assert paper.fleet.tasks["t"].agent_id == "a2"


def test_a_dispatchers_end_is_not_undone_by_a_late_success(paper: Paper) -> None:
    for event in story(paper, "t")[:4]:
        paper.fleet.apply(event, paper.now)
    paper.say("tm", K.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=1, reason="by me"))
    paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a1", attempt=1, result=1))
    task = paper.fleet.tasks["t"]
    assert (task.state, task.result, task.late) == (S.CANCELLED, None, ("a success of attempt 1 by a1",))


def test_a_success_counts_while_no_newer_attempt_has_started(paper: Paper) -> None:
    for event in story(paper, "t")[:4]:
        paper.fleet.apply(event, paper.now)
    paper.say("tm", K.TASK_RETRYING, b.TaskVerdict(task_id="t", attempt=1, delay=0.0, state="queued"))
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a2", attempt=2, epoch=1))
    paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a1", attempt=1, result=1))
    paper.say("a2", K.TASK_FAILED, b.Failed(task_id="t", agent_id="a2", attempt=2, cause="cancelled"))
    task = paper.fleet.tasks["t"]
    assert (task.state, task.result, task.agent_id) == (S.COMPLETE, 1, "a1")


def test_an_attempt_counted_as_lost_and_heard_again_runs_on(paper: Paper) -> None:
    for event in story(paper, "t")[:4]:
        paper.fleet.apply(event, paper.now)
    paper.say("tm", K.TASK_RETRYING, b.TaskVerdict(task_id="t", attempt=1, delay=0.0, state="queued"))
    assert paper.fleet.tasks["t"].state is S.QUEUED
    paper.say("a1", K.TASK_PROGRESS, b.Progress(task_id="t", agent_id="a1", attempt=1, progress=50))
    assert paper.fleet.tasks["t"].state is S.RUNNING


def test_a_retry_by_a_person_opens_an_end_again(paper: Paper) -> None:
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a1", attempt=1, epoch=1))
    paper.say("a1", K.TASK_FAILED, b.Failed(task_id="t", agent_id="a1", attempt=1, retryable=False))
    assert paper.fleet.tasks["t"].state is S.FAILED
    paper.say("operator:me@h", K.TASK_REDRIVE, b.TaskAct(task_id="t", reason="again"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t", attempt=1))
    task = paper.fleet.tasks["t"]
    assert (task.state, task.ended_at) == (S.QUEUED, None)
    assert [hop.by for hop in task.hops if hop.what == "retry"] == ["operator:me@h"]


def test_states_that_only_the_verdict_names(paper: Paper) -> None:
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t", state="awaiting-approval"))
    verdict = b.TaskVerdict(task_id="t", attempt=0, state="awaiting-approval", payload_hash="abc")
    paper.say("tm", K.TASK_HELD, verdict)
    assert (paper.fleet.tasks["t"].state, paper.fleet.tasks["t"].payload_hash) == (S.AWAITING_APPROVAL, "abc")
    paper.say("tm", K.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=0, state="expired"))
    assert paper.fleet.tasks["t"].state is S.EXPIRED


def test_a_refused_publish_ends_unless_the_task_was_taken(paper: Paper) -> None:
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="x"))
    paper.say("tm", K.TASK_REJECTED, b.TaskRejected(task_id="t", reason="no"))
    assert (paper.fleet.tasks["t"].state, paper.fleet.tasks["t"].error) == (S.FAILED, "rejected: no")
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="u"))
    paper.say("tm", K.TASK_REJECTED, b.TaskRejected(task_id="u", reason="another body"))
    assert paper.fleet.tasks["u"].state is S.QUEUED


def test_a_task_taken_for_another_has_no_life_of_its_own(paper: Paper) -> None:
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="first"))
    paper.say("o", K.TASK_NEW, b.Task(task_id="second", type="x", idempotency_key="k"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="second", duplicate=True, original="first"))
    paper.say("o", K.TASK_NEW, b.Task(task_id="second", type="x", idempotency_key="k"))
    assert set(paper.fleet.tasks) == {"first"}


def test_the_past_fills_gaps_and_overwrites_nothing_newer(paper: Paper) -> None:
    events = story(paper, "t")
    for event in events[9:]:
        paper.fleet.apply(event, paper.now)
    old = events[8].at
    rows = [
        TaskRow(
            task_id="t", type="noop", state="queued", attempt=2, created_at=old - 5, updated_at=old,
            payload={"a": 1}, hops=[Hop(at=old - 5, what="published", by="o\x1b")],
        ),
        TaskRow(task_id="u", type="x", state="complete", attempt=1, agent_id="a1", updated_at=old, result=5),
        TaskRow(task_id="v", type="x", state="running", attempt=1, agent_id="a1", updated_at=old),
        TaskRow(task_id="w", type="x", state="failed", attempt=1, agent_id="a1", updated_at=old, error="e"),
        TaskRow(task_id="x", type="x", state="no such state", updated_at=old),
    ]  # fmt: skip
    changes = paper.fleet.load(rows, paper.now)
    fleet = paper.fleet
    assert changes.tasks == {"t", "u", "v", "w"}
    assert (fleet.tasks["t"].state, fleet.tasks["t"].type, fleet.tasks["t"].payload) == (S.COMPLETE, "noop", {"a": 1})
    assert (fleet.tasks["t"].hops[0].what, fleet.tasks["t"].hops[0].by) == ("published", "o␛")
    assert (fleet.tasks["u"].state, fleet.tasks["u"].result) == (S.COMPLETE, 5)
    assert fleet.tasks["v"].state is S.RUNNING
    assert (fleet.tasks["w"].state, fleet.tasks["w"].error) == (S.FAILED, "e")


def test_ended_tasks_hops_and_late_answers_are_bounded(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ENDED == 10_000
    monkeypatch.setattr("swarm_tui.domain.fleet.kept_tasks.MAX_ENDED", 10)
    monkeypatch.setattr("swarm_tui.domain.fleet.tasks.MAX_OPEN", 20)
    for number in range(40):
        paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id=f"e{number}", agent_id="a1"))
        paper.say("o", K.TASK_NEW, b.Task(task_id=f"o{number}", type="x"))
    assert len(paper.fleet.by_state[S.COMPLETE]) == 10
    assert len(paper.fleet.tasks) == 30
    assert paper.fleet.dropped_tasks == 50
    for number in range(200):
        paper.say("a1", K.TASK_DECLINED, b.Declined(task_id="o39", agent_id=f"a{number}", attempt=number))
        paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="e39", agent_id=f"b{number}", attempt=0))
    assert len(paper.fleet.tasks["o39"].hops) <= 64
    assert paper.fleet.tasks["o39"].hops[0].what == "published"
    assert len(paper.fleet.tasks["e39"].late) <= 16


def test_what_ended_long_ago_is_forgotten_but_for_the_newest_and_still_counted() -> None:
    paper = Paper()
    paper.fleet = Fleet(paper.fleet.swarm, kept=3)
    for number in range(10):
        paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id=f"e{number}", agent_id="a1"))
    assert len(paper.fleet.tasks) == 10
    paper.now += 3601.0
    changes = paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="new", agent_id="a1"))
    assert changes.tasks == {"new", *(f"e{number}" for number in range(8))}, "who lists them learns that they are gone"
    assert list(paper.fleet.tasks) == ["e8", "e9", "new"]
    assert paper.fleet.counts_by_state()[S.COMPLETE] == 11
    row = TaskRow(task_id="e1", type="x", state="complete", updated_at=paper.now - 3602.0, created_at=1.0)
    paper.fleet.load([row], paper.now)
    assert "e1" in paper.fleet.tasks
    assert paper.fleet.counts_by_state()[S.COMPLETE] == 11
    rows = [msgspec.structs.replace(row, task_id=f"e{number}") for number in range(8)]
    paper.fleet.load(rows, paper.now)
    assert len(paper.fleet.tasks) == 3
    assert "new" in paper.fleet.tasks
    assert paper.fleet.counts_by_state()[S.COMPLETE] == 11


def test_what_came_out_badly_is_counted_also_once_it_is_forgotten_and_told_anew() -> None:
    paper = Paper()
    paper.fleet = Fleet(paper.fleet.swarm, kept=1)
    bad = {"verdict": "failed", "failed": 1}
    for number in range(4):
        paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id=f"e{number}", agent_id="a1", result=bad))
    assert paper.fleet.came_badly == 4
    paper.now += 3601.0
    paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="well", agent_id="a1", result={"verdict": "passed"}))
    assert list(paper.fleet.tasks) == ["well"]
    assert paper.fleet.came_badly == 4
    row = TaskRow(task_id="e1", type="x", state="complete", updated_at=paper.now - 3602.0, created_at=1.0, result=bad)
    paper.fleet.load([row], paper.now)
    assert paper.fleet.came_badly == 4


def test_text_for_people_is_clean(paper: Paper) -> None:
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="x\x1b]0;\x07"))
    paper.say("tm", K.TASK_HELD, b.TaskVerdict(task_id="t", attempt=0, reason="\u202ex"))
    task = paper.fleet.tasks["t"]
    shown = f"{task.type}{task.assigned_to}{task.reason}{[hop.detail for hop in task.hops]}"
    assert not set("\x1b\x07\u202e") & set(shown)


def test_nothing_of_tasks_is_kept_by_messages_that_are_not_theirs() -> None:
    assert Tasks(lambda *_: None).apply(Paper().event("a", K.BROADCAST, b.Broadcast(text="hello"))) is None


def test_a_step_that_is_heard_and_read_is_one_step(paper: Paper) -> None:
    paper.say("tm", K.TASK_NEW, b.Task(task_id="t", type="x"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
    kept = [Hop(at=paper.now - 1, what="published", by="operator:tm"), Hop(at=paper.now - 1, what="queued")]
    row = TaskRow(task_id="t", type="x", state="queued", created_at=paper.now - 1, updated_at=paper.now - 1, hops=kept)
    paper.fleet.load([row], paper.now)
    assert [hop.what for hop in paper.fleet.tasks["t"].hops].count("queued") == 1


def test_why_it_had_stopped_is_not_said_of_a_task_that_goes_on(paper: Paper) -> None:
    def hear(kind: K, body: b.Body) -> b.Body:
        paper.say("tm", kind, body)
        return body

    hear(K.TASK_QUEUED, b.Queued(task_id="t", attempt=0))
    hear(K.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=0, reason="an operator cancelled it"))
    assert paper.fleet.tasks["t"].reason == "an operator cancelled it"
    late = paper.event("tm", K.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=0, reason="an operator cancelled it"))
    hear(K.TASK_QUEUED, b.Queued(task_id="t", attempt=0))
    assert (str(paper.fleet.tasks["t"].state), paper.fleet.tasks["t"].reason) == ("queued", "")
    # The cancel that comes late was said before it was queued again.
    paper.fleet.apply(late, paper.now)
    assert (str(paper.fleet.tasks["t"].state), paper.fleet.tasks["t"].reason) == ("queued", "")
    hear(K.TASK_RETRYING, b.TaskVerdict(task_id="t", attempt=1, delay=2.0, reason="its lease is over"))
    hear(K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a1", attempt=2, epoch=1))
    assert (paper.fleet.tasks["t"].reason, paper.fleet.tasks["t"].retry_at) == ("", None)


def test_when_a_task_of_the_past_started_is_read_off_its_hops(paper: Paper) -> None:
    hops = [Hop(at=10.0, what="published"), Hop(at=12.0, what="started", attempt=1), Hop(at=15.0, what="complete")]
    row = TaskRow(task_id="t", type="x", state="complete", created_at=10.0, updated_at=15.0, attempt=1, hops=hops)
    paper.fleet.load([row], paper.now)
    assert paper.fleet.tasks["t"].started_at == 12.0


def test_a_task_that_is_asked_to_stop_says_since_when_until_it_has(paper: Paper) -> None:
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="noop"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
    paper.say("o", K.TASK_CANCEL, b.TaskAct(task_id="t"))
    task = paper.fleet.tasks["t"]
    assert task.cancel_requested_at is None, "what waits is cancelled at once"
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a", attempt=1, epoch=1))
    paper.say("a", K.TASK_STARTED, b.Started(task_id="t", agent_id="a", attempt=1, epoch=1))
    paper.say("o", K.TASK_CANCEL, b.TaskAct(task_id="t"))
    asked = paper.now
    paper.say("o", K.TASK_REDRIVE, b.TaskAct(task_id="t"))
    assert (task.cancel_requested_at, task.runs_again) == (asked, True)
    paper.say("o", K.TASK_CANCEL, b.TaskAct(task_id="t"))
    assert (task.cancel_requested_at, task.runs_again) == (asked, False)
    failed = b.Failed(task_id="t", agent_id="a", attempt=1, epoch=1, cause="cancelled")
    paper.say("a", K.TASK_FAILED, failed)
    assert task.state is S.CANCELLED
    assert (task.cancel_requested_at, task.runs_again) == (None, False)


def test_what_happens_to_a_task_again_is_a_step_of_its_own(paper: Paper) -> None:
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="noop"))
    for _ in range(2):
        paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
        paper.now += 10.0
        paper.say("o", K.TASK_CANCEL, b.TaskAct(task_id="t"))
        paper.say("tm", K.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=0))
        paper.now += 10.0
        paper.say("o", K.TASK_REDRIVE, b.TaskAct(task_id="t"))
    round_ = ["queued", "cancel", "cancelled", "retry"]
    assert [hop.what for hop in paper.fleet.tasks["t"].hops] == ["published", *round_, *round_]


def test_a_task_that_failed_before_any_attempt_is_queued_once_the_dispatcher_says_so(paper: Paper) -> None:
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="odd.job"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t", state="failed"))
    paper.say("tm", K.TASK_FAILED, b.Failed(task_id="t", agent_id="tm", attempt=0, retryable=False))
    assert paper.fleet.tasks["t"].state is S.FAILED
    paper.say("o", K.TASK_REDRIVE, b.TaskAct(task_id="t"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t", attempt=0))
    assert paper.fleet.tasks["t"].state is S.QUEUED


def test_the_record_of_a_task_stands_in_place_of_what_was_heard_of_it(paper: Paper) -> None:
    """A page and `swarm-tui tasks` tell the same steps, in one order, with the times at which they happened."""
    paper.say("o", K.TASK_NEW, b.Task(task_id="t", type="noop"))
    paper.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
    at = paper.now
    hops = [Hop(at=at - 9.0, what="published", by="o"), Hop(at=at - 8.0, what="queued")]
    hops += [Hop(at=at - 7.0, what="cancelled", by="o"), Hop(at=at - 6.0, what="redriven", by="o")]
    hops += [Hop(at=at - 5.0, what="queued")]
    paper.fleet.load([TaskRow(task_id="t", type="noop", state="queued", updated_at=at - 5.0, hops=hops)], at)
    paper.now += 1.0
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a", attempt=1, epoch=1))
    task = paper.fleet.tasks["t"]
    assert [(hop.at, hop.what) for hop in task.hops[:-1]] == [(hop.at, hop.what) for hop in hops]
    assert task.hops[-1].what == "assigned"


def test_a_task_runs_since_it_was_started_whatever_was_said_of_it_since(paper: Paper) -> None:
    began, now = paper.now - 60.0, paper.now
    row = TaskRow(task_id="t", type="x", state="running", attempt=1, agent_id="a1", created_at=began, updated_at=now)
    paper.fleet.load([row], now)
    hops = [
        Hop(at=began, what="started", agent_id="a1", attempt=1),
        Hop(at=now, what="asked", agent_id="a1", attempt=1),
    ]
    paper.fleet.load([msgspec.structs.replace(row, hops=hops)], now)
    assert paper.fleet.tasks["t"].started_at == began
