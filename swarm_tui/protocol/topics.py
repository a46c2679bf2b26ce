"""The topics of a swarm: one rule a row of the wire contract."""

from enum import StrEnum

from msgspec import Struct

from swarm_tui.protocol.names import check_swarm
from swarm_tui.protocol.shards import BRANCH


class Kind(StrEnum):
    """The meaning of a topic; the value is the topic under the swarm, `+` standing for the name in it."""

    __hash__ = str.__hash__  # An enum's own is Python's, and each message is asked for it some ten times.

    REGISTER = "agents/register"
    HEARTBEAT = "agents/heartbeat"
    SHUTDOWN = "agents/shutdown"
    STATUS = "agents/+/status"
    INBOX = "agents/+/inbox"
    TASK_NEW = "tasks/new"
    TASK_QUEUED = "tasks/queued"
    TASK_REJECTED = "tasks/rejected"
    TASK_ASSIGNED = "tasks/assigned"
    TASK_STARTED = "tasks/started"
    TASK_DECLINED = "tasks/declined"
    TASK_PROGRESS = "tasks/progress"
    TASK_USAGE = "tasks/usage"
    TASK_COMPLETE = "tasks/complete"
    TASK_FAILED = "tasks/failed"
    TASK_CANCEL = "tasks/cancel"
    TASK_REDRIVE = "tasks/redrive"
    TASK_APPROVE = "tasks/approve"
    TASK_DENY = "tasks/deny"
    TASK_CANCELLED = "tasks/cancelled"
    TASK_RETRYING = "tasks/retrying"
    TASK_DEAD = "tasks/dead"
    TASK_HELD = "tasks/held"
    RUN_NEW = "runs/new"
    RUN_STARTED = "runs/started"
    RUN_REJECTED = "runs/rejected"
    RUN_ENDED = "runs/ended"
    RUN_CANCEL = "runs/cancel"
    RUN_RETRY = "runs/retry"
    SCHEDULE_ACT = "schedules/act"
    MESSAGE_NEW = "messages/new"
    MESSAGE_ACCEPTED = "messages/accepted"
    MESSAGE_REJECTED = "messages/rejected"
    MESSAGE_DELIVERED = "messages/delivered"
    MESSAGE_READ = "messages/read"
    MESSAGE_ANSWERED = "messages/answered"
    MESSAGE_DEAD = "messages/dead"
    PATHS_CLAIM = "paths/claim"
    PATHS_CLAIMED = "paths/claimed"
    PATHS_REFUSED = "paths/refused"
    PATHS_RELEASE = "paths/release"
    PATHS_RELEASED = "paths/released"
    MERGE_ACT = "merges/act"
    MERGE_STATE = "merges/state"
    HALT = "halt"
    QUERY = "operators/+/query"
    REPLY = "operators/+/reply"
    DISPATCHER = "dispatcher"
    HOST_STATUS = "hosts/+/status"
    HOST_CONTROL = "hosts/+/control"
    SCALE = "roles/+/scale"
    DEPLOYMENT_REQUEST = "deployment/request"
    CODE_REVIEW = "code/review"
    DEPLOYMENT_STATUS = "deployment/status"
    ALERT = "alerts"
    BROADCAST = "broadcast"
    ASK = "asks/+"
    ASK_ANSWER = "asks/+/answer"
    ASK_RECORDED = "asks/+/recorded"
    OTHER = ""


RETAINED = frozenset({Kind.STATUS, Kind.HALT, Kind.DISPATCHER, Kind.HOST_STATUS, Kind.SCALE})
QOS_0 = frozenset({Kind.HEARTBEAT, Kind.TASK_PROGRESS})
#: Acts of an operator: they carry `expires_at` and are deduplicated by `id`.
COMMANDS = frozenset(
    {
        Kind.TASK_CANCEL,
        Kind.TASK_REDRIVE,
        Kind.TASK_APPROVE,
        Kind.TASK_DENY,
        Kind.RUN_CANCEL,
        Kind.RUN_RETRY,
        Kind.SCHEDULE_ACT,
        Kind.MERGE_ACT,
        Kind.HALT,
        Kind.HOST_CONTROL,
        Kind.SCALE,
        Kind.QUERY,
        Kind.BROADCAST,
        Kind.ASK_ANSWER,
    }
)
_PATTERNS = {kind: kind.value for kind in Kind}
_BY_TOPIC = {kind.value: kind for kind in Kind if "+" not in kind.value and kind.value}
_BY_ENDS = {
    (parts[0], parts[2]): kind for kind in Kind for parts in [kind.value.split("/")] if len(parts) == 3 and "+" in parts
}


#: The branch where `doctor` tries the broker out: within the swarm, as its ACL is tried too, and not of its talk.
TRIALS = "_doctor"


class Address(Struct, frozen=True):
    """A topic, understood: what it says, and the name in it (`""` where it has none)."""

    kind: Kind
    key: str = ""


def topic(swarm: str, kind: Kind, key: str = "") -> str:
    """Return the full topic of `kind`; `key` fills its `+`."""
    return f"{swarm}/{_PATTERNS[kind].replace('+', key)}"


def parse(swarm: str, full: str) -> Address | None:
    """Return what `full` says within `swarm`; None when it is not the swarm's at all."""
    if not full.startswith(swarm + "/"):
        return None
    rest = full[len(swarm) + 1 :]
    if rest.startswith((f"{TRIALS}/", f"{BRANCH}/")):
        return None
    if (kind := _BY_TOPIC.get(rest)) is not None:
        return Address(kind)
    parts = rest.split("/")
    if len(parts) == 2 and parts[0] == "asks" and parts[1]:
        return Address(Kind.ASK, parts[1])
    if len(parts) == 3 and parts[1] and (kind := _BY_ENDS.get((parts[0], parts[2]))) is not None:
        return Address(kind, parts[1])
    return Address(Kind.OTHER, rest)


def matches(pattern: str, full: str) -> bool:
    """Return whether an MQTT filter (`a/+/b`, `a/#`) takes the topic."""
    wanted, given = pattern.split("/"), full.split("/")
    if given[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    for index, part in enumerate(wanted):
        if part == "#":
            return True
        if index >= len(given) or part not in ("+", given[index]):
            return False
    return len(wanted) == len(given)


def everything(swarm: str) -> str:
    """Return the topic filter that takes all the swarm says. Raises InvalidNameError for an illegal swarm."""
    return f"{check_swarm(swarm)}/#"
