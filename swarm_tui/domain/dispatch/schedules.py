"""Firing the layout's schedules: each time once, through crashes, other leaders and clocks that are set."""

from hashlib import sha256

from swarm_tui.domain.dispatch import accept, freshness, runs
from swarm_tui.domain.dispatch.digests import task_body
from swarm_tui.domain.dispatch.operators import cancel
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.workflows.schedule import (
    LATE,
    REMEMBERED,
    Schedule,
    ScheduleRecord,
    last_due,
    mark,
    next_time,
    stamp,
)
from swarm_tui.protocol.bodies import Alert, Task
from swarm_tui.protocol.envelope import Event, rfc3339
from swarm_tui.protocol.run_bodies import ScheduleAct
from swarm_tui.protocol.topics import Kind


def look(turn: Turn) -> None:
    """Fire what is due. While the swarm is halted nothing is, nor without a broker: those times count as missed.

    Another may lead meanwhile, of whom nothing can be heard.
    """
    if turn.state.halted is not None or not turn.state.link_up:
        return
    for schedule in turn.state.settings.schedules:
        record = _record(turn, schedule)
        if record.paused:
            continue
        if record.waiting is not None and not _is_open(turn, record.open):
            at, record.waiting = record.waiting, None
            _fire(turn, schedule, record, at)
        if record.next_at is not None and record.next_at <= turn.wall:
            _due(turn, schedule, record, record.next_at)


def _due(turn: Turn, schedule: Schedule, record: ScheduleRecord, first: float) -> None:
    at = last_due(schedule, first, turn.wall)
    record.next_at = next_time(schedule, at)
    turn.save_schedule(schedule.name)
    if at in record.times:
        return
    if turn.wall - at > LATE and schedule.missed == "none":
        _skip(turn, schedule, record, f"{rfc3339(at)} was missed, and `missed: none` makes up for none")
    elif not _is_open(turn, record.open):
        _fire(turn, schedule, record, at)
    elif schedule.overlap == "skip":
        _skip(turn, schedule, record, f"{rfc3339(at)}: {record.open} is still open")
    elif schedule.overlap == "queue":
        if record.waiting is not None:
            _skip(turn, schedule, record, f"{rfc3339(record.waiting)}: {record.open} is still open, and another waits")
        record.waiting = at
    else:
        _end(turn, record.open, f"the schedule {schedule.name} begins it anew")
        _fire(turn, schedule, record, at)


def _record(turn: Turn, schedule: Schedule) -> ScheduleRecord:
    """The schedule's record; one that is new, or whose times are others now, counts from now on."""
    record = turn.state.schedules.get(schedule.name)
    if record is None:
        record = turn.state.schedules[schedule.name] = ScheduleRecord()
    if record.mark != mark(schedule):
        record.mark, record.next_at = mark(schedule), next_time(schedule, turn.wall)
        turn.save_schedule(schedule.name)
    return record


def clock_set(turn: Turn) -> None:
    """The time of day may be another than it was: an earlier one finds its times again; fired ones are remembered."""
    for schedule in turn.state.settings.schedules:
        record = _record(turn, schedule)
        following = next_time(schedule, turn.wall)
        if following is not None and (record.next_at is None or following < record.next_at):
            record.next_at = following
            turn.save_schedule(schedule.name)


def _is_open(turn: Turn, name: str) -> bool:
    job, run = turn.state.jobs.get(name), turn.state.runs.get(name)
    return (job is not None and not job.ended) or (run is not None and not run.ended)


def _end(turn: Turn, name: str, reason: str) -> None:
    job, run = turn.state.jobs.get(name), turn.state.runs.get(name)
    if run is not None:
        runs.stop(turn, run, reason, "the dispatcher")
    elif job is not None:
        cancel(turn, job, reason, "the dispatcher")


def _skip(turn: Turn, schedule: Schedule, record: ScheduleRecord, why: str) -> None:
    record.skipped += 1
    record.reason = why
    turn.save_schedule(schedule.name)
    turn.note(f"the schedule {schedule.name} skips {why}")


def _fire(turn: Turn, schedule: Schedule, record: ScheduleRecord, at: float) -> None:
    """Begin the task or the run of that time, in the same transaction as the record of it."""
    record.times = [*record.times, at][-REMEMBERED:]
    record.last_at, record.fired, record.reason = at, record.fired + 1, ""
    by = f"{accept.BY_SCHEDULE}{schedule.name}"
    why: str | None
    if schedule.workflow is not None:
        record.open = f"{schedule.name}-{stamp(at)}"
        why = runs.begin(turn, record.open, schedule.workflow, schedule.payload, by)
    else:
        record.open = f"{schedule.name}:{stamp(at)}"
        why = _begin_task(turn, schedule, record.open, at, by)
    if why:
        record.open, record.reason = "", why
        message = f"the schedule {schedule.name} could not begin its {rfc3339(at)}: {why}"
        turn.note(message)
        turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=by))
    turn.save_schedule(schedule.name)


def _begin_task(turn: Turn, schedule: Schedule, task_id: str, at: float, by: str) -> str | None:
    """Accept the firing's task, unless it is known already. Returns why it cannot be."""
    task = Task(
        task_id=task_id,
        type=schedule.type or "",
        payload=schedule.payload,
        idempotency_key=f"{schedule.name}@{rfc3339(at)}",
    )
    if task_id in turn.state.jobs or task.idempotency_key in turn.state.keys:
        return None
    body = task_body(task)
    why = accept.refusal(turn, task, body)
    if why is None:
        accept.begin(turn, accept.make(turn, task, sha256(body).hexdigest(), by))
    return why


def act(turn: Turn, event: Event, body: ScheduleAct) -> None:
    """Carry out schedules/act: pause, resume or fire one, each once, by its id."""
    if freshness.is_said_again(turn, event):
        return
    schedule = next((found for found in turn.state.settings.schedules if found.name == body.name), None)
    if schedule is None:
        _refuse(turn, event, body, "the layout has none of it")
        return
    record, now = _record(turn, schedule), float(int(turn.wall))
    if body.act == "fire" and now in record.times:
        _refuse(turn, event, body, f"it has fired at {rfc3339(now)}, and a firing is known by its second")
        return
    if body.act == "fire":
        _fire(turn, schedule, record, now)
        return
    record.paused = body.act == "pause"
    record.next_at = next_time(schedule, turn.wall)
    record.reason = f"paused by {turn.who(event)}" if record.paused else ""
    turn.save_schedule(schedule.name)


def _refuse(turn: Turn, event: Event, body: ScheduleAct, why: str) -> None:
    message = f"{body.act} of the schedule {body.name} by {turn.who(event)} was refused: {why}"
    turn.note(message)
    turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=f"act:{event.id}"))
