"""Payloads of all topics, typed. Times are seconds, `duration` milliseconds, as the seed's agents send them."""

from typing import Any, Literal

from msgspec import field

from swarm_tui.protocol.ask_bodies import ASK_BODY
from swarm_tui.protocol.base_body import Body as Body
from swarm_tui.protocol.base_body import Cleared as Cleared
from swarm_tui.protocol.base_body import JsonObject as JsonObject
from swarm_tui.protocol.base_body import Unknown as Unknown
from swarm_tui.protocol.host_bodies import HOST_BODY
from swarm_tui.protocol.host_bodies import HostControl as HostControl
from swarm_tui.protocol.host_bodies import HostStatus as HostStatus
from swarm_tui.protocol.host_bodies import LayoutRevision as LayoutRevision
from swarm_tui.protocol.host_bodies import PaneStatus as PaneStatus
from swarm_tui.protocol.host_bodies import Scale as Scale
from swarm_tui.protocol.mail_bodies import MAIL_BODY, MessageNew
from swarm_tui.protocol.merge_bodies import MERGE_BODY
from swarm_tui.protocol.run_bodies import RUN_BODY
from swarm_tui.protocol.topics import Kind

Priority = Literal["low", "medium", "high"]
PresenceStatus = Literal["online", "busy", "draining", "offline"]
InboxCommand = Literal[
    "drain", "undrain", "cancel", "ack", "inventory", "ping", "accept", "message", "receipt", "paths"
]


class Register(Body, frozen=True, kw_only=True):
    """Body of agents/register: an agent says who it is, on each connect."""

    agent_id: str
    status: str = "online"
    role: str | None = None
    capabilities: list[str] = []


class Heartbeat(Body, frozen=True, kw_only=True):
    """Body of agents/heartbeat. `uptime` s; `memory` holds `rss` in bytes; `cpu` percent of a core."""

    agent_id: str = ""
    status: str = "alive"
    uptime: float | None = None
    memory: JsonObject = {}
    cpu: float | None = None
    state: str | None = None
    task_id: str | None = None
    tasks: list[JsonObject] = []
    """Each lease held: `{"task_id", "attempt", "epoch"}`."""
    finished: list[JsonObject] = []
    """Results that wait for the dispatcher's ack: `{"task_id", "attempt", "epoch"}`."""
    capacity: int | None = None
    active: int | None = None
    incarnation: str | None = None


class Shutdown(Body, frozen=True, kw_only=True):
    """Body of agents/shutdown: an agent leaves in order. `uptime` s."""

    agent_id: str = ""
    reason: str = "graceful"
    uptime: float | None = None
    incarnation: str | None = None


class Status(Body, frozen=True, kw_only=True):
    """Body of agents/<id>/status, retained: birth, change and will. `started_at` is seconds since the epoch."""

    status: str
    agent_id: str = ""
    role: str | None = None
    incarnation: str | None = None
    host: str | None = None
    pid: int | None = None
    started_at: float | None = None
    capabilities: list[str] = []
    capacity: int | None = None
    active: int | None = None
    version: str | None = None
    trouble: str | None = None  # Why it cannot do its role's part now, though it is there.
    ephemeral: bool = False
    """An `auto` id: its retained status is cleared when it leaves."""


class Task(Body, frozen=True, kw_only=True):
    """Body of tasks/new, deployment/request and code/review.

    `timeout` is seconds of an attempt; `not_before` and `expires_at` are seconds since the epoch. A second task of an
    `idempotency_key` is the first one again.
    """

    task_id: str
    type: str
    payload: JsonObject = {}
    priority: Priority = "medium"
    assigned_to: str | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    not_before: float | None = None
    expires_at: float | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    needs: list[str] | None = None
    """Tasks that must have succeeded before this one begins."""


