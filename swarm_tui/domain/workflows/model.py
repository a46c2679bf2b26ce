"""A workflow as its file and the wire have it, and a run of one as the journal keeps it."""

from typing import Any, Literal

from msgspec import Struct, field

InputType = Literal["string", "integer", "number", "boolean", "object", "array"]
#: Items for each of which a step is done: not more than this.
MAX_ITEMS = 100
MAX_STEPS = 10_000
RUNNING = "running"


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that whoever starts a run gives; without a default it must be given."""

    type: InputType = "string"
    default: Any = None
    description: str = ""


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attempts that a step's task may spend."""

    max_attempts: int


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step. `timeout` is seconds; `each`, `when` and what is in `payload` may hold references."""

    type: str
    needs: list[str] = []
    each: str | None = None
    """A reference to a list: one task for each item."""
    payload: dict[str, Any] = {}
    when: str | None = None
    """A reference: the step is skipped where it is false, empty, or not there."""
    on: Literal["success", "failure", "always"] = "success"
    sure: bool = False
    """A verdict of `unknown` is a failure too: what follows is only done when it is known to be good."""
    approve: bool = False
    """A person must approve it, whatever the layout says of its type."""
    retry: Retry | None = None
    timeout: float | None = None
    priority: Literal["low", "medium", "high"] = "medium"
    assigned_to: str | None = None


class Workflow(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A workflow's file, whole."""

    workflow: str
    steps: dict[str, Step]
    description: str = ""
    inputs: dict[str, Input] = {}
    on_failure: Literal["stop", "continue"] = "stop"
    """`stop`: once a step failed no other begins, but for those that are `on` failure or always."""


class RunPlan(Struct, frozen=True, kw_only=True):
    """The part of a run that never changes; `created_at` is wall time."""

    run_id: str
    workflow: Workflow
    inputs: dict[str, Any]
    digest: str
    by: str
    created_at: float


class StepRecord(Struct, kw_only=True, omit_defaults=True):
    """A step's record. Times are wall times."""

    state: str = "blocked"
    """blocked, running, complete, failed, cancelled or skipped."""
    round: int = 1
    """Number of times it was begun anew: a retry of the run makes it one more, and its tasks get ids of their own."""
    ends: str | None = None
    """A letter for each of its tasks: `.` open, `c` complete, `f` failed, `x` cancelled; None before there are any."""
    rounds: dict[int, int] = field(default_factory=dict)
    """Index of a task to the round that it is of, for those that are not of round 1."""
    reason: str = ""
    began_at: float | None = None
    ended_at: float | None = None


class RunRecord(Struct, kw_only=True, omit_defaults=True):
    """The part of a run that changes. Times are wall times."""

    state: str = RUNNING
    """`running`, or its outcome: complete, failed, cancelled."""
    updated_at: float = 0.0
    ended_at: float | None = None
    cancelling: str = ""
    """Why it is being cancelled: nothing of it begins any more."""
    reason: str = ""
    steps: dict[str, StepRecord] = field(default_factory=dict)
