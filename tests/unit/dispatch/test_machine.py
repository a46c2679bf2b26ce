"""A state machine over the dispatcher's core: everything that may happen, in any order."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from swarm_tui.domain.dispatch import DispatchSettings, Job, Say
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import ENDED, GIVEN, TASK_TRANSITIONS, TaskState
from swarm_tui.domain.workflows.run import OVER
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.mail_bodies import MessageNew, MessageReceipt, PathsClaim, PathsRelease
from swarm_tui.protocol.run_bodies import RunEnded, RunStarted
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.machine_truths import Truths, Worker
from tests.unit.dispatch.world import OPERATOR, RULES, World, offers

S = TaskState
#: Legal, but for tasks alone that a machine with one layout and without crash reports does not make.
NOT_HERE = {(S.AWAITING_APPROVAL, S.COMPLETE), (S.AWAITING_APPROVAL, S.DEAD), (S.HELD, S.DEAD)}
AGENTS = ("a", "b", "c")
TYPES = ("noop", "database.migrate", "deployment.deploy")
GLOBS = ("src", "src/*.py", "docs/**", "**/a.py")


#: A run of steps of each sort; the items come from its inputs.
STEPS: dict[str, Any] = {
    "a": {"type": "noop"},
    "each": {"type": "noop", "needs": ["a"], "each": "{inputs.items}", "retry": {"max_attempts": 1}},
    "move": {"type": "database.migrate", "needs": ["a"]},
    "if": {"type": "noop", "needs": ["a"], "when": "{inputs.go}", "approve": True},
    "join": {"type": "noop", "needs": ["each", "move"]},
    "undo": {"type": "noop", "needs": ["move"], "on": "failure"},
    "tell": {"type": "noop", "needs": ["join", "undo", "if"], "on": "always"},
}
#: Steps that follow from success alone: what of them succeeded is never done again.
PLAIN = ("a", "each", "move", "if", "join")


def fence(say: Say) -> tuple[str, int, int]:
    assert isinstance(say.body, b.Inbox)
    return say.body.task_id or "", say.body.attempt or 0, say.body.epoch or 0


class Dispatching(Truths):
    proved = False
    """Words are proved, and a party may say again what it heard."""

    @initialize()
    def begin(self) -> None:
        self.world = World(DispatchSettings(rules=RULES, proved=self.proved))
        self.workers = {agent_id: Worker(agent_id) for agent_id in AGENTS}
        self.inboxes: list[Say] = []
        self.accepted: set[str] = set()
        self.moves: list[tuple[TaskState, TaskState, str]] = []
        self.seen: dict[str, TaskState] = {}
        """Each task's state as it was last moved to."""
        self.patch = pytest.MonkeyPatch()
        move = Turn.move

        def watched(turn: Turn, job: Job, state: TaskState, reason: str = "", **more: Any) -> None:
            self.moves.append((job.state, state, job.task_id))
            if turn.state is self.world.state:
                self.seen[job.task_id] = state
            move(turn, job, state, reason, **more)

        self.patch.setattr(Turn, "move", watched)
        self.outcomes: dict[str, str] = {}
        """Run id to how it ended, empty while it is open."""
        self.given_steps: set[tuple[str, int]] = set()
        self.succeeded: set[str] = set()
        self.redriven: dict[str, int] = {}
        self.taken_back: set[str] = set()
        """Tasks whose cancel was on its way when a person took it back: they run again once they have stopped."""
        self.runs: dict[str, set[tuple[int, int]]] = {}
        self.fences: dict[str, tuple[int, int]] = {}
        self.settled: set[tuple[str, int]] = set()
        for agent_id in AGENTS:
            self.note(self.world.agent(agent_id, incarnation=self.workers[agent_id].incarnation))

    def note(self, says: list[Say]) -> None:
        """Keep what was said for the agents, and check what it promises."""
        for say in says:
            if say.kind is Kind.INBOX:
                self.inboxes.append(say)
                assert isinstance(say.body, b.Inbox)
                if say.body.command is None:
                    task_id, attempt, epoch = fence(say)
                    assert (attempt, epoch) >= self.fences.get(task_id, (0, 0)), "a fence only grows"
                    assert task_id in self.world.journal, "nothing is offered that is not journaled"
                    self.fences[task_id] = (attempt, epoch)
                    self.step_is_due(task_id)
            elif isinstance(say.body, b.Queued) and say.body.original is None:
                self.accepted.add(say.body.task_id)
            elif isinstance(say.body, RunStarted) and not say.body.duplicate:
                self.outcomes[say.body.run_id] = ""
            elif isinstance(say.body, RunEnded):
                assert self.outcomes[say.body.run_id] == "", "a run ends once"
                self.outcomes[say.body.run_id] = say.body.outcome
        for before, after, task_id in self.moves:
            legal = after in TASK_TRANSITIONS[before] and (before, after) not in NOT_HERE
            asked = task_id in self.redriven or task_id in self.taken_back
            assert before not in ENDED or asked, f"{task_id}: {before} to {after}, and nobody asked"
            assert legal or after is before, f"{task_id}: {before} to {after}"
        self.moves.clear()
        for task_id, state in self.seen.items():
            job = self.world.state.jobs.get(task_id)
            assert job is None or job.state is state, (
                f"{task_id} became {job.state} past the one function that moves it"
            )

    def step_is_due(self, task_id: str) -> None:
        """No step is given to anybody before what it needs is over, nor after its run's end; none that succeeded is."""
        run = self.world.state.runs.get(task_id.partition(".")[0])
        if run is None or "." not in task_id:
            return
        if (task_id, self.world.state.epoch) in self.given_steps:
            return
        name = task_id.partition(".")[2].partition(":")[0].partition(".")[0]
        self.given_steps.add((task_id, self.world.state.epoch))
        assert not run.ended, f"{task_id} is given after its run's end"
        for need in run.step(name).needs:
            assert run.record.steps[need].state in OVER, f"{task_id} is given before {need} is over"
        if name in PLAIN:
            done = [other for other in self.succeeded if other.partition(":")[0] == task_id.partition(":")[0]]
            assert not done, f"{task_id} is given, and {done} succeeded"

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()

    def task_ids(self) -> list[str]:
        return sorted(self.world.state.jobs)

    # Publishers

    @rule(n=st.integers(0, 5), kind=st.sampled_from(TYPES), high=st.booleans(), tries=st.sampled_from([None, 1, 2]))
    def submit(self, n: int, kind: str, high: bool, tries: int | None) -> None:
        more: dict[str, Any] = {"priority": "high" if high else "low", "max_attempts": tries}
        self.note(self.world.submit(f"{kind}:{n}", kind, **more))

    @rule(n=st.integers(0, 3), m=st.integers(0, 1), value=st.integers(0, 1))
    def submit_keyed(self, n: int, m: int, value: int) -> None:
        self.note(self.world.submit(f"k:{n}:{m}", payload={"v": value}, idempotency_key=f"key{n}"))

    @rule(n=st.integers(0, 2), before=st.sampled_from([None, 5.0, 40.0]), life=st.sampled_from([None, -1.0, 20.0]))
    def submit_dated(self, n: int, before: float | None, life: float | None) -> None:
        wall = self.world.wall
        self.note(
            self.world.submit(
                f"d:{n}",
                not_before=None if before is None else wall + before,
                expires_at=None if life is None else wall + life,
            )
        )

    @rule(n=st.integers(0, 3), m=st.integers(0, 3))
    def submit_that_needs(self, n: int, m: int) -> None:
        known = [task_id for task_id in (f"noop:{m}", f"n:{m}") if task_id in self.world.state.jobs]
        self.note(self.world.submit(f"n:{n}", needs=known, max_attempts=1))

    # Runs

    @rule(n=st.integers(0, 1), stops=st.booleans(), go=st.booleans(), items=st.integers(0, 3))
    def run(self, n: int, stops: bool, go: bool, items: int) -> None:
        inputs = {"items": {"type": "array"}, "go": {"type": "boolean"}}
        given = {"items": list(range(items)), "go": go}
        policy = "stop" if stops else "continue"
        self.note(self.world.run(f"r{n}", STEPS, given, inputs=inputs, on_failure=policy))

    @precondition(lambda self: self.world.state.runs)
    @rule(data=st.data(), kind=st.sampled_from([Kind.RUN_CANCEL, Kind.RUN_RETRY]))
    def act_on_run(self, data: st.DataObject, kind: Kind) -> None:
        self.note(self.world.act_on_run(kind, data.draw(st.sampled_from(sorted(self.world.state.runs)))))

    @precondition(lambda self: self.world.state.runs)
    @rule(data=st.data(), step=st.sampled_from(sorted(STEPS)))
    def run_again_from(self, data: st.DataObject, step: str) -> None:
        """A person names the step from which all is done again, also what succeeded."""
        run_id = data.draw(st.sampled_from(sorted(self.world.state.runs)))
        says = self.world.act_on_run(Kind.RUN_RETRY, run_id, step)
        if any(isinstance(say.body, RunStarted) for say in says):
            again = {step}
            for name, given in STEPS.items():
                if again & set(given.get("needs", ())):
                    again.add(name)
            mine = {f"{run_id}.{name}" for name in again}
            self.succeeded = {one for one in self.succeeded if not one.partition(":")[0].startswith(tuple(mine))}
        self.note(says)

    @precondition(lambda self: any(job.state is S.AWAITING_APPROVAL for job in self.world.state.jobs.values()))
    @rule()
    def approve_all(self) -> None:
        for job in list(self.world.state.jobs.values()):
            if job.state is S.AWAITING_APPROVAL:
                self.note(self.world.act(Kind.TASK_APPROVE, job.task_id, payload_hash=job.payload_hash))

    # The road between dispatcher and agents: any order, lost, twice

    @precondition(lambda self: self.inboxes)
    @rule(data=st.data(), keep=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool) -> None:
        index = data.draw(st.integers(0, len(self.inboxes) - 1))
        say = self.inboxes[index] if keep else self.inboxes.pop(index)
        self.receive(self.workers[say.key], say)

    @precondition(lambda self: self.inboxes)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.inboxes.pop(data.draw(st.integers(0, len(self.inboxes) - 1)))

    def receive(self, worker: Worker, say: Say) -> None:
        body = say.body
        assert isinstance(body, b.Inbox)
        if body.command is None:
            if (body.epoch or 0) < worker.epoch:
                worker.known.add(fence(say))
                task_id, attempt, epoch = fence(say)
                declined = b.Declined(task_id=task_id, agent_id=worker.agent_id, attempt=attempt, epoch=epoch)
                self.note(self.world.hear(Kind.TASK_DECLINED, declined, sender=worker.agent_id))
            elif body.incarnation == worker.incarnation and fence(say) not in worker.known:
                worker.known.add(fence(say))
                worker.running.append(say)
                self.ran(*fence(say))
                self.note(self.world.start(say))
        elif body.command == "cancel":
            for held in [h for h in worker.running if fence(h)[:2] == (body.task_id, body.attempt)]:
                worker.running.remove(held)
                worker.unacked.append((held, "cancelled"))
                self.note(self.world.fail(held, retryable=False, message="cancelled", cause="cancelled"))
        elif body.command == "message" and body.message is not None:
            name = body.message.message_id
            if name not in worker.unread and name not in worker.read:
                worker.unread.append(name)
            self.tell_of_mail(worker, name)
        elif body.command == "ack":
            worker.unacked = [u for u in worker.unacked if fence(u[0])[:2] != (body.task_id, body.attempt)]

    def tell_of_mail(self, worker: Worker, message_id: str) -> None:
        kind = Kind.MESSAGE_READ if message_id in worker.read else Kind.MESSAGE_DELIVERED
        body = MessageReceipt(message_id=message_id, agent_id=worker.agent_id)
        self.note(self.world.hear(kind, body, sender=worker.agent_id))

    def ran(self, task_id: str, attempt: int, epoch: int) -> None:
        self.runs.setdefault(task_id, set()).add((attempt, epoch))
        if task_id.startswith(("database", "deployment")):
            since = self.redriven.get(task_id, 0)
            unknown = [run for run in self.runs[task_id] if run[0] > since and (task_id, run[0]) not in self.settled]
            assert len(unknown) <= 1 or attempt <= since, f"{task_id} ran twice by itself: attempts {unknown}"

    # Mail, and claims on paths

    @rule(
        n=st.integers(0, 5),
        sender=st.sampled_from([*AGENTS, OPERATOR]),
        to=st.sampled_from([*AGENTS, "general", "all", "nobody", OPERATOR]),
        life=st.sampled_from([None, None, 20.0]),
        answers=st.sampled_from([None, None, "m:0", "m:1"]),
    )
    def send(self, n: int, sender: str, to: str, life: float | None, answers: str | None) -> None:
        expires_at = None if life is None else self.world.wall + life
        body = MessageNew(message_id=f"m:{n}", to=to, text="x", reply_to=answers, expires_at=expires_at)
        self.note(self.world.hear(Kind.MESSAGE_NEW, body, sender=sender))

    @precondition(lambda self: any(w.unread for w in self.workers.values()))
    @rule(data=st.data(), told=st.booleans())
    def read(self, data: st.DataObject, told: bool) -> None:
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.unread]))
        worker.read.append(worker.unread.pop(0))
        if told:
            self.tell_of_mail(worker, worker.read[-1])

    @precondition(lambda self: any(w.read for w in self.workers.values()))
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.read]))
        self.tell_of_mail(worker, data.draw(st.sampled_from(worker.read)))

    @precondition(lambda self: any(w.running for w in self.workers.values()))
    @rule(data=st.data(), n=st.integers(0, 3), paths=st.lists(st.sampled_from(GLOBS), min_size=1, max_size=2))
    def claim_paths(self, data: st.DataObject, n: int, paths: list[str]) -> None:
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.running]))
        task_id, attempt, epoch = fence(data.draw(st.sampled_from(worker.running)))
        body = PathsClaim(
            claim_id=f"c{n}", task_id=task_id, agent_id=worker.agent_id, attempt=attempt, epoch=epoch, paths=paths
        )
        says = self.world.hear(Kind.PATHS_CLAIM, body, sender=worker.agent_id)
        self.note(says)
        answers = [say for say in says if say.kind in (Kind.PATHS_CLAIMED, Kind.PATHS_REFUSED)]
        assert len(answers) == 1, "a claim has one answer"

    @precondition(lambda self: self.world.state.paths)
    @rule(data=st.data())
    def release_paths(self, data: st.DataObject) -> None:
        job = self.world.state.jobs[data.draw(st.sampled_from(sorted(self.world.state.paths)))]
        held = job.paths[0]
        body = PathsRelease(task_id=job.task_id, agent_id=held.agent_id, attempt=held.attempt, claim_id=held.claim_id)
        self.note(self.world.hear(Kind.PATHS_RELEASE, body, sender=held.agent_id))

    # Agents

    @precondition(lambda self: any(w.running for w in self.workers.values()))
    @rule(data=st.data(), how=st.sampled_from(["complete", "retry", "fail", "interrupted"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.running]))
        say = worker.running.pop(data.draw(st.integers(0, len(worker.running) - 1)))
        worker.unacked.append((say, how))
        if data.draw(st.booleans()):
            self.answer(say, how)

    def answer(self, say: Say, how: str) -> None:
        self.note(self.tell(self.world, say, how))

    def tell(self, world: World, say: Say, how: str) -> list[Say]:
        task_id, attempt, _ = fence(say)
        if how in ("retry", "fail"):
            self.settled.add((task_id, attempt))
        if how == "complete":
            return world.complete(say)
        if how == "cancelled":
            return world.fail(say, retryable=False, message="cancelled", cause="cancelled")
        if how == "interrupted":
            return world.fail(say, retryable=True, message="interrupted", cause="interrupted")
        return world.fail(say, retryable=how == "retry")

    @rule(how=st.sampled_from(["complete", "complete", "complete", "fail"]))
    def work_all(self, how: str) -> None:
        """All is delivered, done and answered, as in a swarm without trouble; and what follows from it."""
        for _ in range(8):
            for say in list(self.inboxes):
                self.inboxes.remove(say)
                self.receive(self.workers[say.key], say)
            for worker in self.workers.values():
                while worker.running:
                    say = worker.running.pop()
                    worker.unacked.append((say, how))
                    self.answer(say, how)

    @precondition(lambda self: any(w.unacked for w in self.workers.values()))
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.unacked]))
        self.answer(*data.draw(st.sampled_from(worker.unacked)))

    @rule(agent_id=st.sampled_from(AGENTS), data=st.data())
    def beat(self, agent_id: str, data: st.DataObject) -> None:
        worker = self.workers[agent_id]
        named = [say for say in worker.running if data.draw(st.integers(0, 3))]
        finished = tuple(say for say, _ in worker.unacked)
        self.note(self.world.beat(agent_id, *named, incarnation=worker.incarnation, finished=finished))

    @rule(agent_id=st.sampled_from(AGENTS))
    def decline(self, agent_id: str) -> None:
        worker = self.workers[agent_id]
        for say in [s for s in offers(self.inboxes) if s.key == agent_id and fence(s) not in worker.known][:1]:
            worker.known.add(fence(say))
            task_id, attempt, epoch = fence(say)
            body = b.Declined(task_id=task_id, agent_id=agent_id, attempt=attempt, epoch=epoch, reason="busy")
            self.note(self.world.hear(Kind.TASK_DECLINED, body, sender=agent_id))

    @precondition(lambda self: any(w.running for w in self.workers.values()))
    @rule(data=st.data())
    def decline_what_runs(self, data: st.DataObject) -> None:
        """A repeat of the offer under another fence is declined by the agent that is at work on it."""
        worker = data.draw(st.sampled_from([w for w in self.workers.values() if w.running]))
        task_id, attempt, epoch = fence(data.draw(st.sampled_from(worker.running)))
        body = b.Declined(task_id=task_id, agent_id=worker.agent_id, attempt=attempt, epoch=epoch, reason="still runs")
        job = self.world.state.jobs[task_id]
        holds = job.state in GIVEN and job.attempt == attempt
        says = self.world.hear(Kind.TASK_DECLINED, body, sender=worker.agent_id)
        self.note(says)
        assert not holds or task_id not in {fence(say)[0] for say in offers(says)}

    @rule(agent_id=st.sampled_from(AGENTS))
    def late_farewell(self, agent_id: str) -> None:
        """What a predecessor said as it left comes, or comes again, when its successor is at work."""
        worker = self.workers[agent_id]
        if worker.life:
            held = set(self.world.state.held_by.get(agent_id, ()))
            body = b.Shutdown(agent_id=agent_id, incarnation=f"{agent_id}{worker.life - 1}")
            self.note(self.world.hear(Kind.SHUTDOWN, body, sender=agent_id))
            assert set(self.world.state.held_by.get(agent_id, ())) == held

    @rule(agent_id=st.sampled_from(AGENTS), hard=st.booleans(), told=st.booleans())
    def restart(self, agent_id: str, hard: bool, told: bool) -> None:
        worker = self.workers[agent_id]
        if not hard:
            self.note(
                self.world.hear(
                    Kind.SHUTDOWN, b.Shutdown(agent_id=agent_id, incarnation=worker.incarnation), sender=agent_id
                )
            )
        if told:
            pane = b.PaneStatus(
                agent_id=agent_id, state="exited", exit_signal=11 if hard else None, exit_status=None if hard else 0
            )  # fmt: skip
            self.note(self.world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[pane]), key="box", sender="sup"))
        worker.running.clear()
        worker.life += 1
        running = b.PaneStatus(agent_id=agent_id, pid=worker.life + 1)
        self.note(self.world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[running]), key="box", sender="sup"))
        self.note(self.world.agent(agent_id, incarnation=worker.incarnation))

    @rule(agent_id=st.sampled_from(AGENTS), data=st.data())
    def claim(self, agent_id: str, data: st.DataObject) -> None:
        waiting = [t for t in self.task_ids() if t.startswith("noop")]
        task_id = data.draw(st.sampled_from([*waiting, "noop:0"]))
        body = b.Assigned(task_id=task_id, agent_id=agent_id)
        self.note(self.world.hear(Kind.TASK_ASSIGNED, body, sender=agent_id))

    # Time, operators, death

    @rule(seconds=st.sampled_from([1.0, 6.0, 31.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        self.note(self.world.tick(seconds))

    @rule(seconds=st.sampled_from([-5000.0, -3.0, 3.0, 5000.0]))
    def set_clock(self, seconds: float) -> None:
        self.world.wall += seconds
        self.note(self.world.tick())

    @rule(seconds=st.sampled_from([7.0, 400.0]))
    def sleep(self, seconds: float) -> None:
        """The dispatcher was stopped: time passed and it saw nothing of it."""
        self.world.now += seconds
        self.world.wall += seconds
        before = {job.task_id for job in self.world.state.jobs.values() if job.state in GIVEN}
        self.note(self.world.tick())
        for task_id in before:
            job = self.world.state.jobs[task_id]
            assert job.state in GIVEN or job.ended, "our own sleep is no proof that an agent is gone"

    @precondition(lambda self: self.world.state.jobs)
    @rule(
        data=st.data(), kind=st.sampled_from([Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_DENY])
    )
    def act(self, data: st.DataObject, kind: Kind) -> None:
        task_id = data.draw(st.sampled_from(self.task_ids()))
        job = self.world.state.jobs[task_id]
        right = data.draw(st.booleans())
        before, number, redriven = job.state, job.attempt, self.redriven.get(task_id)
        if kind is Kind.TASK_REDRIVE and job.state not in GIVEN and job.state is not S.COMPLETE:
            self.redriven[task_id] = number
        elif kind is Kind.TASK_REDRIVE and job.cancelling is not None:
            self.taken_back.add(task_id)
        says = self.world.act(kind, task_id, payload_hash=job.payload_hash if right else "0" * 64)
        self.note(says)
        if kind is Kind.TASK_REDRIVE and any(say.kind is Kind.ALERT for say in says):
            # Refused: it excuses no second run.
            self.redriven.pop(task_id, None)
            if redriven is not None:
                self.redriven[task_id] = redriven
        if kind is Kind.TASK_APPROVE and not right:
            assert job.state is before, "an approval of something else approves nothing"

    @rule(on=st.booleans())
    def halt(self, on: bool) -> None:
        lift = b.Halt(lifted=True) if self.proved else None
        self.note(self.world.hear(Kind.HALT, b.Halt(reason="stop") if on else lift, sender="operator:ann@box"))
        if on:
            assert not len(self.world.state.queue), "a halt leaves nothing queued"

    @rule()
    def crash(self) -> None:
        halted, halt_id = self.world.state.halted, self.world.state.halt_id
        given = {job.task_id: job.attempt for job in self.world.state.jobs.values() if job.state in GIVEN}
        incarnations = {a.agent_id: a.incarnation for j in given for a in self.world.state.jobs[j].attempts[-1:]}
        self.seen.clear()
        says = self.world.crash()
        self.world.state.halted, self.world.state.halt_id = halted, halt_id
        self.note(says)
        for agent_id, worker in self.workers.items():
            before = self.world.agent(agent_id, incarnation=worker.incarnation)
            self.note(before)
            says += before
        for say in offers(says):
            task_id, attempt, _ = fence(say)
            lives = all(w.incarnation == incarnations.get(w.agent_id, w.incarnation) for w in self.workers.values())
            if task_id in given and lives:
                assert attempt == given[task_id], f"{task_id} may still run, and was given to another at once"

    @rule(data=st.data(), more=st.integers(0, 3))
    def another_leads(self, data: st.DataObject, more: int) -> None:
        """One begins from the journal as it is now. The first hears a little more before it knows, and what it says
        then, acks and offers of its own epoch, is on its way too."""
        first = copy.deepcopy(self.world)
        self.crash()
        for worker in self.workers.values():
            worker.epoch = self.world.state.epoch
        worker = data.draw(st.sampled_from(list(self.workers.values())))
        says = first.agent(worker.agent_id, incarnation=worker.incarnation, capacity=1 + more)
        for _ in range(more):
            busy = [worker for worker in self.workers.values() if worker.running or worker.unacked]
            if busy:
                worker = data.draw(st.sampled_from(busy))
                if worker.running:
                    worker.unacked.append((worker.running.pop(), "complete"))
                says += self.tell(first, *data.draw(st.sampled_from(worker.unacked)))
            says += first.tick(data.draw(st.sampled_from([1.0, 31.0])))
        self.inboxes += [say for say in says if say.kind is Kind.INBOX]

    @rule(up=st.booleans())
    def link(self, up: bool) -> None:
        self.note(self.world.link(up))


class WithALiar(Dispatching):
    """The same where words are proved, with one who repeats them and claims what is nobody's."""

    proved = True

    @precondition(lambda self: self.world.heard)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.world.heard[-200:]))
        before = {task_id: (job.state, job.attempt) for task_id, job in self.world.state.jobs.items()}
        self.note(self.world.hear_again(event))
        if event.kind in (Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_DENY):
            after = {task_id: (job.state, job.attempt) for task_id, job in self.world.state.jobs.items()}
            assert after == before, "an act is carried out once"


TestWithALiar = WithALiar.TestCase
TestWithALiar.settings = settings(
    max_examples=examples(30), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
