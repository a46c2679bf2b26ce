"""Runs of workflows: taken whole or refused, moved on when a step's task ends, cancelled, retried."""

from collections import deque
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import msgspec

from swarm_tui.domain.dispatch import accept, freshness, needs
from swarm_tui.domain.dispatch.digests import canonical_json, task_body
from swarm_tui.domain.dispatch.model import GUEST, Job
from swarm_tui.domain.dispatch.offer import declared
from swarm_tui.domain.dispatch.operators import cancel
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.outcome import outcome, verdict_open
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.check import inputs_of, mistakes
from swarm_tui.domain.workflows.model import MAX_ITEMS, RunPlan, Workflow
from swarm_tui.domain.workflows.references import (
    INPUTS,
    ITEM,
    RUN,
    ReferenceMistake,
    find,
    only_reference,
    resolve,
)
from swarm_tui.domain.workflows.run import COMPLETE, FAILED, SKIPPED, Run, task_id
from swarm_tui.domain.workflows.schedule import firing_of
from swarm_tui.protocol.bodies import Alert, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import MERGE_TYPE
from swarm_tui.protocol.raw import RefusedError
from swarm_tui.protocol.run_bodies import RunAct, RunEnded, RunNew, RunRejected, RunStarted, workflow_of
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Steps whose types, or states, are told in one message: more would not fit one.
MAX_TOLD, MAX_TOLD_TASKS = 1000, 200


def submit(turn: Turn, event: Event, body: RunNew) -> None:
    """Hear runs/new: take the run, answer it again, or refuse it with a reason. Nothing is half started."""
    if body.packed is not None and turn.who(event).startswith(GUEST):
        # Unpacked it takes many times what a message does: that is for those with keys.
        _reject(turn, body, "a guest's workflow is as large as a message holds it, not packed")
        return
    try:
        given = workflow_of(body)
    except RefusedError as error:
        _reject(turn, body, f"the workflow: {error}")
        return
    mark = sha256(canonical_json([given, body.inputs])).hexdigest()
    known = turn.state.runs.get(body.run_id)
    if known is not None and known.plan.digest == mark:
        turn.say(
            Kind.RUN_STARTED,
            RunStarted(
                run_id=known.run_id, workflow=known.plan.workflow.workflow, duplicate=True, state=known.record.state
            ),
        )
        return
    if known is not None:
        _reject(turn, body, "this run id is taken by a run of another workflow, or with other inputs")
        return
    try:
        workflow = msgspec.convert(given, Workflow)
    except msgspec.ValidationError as error:
        _reject(turn, body, f"the workflow: {error}")
        return
    if _merges(workflow):
        _reject(turn, body, f"{MERGE_TYPE} is a step of a merge: `swarm-tui merge TASK` asks for one")
    elif name := firing_of(turn.state.settings.schedules, body.run_id):
        _reject(turn, body, f"that id is of a firing of the schedule {name}")
    elif why := begin(turn, body.run_id, workflow, body.inputs, turn.who(event), mark):
        _reject(turn, body, why)


def _merges(workflow: Workflow) -> bool:
    """Return whether it changes a repository, as runs of the merge queue alone may."""
    return any(step.type == MERGE_TYPE for step in workflow.steps.values())


def begin(turn: Turn, run_id: str, workflow: Workflow, given: dict[str, Any], by: str, digest: str = "") -> str:
    """Begin a run, unless there is one of that id. Returns why it cannot be; empty when it can."""
    if run_id in turn.state.runs:
        return ""
    inputs, why = _refusal(turn, run_id, workflow, given, by)
    if not why:
        plan = RunPlan(run_id=run_id, workflow=workflow, inputs=inputs, digest=digest, by=by, created_at=turn.wall)
        run = turn.state.runs[run_id] = Run(plan)
        _started(turn, run, workflow.steps)
    return why


def _reject(turn: Turn, body: RunNew, reason: str) -> None:
    turn.say(Kind.RUN_REJECTED, RunRejected(run_id=body.run_id, reason=reason))


