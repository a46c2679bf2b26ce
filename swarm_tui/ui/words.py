"""What the words of a swarm mean, for the help and for the pages where they stand."""

from swarm_tui.domain.states import AgentState, TaskState

AGENT_STATE = {
    AgentState.STARTING: "Its process runs; it has not said on the bus that it is there.",
    AgentState.ONLINE: "It is there and has nothing to do.",
    AgentState.BUSY: "It works on a task.",
    AgentState.DRAINING: "It finishes its task and takes no more. d takes it back.",
    AgentState.SUSPECT: "A heartbeat is missing. It may be slow; wait, or look at its pane.",
    AgentState.HUNG: "Its process lives, but the bus hears nothing of it. Look at its pane (a), restart it (r).",
    AgentState.LOST: "Three heartbeats are missing. Its tasks go back to the queue.",
    AgentState.OFFLINE: "It left, or its will said that it is gone.",
    AgentState.BACKOFF: "It ended badly; the supervisor waits a moment before it starts it again.",
    AgentState.CRASHLOOP: "It ended badly too often; the supervisor gave up. See its log (l), then start it (s).",
    AgentState.STOPPED: "A person stopped it. s starts it.",
}
TASK_STATE = {
    TaskState.AWAITING_APPROVAL: "The layout wants a person's yes. y approves, N denies; silence is a no.",
    TaskState.QUEUED: "Written down by the dispatcher; it waits for an agent that is free.",
    TaskState.ASSIGNED: "Offered to an agent, which has not said that it began.",
    TaskState.RUNNING: "An agent works on it under a lease.",
    TaskState.RETRY_WAIT: "An attempt failed; the next one waits a moment.",
    TaskState.HELD: "Nobody knows whether it ran, and it must not run twice. t runs it again, c ends it.",
    TaskState.COMPLETE: "Done; its result is recorded once.",
    TaskState.FAILED: "It failed in a way that another attempt would not mend.",
    TaskState.DEAD: "All its attempts are spent. t gives it new ones.",
    TaskState.CANCELLED: "A person ended it.",
    TaskState.EXPIRED: "Nobody took it in time.",
}
WORDS = {
    "lease": "An agent holds a task for 30 seconds at a time and renews it with each heartbeat. When it runs out, "
    "the task goes back to the queue.",
    "attempt": "One try at a task. A lost lease or a failure that may mend itself makes another.",
    "epoch": "Counts the dispatcher's terms of office. An answer of an older epoch is kept, never applied.",
    "will": "What the broker says for an agent whose connection breaks: offline.",
    "incarnation": "One life of an agent: each start of its process is a new one.",
    "retained": "A message that the broker keeps and tells to each who comes later.",
    "dispatcher": "The task-manager that leads: it writes tasks down, offers them and records how they end.",
    "leaderless": "No dispatcher: agents claim tasks among themselves. Best effort: no lease, no retry, no promise.",
    "priority": "▲ before a task is high, ▽ is low. A task rises by one for each five minutes that it waits.",
    "heartbeats": "Each agent's, every ten seconds: • in time, ◦ late, × missed.",
    "foreign": "It speaks on the bus, but no pane of this swarm holds it.",
    "stray": "It has a pane, but is not in the layout.",
    "split": "Two incarnations speak under one id.",
}
