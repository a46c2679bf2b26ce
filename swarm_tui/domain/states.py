"""The states of tasks and agents: one word for each, in code, on the wire and on the screen."""

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """A task's place on its way from publish to its end."""

    __hash__ = str.__hash__  # An enum's own is Python's, and is asked for at each look-up of a state.

    BLOCKED = "blocked"
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
    SKIPPED = "skipped"


OPEN = frozenset(
    {
        TaskState.BLOCKED,
        TaskState.AWAITING_APPROVAL,
        TaskState.QUEUED,
        TaskState.ASSIGNED,
        TaskState.RUNNING,
        TaskState.RETRY_WAIT,
        TaskState.HELD,
    }
)
ENDED = frozenset(set(TaskState) - OPEN)
#: In an agent's hands, under a lease.
GIVEN = (TaskState.ASSIGNED, TaskState.RUNNING)


#: Redriven, it waits again for what it needs, where that is open.
_REDRIVEN = frozenset({TaskState.QUEUED, TaskState.AWAITING_APPROVAL, TaskState.BLOCKED})
_GIVEN_BACK = frozenset(
    {
        TaskState.QUEUED,
        TaskState.RETRY_WAIT,
        TaskState.HELD,
        TaskState.COMPLETE,
        TaskState.FAILED,
        TaskState.DEAD,
        TaskState.CANCELLED,
    }
)
#: What a task that waits can become whatever it waits for: an attempt counted as lost may still succeed, or turn out to
#: have crashed its agent.
_WHILE_IT_WAITS = frozenset({TaskState.COMPLETE, TaskState.DEAD, TaskState.CANCELLED})
#: Which states a task may take after each; the dispatcher moves it in `Turn.move` alone. A task begins as queued.
TASK_TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.BLOCKED: frozenset(
        {
            TaskState.QUEUED,
            TaskState.AWAITING_APPROVAL,
            # Nobody does its type, or what it refers to is not there.
            TaskState.FAILED,
            TaskState.CANCELLED,
            TaskState.EXPIRED,
            TaskState.SKIPPED,
        }
    ),
    TaskState.AWAITING_APPROVAL: _WHILE_IT_WAITS | {TaskState.QUEUED, TaskState.EXPIRED},
    TaskState.QUEUED: _WHILE_IT_WAITS
    | {
        # Of a type that nobody does.
        TaskState.FAILED,
        TaskState.AWAITING_APPROVAL,
        TaskState.BLOCKED,
        # One of what it needs had failed before it came.
        TaskState.SKIPPED,
        TaskState.ASSIGNED,
        # Its agent, which was counted as lost, is heard again.
        TaskState.RUNNING,
        TaskState.EXPIRED,
    },
    TaskState.ASSIGNED: _GIVEN_BACK | {TaskState.RUNNING},
    TaskState.RUNNING: _GIVEN_BACK,
    TaskState.RETRY_WAIT: _WHILE_IT_WAITS | _REDRIVEN | {TaskState.ASSIGNED, TaskState.RUNNING, TaskState.EXPIRED},
    TaskState.HELD: _WHILE_IT_WAITS | _REDRIVEN | {TaskState.RUNNING},
    TaskState.COMPLETE: frozenset(),
    TaskState.FAILED: _REDRIVEN,
    TaskState.DEAD: _REDRIVEN,
    TaskState.CANCELLED: _REDRIVEN,
    TaskState.EXPIRED: _REDRIVEN,
    TaskState.SKIPPED: _REDRIVEN,
}


#: Seconds that a running task that is cancelled has to stop by itself.
CANCEL_WAIT = 10.0
#: Seconds that a running task may take to be cancelled: to stop by itself, then SIGTERM and SIGKILL, and some more;
#: after that it is cancelled without its agent's word.
CANCEL_WITHIN = CANCEL_WAIT + 15.0


class AgentState(StrEnum):
    """An agent's condition, as its process, its pane and what it says give it.

    Nothing moves it from one state to the next: each is derived from the facts as they are, so any may follow any.
    """

    __hash__ = str.__hash__

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