class Inbox(Body, frozen=True, kw_only=True):
    """Body of agents/<id>/inbox: with `command`, an order; without, the offer of a task under a lease of `lease` s.

    `resume` is where an earlier attempt left off, `budget` US dollars for this one, `granted` what people always allow.
    `message` is mail for the agent, `answer` what became of mail that it sent or read, or of a claim on paths.
    """

    command: InboxCommand | None = None
    incarnation: str | None = None
    task_id: str | None = None
    attempt: int | None = None
    epoch: int | None = None
    lease: float | None = None
    task: Task | None = None
    reason: str | None = None
    dispatcher: str | None = None
    resume: JsonObject | None = None
    budget: float | None = None
    granted: tuple[str, ...] = ()
    message: MessageNew | None = None
    answer: JsonObject | None = None


class Queued(Body, frozen=True, kw_only=True):
    """Body of tasks/queued: the proof that the task is journaled."""

    task_id: str
    attempt: int = 0
    position: int | None = None
    duplicate: bool = False
    state: str | None = None
    """Of a duplicate: the state the task is in by now. Else where it went when that is not the queue."""
    original: str | None = None
    """Of a duplicate by idempotency key: the id of the task that does the work."""
    type: str | None = None  # Of a run's step, which nobody published.
    run_id: str | None = None


class TaskRejected(Body, frozen=True, kw_only=True):
    """Body of tasks/rejected: the dispatcher does not take a task, and says why."""

    task_id: str
    reason: str = ""


class Assigned(Body, frozen=True, kw_only=True):
    """Body of tasks/assigned, by the dispatcher (with epoch and lease, s) or a claimer. `claimed_at` RFC 3339."""

    task_id: str
    agent_id: str
    role: str | None = None
    claimed_at: str | None = None
    attempt: int | None = None
    epoch: int | None = None
    lease: float | None = None
    claim: str | None = None  # Of a leaderless claim: the claimer's incarnation, by which it knows its own echo.


class Started(Body, frozen=True, kw_only=True):
    """Body of tasks/started: the work has begun."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None


class Declined(Body, frozen=True, kw_only=True):
    """Body of tasks/declined: an agent does not take an offer, and says why."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    incarnation: str | None = None
    reason: str = ""


class Progress(Body, frozen=True, kw_only=True):
    """Body of tasks/progress: 0 to 100. `turn`, `session` are a conversation's; `usage` is of this attempt so far."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    progress: float | None = None
    message: str = ""
    usage: JsonObject = {}
    turn: int | None = None
    session: str | None = None


class AttemptUsage(Body, frozen=True, kw_only=True):
    """Body of tasks/usage: what an attempt of `worker` used in all, read in its session's log after it was killed."""

    task_id: str
    agent_id: str = ""
    worker: str = ""
    attempt: int | None = None
    epoch: int | None = None
    session: str = ""
    usage: JsonObject = {}


class ErrorInfo(Body, frozen=True, kw_only=True):
    """Reason of a task's failure: a sentence and a short word; a bare string on the wire becomes the message."""

    message: str = ""
    code: str | None = None
    retryable: bool | None = None
    retry_at: float | None = None  # Seconds since the epoch: a usage limit is reset then, and not before.


class Complete(Body, frozen=True, kw_only=True):
    """Body of tasks/complete. `duration` ms, `completed_at` RFC 3339; `usage` as `domain.usage.Usage.wire` gives it."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    status: str = "success"
    result: Any = None
    duration: float | None = None
    completed_at: str | None = None
    usage: JsonObject = {}


class Failed(Body, frozen=True, kw_only=True):
    """Body of tasks/failed. `duration` ms, `failed_at` RFC 3339; `result` is the part of it that there is."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    status: str = "failed"
    error: ErrorInfo = field(default_factory=ErrorInfo)
    retryable: bool | None = None
    duration: float | None = None
    failed_at: str | None = None
    result: Any = None
    cause: str | None = None
    """`cancelled`, `timeout`, … where it was not the handler's own failure."""
    usage: JsonObject = {}


class TaskAct(Body, frozen=True, kw_only=True):
    """Body of tasks/cancel, tasks/redrive, tasks/approve, tasks/deny: an operator's act on a task."""

    task_id: str
    reason: str = ""
    payload_hash: str | None = None
    """Of an approval: the hash that was shown to the person who approved."""


