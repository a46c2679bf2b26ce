"""The merge queue: one merge at a time in a repository, by a run of steps; what fails goes back to its agent.

Its steps: the work rebased onto the target as it is then, the layout's checks of the result, and the target moved
there, unless it is elsewhere by then. All that is decided here is written with the tasks and runs that follow from it.
"""

import re
from hashlib import sha256
from typing import Any

from swarm_tui.domain.dispatch import accept, freshness, runs
from swarm_tui.domain.dispatch.digests import task_body
from swarm_tui.domain.dispatch.merge_record import MergeRecord, merge_state
from swarm_tui.domain.dispatch.merge_steps import LAND, REBASE, agent_of, free_name, of_discard, of_merge
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.needs import succeeded
from swarm_tui.domain.dispatch.operators import cancel
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.outcome import outcome, particulars, verdict_failed, verdict_open
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.domain.workflows.run import COMPLETE, Run, task_id
from swarm_tui.protocol.bodies import Alert, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.merge_bodies import MergeAct
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Times that a merge is begun anew because its target moved, and that its agent may mend it.
MOST_MOVED, MOST_FIXES = 20, 2
#: Lines of what a check found wrong that its agent is told.
_TOLD = 20


def act(turn: Turn, event: Event, body: MergeAct) -> None:
    """Hear merges/act: merge a task's work, take that back, or throw the work away; once, by its id."""
    if freshness.is_said_again(turn, event):
        return
    job = turn.state.jobs.get(body.task_id)
    why = _why_not(turn, event, body, job)
    if why or job is None:
        message = f"{body.act} of {body.task_id} by {turn.who(event)} was refused: {why}"
        turn.note(message)
        turn.say(Kind.ALERT, Alert(severity="warning", message=message, task_id=body.task_id, name=f"act:{event.id}"))
    elif body.act == "withdraw":
        _withdraw(turn, job, body.reason or f"withdrawn by {turn.who(event)}")
    elif body.act == "discard":
        record = _record(turn, job, event, body)
        record.state = "discarding"
        _begin(turn, job, record, of_discard(turn, job))
    else:
        record = _record(turn, job, event, body)
        _enqueue(turn, job, record, "")


def _why_not(turn: Turn, event: Event, body: MergeAct, job: Job | None) -> str:
    """Return why the act cannot be; empty when it can."""
    who = turn.who(event)
    if event.expires_at is not None and event.expires_at < turn.wall:
        return f"it expired {turn.wall - event.expires_at:.0f} s ago, before it could be heard"
    if not who.startswith("operator:"):
        return f"only an operator decides what becomes of work, not {who}"
    if job is None:
        return "no such task"
    record = job.merge
    if body.act == "withdraw":
        return "" if record is not None and not record.settled else "it is not on its way to be merged"
    if not job.ended:
        return f"it is {job.state}: its work is not done"
    if record is not None and not record.settled:
        return f"it is {record.state} already" + (f" (run {record.run_id})" if record.run_id else "")
    if record is not None and record.state in ("merged", "discarded"):
        return f"its work is {record.state} already"
    if not _branch(job):
        return "it tells of no branch that holds work"
    twin = next((name for name in turn.state.merges if _same_branch(turn.state.jobs.get(name), job)), "")
    return f"{twin}, which worked on the same branch, is on its way to be merged" if twin else ""


def _branch(job: Job) -> str:
    branch = job.result.get("branch") if isinstance(job.result, dict) else None
    return clean(branch, 300) if isinstance(branch, str) else ""


def _repo(job: Job) -> str:
    repo = job.result.get("repo") if isinstance(job.result, dict) else None
    return clean(repo, 1000) if isinstance(repo, str) else ""


def _same_branch(other: Job | None, job: Job) -> bool:
    return other is not None and (_repo(other), _branch(other)) == (_repo(job), _branch(job))


def _record(turn: Turn, job: Job, event: Event, body: MergeAct) -> MergeRecord:
    rounds = job.merge.rounds if job.merge is not None else 0
    record = job.merge = MergeRecord(
        target=clean(body.into, 300),
        repo=_repo(job),
        branch=_branch(job),
        by=turn.who(event),
        asked_at=turn.wall,
        # A run of an earlier merge keeps its name.
        rounds=rounds,
    )
    turn.state.merges.append(job.task_id)
    turn.hop(job, body.act, by=record.by, detail=body.reason)
    return record


def _enqueue(turn: Turn, job: Job, record: MergeRecord, reason: str) -> None:
    record.state, record.queued_at, record.reason = "waiting", turn.wall, reason
    _tell(turn, job, record)


def _withdraw(turn: Turn, job: Job, reason: str) -> None:
    record = job.merge
    assert record is not None
    record.wish = clean(reason, 300)
    run, follow_up = turn.state.runs.get(record.run_id), turn.state.jobs.get(record.follow_up)
    if record.state == "waiting":
        _settle(turn, job, record, "withdrawn", record.wish)
    elif record.state == "mending" and follow_up is not None and not follow_up.ended:
        cancel(turn, follow_up, record.wish, record.by)
        _tell(turn, job, record)
    elif run is not None:
        landing = _job_of(turn, run, LAND)
        if landing is None or landing.ended or not landing.attempts:
            runs.stop(turn, run, record.wish, record.by)
        # While the target is being moved nobody can say that it is not: it is withdrawn if that fails.
        _tell(turn, job, record)


