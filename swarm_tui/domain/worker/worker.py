"""A worker's answer to all that it hears: offers, claims, acks. Pure; `now` is monotonic seconds."""

from collections.abc import Callable, Iterable

from swarm_tui.domain.worker.actions import Action, Answer, Beat, HeldLease, Ignore, Listen, Note, Say, Stop
from swarm_tui.domain.worker.leader import Leader, LeaderWatch, leader_of
from swarm_tui.domain.worker.unclaimed import Unclaimed
from swarm_tui.domain.worker.worker_state import Recent, WorkerIdentity, WorkerState
from swarm_tui.protocol.bodies import Assigned, Complete, Dispatcher, Failed, Halt, Inbox, Status, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import MERGE_TYPE
from swarm_tui.protocol.topics import Kind

_TASK_KINDS = frozenset({Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW})
_SETTLING = frozenset(
    {Kind.TASK_QUEUED, Kind.TASK_COMPLETE, Kind.TASK_FAILED, Kind.TASK_CANCELLED, Kind.TASK_DEAD, Kind.TASK_REJECTED}
)


class Worker:
    """The state of one worker; every method gives the actions that follow from what happened."""

    def __init__(self, me: WorkerIdentity, new_id: Callable[[], str]) -> None:
        self.me = me
        self.halted: str | None = None
        self.linked = False
        self.state = WorkerState(me, new_id)
        self.unclaimed = Unclaimed()
        self._lead = LeaderWatch()
        self._links = 0
        self._seen = Recent[str]()
        self._abilities: dict[str, frozenset[str]] = {}

    @property
    def leader(self) -> Leader:
        """Return who gives the tasks out, as far as is known."""
        return self._lead.now

    @property
    def _nobody(self) -> Leader:
        """Return who leads where nobody is said to: a swarm that has a dispatcher waits, whatever the broker forgot."""
        return Leader.NONE if self.me.leaderless else Leader.AWAY

    @property
    def epoch(self) -> int:
        """Return the epoch of the latest dispatcher heard of; an offer of an earlier one is declined."""
        return self.state.epoch

    @property
    def running(self) -> dict[str, HeldLease]:
        """Return the leases in hand, by task id."""
        return self.state.running

    @property
    def draining(self) -> bool:
        """Return whether it takes no more tasks."""
        return self.state.draining

    @property
    def owed(self) -> list[Answer]:
        """Return the results that wait for an ack, oldest first."""
        return self.state.unacked.answers()

    @property
    def claim(self) -> str:
        """Return the mark of its own claims: those of an earlier connection are void."""
        return f"{self.me.incarnation}/{self._links}"

    def owe(self, answers: Iterable[Answer]) -> None:
        """Take over the results that an earlier life did not get acknowledged."""
        self.state.unacked.take_over(answers)

    # -- the connection

    def on_link(self, up: bool, now: float) -> list[Action]:
        """Take in that the connection came up or went down."""
        self.linked = up
        self._links += up
        if up:
            # What is retained may be heard before the link is said to be up.
            return []
        self._lead.lose()
        return [Note(f"{task_id}: the claim is void, the link dropped", "⚠") for task_id in self.unclaimed.void()]

    def settled(self, now: float) -> list[Action]:
        """Take in that all which is retained has been heard on this connection."""
        if self.leader is not Leader.UNKNOWN or not self.linked:
            return []
        self._lead.turn(self._nobody, now)
        if not self.me.leaderless:
            return []
        return [Listen(), *self._claims(now)]

    def tick(self, now: float) -> list[Action]:
        """Let time pass: repeat what is owed, drop old claims, claim what has become ready."""
        again = self.state.unacked.due(now) if self._may_send() else []
        self.unclaimed.void(now)
        return [*again, *self._lead.tell(now), *self._claims(now)]

    def wake(self, now: float) -> float | None:
        """Return when `tick` is next worth a call; None when only an event can change something."""
        times = [self.state.unacked.wake() if self._may_send() else None, self._lead.tell_at]
        if self.leader is Leader.NONE:
            times.append(self.unclaimed.wake(now))
        return min((time for time in times if time is not None), default=None)

    # -- what is heard

    def on_event(self, event: Event, now: float) -> list[Action]:
        """Take in a message of the swarm."""
        body = event.body
        if isinstance(body, Inbox):
            return self._on_inbox(event, body, now)
        if event.kind is Kind.DISPATCHER:
            if event.proved_by and isinstance(body, Dispatcher) and body.epoch < self.state.epoch:
                # Of a leader that is followed: somebody says it who had heard it.
                return []
            return self._on_dispatcher(body if isinstance(body, Dispatcher) else None, now)
        if event.kind is Kind.HALT:
            return self._on_halt(body, now)
        if event.kind in _TASK_KINDS and isinstance(body, Task):
            return self._on_task(body, event.received, now)
        if isinstance(body, Assigned):
            return self._on_claim(body, now)
        if event.kind is Kind.STATUS:
            return self._on_status(event.key, body, now)
        task_id = getattr(body, "task_id", None)
        if isinstance(task_id, str):
            if event.kind in _SETTLING:
                self.unclaimed.settle(task_id)
                return self._claims(now)
            if event.kind is Kind.TASK_CANCEL:
                return self._on_cancel(task_id)
        return []

    def _on_dispatcher(self, body: Dispatcher | None, now: float) -> list[Action]:
        before = self._lead.turn(self._nobody if body is None else leader_of(body), now)
        if body is not None and self.leader is Leader.ONLINE:
            self.unclaimed.clear()
            if before is Leader.ONLINE and body.epoch == self.state.epoch:
                return []
            # Between two leaders nobody led, or it could not be heard: the one that is retained now is who counts.
            anew = before in (Leader.NONE, Leader.UNKNOWN)
            self.state.epoch = body.epoch if anew else max(self.state.epoch, body.epoch)
            return [Ignore(), *self.state.unacked.again(self.owed, now)]
        if self.leader is Leader.NONE and before is not Leader.NONE:
            return [Listen(), *self._claims(now)]
        return []

    def _on_halt(self, body: object, now: float) -> list[Action]:
        self.halted = body.reason or "halted" if isinstance(body, Halt) and not body.lifted else None
        if self.halted is None:
            return self._claims(now)
        return [Stop(task_id) for task_id, lease in self.running.items() if lease.epoch is None]

    def _on_task(self, task: Task, wall: float, now: float) -> list[Action]:
        if self.leader is Leader.ONLINE or not self._ever_mine(task):
            return []
        if not self.unclaimed.hear(task, now, wall) and self.leader is Leader.NONE:
            return [Note(f"{task.task_id}: heard before, left alone")]
        return self._claims(now)

    def _on_claim(self, body: Assigned, now: float) -> list[Action]:
        mine = body.agent_id == self.me.agent_id and body.claim == self.claim
        task = self.unclaimed.echo(body.task_id, mine)
        if task is None or task.task_id in self.running:
            return self._claims(now)
        return self.state.begin(HeldLease(task=task)) + self._claims(now)

    def _on_status(self, agent_id: str, body: object, now: float) -> list[Action]:
        if agent_id == self.me.agent_id:
            return []
        if isinstance(body, Status) and body.status in ("online", "busy"):
            self._abilities[agent_id] = frozenset(body.capabilities)
            return []
        self._abilities.pop(agent_id, None)
        return self._claims(now)

    def _on_cancel(self, task_id: str) -> list[Action]:
        self.unclaimed.settle(task_id)
        lease = self.running.get(task_id)
        return [Stop(task_id)] if lease is not None and lease.epoch is None else []

    # -- the inbox

    def _on_inbox(self, event: Event, body: Inbox, now: float) -> list[Action]:
        if body.command is None:
            if body.task is not None:
                # What a dispatcher gives away is nobody's to claim any more.
                self.unclaimed.settle(body.task.task_id)
            return self.state.offered(body, now, event.at if event.proved_by else 0.0)
        if event.id in self._seen or (event.expires_at is not None and event.expires_at < event.received):
            return []
        if body.incarnation not in (None, self.me.incarnation):
            return []
        self._seen.add(event.id, now)
        match body.command:
            case "drain" | "undrain":
                return self.drain(body.command == "drain", now, body.reason or f"asked by {event.sender}")
            case "ping" | "inventory":
                return [Beat()]
            case "cancel" if body.task_id in self.running:
                lease = self.running[body.task_id]
                return [Stop(body.task_id)] if body.attempt in (None, lease.attempt) else []
            case "ack" if body.task_id is not None:
                return self.state.acknowledged(body.task_id, body.attempt)
            case "accept" if body.task_id in self.running:
                return self.state.adopted(body)
        return []

    def drain(self, on: bool, now: float, reason: str = "") -> list[Action]:
        """Take no more tasks, or take them again."""
        if on == self.draining:
            return []
        self.state.draining = on
        word = "draining: it takes no more tasks" if on else "takes tasks again"
        return [Note(f"{word} ({reason})" if reason else word), Beat(), *self._claims(now)]

    def occupy(self, why: str, now: float) -> list[Action]:
        """Take no task while there is a reason, in words; with none it takes them again."""
        self.state.occupied = why
        return [Beat(), *self._claims(now)]

    # -- work

    def able(self, task: Task) -> bool:
        """Return whether a task that is anybody's may be this worker's now."""
        if not self._ever_mine(task):
            return False
        if task.assigned_to is not None or task.type in self.me.types:
            return True
        return not any(task.type in types for types in self._abilities.values())

    def _ever_mine(self, task: Task) -> bool:
        if task.assigned_to not in (None, self.me.agent_id) or task.type == MERGE_TYPE:
            # What changes a repository is decided by a dispatcher, which then gives it away.
            return False
        return task.type in self.me.types or task.type in self.me.fallback

    def finished(self, task_id: str, answer: Complete | Failed, now: float) -> list[Action]:
        """End the work of a task: save the answer, say it, and look for more."""
        said = self.state.finish(task_id, answer, now)
        return [*said, *self._claims(now)] if said else []

    def _claims(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self._free():
            task = self.unclaimed.choose(now, self.able)
            if task is None:
                break
            body = Assigned(task_id=task.task_id, agent_id=self.me.agent_id, role=self.me.role, claim=self.claim)
            actions.append(Say(Kind.TASK_ASSIGNED, body))
        return actions

    def _free(self) -> bool:
        if self.leader is not Leader.NONE or not self.linked or self.draining or self.halted is not None:
            return False
        if self.state.occupied:
            return False
        return len(self.running) + len(self.unclaimed.pending) < self.me.capacity

    def _may_send(self) -> bool:
        return self.linked and self.leader is Leader.ONLINE