def _refusal(turn: Turn, run_id: str, workflow: Workflow, given: dict[str, Any], by: str) -> tuple[dict[str, Any], str]:
    """The run's inputs, and why it cannot be; empty when it can."""
    if found := mistakes(workflow):
        first = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return {}, f"{'.'.join(map(str, first.where))}: {first.reason}{more}"
    inputs, wrong = inputs_of(workflow, given)
    if wrong:
        return inputs, "; ".join(wrong)
    undone = [name for name, step in workflow.steps.items() if not declared(turn, step.type)]
    if undone:
        why = f"neither the layout nor any live agent can do {workflow.steps[undone[0]].type}"
        more = f" (and {len(undone) - 1} more)" if len(undone) > 1 else ""
        return inputs, f"steps.{undone[0]}.type: {why}{more}"
    state, most = turn.state, accept.room(turn, by)
    if state.open + len(workflow.steps) > most:
        return inputs, f"the swarm holds {state.open:,} open tasks and takes {most:,}: try later"
    if run_id in state.taken or any(task_id(run_id, name, None, 1) in state.jobs for name in workflow.steps):
        return inputs, f"there are tasks whose ids begin with `{run_id}.`: take another run id"
    return inputs, ""


def _started(turn: Turn, run: Run, names: Iterable[str]) -> None:
    """Make the blocked tasks of these steps, say that the run goes on, and begin what can begin."""
    names, blocked = list(names), []
    for name in names:
        step = run.step(name)
        if step.each is None:
            task = _task(run, name, None, step.payload)
            job = accept.make(turn, task, "", run.plan.by)
            _is_step(job, run, name, None)
            needs.block(turn, job, f"needs {', '.join(step.needs)}" if step.needs else "")
            blocked.append(task.task_id)
    told = {name: run.step(name).type for name in names} if len(names) <= MAX_TOLD else {}
    turn.save_run(run.run_id)
    if len(names) > MAX_TOLD_TASKS:
        blocked = []
    started = RunStarted(run_id=run.run_id, workflow=run.plan.workflow.workflow, steps=told, blocked=blocked)
    turn.tell(Kind.RUN_STARTED, started)
    _advance(turn, run, run.free())


def _task(run: Run, name: str, item: int | None, payload: dict[str, Any]) -> Task:
    step = run.step(name)
    return Task(
        task_id=task_id(run.run_id, name, item, run.record.steps[name].round),
        type=step.type,
        payload=payload,
        priority=step.priority,
        assigned_to=step.assigned_to,
        timeout=step.timeout,
        max_attempts=step.retry.max_attempts if step.retry is not None else None,
    )


def _is_step(job: Job, run: Run, name: str, item: int | None) -> None:
    job.run_id, job.step, job.item, job.asks = run.run_id, name, item, run.step(name).approve


def task_over(turn: Turn, job: Job) -> None:
    """Take in that a step's task ended, and let the run go on."""
    run = turn.state.runs.get(job.run_id)
    if run is None or run.ended:
        return
    # The run's record and its tasks' are one: what follows from this end is written with it.
    turn.save(job)
    good = needs.succeeded(job) and not (run.step(job.step).sure and verdict_open(job.result))
    letter = "c" if good else "x" if job.state is TaskState.CANCELLED else "f"
    state = run.task_over(job.step, job.item or 0, letter)
    turn.save_run(run.run_id)
    if state is not None:
        reason = "" if state == COMPLETE else job.error or job.reason or outcome(job.result)
        _advance(turn, run, run.step_over(job.step, state, reason, turn.wall))


def _advance(turn: Turn, run: Run, names: Iterable[str]) -> None:
    """Begin or skip these steps, and what follows from that; end the run when no step is open any more."""
    todo = deque(names)
    while todo:
        name = todo.popleft()
        if name not in run.missing:
            continue
        reason = run.skips(name)
        if reason:
            todo += _end_step(turn, run, name, SKIPPED, reason)
        elif not run.missing[name]:
            todo += _take(turn, run, name)
    run.record.updated_at = turn.wall
    if not run.open:
        _end(turn, run)


