"""What must stay true of the dispatcher's core, whatever happens and in whatever order (`test_machine.py`)."""

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant

from swarm_tui.domain.dispatch import Job, Say
from swarm_tui.domain.mail.paths import overlap
from swarm_tui.domain.states import GIVEN, TaskState
from swarm_tui.domain.workflows.run import OVER, Run
from swarm_tui.protocol import bodies as b
from tests.unit.dispatch.world import World, orders

S = TaskState


class Worker:
    """What one agent has in hand. It runs each (task, attempt, epoch) once, as the real one does by its journal."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.life = 0
        self.epoch = 0
        """Of the latest leader that it heard of: it declines what an earlier one offers."""
        self.running: list[Say] = []
        self.unacked: list[tuple[Say, str]] = []
        self.known: set[tuple[str, int, int]] = set()
        self.unread: list[str] = []
        self.read: list[str] = []
        """Messages, each once: it is on its disk which it has and which it has read."""

    @property
    def incarnation(self) -> str:
        return f"{self.agent_id}{self.life}"


class Truths(RuleBasedStateMachine):
    """Invariants, each looked at after every step. Whoever has them keeps the facts that are named here."""

    world: World
    workers: dict[str, Worker]
    inboxes: list[Say]
    accepted: set[str]
    outcomes: dict[str, str]
    """Run id to how it ended, empty while it is open."""
    succeeded: set[str]
    """Tasks of steps that succeeded; filled here."""

    @invariant()
    def nothing_vanishes(self) -> None:
        assert self.accepted <= set(self.world.journal), "what was accepted is in the journal"

    @invariant()
    def one_lease(self) -> None:
        for job in self.world.state.jobs.values():
            live = [a for a in job.attempts if not a.outcome]
            assert len(live) == (job.state in GIVEN), f"{job.task_id} is {job.state} with {len(live)} live attempts"
            assert not live or live[0] is job.attempts[-1]
            assert (job.task_id in self.world.state.leases) == (job.state in GIVEN)
            numbers = [a.number for a in job.attempts]
            assert numbers == sorted(set(numbers)), "attempts only grow"
            assert [a.epoch for a in job.attempts] == sorted(a.epoch for a in job.attempts), "epochs only grow"

    @invariant()
    def one_end(self) -> None:
        for job in self.world.state.jobs.values():
            if job.state is S.COMPLETE:
                assert sum(a.outcome == "complete" for a in job.attempts) == 1
            assert job.ended == (job.ended_at is not None)

    @invariant()
    def attempts_are_bounded(self) -> None:
        for job in self.world.state.jobs.values():
            assert job.tries <= (job.task.max_attempts or 3), f"{job.task_id}: {job.tries} tries"
            assert len(job.attempts) <= 100 or all(a.started for a in job.attempts), "the record does not grow for ever"

    @invariant()
    def indices_agree(self) -> None:
        state = self.world.state
        assert state.open == sum(not job.ended for job in state.jobs.values())
        held = {task_id for task_ids in state.held_by.values() for task_id in task_ids}
        assert held == {job.task_id for job in state.jobs.values() if job.state in GIVEN}
        for job in state.jobs.values():
            if job.task_id in state.queue:
                assert job.state is S.QUEUED
            elif job.state is S.QUEUED:
                assert job.task.not_before is not None, f"{job.task_id} waits nowhere"

    @invariant()
    def journal_is_current(self) -> None:
        for task_id, raw in self.world.journal.items():
            kept = msgspec.msgpack.decode(raw, type=Job)
            assert kept.state == self.world.state.jobs[task_id].state

    @invariant()
    def runs_agree_with_their_tasks(self) -> None:
        state = self.world.state
        for run in state.runs.values():
            raw = msgspec.msgpack.encode(run.record)
            assert self.world.run_rows[run.run_id][1] == raw, "the journal has the run as it is"
            assert run.ended == bool(self.outcomes[run.run_id]), f"{run.run_id}: {run.record.state}"
            assert run.ended == all(step.state in OVER for step in run.record.steps.values())
            fresh = Run(run.plan, run.record)
            assert (fresh.open, fresh.missing) == (run.open, run.missing)
            for name, step in run.record.steps.items():
                for task_id, letter in zip(run.task_ids(name), step.ends or "", strict=True):
                    job = state.jobs[task_id]
                    assert job.ended == (letter != "."), f"{task_id} is {job.state}, its run has {letter}"
                    assert (letter == "c") == (job.state is S.COMPLETE)
                    if letter == "c":
                        self.succeeded.add(task_id)
                assert ("." in (step.ends or "")) == (step.state == "running")
                alone = state.jobs.get(f"{run.run_id}.{name}" + (f":{step.round}" if step.round > 1 else ""))
                if alone is not None and run.step(name).each is None:
                    assert (alone.state is S.BLOCKED) == (step.state == "blocked")
                    assert (alone.state is S.SKIPPED) == (step.state == "skipped")

    @invariant()
    def blocked_tasks_are_waited_for(self) -> None:
        state = self.world.state
        for job in state.jobs.values():
            if job.state is S.BLOCKED and not job.run_id:
                open_needs = [name for name in job.task.needs or () if not state.jobs[name].ended]
                assert open_needs, f"{job.task_id} waits for nothing"
                assert all(job.task_id in state.needed_by[name] for name in open_needs)

    @invariant()
    def no_file_is_held_by_two(self) -> None:
        state = self.world.state
        holders = {job.task_id: job for job in state.jobs.values() if job.paths}
        assert set(state.paths) == set(holders)
        for job in holders.values():
            assert job.state in GIVEN, f"{job.task_id} is {job.state} and holds paths"
            assert {held.attempt for held in job.paths} == {job.attempt}
            mine = [path for held in job.paths for path in held.paths]
            theirs = [path for other in holders.values() if other is not job for h in other.paths for path in h.paths]
            assert not any(overlap(a, b) for a in mine for b in theirs), f"{job.task_id}: {mine} {theirs}"
        for task_id, raw in self.world.journal.items():
            assert msgspec.msgpack.decode(raw, type=Job).paths == state.jobs[task_id].paths, "the journal has them too"

    @invariant()
    def mail_is_where_its_receipts_say(self) -> None:
        post = self.world.state.post
        assert set(post.mails) == set(self.world.mail_rows)
        waits = {(a, m.message_id) for m in post.mails.values() for a, r in m.receivers.items() if r.state == "waiting"}
        has = {(a, m.message_id) for m in post.mails.values() for a, r in m.receivers.items() if r.state == "delivered"}
        said = {(agent_id, name) for agent_id, box in post.unread.items() for name in box.waiting}
        assert waits <= said <= waits | has, "what waits is said, and of the rest what another life wrote of"
        assert has == {(agent_id, name) for agent_id, box in post.unread.items() for name in box.delivered}
        for mail in post.mails.values():
            assert msgspec.msgpack.encode(mail) == self.world.mail_rows[mail.message_id], "the journal has it as it is"
            assert mail.ended == (mail.message_id in post.past)
            for agent_id, receipt in mail.receivers.items():
                if receipt.state == "read":
                    assert mail.message_id in self.workers[agent_id].read, f"{agent_id} never read {mail.message_id}"
        for worker in self.workers.values():
            assert len(set(worker.read)) == len(worker.read), "each is read once"

    @invariant()
    def orders_name_attempts(self) -> None:
        for say in orders(self.inboxes, "cancel"):
            assert isinstance(say.body, b.Inbox)
            assert say.body.task_id in self.world.state.jobs
