"""What must be true of a simulated swarm: at every step, of every record, and in the end."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.mail.paths import overlap
from swarm_tui.domain.states import GIVEN, TASK_TRANSITIONS, TaskState
from swarm_tui.domain.workflows.run import OVER, Run
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from tests.sim.parts import FIRINGS, PLAIN_STEPS, RULES, SWARM

if TYPE_CHECKING:
    from tests.sim.dispatcher import SimDispatcher
    from tests.sim.mail import Correspondence
    from tests.sim.swarm import Swarm

#: Which steps of a task's record may follow which. Beside them, at any time: late answers and a cancel that was asked.
WAITS = {"queued", "held", "dead", "cancelled", "retry-wait"}
NEXT = {
    "published": {"queued", "awaiting-approval", "failed", "blocked"},
    "blocked": {"queued", "awaiting-approval", "failed", "cancelled", "skipped"},
    "skipped": set(),
    "awaiting-approval": {"approved", "denied", "cancelled", "expired"},
    "approved": {"queued"},
    "denied": {"cancelled"},
    "queued": {"assigned", "claimed", "running", "complete", "cancelled", "expired", "dead"},
    "assigned": {"started", "held", "claimed", "declined", "lost", "failed", "complete", "cancelled", "assigned"},
    "claimed": {"started", "held", "declined", "lost", "failed", "complete", "cancelled"},
    "started": {"held", "lost", "failed", "complete", "cancelled"},
    "running": {"held", "lost", "failed", "complete", "cancelled"},
    "declined": {"assigned", "claimed", "running", "complete", "cancelled", "expired"},
    "lost": {*WAITS, "counted", "assigned", "claimed", "running", "complete", "redriven", "expired"},
    "failed": {*WAITS, "counted", "assigned", "claimed", "complete", "redriven", "expired"},
    "counted": WAITS,
    "retry-wait": {"queued", "assigned", "claimed", "running", "complete", "cancelled", "expired", "redriven"},
    "held": {"redriven", "running", "complete", "cancelled"},
    "redriven": {"queued", "approved", "denied", "cancelled", "expired"},
    "cancelled": {"redriven"},
    "expired": {"redriven"},
    "dead": {"redriven"},
    "complete": set(),
}
for follows in NEXT.values():
    if "complete" in follows or "failed" in follows:
        # What ended at once is heard of by its end alone, which tells that it had begun.
        follows.add("started")
BESIDE = {"late", "cancelling", "withdrawn", "claimed-paths"}
ENDS = {TaskState.COMPLETE, TaskState.CANCELLED, TaskState.EXPIRED, TaskState.DEAD, TaskState.SKIPPED}


@contextmanager
def of_each_move() -> Iterator[None]:
    """Of every change of a task's state while this lasts, whoever makes it."""
    move = Turn.move

    def watched(turn: Turn, job: Job, state: TaskState, reason: str = "", *, lazy: bool = False) -> None:
        before = job.state
        move(turn, job, state, reason, lazy=lazy)
        assert state is before or state in TASK_TRANSITIONS[before], f"{job.task_id}: {before} to {state}"

    Turn.move = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        Turn.move = move  # type: ignore[method-assign]


def at_every_step(dispatcher: "SimDispatcher") -> None:
    """Of what one dispatcher believes."""
    state = dispatcher.engine.state
    for job in state.jobs.values():
        given = job.state in GIVEN
        live = [attempt for attempt in job.attempts if not attempt.outcome]
        assert len(live) == given, f"{job.task_id} is {job.state} with {len(live)} live attempts"
        assert not live or live[0] is job.attempts[-1], f"{job.task_id}: an attempt before the last one lives"
        assert (job.task_id in state.leases) == given, f"{job.task_id} is {job.state}, its lease says something else"
        assert (job.task_id in state.held_by.get(job.agent_id or "", ())) == given, f"{job.task_id} is in no hand"
        assert job.tries <= _most(job), f"{job.task_id}: {job.tries} tries"

    of_paths(state.jobs)
    for run in state.runs.values():
        assert run.ended == all(step.state in OVER for step in run.record.steps.values()), f"{run.run_id} hangs"


