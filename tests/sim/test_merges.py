"""The merge queue in seeded swarms under trouble: the target is green at every step, each branch merged or returned."""

import os

import pytest

from swarm_tui.agent.running_attempt import Outcome, RunningAttempt
from swarm_tui.domain.dispatch.merge_record import SETTLED
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.merge_bodies import MergeAct
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.sim import truths
from tests.sim.swarm import Swarm

BRANCHES, REPO = 30, "/r"
KINDS = ("good", "conflict", "red")
SEEDS, SHARDS, DRILL_SEEDS = examples(12), 4, 1000


def kind_of(task_id: str) -> str:
    """A third of the branches conflict with what a person committed, a third break the tests."""
    return KINDS[int(task_id.removeprefix("b")) % len(KINDS)]


class Repository:
    """A target branch and what its commits hold; whoever kills an agent does not undo what it did there."""

    def __init__(self) -> None:
        self.holds: dict[str, frozenset[str]] = {"m0": frozenset()}
        self.tip = "m0"
        self.passed: set[str] = {"m0"}
        """Commits of which the tests have said that they are green."""

    def commit_by_a_person(self, name: str) -> None:
        """The target moves, whatever is on its way to it."""
        self.holds[name] = self.holds[self.tip]
        self.tip = name
        self.passed.add(name)

    def rebase(self, task_id: str) -> Outcome:
        if task_id in self.holds[self.tip]:
            return no("the target has all of it", "merged", commit=self.tip, target="main")
        if kind_of(task_id) == "conflict":
            return no("it conflicts with main in shared.py", "conflict", target="main")
        commit = f"{task_id}-on-{self.tip}"
        self.holds[commit] = self.holds[self.tip] | {task_id}
        return Outcome(result={"repo": REPO, "target": "main", "onto": self.tip, "commit": commit, "tip": task_id})

    def test(self, commit: str) -> Outcome:
        bad = sorted(name for name in self.holds[commit] if kind_of(name) == "red")
        if not bad:
            self.passed.add(commit)
        return Outcome(result={"verdict": "failed" if bad else "passed", "failed": len(bad)})

    def land(self, onto: str, commit: str) -> Outcome:
        if self.tip not in (onto, commit):
            return no("main has moved", "moved")
        self.tip = commit
        return Outcome(result={"commit": commit, "into": "main", "message": "merged"})


def no(message: str, why: str, **more: str) -> Outcome:
    return Outcome(error=message, code=why, result={"why": why, **more})


