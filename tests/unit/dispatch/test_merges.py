"""The merge queue: one at a time in a repository, decided as data, and whoever dies meanwhile loses none of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import DispatchSettings, TypePolicy
from swarm_tui.domain.dispatch.merge_record import SETTLED, MergeRecord
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.merge_bodies import MergeAct
from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.world import OPERATOR, RULES, World, of, offers

MINE = TypePolicy(roles=("general",), max_attempts=1)
SETTINGS = DispatchSettings(
    rules={
        **RULES,
        "code.generate": MINE,
        "code.merge": MINE,
        "testing.run": TypePolicy(roles=("testing",)),
        "code.review": TypePolicy(roles=("code-review",)),
    }
)
REBASED = {"repo": "/r", "target": "main", "onto": "m0", "commit": "c1", "tip": "t1"}


class Queue(World):
    """A world whose agents have written code."""

    def __init__(self, rules: DispatchSettings = SETTINGS) -> None:
        super().__init__(rules)
        self.agent("builder", capacity=4)
        self.agent("tester", role="testing", capacity=4)
        self.agent("reviewer", role="code-review", capacity=4)

    def wrote(self, task_id: str, *, repo: str = "/r", talked: bool = True, **result: Any) -> None:
        self.submit(task_id, "code.generate", payload={"prompt": "do it", "repo": "."})
        offer = offers(self.said)[-1]
        self.start(offer)
        if talked:
            o = offer.body
            assert isinstance(o, b.Inbox)
            said = b.Progress(task_id=task_id, agent_id="builder", attempt=o.attempt, epoch=o.epoch, session="s1")
            self.hear(Kind.TASK_PROGRESS, said, sender="builder")
        self.complete(offer, {"branch": f"swarm/{task_id}", "repo": repo, **result})

    def ask(self, task_id: str, act: Any = "merge", sender: str = OPERATOR, **more: Any) -> list[str]:
        said = self.hear(Kind.MERGE_ACT, MergeAct(task_id=task_id, act=act, **more), sender=sender)
        return [alert.message for alert in of(said, Kind.ALERT)]

    def record(self, task_id: str) -> MergeRecord:
        record = self.job(task_id).merge
        assert record is not None
        return record

    def open(self) -> dict[str, Any]:
        """The offers that nobody has answered, by task."""
        found = {}
        for offer in offers(self.said):
            assert isinstance(offer.body, b.Inbox)
            job = self.state.jobs[offer.body.task_id or ""]
            if not job.ended and job.attempt == offer.body.attempt:
                found[job.task_id] = offer
        return found

    def step(self, name: str, result: Any = None, *, fails: str | None = None, of: str = "t") -> None:
        """Answer the open step of that name of the merge of a task."""
        task_id = f"{self.record(of).run_id}.{name}"
        offer = self.open()[task_id]
        self.start(offer)
        if fails is None:
            self.complete(offer, result)
        else:
            o = offer.body
            error = b.ErrorInfo(message=fails)
            body = b.Failed(
                task_id=task_id, agent_id=offer.key, attempt=o.attempt, epoch=o.epoch, error=error, result=result,
                retryable=False,
            )  # fmt: skip
            self.hear(Kind.TASK_FAILED, body, sender=offer.key)

    def passes(self, of: str = "t") -> None:
        self.step("testing-run", {"verdict": "passed", "passed": 3}, of=of)
        self.step("code-review", {"verdict": "passed", "approved": True, "summary": "2 files"}, of=of)


def test_a_merge_is_rebased_checked_and_landed() -> None:
    queue = Queue()
    queue.wrote("t")
    assert queue.ask("t") == []
    record = queue.record("t")
    assert (record.state, record.run_id, record.by) == ("running", "merge-t-1", OPERATOR)
    assert queue.open()["merge-t-1.rebase"].key == "builder"
    queue.step("rebase", REBASED)
    checks = {name: offer.body.task.payload for name, offer in queue.open().items()}
    result = {"repo": "/r", "base": "m0", "head": "c1"}
    assert checks == {"merge-t-1.testing-run": result, "merge-t-1.code-review": result}
    queue.passes()
    last = queue.open()["merge-t-1.land"].body.task.payload
    assert last == {"act": "land", "task_id": "t", "into": "main", "onto": "m0", "commit": "c1", "tip": "t1"}
    queue.step("land", {"commit": "c1", "into": "main", "message": "main is at c1"})
    assert (record.state, record.target, record.commit) == ("merged", "main", "c1")
    assert record.checks == {"testing.run": "passed: 3 passed", "code.review": "passed: 2 files"}
    assert queue.state.merges == []
    assert [said.state for said in of(queue.said, Kind.MERGE_STATE)] == ["waiting", "running", "merged"]
    assert "merged already" in queue.ask("t")[0]


def test_one_at_a_time_in_a_repository_and_another_beside_it() -> None:
    queue = Queue()
    for name, repo in (("t", "/r"), ("u", "/r"), ("v", "/other")):
        queue.wrote(name, repo=repo)
        queue.tick(1.0)
        queue.ask(name)
    assert [queue.record(name).state for name in "tuv"] == ["running", "waiting", "running"]
    assert of(queue.said, Kind.MERGE_STATE)[2].position == 2
    queue.step("rebase", {"why": "gone"}, fails="its branch is gone")
    assert (queue.record("t").state, queue.record("t").reason) == ("stopped", "its branch is gone")
    assert queue.record("u").state == "running"


@pytest.mark.parametrize(
    ("step", "result", "fails", "reason"),
    [
        ("rebase", {"why": "conflict", "target": "main"}, "conflicts with main in a.py", "conflicts with main in a.py"),
        (
            "testing-run",
            {"verdict": "failed", "failed": 1, "failures": [{"test": "test_a", "message": "boom"}]},
            None,
            "testing.run says failed: 1 failed; test_a: boom",
        ),
        (
            "code-review",
            {"verdict": "failed", "summary": "1 error", "comments": [{"file": "a.py", "line": 3, "message": "bad"}]},
            None,
            "code.review says failed: 1 error; a.py:3: bad",
        ),
    ],
)
def test_what_fails_goes_back_to_its_agent_who_mends_it(step: str, result: Any, fails: Any, reason: str) -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    if step != "rebase":
        queue.step("rebase", REBASED)
        other = "code-review" if step == "testing-run" else "testing-run"
        queue.step(other, {"verdict": "passed"})
    queue.step(step, result, fails=fails)
    record = queue.record("t")
    assert (record.state, record.reason, record.follow_up) == ("mending", reason, "t:fix1")
    mend = queue.job("t:fix1")
    assert (mend.task.type, mend.task.assigned_to) == ("code.generate", "builder")
    assert (mend.task.payload["resume"], mend.task.payload["onto"]) == ("t", "main")
    assert all(part in mend.task.payload["prompt"] for part in reason.split("; "))
    offer = queue.open()["t:fix1"]
    assert offer.body.resume["session"] == "s1"
    queue.start(offer)
    queue.complete(offer, {"branch": "swarm/t", "repo": "/r"})
    assert (record.state, record.run_id) == ("running", "merge-t-2")


def test_mending_ends_after_some_times_and_with_a_follow_up_that_fails() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    for round_ in (1, 2):
        queue.step("rebase", {"why": "conflict", "target": "main"}, fails="conflicts")
        offer = queue.open()[f"t:fix{round_}"]
        queue.start(offer)
        queue.complete(offer, {"branch": "swarm/t"})
    assert queue.job("t:fix2").task.payload["resume"] == "t:fix1"
    queue.step("rebase", {"why": "conflict", "target": "main"}, fails="conflicts still")
    assert (queue.record("t").state, queue.record("t").reason) == ("returned", "conflicts still")
    queue.ask("t")
    queue.step("rebase", {"why": "conflict", "target": "main"}, fails="conflicts")
    queue.fail(queue.open()["t:fix4"], retryable=False, message="conflict marks are left in a.py")
    assert queue.record("t").state == "returned"
    assert queue.record("t").reason.endswith("t:fix4, which was to mend it, is failed: conflict marks are left in a.py")


def test_without_a_conversation_it_goes_back_to_a_person() -> None:
    queue = Queue()
    queue.wrote("t", talked=False)
    queue.ask("t")
    queue.step("rebase", {"why": "conflict"}, fails="conflicts")
    assert (queue.record("t").state, queue.record("t").follow_up) == ("returned", "")


def test_a_target_that_moved_is_rebased_onto_anew() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.passes()
    queue.step("land", {"why": "moved"}, fails="main moved")
    assert (queue.record("t").state, queue.record("t").run_id) == ("running", "merge-t-2")


@pytest.mark.parametrize("why", ["dirty", "git", ""])
def test_what_is_no_fault_of_the_work_stops_for_a_person(why: str) -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.passes()
    queue.step("land", {"why": why}, fails="main is checked out, with changes")
    assert queue.record("t").state == "stopped"
    assert "with changes" in queue.record("t").reason
    assert queue.ask("t") == []
    assert queue.record("t").state == "running"


def test_work_that_the_target_has_already_counts_as_merged() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", {"why": "merged", "commit": "c9", "target": "main"}, fails="main has all of it")
    assert (queue.record("t").state, queue.record("t").commit) == ("merged", "c9")


def test_only_an_operator_decides_and_only_about_work_that_is_done() -> None:
    queue = Queue()
    assert "no such task" in queue.ask("t")[0]
    queue.submit("t", "code.generate", payload={"prompt": "x"})
    assert "its work is not done" in queue.ask("t")[0]
    queue.complete(offers(queue.said)[-1], {"text": "x"})
    assert "no branch" in queue.ask("t")[0]
    queue.wrote("u")
    assert "only an operator" in queue.ask("u", sender="builder")[0]
    queue.ask("u")
    assert "it is running already (run merge-u-1)" in queue.ask("u")[0]
    queue.wrote("w", branch="swarm/u")
    assert "u, which worked on the same branch" in queue.ask("w")[0]
    assert "not on its way" in queue.ask("w", "withdraw")[0]


def test_nobody_publishes_a_step_of_a_merge_and_none_is_done_again_by_itself() -> None:
    queue = Queue()
    queue.submit("x", "code.merge", payload={"act": "land"})
    assert "swarm-tui merge" in of(queue.said, Kind.TASK_REJECTED)[0].reason
    workflow = {"workflow": "w", "steps": {"a": {"type": "code.merge"}}}
    queue.hear(Kind.RUN_NEW, RunNew(run_id="r", workflow=workflow, inputs={}), sender=OPERATOR)
    assert "swarm-tui merge" in of(queue.said, Kind.RUN_REJECTED)[0].reason
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", {"why": "gone"}, fails="gone")
    assert "merge the task again" in of(queue.act_on_run(Kind.RUN_RETRY, "merge-t-1"), Kind.ALERT)[0].message


@pytest.mark.parametrize("at", ["waiting", "running", "mending"])
def test_it_is_withdrawn_wherever_it_is(at: str) -> None:
    queue = Queue()
    queue.wrote("t")
    if at == "waiting":
        queue.wrote("first")
        queue.ask("first")
    queue.ask("t")
    if at == "mending":
        queue.step("rebase", {"why": "conflict"}, fails="conflicts")
    assert queue.record("t").state == at
    assert queue.ask("t", "withdraw") == []
    queue.tick(40.0)
    assert (queue.record("t").state, queue.record("t").reason) == ("withdrawn", f"withdrawn by {OPERATOR}")
    assert queue.ask("t") == []


def test_what_nobody_approved_is_not_merged() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.step("testing-run", {"verdict": "passed", "passed": 3})
    queue.step("code-review", {"verdict": "unknown", "approved": False, "summary": "the model gave no opinion"})
    assert "merge-t-1.land" not in queue.open()
    assert queue.record("t").state == "stopped"
    assert queue.record("t").reason == "code.review does not approve of it: unknown: the model gave no opinion"


def test_it_cannot_be_taken_back_while_the_target_is_being_moved() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.passes()
    assert queue.ask("t", "withdraw") == []
    assert queue.record("t").state == "running"
    queue.step("land", {"commit": "c1", "into": "main", "message": "main is at c1"})
    assert queue.record("t").state == "merged"


def test_one_that_was_to_be_taken_back_does_not_begin_anew() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.passes()
    queue.ask("t", "withdraw")
    queue.step("land", {"why": "moved"}, fails="moved")
    assert (queue.record("t").state, queue.record("t").reason) == ("withdrawn", f"withdrawn by {OPERATOR}")


def test_a_last_step_that_was_cut_off_is_told_as_that() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    queue.passes()
    assert queue.act_on_run(Kind.RUN_CANCEL, "merge-t-1") is not None
    queue.tick(40.0)
    assert queue.record("t").state == "stopped"
    assert "it was cut off while main was being moved" in queue.record("t").reason


def test_work_is_thrown_away_only_while_nobody_merges_it() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.ask("t", "discard")
    assert queue.record("t").state == "discarding"
    assert "it is discarding already" in queue.ask("t")[0]
    queue.step("discard", {"commit": "c1", "message": "thrown away; `git branch …` brings it back"})
    assert queue.record("t").state == "discarded"
    assert "brings it back" in queue.record("t").reason
    assert "discarded already" in queue.ask("t")[0]


def test_the_layouts_own_checks_are_run_and_one_that_nobody_does_is_told() -> None:
    queue = Queue(msgspec.structs.replace(SETTINGS, merge_checks=("noop",)))
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    assert list(queue.open()) == ["merge-t-1.noop"]
    queue = Queue(msgspec.structs.replace(SETTINGS, merge_checks=("nobody.does",)))
    queue.wrote("t")
    queue.ask("t")
    assert queue.record("t").state == "stopped"
    assert "nobody.does" in queue.record("t").reason


@pytest.mark.parametrize(
    "checks", [("a.b", "a-b", "a/b"), ("x" * 60 + "1", "x" * 60 + "2"), ("rebase", "check-rebase", "land"), ("1", ".")]
)
def test_no_check_takes_the_place_of_another(checks: tuple[str, ...]) -> None:
    rules = {**SETTINGS.rules, **dict.fromkeys(checks, MINE)}
    queue = Queue(msgspec.structs.replace(SETTINGS, merge_checks=checks, rules=rules))
    queue.wrote("t")
    queue.ask("t")
    queue.step("rebase", REBASED)
    opened = queue.open()
    assert sorted(offer.body.task.type for offer in opened.values()) == sorted(checks)
    for name in opened:
        queue.step(name.removeprefix("merge-t-1."), {"verdict": "passed"})
    queue.step("land", {"commit": "c1", "into": "main"})
    assert set(queue.record("t").checks) == set(checks)


def test_a_follow_up_takes_no_other_task_s_name() -> None:
    queue = Queue()
    long = "t" * 120
    for name in ("t", long):
        queue.wrote(name)
    queue.submit("t:fix1", "noop")
    queue.submit(f"{long[:110]}:fix1", "noop")
    for name, follow_up in (("t", "t:fix1-2"), (long, f"{long[:110]}:fix1-2")):
        queue.ask(name)
        queue.step("rebase", {"why": "conflict", "target": "main"}, fails="conflicts", of=name)
        assert queue.record(name).follow_up == follow_up
        assert queue.job(follow_up).task.type == "code.generate"
    assert queue.job("t:fix1").task.type == "noop"


def test_a_halt_stops_merges_and_begins_none() -> None:
    queue = Queue()
    queue.wrote("t")
    queue.wrote("u")
    queue.ask("t")
    queue.ask("u")
    queue.hear(Kind.HALT, b.Halt(reason="stop"), sender=OPERATOR)
    queue.tick(60.0)
    assert (queue.record("t").state, queue.record("u").state) == ("withdrawn", "waiting")
    queue.hear(Kind.HALT, None, sender=OPERATOR)
    queue.tick(1.0)
    assert queue.record("u").state == "running"


CHOICES = st.sampled_from(["good", "bad", "conflict", "moved", "crash", "crash", "ask", "withdraw", "tick"])


@given(plan=st.lists(CHOICES, max_size=60))
@settings(max_examples=examples(60), deadline=None)
def test_every_merge_ends_once_and_none_runs_beside_another(plan: list[str]) -> None:
    """Whatever the steps say, and however often the dispatcher dies between two of them."""
    queue = Queue()
    names = ["t", "u", "v"]
    for name in names:
        queue.wrote(name)

    def answer(how: str) -> None:
        for task_id, offer in queue.open().items():
            if task_id not in queue.state.jobs or offer.body.epoch != queue.job(task_id).current.epoch:  # type: ignore[union-attr]
                continue
            step = task_id.rpartition(".")[2]
            if how == "moved" and step == "land":
                body = b.Failed(
                    task_id=task_id, agent_id=offer.key, attempt=offer.body.attempt, epoch=offer.body.epoch,
                    error=b.ErrorInfo(message="m"), result={"why": "moved"}, retryable=False,
                )  # fmt: skip
                queue.hear(Kind.TASK_FAILED, body, sender=offer.key)
            elif how == "conflict" and step == "rebase":
                body = b.Failed(
                    task_id=task_id, agent_id=offer.key, attempt=offer.body.attempt, epoch=offer.body.epoch,
                    error=b.ErrorInfo(message="c"), result={"why": "conflict", "target": "main"}, retryable=False,
                )  # fmt: skip
                queue.hear(Kind.TASK_FAILED, body, sender=offer.key)
            elif step == "rebase":
                queue.complete(offer, REBASED)
            elif step in ("testing-run", "code-review"):
                queue.complete(offer, {"verdict": "failed" if how == "bad" else "passed"})
            else:
                queue.complete(offer, {"branch": "x", "commit": "c1", "into": "main", "message": "landed"})
            return

    def look() -> None:
        records = [queue.job(name).merge for name in names if queue.job(name).merge is not None]
        assert sum(record is not None and record.state == "running" for record in records) <= 1
        open_ = {name for name in names if (m := queue.job(name).merge) is not None and not m.settled}
        assert open_ == set(queue.state.merges) == set(queue.merges)

    def agents() -> None:
        queue.agent("builder", capacity=4)
        queue.agent("tester", role="testing", capacity=4)
        queue.agent("reviewer", role="code-review", capacity=4)
        for agent_id in ("builder", "tester", "reviewer"):
            queue.beat(agent_id, *[o for o in queue.open().values() if o.key == agent_id])

    for at, what in enumerate(plan):
        if what == "crash":
            queue.crash()
            agents()
        elif what in ("ask", "withdraw"):
            queue.ask(names[at % 3], "merge" if what == "ask" else "withdraw")
        elif what == "tick":
            queue.tick(2.0)
        else:
            answer(what)
        look()
    for _ in range(200):
        agents()
        answer("good")
        queue.tick(1.0)
        look()
    assert all((m := queue.job(name).merge) is None or m.state in SETTLED for name in names)