def _take(turn: Turn, run: Run, name: str) -> list[str]:
    """Begin a step, or end it at once when that cannot be. Returns the steps to look at then."""
    step = run.step(name)
    try:
        if step.when is not None and (why := _is_not_so(turn, run, step.when)):
            return _end_step(turn, run, name, SKIPPED, why)
        items = _items(turn, run, name)
        payloads = [resolve(step.payload, _looks(turn, run, item)) for item in items or [None]]
        tasks = [
            _task(run, name, None if items is None else at, payload)
            for at, payload in enumerate(payloads if items != [] else [])
        ]
        for task in tasks:
            _check(turn, task, anew=items is not None)
    except ReferenceMistake as error:
        return _end_step(turn, run, name, FAILED, str(error))
    most = accept.room(turn, run.plan.by)
    if len(tasks) + turn.state.open > most and items is not None:
        return _end_step(turn, run, name, FAILED, f"the swarm takes {most:,} open tasks")
    made = run.begin(name, len(tasks), turn.wall)
    for at in made:
        _begin(turn, run, name, tasks[at], None if items is None else at)
    return [] if "." in (run.record.steps[name].ends or "") else run.step_over(name, COMPLETE, "", turn.wall)


def _begin(turn: Turn, run: Run, name: str, task: Task, item: int | None) -> None:
    mark = sha256(task_body(task)).hexdigest()
    job = turn.state.jobs.get(task.task_id)
    if job is None:
        job = accept.make(turn, task, mark, run.plan.by)
        _is_step(job, run, name, item)
    else:
        job.task, job.digest, job.queued_at = task, mark, turn.wall
    accept.begin(turn, job)


def _check(turn: Turn, task: Task, *, anew: bool) -> None:
    """Raises ReferenceMistake for a task that could not be offered, or whose id is another's."""
    if anew and task.task_id in turn.state.jobs and not turn.state.jobs[task.task_id].run_id:
        raise ReferenceMistake(f"there is another task {task.task_id}")
    over = accept.unreadable(task, task_body(task))
    if over:
        raise ReferenceMistake(f"its payload, references resolved, fits no offer ({over}): hand on a file")


def _is_not_so(turn: Turn, run: Run, when: str) -> str:
    """Why a step's `when` says no; empty when it says yes."""
    try:
        value = find(only_reference(when), _looks(turn, run, None))
    except ReferenceMistake as error:
        return f"when: {error}"
    return "" if value else f"{when} is {msgspec.json.encode(value).decode()[:100]}"


def _items(turn: Turn, run: Run, name: str) -> list[Any] | None:
    """The items for each of which a step is done; None for a step that is done once. Raises ReferenceMistake."""
    each = run.step(name).each
    if each is None:
        return None
    found = find(only_reference(each), _looks(turn, run, None))
    if not isinstance(found, list):
        raise ReferenceMistake(f"each: {each} is no list")
    if len(found) > MAX_ITEMS:
        raise ReferenceMistake(f"each: {each} has {len(found):,} items, at most {MAX_ITEMS}")
    return found


def _looks(turn: Turn, run: Run, item: Any) -> Callable[[str], Any]:
    """Return what the heads of references stand for, in a run and for an item."""

    def look(head: str) -> Any:
        if head == INPUTS:
            return run.plan.inputs
        if head == ITEM:
            return item
        return {"id": run.run_id} if head == RUN else _told(turn, run, head)

    return look


def _told(turn: Turn, run: Run, name: str) -> dict[str, Any]:
    """Return what a step that is over can be asked for; of one with items, a list of each."""
    record, step = run.record.steps[name], run.step(name)
    told: dict[str, Any] = {"state": record.state}
    if record.ends is None:
        return told | ({"error": record.reason} if record.reason else {})
    ids = run.task_ids(name)
    jobs = [job for each in ids if (job := turn.state.jobs.get(each)) is not None]
    results, errors = [job.result for job in jobs], [job.error or job.reason for job in jobs]
    if step.each is not None:
        return told | {"result": results, "error": errors}
    return told | {"result": results[0], "error": errors[0]} if jobs else told


