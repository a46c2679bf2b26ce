"""A job's row, as operators are shown it."""

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.states import CANCEL_WITHIN, TaskState
from swarm_tui.protocol.rows import TaskRow


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
    )
