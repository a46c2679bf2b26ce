"""Meanings of the words of a swarm, for the help and for the pages where they stand."""

import re
from collections.abc import Callable

from swarm_tui.domain.dispatch.model import DispatchSettings
from swarm_tui.domain.dispatch.queue import AGEING
from swarm_tui.domain.liveness import BEAT
from swarm_tui.domain.outcome import came_badly
from swarm_tui.domain.states import LIVE, AgentState, TaskState
from swarm_tui.domain.views import AgentView, TaskView

#: `{act}` stands for the key of an act, as `keyed` puts it in.
AGENT_STATE = {
    AgentState.STARTING: "Its process runs; it has not said on the bus that it is there.",
    AgentState.ONLINE: "It is there and has nothing to do.",
    AgentState.BUSY: "It works on a task.",
    AgentState.DRAINING: "It takes no more tasks; one that it has in hand it finishes. {drain} takes it back.",
    AgentState.SUSPECT: "A heartbeat is missing. It may be slow; wait, or look at its pane.",
    AgentState.HUNG: "Its process lives, but the bus hears nothing of it. "
    "Look at its pane ({attach}), restart it ({restart}).",
    AgentState.LOST: "Three heartbeats are missing. Its tasks go back to the queue.",
    AgentState.OFFLINE: "It left, or its will said that it is gone.",
    AgentState.BACKOFF: "It ended badly; the supervisor waits a moment before it starts it again.",
    AgentState.CRASHLOOP: "It ended badly too often; the supervisor gave up. "
    "See its log ({logs}), then start it ({start_stop}).",
    AgentState.STOPPED: "A person stopped it. {start_stop} starts it.",
}
TASK_STATE = {
    TaskState.AWAITING_APPROVAL: "A person must say yes first. {approve} approves, {deny} denies; silence is a no.",
    TaskState.BLOCKED: "It waits until the tasks that it needs have ended.",
    TaskState.QUEUED: "Written down by the dispatcher; it waits for an agent that is free.",
    TaskState.ASSIGNED: "Offered to an agent, which has not said that it began.",
    TaskState.RUNNING: "An agent works on it under a lease.",
    TaskState.RETRY_WAIT: "An attempt failed; the next one waits a moment.",
    TaskState.HELD: "Nobody knows whether it ran, and it must not run twice. {retry} runs it again, {cancel} ends it.",
    TaskState.COMPLETE: "Done; its result is recorded once.",
    TaskState.FAILED: "It failed in a way that another attempt would not mend.",
    TaskState.DEAD: "All its attempts are spent. {retry} gives it new ones.",
    TaskState.CANCELLED: "A person ended it.",
    TaskState.EXPIRED: "Nobody took it in time.",
    TaskState.SKIPPED: "It is not to be done: what it needs did not succeed, or its condition says no.",
}
_IDLE_DRAINS = "It has nothing in hand and takes no more tasks. {drain} takes it back."
_BUSY_DRAINS = "It finishes what it has in hand and takes no more. {drain} takes it back."
_CAME_BADLY = "It ran to its end, and its own verdict is failed. The result is recorded once."
WORDS = {
    "lease": f"An agent holds a task for {DispatchSettings().lease:g} seconds at a time and renews it with each "
    "heartbeat. When it runs out, the task goes back to the queue.",
    "attempt": "One try at a task. A lost lease or a failure that may mend itself makes another.",
    "epoch": "Counts the dispatcher's terms of office. An answer of an older epoch is kept, never applied.",
    "will": "What the broker says for an agent whose connection breaks: offline.",
    "incarnation": "One life of an agent: each start of its process is a new one.",
    "retained": "A message that the broker keeps and tells to each who comes later.",
    "dispatcher": "The task-manager that leads: it writes tasks down, offers them and records how they end.",
    "leaderless": "No dispatcher: agents claim tasks among themselves. Best effort: no lease, no retry, no promise.",
    "priority": "▲ before a task is high, ▽ is low. "
    f"A task rises by one for each {AGEING / 60:g} minutes that it waits.",
    "heartbeats": f"Each agent's, every {BEAT:g} seconds: • in time, ◦ late, × missed.",
    "foreign": "It speaks on the bus, but no pane of this swarm holds it.",
    "stray": "It has a pane, but is not in the layout.",
    "split": "Two incarnations speak under one id.",
}


def keyed(text: str, told: Callable[[str], str]) -> str:
    """Return the text with the keys of the acts that it names; `told` gives them."""
    return re.sub(r"\{(\w+)\}", lambda found: told(found[1]), text)


def of_agent(agent: AgentView, told: Callable[[str], str]) -> str:
    """Return what its state means for this agent."""
    if agent.state is AgentState.DRAINING:
        return keyed(_BUSY_DRAINS if is_busy(agent) else _IDLE_DRAINS, told)
    return keyed(AGENT_STATE[agent.state], told)


#: Types of ours whose results tell their duration in milliseconds.
_TIMED = frozenset({"testing.run", "testing.coverage"})


def units_of(task: TaskView) -> dict[tuple[str, ...], str]:
    """Return the units of the numbers in its result that have a known one, by their names."""
    return {("duration",): "ms"} if task.type in _TIMED else {}


def of_task(task: TaskView, told: Callable[[str], str]) -> str:
    """Return what its state means for this task."""
    return keyed(_CAME_BADLY if came_badly(task) else TASK_STATE[task.state], told)


def is_busy(agent: AgentView) -> bool:
    """Tell whether it has work in hand, as far as is known."""
    return bool(agent.task_id or agent.tasks or (agent.active and agent.state in LIVE))