def _end_step(turn: Turn, run: Run, name: str, state: str, reason: str) -> list[str]:
    """End a step that does not begin. Returns the steps to look at then."""
    free = run.step_over(name, state, reason, turn.wall)
    job = turn.state.jobs.get(task_id(run.run_id, name, None, run.record.steps[name].round))
    if job is not None and job.state is TaskState.BLOCKED and job.run_id == run.run_id:
        if state == SKIPPED:
            needs.skip(turn, job, reason)
        else:
            accept.fail(turn, job, reason, "reference")
    turn.save_run(run.run_id)
    return free


def _end(turn: Turn, run: Run) -> None:
    record = run.record
    record.state, record.reason = run.outcome()
    record.ended_at = turn.wall
    turn.state.past_runs.append(run.run_id)
    turn.state.ended.extend(run.kept)
    run.kept.clear()
    told = {name: step.state for name, step in record.steps.items()} if len(record.steps) <= MAX_TOLD else {}
    turn.save_run(run.run_id)
    turn.tell(
        Kind.RUN_ENDED,
        RunEnded(
            run_id=run.run_id,
            workflow=run.plan.workflow.workflow,
            outcome=record.state,
            reason=record.reason,
            steps=told,
        ),
    )


def act(turn: Turn, event: Event, body: RunAct) -> None:
    """Carry out runs/cancel and runs/retry: each once, by its id."""
    if freshness.is_said_again(turn, event):
        return
    run = turn.state.runs.get(body.run_id)
    if event.expires_at is not None and event.expires_at < turn.wall:
        _refuse(turn, event, body, f"it expired {turn.wall - event.expires_at:.0f} s ago, before it could be heard")
    elif run is None:
        _refuse(turn, event, body, "no such run")
    elif event.kind is Kind.RUN_CANCEL:
        if run.ended:
            _refuse(turn, event, body, f"it is {run.record.state}")
        else:
            stop(turn, run, body.reason or "an operator cancelled it", turn.who(event))
    elif not run.ended or (run.record.state == COMPLETE and body.step is None):
        _refuse(turn, event, body, f"it is {run.record.state}: only one that failed or was cancelled can be retried")
    elif _merges(run.plan.workflow):
        _refuse(turn, event, body, "it is over, and what it was to merge may be elsewhere: merge the task again")
    elif body.step is not None and body.step not in run.record.steps:
        _refuse(turn, event, body, f"it has no step {clean(body.step, 60)}")
    else:
        _retry(turn, run, body.step)


def _refuse(turn: Turn, event: Event, body: RunAct, why: str) -> None:
    message = (
        f"{event.kind.value.removeprefix('runs/')} of the run {body.run_id} by {turn.who(event)} was refused: {why}"
    )
    turn.note(message)
    turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=f"act:{event.id}"))


def stop(turn: Turn, run: Run, reason: str, by: str) -> None:
    """Cancel a run: nothing of it begins any more, and what is under way is cancelled."""
    if run.ended or run.record.cancelling:
        return
    run.record.cancelling = reason
    turn.save_run(run.run_id)
    under_way = [
        turn.state.jobs[each]
        for name, record in run.record.steps.items()
        if record.state == "running"
        for each in run.task_ids(name)
        if each in turn.state.jobs
    ]
    _advance(turn, run, list(run.missing))
    for job in under_way:
        cancel(turn, job, reason, by)


def halt(turn: Turn, reason: str, by: str) -> None:
    """Cancel all runs: the end of their tasks is to begin nothing."""
    for run in list(turn.state.runs.values()):
        stop(turn, run, reason, by)


def _retry(turn: Turn, run: Run, start: str | None) -> None:
    names = run.again(start)
    with_tasks = [name for name in names if name in run.missing]
    _started(turn, run, with_tasks)


def settle(turn: Turn) -> None:
    """Let all go on that waited for the tasks that ended in this turn."""
    while turn.over:
        job = turn.state.jobs.get(turn.over.popleft())
        if job is None or not job.ended:
            continue
        for free in needs.freed(turn, job):
            free.queued_at = turn.wall
            accept.begin(turn, free)
        if job.run_id:
            task_over(turn, job)
