"""The states of tasks and agents: one word for each, in code, on the wire and on the screen."""

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is."""

    AWAITING_APPROVAL = "awaiting-approval"
    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    RETRY_WAIT = "retry-wait"
    HELD = "held"
    COMPLETE = "complete"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN = frozenset(
    {
        TaskState.AWAITING_APPROVAL,
        TaskState.QUEUED,
        TaskState.ASSIGNED,
        TaskState.RUNNING,
        TaskState.RETRY_WAIT,
        TaskState.HELD,
    }
)
ENDED = frozenset(set(TaskState) - OPEN)


class AgentState(StrEnum):
    """How an agent is."""

    STARTING = "starting"
    ONLINE = "online"
    BUSY = "busy"
    DRAINING = "draining"
    SUSPECT = "suspect"
    HUNG = "hung"
    LOST = "lost"
    OFFLINE = "offline"
    BACKOFF = "backoff"
    CRASHLOOP = "crashloop"
    STOPPED = "stopped"


LIVE = frozenset({AgentState.ONLINE, AgentState.BUSY, AgentState.DRAINING})
TROUBLE = frozenset({AgentState.SUSPECT, AgentState.HUNG, AgentState.LOST, AgentState.BACKOFF, AgentState.CRASHLOOP})
