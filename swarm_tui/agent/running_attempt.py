"""An attempt at one task on its way through a handler: its clock, its process groups, what it said and used."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.agent.attempt_output import AttemptOutput
from swarm_tui.config.files import write_private
from swarm_tui.config.model import HandlerSpec, RunSpec
from swarm_tui.domain.usage import Usage
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.processes import marks

DEFAULT_TIMEOUT = 900.0
#: The code of a failure to import what does the task.
NOT_LOADED = "broken-handler"
#: The clock by which the kernel tells when a process started, where there is one.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of an attempt. `cause` is set when it was not the handler's own end."""

    result: Any = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    cause: str | None = None
    retry_at: float | None = None
    """Seconds since the epoch before which another attempt would fail too."""


class RunningAttempt:
    """State of one attempt that the executor, the watchdog and the bus share. Times are monotonic seconds."""

    def __init__(self, lease: HeldLease, spec: RunSpec) -> None:
        self.lease = lease
        self.handler = handler_spec(spec, lease.task.type)
        self.timeout = timeout_of(spec, lease)
        self.started = time.monotonic()
        self.last_sign = self.started
        self.groups: dict[int, str] = {}
        self.tokens = 0
        self.cost = 0.0
        self.conversation = Usage()
        """What a conversation of it has used so far."""
        self.turn = 0
        self.session: str | None = None
        self.progress: tuple[float, str] | None = None
        self.stop_cause: str | None = None
        self.hear: Callable[[str], None] | None = None
        """Takes a line that a person typed on the agent's terminal; None while nothing of it listens."""
        self.interrupt: Callable[[], None] | None = None
        """Has its conversation's turn end, and wait for what the person says next."""
        self.environment = TaskEnvironment(lease, spec)
        self.output: AttemptOutput | None = None
        """Where what its programs print is kept."""

    @property
    def keeps_children(self) -> bool:
        """Return whether what its programs leave behind may live on."""
        return self.handler.children == "keep"

    @property
    def task_id(self) -> str:
        return self.lease.task_id

    def running(self) -> float:
        """Return seconds since it began."""
        return time.monotonic() - self.started

    def duration(self) -> float:
        """Return milliseconds since it began."""
        return round((time.monotonic() - self.started) * 1000, 1)

    def used(self) -> dict[str, Any]:
        """Tokens and US dollars, empty when none were used; a cost that is not known is left out."""
        if self.conversation.is_nothing and not self.conversation.logged:
            return {"tokens": self.tokens, "cost": round(self.cost, 6)} if self.tokens or self.cost else {}
        more = Usage(tokens_in=self.tokens, cost=self.cost)
        return self.conversation.plus(more).wire()


def handler_spec(spec: RunSpec, task_type: str) -> HandlerSpec:
    """Return what the layout says of the type for this agent."""
    return spec.handlers.get(task_type) or HandlerSpec()


def timeout_of(spec: RunSpec, lease: HeldLease) -> float:
    """Seconds the attempt may take: the task's own, the layout's, the swarm's rule, a quarter of an hour."""
    rule = spec.types.get(lease.task.type)
    of_rule = rule.timeout if rule is not None else None
    for value in (lease.task.timeout, handler_spec(spec, lease.task.type).timeout, of_rule):
        if value is not None and value > 0:
            return float(value)
    return DEFAULT_TIMEOUT


def trace_parent(lease: HeldLease) -> str:
    """Return the W3C trace context of the attempt: the publisher's trace, or one made from the task's id."""
    given = _TRACE.fullmatch(lease.task.traceparent or "")
    digest = hashlib.sha256(lease.task_id.encode()).hexdigest()
    span = hashlib.sha256(f"{lease.task_id} {lease.attempt} {lease.epoch}".encode()).hexdigest()[:16]
    return f"00-{given.group(1) if given else digest[:32]}-{span}-01"


class TaskEnvironment(Mapping[str, str]):
    """Environment of a handler's processes; the task file is written when the first of them is about to start."""

    def __init__(self, lease: HeldLease, spec: RunSpec) -> None:
        self._lease = lease
        self._spec = spec
        self._values: dict[str, str] = {}
        self._written: Path | None = None
        self.given_at: float | None = None
        """When a process first got it, seconds since boot; None while none did."""
        self.prepare: Callable[[], None] = lambda: None
        """Called before the first process gets it."""

    def __getitem__(self, name: str) -> str:
        values = self._made()
        if name == "SWARM_TASK_FILE" and self._written is None:
            path = Path(values[name])
            write_private(path, self.json())
            self._written = path
        return values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())

    @cached_property
    def token(self) -> str:
        """Return the attempt's part of the mark of its processes."""
        return attempt_token(self._lease.task_id, self._lease.attempt, self._lease.epoch)

    def json(self) -> bytes:
        """Return the task as processes read it: its id, type, payload and what else its publisher said."""
        task = msgspec.to_builtins(self._lease.task)
        return msgspec.json.encode({name: value for name, value in task.items() if value is not None}) + b"\n"

    def remove(self) -> None:
        """Remove the task's file: the attempt is over. Raises OSError."""
        if self._written is not None:
            self._written.unlink(missing_ok=True)

    def _made(self) -> dict[str, str]:
        """Return the variables; most attempts start no process and never need them."""
        if not self._values:
            self.given_at = time.clock_gettime(_BOOT_CLOCK)
            self.prepare()
            task, spec = self._lease.task, self._spec
            name = hashlib.sha256(f"{task.task_id} {self._lease.attempt}".encode()).hexdigest()[:16]
            self._values = {
                "SWARM_TASK_ID": task.task_id,
                "SWARM_TASK_TYPE": task.type,
                "SWARM_TASK_FILE": str(Path(spec.state_dir) / "work" / f"{spec.agent_id}.{name}.task.json"),
                "SWARM_ATTEMPT": str(self._lease.attempt),
                "SWARM_FENCE": fence(self._lease),
                "SWARM_IDEMPOTENCY_KEY": task.idempotency_key or task.task_id,
                "SWARM_AGENT_ID": spec.agent_id,
                "SWARM_NAME": spec.swarm,
                "TRACEPARENT": trace_parent(self._lease),
                marks.VARIABLE: marks.mark(
                    spec.state_dir,
                    spec.agent_id,
                    self.token,
                    keep=handler_spec(spec, task.type).children == "keep",
                ),
            }
        return self._values


def attempt_token(task_id: str, attempt: int, epoch: int | None) -> str:
    """Return 16 hex digits that stand for an attempt in the mark of its processes."""
    return hashlib.sha256(f"{task_id} {attempt} {epoch}".encode()).hexdigest()[:16]


def fence(lease: HeldLease) -> str:
    """Return `<attempt>.<epoch>`, which only grows."""
    return f"{lease.attempt}.{lease.epoch or 0}"
