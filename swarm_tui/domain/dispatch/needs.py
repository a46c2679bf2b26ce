"""Needs of a plain task: it is blocked until the tasks that it names have succeeded, and skipped when one has not."""

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import until, wake
from swarm_tui.domain.outcome import verdict_failed
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Queued, Task
from swarm_tui.protocol.names import is_task_id
from swarm_tui.protocol.topics import Kind

MAX_NEEDS = 100


def refusal(turn: Turn, task: Task) -> str | None:
    """Return why the task's needs cannot be: too many, no names, not known, itself. None when they can."""
    run_id, dot, _ = task.task_id.partition(".")
    if dot and run_id in turn.state.runs:
        return f"ids that begin with `{run_id}.` are those of the run {run_id}"
    names = task.needs or []
    if len(names) > MAX_NEEDS:
        return f"needs {len(names)} tasks, at most {MAX_NEEDS}"
    for name in names:
        if not is_task_id(name):
            return f"needs: {name[:80]!r} is not a task id"
        if name not in turn.state.jobs:
            return f"needs: no task {name} is known; publish it first, and this one once that is queued"
    return None


def succeeded(job: Job) -> bool:
    """Return whether the job ended well: done, and by its own verdict not badly."""
    return job.state is TaskState.COMPLETE and not verdict_failed(job.result)


def unmet(turn: Turn, job: Job) -> tuple[list[str], str]:
    """Return which of its needs are open, and the first that did not succeed, or `""`.

    One that is not known any more has been forgotten: it ended long before.
    """
    known = [turn.state.jobs[name] for name in job.task.needs or () if name in turn.state.jobs]
    bad = next((need for need in known if need.ended and not succeeded(need)), None)
    return [need.task_id for need in known if not need.ended], "" if bad is None else bad.task_id


def hold_back(turn: Turn, job: Job) -> bool:
    """Block the job while others must end first, or skip it when one of them did not succeed. False: it may go."""
    waits, bad = unmet(turn, job)
    if bad:
        turn.say(Kind.TASK_QUEUED, Queued(task_id=job.task_id, state=TaskState.SKIPPED), job=job)
        skip(turn, job, _why(turn, bad))
        return True
    if not waits:
        return False
    block(turn, job, f"needs {', '.join(waits[:3])}{' …' if len(waits) > 3 else ''}")
    await_needs(turn, job)
    turn.say(Kind.TASK_QUEUED, Queued(task_id=job.task_id, attempt=job.attempt, state=TaskState.BLOCKED), job=job)
    return True


def block(turn: Turn, job: Job, reason: str) -> None:
    """Let the job wait for others."""
    turn.move(job, TaskState.BLOCKED, reason)
    turn.hop(job, "blocked", detail=reason)


def await_needs(turn: Turn, job: Job) -> None:
    """Hear of the ends of what a blocked job needs, and of its own time."""
    for name in unmet(turn, job)[0]:
        turn.state.needed_by.setdefault(name, set()).add(job.task_id)
    if job.task.expires_at is not None:
        wake(turn, job, until(turn, job.task.expires_at))


def skip(turn: Turn, job: Job, reason: str) -> None:
    """End a job that is not to be done."""
    turn.move(job, TaskState.SKIPPED, reason)
    turn.hop(job, "skipped", detail=reason)
    turn.verdict(Kind.TASK_CANCELLED, job, reason, state=TaskState.SKIPPED)


def freed(turn: Turn, need: Job) -> list[Job]:
    """Take in that a job ended. Returns the blocked ones that may begin now; others that needed it are skipped."""
    names = turn.state.needed_by.pop(need.task_id, None)
    if not names:
        return []
    # What needs it is decided in this turn: one transaction holds both.
    turn.save(need)
    free = []
    for name in sorted(names):
        job = turn.state.jobs.get(name)
        if job is None or job.state is not TaskState.BLOCKED:
            continue
        waits, bad = unmet(turn, job)
        if bad:
            skip(turn, job, _why(turn, bad))
        elif not waits:
            free.append(job)
    return free


def why_not_again(turn: Turn, job: Job) -> str:
    """Return why a person's redrive of the job cannot be; empty when it can."""
    run = turn.state.runs.get(job.run_id)
    if job.run_id and job.ended:
        return f"it is a step of a run: `swarm-tui retry {job.run_id}` does again what failed, once the run has ended"
    if run is not None and run.record.cancelling:
        return f"the run {job.run_id} is being cancelled"
    bad = unmet(turn, job)[1]
    return f"it needs {_why(turn, bad)}" if bad else ""


def _why(turn: Turn, bad: str) -> str:
    job = turn.state.jobs[bad]
    return f"{bad}, whose verdict is failed" if job.state is TaskState.COMPLETE else f"{bad}, which is {job.state}"