class MergingSwarm(Swarm):
    """A swarm whose three agents write branches, test and merge them, and a person who asks for each merge."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, tasks=0, trouble=150.0)
        self.repository = Repository()
        self.early: dict[tuple[str, int], Outcome] = {}
        self.asked_at: dict[str, float] = {}
        self.again = 0
        """Times that a merge was asked for that had been stopped."""
        tasks = [b.Task(task_id=f"b{n}", type="code.generate", payload={"prompt": f"do {n}"}) for n in range(BRANCHES)]
        self.publisher.tasks = {task.task_id: task for task in tasks}
        self.publisher.waiting = dict(self.publisher.tasks)
        self.publisher.due = {name: self.time.now + self.rng.uniform(0, 30) for name in self.publisher.tasks}

    def work_begins(self, attempt: RunningAttempt) -> None:
        """What an agent does to the target it may do long before it tells, or dies."""
        if attempt.lease.task.type == "code.merge" and self.rng.random() < 0.5:
            outcome = self._done(attempt)
            assert outcome is not None
            self.early[attempt.task_id, attempt.lease.attempt] = outcome

    def came_of(self, attempt: RunningAttempt) -> Outcome | None:
        return self.early.pop((attempt.task_id, attempt.lease.attempt), None) or self._done(attempt)

    def _done(self, attempt: RunningAttempt) -> Outcome | None:
        task = attempt.lease.task
        if task.type not in ("code.generate", "testing.run", "code.merge"):
            return None
        if task.type == "code.generate":
            return Outcome(result={"branch": f"swarm/{task.task_id}", "repo": REPO})
        if task.type == "testing.run":
            return self.repository.test(str(task.payload["head"]))
        if task.payload["act"] == "rebase":
            return self.repository.rebase(str(task.payload["task_id"]))
        return self.repository.land(str(task.payload["onto"]), str(task.payload["commit"]))

    def step(self, seconds: float) -> None:
        super().step(seconds)
        if self.time.now < self.trouble_ends and self.rng.random() < 0.02:
            self.repository.commit_by_a_person(f"m{self.time.now:.1f}")
        state = self.dispatcher.engine.state
        for name in self.publisher.tasks:
            job = state.jobs.get(name) or self.dispatcher.journal.find(name)
            if job is not None and job.state is TaskState.COMPLETE and self._wants(job):
                self.asked_at[name] = self.time.now
                self.again += job.merge is not None
                act = MergeAct(task_id=name, act="merge")
                self.publisher.bus.publish(self.publisher.writer.message(Kind.MERGE_ACT, act))
            elif job is not None and job.state is TaskState.CANCELLED and self._has_waited(name):
                # A halt ended what an agent had claimed.
                self.asked_at[name] = self.time.now
                self.publisher.act(Kind.TASK_REDRIVE, name)
        self._look()

    def _wants(self, job: Job) -> bool:
        """The person asks again for what was lost on its way, and for what was stopped, once they have looked at it."""
        stopped = job.merge is not None and job.merge.state in ("stopped", "withdrawn")
        return (job.merge is None or stopped) and self._has_waited(job.task_id)

    def _has_waited(self, name: str) -> bool:
        """Return whether it is long enough ago that the person said a word of the task."""
        return self.time.now - self.asked_at.get(name, 0.0) > 20.0

    def _look(self) -> None:
        repository, state = self.repository, self.dispatcher.engine.state
        bad = [name for name in repository.holds[repository.tip] if kind_of(name) != "good"]
        assert not bad, f"the target has {bad}"
        assert repository.tip in repository.passed, f"{repository.tip} was never tested"
        merges = [state.jobs[name].merge for name in state.merges]
        running = [merge.run_id for merge in merges if merge is not None and merge.state == "running"]
        assert len(running) <= 1, f"{running} are merged at once"

    def _person(self, what: str) -> None:
        if what == "halt or resume":
            self.publisher.halt(self.dispatcher.engine.state.halted is None)

    def is_over(self) -> bool:
        if self.time.now < self.trouble_ends or not super().is_over():
            return False
        jobs = [self.dispatcher.engine.state.jobs.get(name) or self.dispatcher.journal.find(name)
                for name in self.publisher.tasks]  # fmt: skip
        merges = [job.merge for job in jobs if job is not None]
        return all(merge is not None and merge.state in ("merged", "returned") for merge in merges)

    def at_the_end(self) -> None:
        records = self.records()
        for name in self.publisher.tasks:
            record = records[name].merge
            assert record is not None
            assert record.state in SETTLED
            wanted = "merged" if kind_of(name) == "good" else "returned"
            assert record.state == wanted, f"{name} is {record.state}: {record.reason}"
            assert record.state == "merged" or record.reason, f"{name} was returned without a reason"
        merged = self.repository.holds[self.repository.tip]
        assert merged == {name for name in self.publisher.tasks if kind_of(name) == "good"}
        for job in records.values():
            if job.merge is None:
                truths.of_a_record(job)


def live(seeds: list[int]) -> None:
    """Each seed's life; SWARM_SIM_SEED=n replays one."""
    one = os.environ.get("SWARM_SIM_SEED")
    again = 0
    for seed in [int(one)] if one else seeds:
        swarm = MergingSwarm(seed)
        try:
            with truths.of_each_move():
                swarm.run()
        except Exception as error:  # noqa: BLE001 - any failure must name its seed
            pytest.fail(f"seed {seed} (replay it with SWARM_SIM_SEED={seed}): {type(error).__name__}: {error}")
        finally:
            swarm.close()
        again += swarm.again
    print(f"{len(seeds)} swarms, {again} merges asked for again")


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_target_is_green_and_each_branch_is_merged_or_returned(shard: int) -> None:
    live(list(range(SEEDS))[shard::SHARDS])


@pytest.mark.drill
def test_the_target_is_green_in_many_swarms() -> None:
    live(list(range(DRILL_SEEDS)))