def _settle(turn: Turn, job: Job, record: MergeRecord, state: Any, reason: str) -> None:
    """Let nothing more happen to it by itself."""
    record.state, record.reason, record.ended_at = state, clean(reason, 2000), turn.wall
    turn.state.merges.remove(job.task_id)
    turn.hop(job, state, detail=record.reason)
    _tell(turn, job, record)


def _tell(turn: Turn, job: Job, record: MergeRecord) -> None:
    """Have it written, and say it."""
    job.updated_at = turn.wall
    turn.save(job)
    turn.save_merges()
    ahead = [name for name in turn.state.merges if _is_ahead(turn.state.jobs.get(name), record)]
    position = len(ahead) + 1 if record.state == "waiting" else None
    turn.say(Kind.MERGE_STATE, merge_state(job.task_id, record, position), job=job)


def _is_ahead(other: Job | None, record: MergeRecord) -> bool:
    known = other.merge if other is not None else None
    if known is None or known is record or known.repo != record.repo:
        return False
    return known.state == "running" or (known.state == "waiting" and known.queued_at < record.queued_at)


# The queue.


def settle(turn: Turn) -> None:
    """Take in which runs and follow-ups have ended, and begin what can begin; called in each turn."""
    state = turn.state
    if not state.merges:
        return
    for name in list(state.merges):
        job = state.jobs.get(name)
        if job is None or job.merge is None:
            state.merges.remove(name)
            turn.save_merges()
        elif job.merge.state in ("running", "discarding"):
            run = state.runs.get(job.merge.run_id)
            if run is None:
                _settle(turn, job, job.merge, "stopped", f"its run {job.merge.run_id} is not known any more")
            elif run.ended:
                _run_ended(turn, job, job.merge, run)
        elif job.merge.state == "mending":
            _look_at_follow_up(turn, job, job.merge)
    if state.leading and state.halted is None:
        _begin_next(turn)


def _begin_next(turn: Turn) -> None:
    """Begin the merge that has waited longest, in each repository in which none runs."""
    known = [(job, job.merge) for name in turn.state.merges if (job := turn.state.jobs[name]).merge is not None]
    busy = {record.repo for _, record in known if record is not None and record.state == "running"}
    waiting = [(job, record) for job, record in known if record is not None and record.state == "waiting"]
    for job, record in sorted(waiting, key=lambda pair: pair[1].queued_at):
        if record.repo not in busy:
            busy.add(record.repo)
            record.state = "running"
            _begin(turn, job, record, of_merge(turn, job, record))


def _begin(turn: Turn, job: Job, record: MergeRecord, workflow: Workflow) -> None:
    """Begin a run of its steps, under a name that is free."""
    begun = re.sub(r"[^A-Za-z0-9_-]+", "-", job.task_id)[:40]
    record.rounds += 1
    record.run_id = free_name(f"merge-{begun}-{record.rounds}", turn.state.runs)
    record.checks = {}
    why = runs.begin(turn, record.run_id, workflow, {}, record.by)
    if why:
        _settle(turn, job, record, "stopped", why)
    else:
        turn.hop(job, record.state, detail=f"run {record.run_id}")
        _tell(turn, job, record)


def _run_ended(turn: Turn, job: Job, record: MergeRecord, run: Run) -> None:
    if record.state == "discarding":
        told = _job_of(turn, run, "discard")
        if run.record.state == COMPLETE:
            _settle(turn, job, record, "discarded", _said(told, "message") or "thrown away")
        else:
            _settle(turn, job, record, "stopped", _why(told) or run.record.reason)
        return
    record.checks = {
        step.type: _verdict(run, name, _job_of(turn, run, name))
        for name, step in run.plan.workflow.steps.items()
        if name not in (REBASE, LAND)
    }
    if run.record.state == COMPLETE:
        landed = _job_of(turn, run, LAND)
        record.commit, record.target = _said(landed, "commit"), _said(landed, "into")
        _settle(turn, job, record, "merged", _said(landed, "message"))
    elif why := _doubt(turn, run):
        _settle(turn, job, record, "stopped", why)
    elif record.wish or run.record.cancelling:
        _settle(turn, job, record, "withdrawn", record.wish or run.record.cancelling)
    else:
        _failed(turn, job, record, run)


def _doubt(turn: Turn, run: Run) -> str:
    """Return what is to be looked at where the last step was cut off: it may have moved the target; else empty."""
    landing = _job_of(turn, run, LAND)
    if landing is None or not landing.attempts or _said(landing, "why"):
        return ""
    payload, why = landing.task.payload, _why(landing) or landing.state
    return (
        f"it was cut off while {payload.get('into')} was being moved ({why}): git knows whether that is at "
        f"{str(payload.get('commit'))[:12]} now; merge it again where it is not"
    )