def of_paths(jobs: dict[str, Job]) -> None:
    """Of claims on paths: an attempt that lasts has each, and no two have what may be one file."""
    holders = [job for job in jobs.values() if job.paths]
    held = [(job, claim, path) for job in holders for claim in job.paths for path in claim.paths]
    for job, claim, path in held:
        assert job.state in GIVEN, f"{job.task_id} is {job.state} and holds {path}"
        assert claim.attempt == job.attempt, f"{job.task_id}: {path} is held by an attempt that is over"
        for other, _, theirs in held:
            assert other is job or not overlap(path, theirs), f"{job.task_id} and {other.task_id} hold {path}, {theirs}"


def of_mail(swarm: "Swarm", post: "Correspondence") -> None:
    """Of mail after all is over: what was accepted is read once by each whom it is for, or was given up and told."""
    records = swarm.mail_records()
    assert post.accepted <= set(records), f"{post.accepted - set(records)} were accepted and are not recorded"
    twice = [one for one, count in Counter(post.read).items() if count > 1]
    assert not twice, f"read twice: {twice}"
    read, there = set(post.read), {worker.agent_id for worker in swarm.workers}
    for mail in records.values():
        # A liar writes to those too that never come.
        for agent_id, receipt in [one for one in mail.receivers.items() if one[0] in there]:
            was_read = (agent_id, mail.message_id) in read
            assert (receipt.state in ("read", "answered")) == was_read, f"{mail.message_id} to {agent_id}: {receipt}"
            # Of a short one that a liar altered the id is another.
            short = mail.message_id in post.short or mail.expires_at in post.short_ends
            assert was_read or short, f"{agent_id} never read {mail.message_id}: {receipt}"
            if mail.expects_answer and was_read and not mail.reply_to:
                answered = f"a-{mail.message_id}-{agent_id}" in records
                assert answered == (receipt.state == "answered"), f"{mail.message_id} to {agent_id}: {receipt}"
    strangers = {message_id for _, message_id in read} - set(records)
    assert not strangers, f"{strangers} were read, and nobody has them"
    # What is short may have expired before it was heard; an agent that is told so says no more.
    settled = set(records) | post.rejected | post.short
    assert post.by_agents <= settled, f"{post.by_agents - settled} of agents were lost"


def _most(job: Job) -> int:
    return job.task.max_attempts or RULES[job.task.type].max_attempts


def of_a_record(job: Job) -> None:
    """Of a task's record, whoever wrote it."""
    fences = [(attempt.number, attempt.epoch) for attempt in job.attempts]
    assert fences == sorted(set(fences)), f"{job.task_id}: its fences are {fences}"
    epochs = [epoch for _, epoch in fences]
    assert epochs == sorted(epochs), f"{job.task_id}: its epochs are {epochs}"
    assert len(job.attempts) <= 100 or all(attempt.started for attempt in job.attempts), f"{job.task_id} grows for ever"
    steps = [hop.what for hop in job.hops if hop.what not in BESIDE]
    assert steps[0] == "published", f"{job.task_id} begins with {steps[0]}"
    for before, after in pairwise(steps):
        assert after in NEXT[before], f"{job.task_id}: {after} after {before} in {steps}"


def of_an_end(job: Job) -> None:
    """Of a task after all is over."""
    assert job.state in ENDS, f"{job.task_id}: {job.state}: {job.reason}"
    wins = Counter(attempt.outcome for attempt in job.attempts)["complete"]
    assert wins == (job.state is TaskState.COMPLETE), f"{job.task_id}: {wins} outcomes for {job.state}"
    if job.state is TaskState.CANCELLED:
        # Without a dispatcher an agent heeds a halt by itself.
        by_itself = any(attempt.claimed for attempt in job.attempts)
        by = any(hop.by for hop in job.hops if "cancel" in hop.what)
        assert by or by_itself, f"{job.task_id} was cancelled by nobody"
    if job.state is TaskState.EXPIRED:
        assert RULES[job.task.type].approve or job.asks, f"{job.task_id} expired: {job.reason}"
    if job.state is TaskState.DEAD:
        assert job.tries == _most(job), f"{job.task_id} is dead after {job.tries} tries"


