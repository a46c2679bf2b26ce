"""When a publication is repeated, believed and given up: pure decisions over one frozen record.

Times are seconds of a clock that only grows. `chance` is uniform in [0, 1): the caller draws it, so that all replays.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.protocol.bodies import Assigned, Body, Complete, Failed, Queued, TaskRejected

FIRST_REPEAT = 1.0
LONGEST_REPEAT = 5.0
#: After the link is back, the repeats of many publishers spread over this many seconds.
RETURN_SPREAD = 0.5


class Stage(StrEnum):
    """The stages of a publication; each is said only when it is true."""

    PENDING = "pending"
    """Not yet acknowledged by the broker."""
    SENT = "sent"
    QUEUED = "queued"
    """Journaled: `tasks/queued` was heard."""
    ASSIGNED = "assigned"
    REJECTED = "rejected"
    GAVE_UP = "gave-up"


RANK = {stage: rank for rank, stage in enumerate((Stage.PENDING, Stage.SENT, Stage.QUEUED, Stage.ASSIGNED))}
UNACCEPTED = frozenset({Stage.PENDING, Stage.SENT})
SETTLED = frozenset({Stage.ASSIGNED, Stage.REJECTED, Stage.GAVE_UP})


class Record(Struct, frozen=True, kw_only=True):
    """A publication: `next_send` and `give_up` say when to repeat and when to stop."""

    task_id: str
    next_send: float
    give_up: float
    stage: Stage = Stage.PENDING
    sends: int = 0
    reason: str = ""
    original: str = ""
    """The id of the task that does the work, when this one has an idempotency key that is known already."""
    accept_timeout: float = 30.0


def begin(task_id: str, now: float, accept_timeout: float) -> Record:
    """Return a publication that is to be sent at once, and given up `accept_timeout` seconds after `now`."""
    return Record(task_id=task_id, next_send=now, give_up=now + accept_timeout, accept_timeout=accept_timeout)


def accepted(record: Record) -> bool:
    """Return whether somebody answers for the task."""
    return record.stage in (Stage.QUEUED, Stage.ASSIGNED)


def acknowledged(record: Record) -> Record:
    """Return the record once the broker has taken it: it is sent, and no more than that."""
    return replace(record, stage=Stage.SENT) if record.stage is Stage.PENDING else record


def answered(record: Record, body: Body, *, led: bool = False) -> Record:
    """Return the record after one heard body about its task; an answer never takes an earlier one back.

    `led`: the swarm has a dispatcher. A claim that an agent made all the same, while the broker had forgotten it, is no
    promise: only the dispatcher's word counts, or the end of the work.
    """
    if record.stage in SETTLED:
        return record
    if led and record.stage in UNACCEPTED and isinstance(body, Complete | Failed) and body.epoch is None:
        return replace(record, stage=Stage.ASSIGNED, reason=body.agent_id)
    if isinstance(body, Assigned):
        if led and body.epoch is None:
            return record
        return replace(record, stage=Stage.ASSIGNED, reason=body.agent_id)
    if isinstance(body, Queued):
        return replace(record, stage=Stage.QUEUED, reason=body.state or "", original=body.original or "")
    if isinstance(body, TaskRejected) and record.stage in UNACCEPTED:
        return replace(record, stage=Stage.REJECTED, reason=body.reason or "rejected, without a reason")
    return record


def returned(record: Record, now: float, chance: float) -> Record:
    """Return the record once the link is back: repeat soon, not in step with everybody else."""
    if record.stage not in UNACCEPTED or record.sends == 0:
        return record
    return replace(record, next_send=min(record.next_send, now + chance * RETURN_SPREAD))


def turn(record: Record, now: float, up: bool, chance: float, trouble: str = "") -> tuple[Record, bool]:
    """Return the record after `now`, and whether to send it now. While the link is down nothing is sent twice.

    `trouble` is why nobody accepts anything, as the dispatcher says itself.
    """
    if record.stage not in UNACCEPTED:
        return record, False
    if now >= record.give_up:
        return replace(record, stage=Stage.GAVE_UP, reason=_why(record, trouble)), False
    if now < record.next_send or (record.sends > 0 and not up):
        return record, False
    span = min(LONGEST_REPEAT, FIRST_REPEAT * 2 ** min(record.sends, 8))
    return replace(record, sends=record.sends + 1, next_send=now + span * (0.5 + chance / 2)), True


def due(record: Record, up: bool) -> float | None:
    """Return when `turn` must be asked next; None when never."""
    if record.stage not in UNACCEPTED:
        return None
    return record.give_up if record.sends > 0 and not up else min(record.next_send, record.give_up)


def _why(record: Record, trouble: str) -> str:
    if record.stage is Stage.PENDING:
        return f"the broker did not take it within {record.accept_timeout:g} s: check the broker, then publish it again"
    if trouble:
        return f"nobody accepted it within {record.accept_timeout:g} s: {trouble}"
    return (
        f"nobody accepted it within {record.accept_timeout:g} s: check that a task-manager, or an agent for this type, "
        "is up"
    )
