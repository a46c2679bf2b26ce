"""Rows of jobs, runs and mail, as operators are shown them."""

from collections.abc import Iterable
from typing import Any

from swarm_tui.domain.dispatch.merge_record import merge_state
from swarm_tui.domain.dispatch.model import Job, State
from swarm_tui.domain.dispatch.needs import succeeded
from swarm_tui.domain.mail.model import Mail
from swarm_tui.domain.states import CANCEL_WITHIN, TaskState
from swarm_tui.domain.workflows.run import BADLY, Run, task_id
from swarm_tui.domain.workflows.schedule import Schedule, ScheduleRecord
from swarm_tui.protocol.rows import MailReceipt, MailRow, RunRow, ScheduleRow, StepRow, TaskRow

_ASKS = {
    TaskState.AWAITING_APPROVAL: "waits for approval",
    TaskState.HELD: "is held, its outcome is unknown: retry or cancel it",
}


def row(job: Job, *, whole: bool = False) -> TaskRow:
    """Return the job's row; `whole` adds the payload and every hop."""
    return TaskRow(
        task_id=job.task_id,
        type=job.task.type,
        state=job.state.value,
        priority=job.task.priority,
        attempt=job.attempt,
        agent_id=job.agent_id,
        created_at=job.created_at,
        updated_at=job.updated_at,
        duration=job.duration,
        progress=job.progress,
        result=job.result,
        error=job.error,
        message=job.message,
        reason=job.reason,
        assigned_to=job.task.assigned_to,
        max_attempts=job.task.max_attempts,
        payload=job.task.payload if whole else {},
        hops=job.hops if whole else [],
        approvals=job.approvals,
        payload_hash=job.payload_hash if job.state is TaskState.AWAITING_APPROVAL else None,
        errors=[
            f"attempt {attempt.number} on {attempt.agent_id}: {attempt.outcome}: {attempt.error}"
            for attempt in job.attempts
            if attempt.error and whole
        ],
        cancel_requested_at=job.cancel_at,
        cancel_within=CANCEL_WITHIN if job.cancel_at is not None else None,
        runs_again=bool(job.rerun_by),
        late=job.late if whole else [],
        needs=(job.task.needs or []) if whole else [],
        usage=job.usage,
        spent=[
            {"attempt": one.number, "agent_id": one.agent_id, "turn": one.turn, "session": one.session, **one.usage}
            for one in job.attempts
            if whole and (one.usage or one.session)
        ],
        run_id=job.run_id,
        step=job.step,
        merge=None if job.merge is None else merge_state(job.task_id, job.merge),
    )


def run_row(run: Run, jobs: Iterable[Job] = (), *, whole: bool = False) -> RunRow:
    """Return the run's row; `whole` adds the inputs, the ids of each step's tasks, and their results.

    Of its `jobs`, those that wait for a person are told of in their step's reason.
    """
    record, known = run.record, {job.task_id: job for job in jobs}
    asks = {job.step: f"{job.task_id} {_ASKS[job.state]}" for job in known.values() if job.state in _ASKS}
    return RunRow(
        run_id=run.run_id,
        workflow=run.plan.workflow.workflow,
        state=record.state,
        created_at=run.plan.created_at,
        updated_at=record.updated_at,
        ended_at=record.ended_at,
        by=run.plan.by,
        reason=record.reason or record.cancelling,
        inputs=run.plan.inputs if whole else {},
        steps=[_step_row(run, name, asks.get(name, ""), known, whole=whole) for name in record.steps],
    )


def _step_row(run: Run, name: str, asks: str, known: dict[str, Job], *, whole: bool) -> StepRow:
    step, record = run.step(name), run.record.steps[name]
    ends, alone = record.ends or "", step.each is None
    ids = run.task_ids(name)
    jobs = [known[each] for each in ids if each in known] if whole else []
    return StepRow(
        step=name,
        type=step.type,
        state=record.state,
        task_id=(ids[0] if ids else task_id(run.run_id, name, None, record.round)) if alone else None,
        needs=step.needs,
        count=len(ends) if not alone and record.ends is not None else None,
        done=len(ends) - ends.count("."),
        failed=ends.count("f") + ends.count("x"),
        reason=record.reason or asks,
        began_at=record.began_at,
        ended_at=record.ended_at,
        tasks=ids if whole else [],
        result=_result(jobs, alone=alone),
        error=(_wrong(jobs) or record.reason) if record.state in BADLY else None,
    )


def _result(jobs: list[Job], *, alone: bool) -> Any:
    results = [job.result for job in jobs]
    return next(iter(results), None) if alone else results


def _wrong(jobs: list[Job]) -> str:
    return next((job.error or job.reason for job in jobs if job.ended and not succeeded(job)), "")


def schedule_rows(state: State) -> list[ScheduleRow]:
    """Return the rows of the layout's schedules, in its order."""
    rows = []
    for schedule in state.settings.schedules:
        record = state.schedules.get(schedule.name) or ScheduleRecord()
        rows.append(
            ScheduleRow(
                name=schedule.name,
                cron=schedule.cron,
                timezone=schedule.timezone,
                what=schedule.type or f"workflow {schedule.workflow.workflow if schedule.workflow else '?'}",
                overlap=schedule.overlap,
                missed=schedule.missed,
                next_at=None if record.paused else record.next_at,
                last_at=record.last_at,
                last=record.open,
                paused=record.paused,
                fired=record.fired,
                skipped=record.skipped,
                reason=record.reason or _undone(state, schedule),
            )
        )
    return rows


def _undone(state: State, schedule: Schedule) -> str:
    """Return why the schedule would begin nothing now, since nobody does a type; empty when somebody does."""
    steps = [step.type for step in schedule.workflow.steps.values()] if schedule.workflow else [schedule.type or ""]
    there = [record.types for record in state.agents.values() if record.status in ("online", "busy")]
    undone = [kind for kind in steps if kind not in state.settings.rules and not any(kind in types for types in there)]
    return f"nobody does {undone[0]}: neither the layout nor an agent that is there" if undone else ""


def mail_row(mail: Mail) -> MailRow:
    """Return a message's row, with a receipt of each receiver."""
    return MailRow(
        message_id=mail.message_id,
        sender=mail.sender,
        to=mail.to,
        text=mail.text,
        reply_to=mail.reply_to or None,
        expects_answer=mail.expects_answer,
        task_id=mail.task_id or None,
        accepted_at=mail.accepted_at,
        expires_at=mail.expires_at,
        receipts=[
            MailReceipt(
                agent_id=agent_id,
                state=one.state.value,
                at=one.at,
                answer_id=one.answer_id or None,
                reason=one.reason,
            )
            for agent_id, one in mail.receivers.items()
        ],
    )