def _verdict(run: Run, name: str, job: Job | None) -> str:
    if job is None or job.state is not TaskState.COMPLETE:
        return run.record.steps[name].state
    return clean(outcome(job.result), 300) or "passed"


def _job_of(turn: Turn, run: Run, name: str) -> Job | None:
    return turn.state.jobs.get(task_id(run.run_id, name, None, 1))


def _said(job: Job | None, name: str) -> str:
    value = job.result.get(name) if job is not None and isinstance(job.result, dict) else None
    return clean(value, 500) if isinstance(value, str) else ""


def _why(job: Job | None) -> str:
    return "" if job is None else job.error or job.reason


def _failed(turn: Turn, job: Job, record: MergeRecord, run: Run) -> None:
    """Decide what follows from a merge that failed: another try, its agent's turn, or a person's."""
    rebase, land = _job_of(turn, run, REBASE), _job_of(turn, run, LAND)
    bad = [
        found
        for name in run.plan.workflow.steps
        if (found := _job_of(turn, run, name)) is not None and verdict_failed(found.result)
    ]
    record.target = _said(rebase, "target") or record.target
    if rebase is not None and not succeeded(rebase):
        kind = _said(rebase, "why")
        if kind == "merged":
            record.commit = _said(rebase, "commit")
            _settle(turn, job, record, "merged", _why(rebase))
        elif kind == "conflict":
            _return(turn, job, record, [_why(rebase)])
        else:
            _settle(turn, job, record, "stopped", _why(rebase))
    elif bad:
        _return(turn, job, record, [line for check in bad for line in _found_by(check)])
    elif land is not None and _said(land, "why") == "moved" and record.moved < MOST_MOVED:
        record.moved += 1
        _enqueue(turn, job, record, _why(land))
    else:
        _settle(turn, job, record, "stopped", _undecided(turn, run) or run.record.reason)


def _undecided(turn: Turn, run: Run) -> str:
    """Return which checks could not say whether the work is good; empty where each could."""
    found = [check for name in run.plan.workflow.steps if (check := _job_of(turn, run, name)) is not None]
    return "; ".join(
        f"{check.task.type} does not approve of it: {outcome(check.result)}"
        for check in found
        if verdict_open(check.result)
    )


def _found_by(check: Job) -> list[str]:
    found = particulars(check.result, _TOLD)
    comments = check.result.get("comments") if isinstance(check.result, dict) else None
    found += particulars({"findings": comments}, _TOLD) if isinstance(comments, list) else []
    return [f"{check.task.type} says {outcome(check.result)}", *(f"  {line}" for line in found)]


def _return(turn: Turn, job: Job, record: MergeRecord, found: list[str]) -> None:
    """Give the work back to its agent, with the reason; to a person where there is no conversation to go on with."""
    reason = "; ".join(line.strip() for line in found)
    last = turn.state.jobs.get(record.follow_up) or job
    talks = any(attempt.session for attempt in (*last.attempts, *job.attempts))
    if record.fixes >= MOST_FIXES or not talks or not isinstance(job.task.payload.get("prompt"), str):
        _settle(turn, job, record, "returned", reason)
        return
    record.fixes += 1
    record.follow_up = free_name(f"{job.task_id[:110]}:fix{record.rounds}", turn.state.jobs)
    task = Task(
        task_id=record.follow_up,
        type=job.task.type,
        payload={
            **job.task.payload,
            "prompt": _prompt(record, found),
            "resume": last.task_id,
            "onto": record.target,
        },
        priority=job.task.priority,
        assigned_to=agent_of(turn, job),
        timeout=job.task.timeout,
    )
    record.state, record.reason = "mending", clean(reason, 2000)
    turn.hop(job, "returned", agent_id=job.agent_id, detail=record.reason)
    made = accept.make(turn, task, sha256(task_body(task)).hexdigest(), record.by)
    turn.hop(made, "follow-up", detail=f"mends {job.task_id}, which could not be merged")
    accept.begin(turn, made)
    _tell(turn, job, record)


def _prompt(record: MergeRecord, found: list[str]) -> str:
    reason = "\n".join(found)
    return (
        f"Your work on the branch {record.branch} was not merged into {record.target or 'its target'}:\n\n{reason}\n\n"
        f"{record.target or 'The target'} as it is now has been brought into your worktree. Where both changed the "
        "same lines the file has conflict marks: resolve each so that both intentions hold, and leave no mark. Then "
        "mend what the checks found, and nothing else."
    )


def _look_at_follow_up(turn: Turn, job: Job, record: MergeRecord) -> None:
    follow_up = turn.state.jobs.get(record.follow_up)
    if follow_up is not None and not follow_up.ended:
        return
    if record.wish:
        _settle(turn, job, record, "withdrawn", record.wish)
    elif follow_up is not None and succeeded(follow_up):
        _enqueue(turn, job, record, f"mended by {follow_up.task_id}")
    else:
        state = f"is {follow_up.state}: {_why(follow_up)}" if follow_up is not None else "is not known any more"
        _settle(turn, job, record, "returned", f"{record.reason}; {record.follow_up}, which was to mend it, {state}")
