"""From how an attempt ended to what is said of it."""

import time
from typing import TYPE_CHECKING, Any

import msgspec

from swarm_tui.agent.redact import Redactor
from swarm_tui.agent.running_attempt import Outcome, RunningAttempt
from swarm_tui.protocol.bodies import Complete, ErrorInfo, Failed
from swarm_tui.protocol.envelope import rfc3339

if TYPE_CHECKING:
    from swarm_tui.domain.worker.actions import HeldLease

_LONGEST_ERROR = 4_000


def answer_of(
    attempt: RunningAttempt, outcome: Outcome, lease: "HeldLease", agent_id: str, redact: Redactor
) -> Complete | Failed:
    """Return the body of `tasks/complete` or `tasks/failed`; `lease` is the one that counts now."""
    common: dict[str, Any] = {
        "task_id": lease.task_id,
        "agent_id": agent_id,
        "attempt": lease.attempt,
        "epoch": lease.epoch,
        "duration": attempt.duration(),
    }
    at = rfc3339(time.time())
    if outcome.error is None:
        return Complete(**common, result=redact.value(outcome.result), completed_at=at, usage=attempt.used())
    message = redact.text(outcome.error)
    if len(message) > _LONGEST_ERROR:
        message = f"{message[: _LONGEST_ERROR // 2]} … {message[-_LONGEST_ERROR // 2 :]}"
    message = message.encode("utf-8", "replace").decode()
    return Failed(
        **common,
        error=ErrorInfo(message=message, code=outcome.code, retryable=outcome.retryable, retry_at=outcome.retry_at),
        retryable=outcome.retryable,
        failed_at=at,
        result=redact.value(outcome.result),
        cause=outcome.cause,
        usage=attempt.used(),
    )


def unfit(
    attempt: RunningAttempt, outcome: Outcome, lease: "HeldLease", agent_id: str, redact: Redactor, why: Exception
) -> Complete | Failed:
    """Return the end of a task whose result cannot be said at all; a failure keeps its own words and cause."""
    if outcome.error is not None:
        return answer_of(attempt, msgspec.structs.replace(outcome, result=None), lease, agent_id, redact)
    return Failed(
        task_id=lease.task_id,
        agent_id=agent_id,
        attempt=lease.attempt,
        epoch=lease.epoch,
        duration=attempt.duration(),
        error=ErrorInfo(message=f"the handler's result cannot be told: {type(why).__name__}", code="bad-result"),
        retryable=False,
        failed_at=rfc3339(time.time()),
    )