class TaskVerdict(Body, frozen=True, kw_only=True):
    """Body of tasks/cancelled, tasks/retrying, tasks/dead, tasks/held: what the dispatcher decided. `delay` s."""

    task_id: str
    attempt: int | None = None
    reason: str = ""
    delay: float | None = None
    state: str | None = None
    """The state the task is in now, where the topic alone does not say it (expired, awaiting-approval)."""
    payload_hash: str | None = None
    """Of a task that waits for approval: what an approval must name."""


class Halt(Body, frozen=True, kw_only=True):
    """Body of halt, retained: all work stops until it is cleared; one that is `lifted` ends the one before."""

    reason: str = ""
    lifted: bool = False


class Query(Body, frozen=True, kw_only=True):
    """Body of operators/<client>/query: `query` is `status`, `logs`, `output`, `tasks`, `task`, `history` …"""

    query: str
    args: JsonObject = {}


class Reply(Body, frozen=True, kw_only=True):
    """Body of operators/<client>/reply: one page of rows, each as `query` has them; `more`: another page follows."""

    query: str = ""
    rows: list[Any] = []
    error: str | None = None
    more: bool = False
    request: str | None = None
    source: str | None = None


class Dispatcher(Body, frozen=True, kw_only=True):
    """Body of dispatcher, retained, and the dispatcher's will: `<host>/<life>`, and how many tasks are `open`."""

    instance: str
    epoch: int = 0
    online: bool = True
    agent_id: str | None = None
    open: int | None = None


class DeploymentStatus(Body, frozen=True, kw_only=True):
    """Body of deployment/status: how far a deployment is, 0 to 100."""

    task_id: str | None = None
    status: str = ""
    progress: float | None = None
    message: str = ""


class Alert(Body, frozen=True, kw_only=True):
    """Body of alerts: something that a person should look at (`info`, `warning`, `critical`), or its end."""

    severity: str = "warning"
    message: str = ""
    agent_id: str | None = None
    task_id: str | None = None
    name: str | None = None
    active: bool = True  # False when the alert of that `name` is over.


class Broadcast(Body, frozen=True, kw_only=True):
    """Body of broadcast: words for every agent's pane."""

    text: str = ""


BODY: dict[Kind, type[Body]] = {
    Kind.REGISTER: Register,
    Kind.HEARTBEAT: Heartbeat,
    Kind.SHUTDOWN: Shutdown,
    Kind.STATUS: Status,
    Kind.INBOX: Inbox,
    Kind.TASK_NEW: Task,
    Kind.TASK_QUEUED: Queued,
    Kind.TASK_REJECTED: TaskRejected,
    Kind.TASK_ASSIGNED: Assigned,
    Kind.TASK_STARTED: Started,
    Kind.TASK_DECLINED: Declined,
    Kind.TASK_PROGRESS: Progress,
    Kind.TASK_USAGE: AttemptUsage,
    Kind.TASK_COMPLETE: Complete,
    Kind.TASK_FAILED: Failed,
    Kind.TASK_CANCEL: TaskAct,
    Kind.TASK_REDRIVE: TaskAct,
    Kind.TASK_APPROVE: TaskAct,
    Kind.TASK_DENY: TaskAct,
    Kind.TASK_CANCELLED: TaskVerdict,
    Kind.TASK_RETRYING: TaskVerdict,
    Kind.TASK_DEAD: TaskVerdict,
    Kind.TASK_HELD: TaskVerdict,
    Kind.HALT: Halt,
    Kind.QUERY: Query,
    Kind.REPLY: Reply,
    Kind.DISPATCHER: Dispatcher,
    Kind.DEPLOYMENT_REQUEST: Task,
    Kind.CODE_REVIEW: Task,
    Kind.DEPLOYMENT_STATUS: DeploymentStatus,
    Kind.ALERT: Alert,
    Kind.BROADCAST: Broadcast,
    Kind.OTHER: Unknown,
    **HOST_BODY,
    **RUN_BODY,
    **MAIL_BODY,
    **ASK_BODY,
    **MERGE_BODY,
}