def of_a_run(swarm: "Swarm", run: Run, records: dict[str, Job]) -> None:
    """Of a run after all is over: one outcome that its steps give it, which are as its tasks are."""
    record = run.record
    assert record.state in ("complete", "failed", "cancelled"), f"{run.run_id}: {record.state}"
    for name, step in record.steps.items():
        jobs = [records[task_id] for task_id in run.task_ids(name)]
        began = [hop.at for job in jobs for hop in job.hops if hop.what == "queued"]
        assert step.state in OVER, f"{run.run_id}.{name}: {step.state}"
        assert (step.state == "complete") == (step.ends is not None and set(step.ends) <= {"c"})
        for need in run.step(name).needs if began else ():
            ended = record.steps[need].ended_at
            assert ended is not None, f"{run.run_id}.{name} began before {need} was over"
            assert ended <= min(began) or swarm.clocks_were_set, f"{run.run_id}.{name} began before {need} was over"
    bad = [step.state for step in record.steps.values() if step.state in ("failed", "cancelled")]
    assert record.state == "cancelled" or (record.state == "failed") == bool(bad), (
        f"{run.run_id}: {record.state}, {bad}"
    )
    for name in PLAIN_STEPS:
        won = Counter(
            (job.item, job.step)
            for job in records.values()
            if job.run_id == run.run_id and job.step == name and job.state is TaskState.COMPLETE
        )
        assert all(count == 1 for count in won.values()), f"{run.run_id}.{name} succeeded twice: {won}"


def of_runs(swarm: "Swarm", job: Job) -> None:
    """Between two decisions of a person it ran at most once with an outcome that nobody knew."""
    if RULES[job.task.type].idempotent:
        return
    decided = [hop.attempt or 0 for hop in job.hops if hop.what == "redriven"]
    runs = {
        (ran.attempt, ran.epoch, ran.agent_id)
        for ran in swarm.ran
        if ran.task_id == job.task_id and ran.epoch is not None and (ran.task_id, ran.attempt) not in swarm.told
    }
    between = Counter(sum(last < attempt for last in decided) for attempt, _, _ in runs)
    assert all(count <= 1 for count in between.values()), f"{job.task_id} ran twice by itself: {sorted(runs, key=str)}"


def of_lies(swarm: "Swarm", records: dict[str, Job]) -> None:
    """Of a swarm with a liar: nothing ran but what was given out, nothing is recorded but what its agents did."""
    names = {worker.agent_id for worker in swarm.workers}
    for ran in swarm.ran:
        assert ran.epoch is not None, f"{ran.task_id} ran without a dispatcher"
        assert ran.task_id in records, f"{ran.task_id} ran and nobody has it"
    for job in records.values():
        assert all(attempt.agent_id in names for attempt in job.attempts), f"{job.task_id} was given to a stranger"
        assert job.state is not TaskState.COMPLETE or job.result == {"by": job.agent_id}, f"{job.task_id}: {job.result}"
        acts = [hop for hop in job.hops if hop.what in ("approved", "denied", "redriven", "cancelling", "cancelled")]
        assert all((hop.by or "operator:").startswith("operator:") for hop in acts), f"{job.task_id}: {acts}"
    judge = swarm.keys.of_swarm("swarm").judge
    for said in swarm.broker.retained.values():
        heard = decode(SWARM, said.topic, said.payload, True, swarm.dispatcher.clock.wall(), judge)
        assert isinstance(heard, Event), f"{said.topic} retains {said.payload!r}: {heard}"


def of_the_end(swarm: "Swarm") -> None:
    """Of the whole swarm after all is over."""
    for bus in swarm.buses():
        assert not bus.failures, f"{bus.client_id}: {bus.last_failure}"
    records = swarm.records()
    missing = swarm.publisher.accepted - set(records)
    assert not missing, f"{sorted(missing)} were accepted and are not recorded"
    for job in records.values():
        of_a_record(job)
        of_an_end(job)
        of_runs(swarm, job)
    if swarm.liar is not None:
        of_lies(swarm, records)
    fired = [name for name in records if name.startswith("s:")]
    assert not swarm.scheduled or FIRINGS[-1] in fired, f"the last time of the schedule did not fire: {fired}"
    assert set(fired) <= set(FIRINGS), f"it fired at no time of its own: {fired}"
    if swarm.mail is not None:
        of_mail(swarm, swarm.mail)
    begun = swarm.dispatcher.engine.state.schedules
    assert not swarm.scheduled or sorted(begun["s"].times) == sorted(set(begun["s"].times)), "a time fired twice"
    runs = swarm.run_records()
    assert swarm.publisher.runs_accepted <= set(runs), "a run that was accepted is not recorded"
    for run in runs.values():
        of_a_run(swarm, run, records)
