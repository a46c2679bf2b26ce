"""What a worker does about what it hears: offers, claims, results and acks. Pure; `now` is monotonic seconds."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from swarm_tui.domain.worker_actions import Action, Answer, Beat, Ignore, Lease, Listen, Note, Run, Save, Say, Stop
from swarm_tui.domain.worker_claims import Commons
from swarm_tui.protocol.bodies import (
    Assigned,
    Complete,
    Declined,
    Dispatcher,
    Failed,
    Halt,
    Inbox,
    Started,
    Status,
    Task,
)
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: Seconds until a result is said again, doubled each time.
RESEND_FIRST, RESEND_MAX = 2.0, 60.0
#: Seconds that a change of leader must last before it is told: at a start it comes and goes.
TELL_AFTER = 1.0
_SEEN = 1_000
_K = TypeVar("_K")
_TASK_KINDS = frozenset({Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW})
_SETTLING = frozenset(
    {Kind.TASK_QUEUED, Kind.TASK_COMPLETE, Kind.TASK_FAILED, Kind.TASK_CANCELLED, Kind.TASK_DEAD, Kind.TASK_REJECTED}
)


class Leader(StrEnum):
    """Who gives tasks out: `unknown` until the retained `dispatcher` had its chance to be heard."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    AWAY = "away"
    NONE = "none"


_TELL = {
    Leader.ONLINE: "a dispatcher leads: it gives the tasks out",
    Leader.AWAY: "the dispatcher is away: nobody takes a task until it is back",
    Leader.NONE: "no dispatcher: the first claim heard takes a task",
}


class Me(Struct, frozen=True, kw_only=True):
    """Who the worker is and what it can do. `fallback`: types it does while nobody live has them as its own."""

    agent_id: str
    role: str
    incarnation: str
    types: frozenset[str] = frozenset()
    fallback: frozenset[str] = frozenset()
    capacity: int = 1


class _Owed(Struct, kw_only=True):
    answer: Answer
    sends: int = 1
    next_at: float = 0.0


class Worker:
    """The state of one worker; every method gives the actions that follow from what happened."""

    def __init__(self, me: Me, new_id: Callable[[], str]) -> None:
        self.me = me
        self.leader = Leader.UNKNOWN
        self._told: Leader | None = None
        self._tell_at: float | None = None
        self.epoch = 0
        self.draining = False
        self.halted: str | None = None
        self.linked = False
        self.running: dict[str, Lease] = {}
        self.commons = Commons()
        self._new_id = new_id
        self._links = 0
        self._owed: dict[tuple[str, int], _Owed] = {}
        self._done: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._abilities: dict[str, frozenset[str]] = {}

    @property
    def owed(self) -> list[Answer]:
        """The results that wait for an ack, oldest first."""
        return [entry.answer for entry in self._owed.values()]

    @property
    def claim(self) -> str:
        """How it knows its own claims: those of an earlier connection are void."""
        return f"{self.me.incarnation}/{self._links}"

    def owe(self, answers: Iterable[Answer]) -> None:
        """Take over the results that an earlier life did not get acknowledged."""
        self._owed.update({answer.key: _Owed(answer=answer) for answer in answers})

    # -- the connection

    def on_link(self, up: bool, now: float) -> list[Action]:
        """The connection came up or went down."""
        self.linked = up
        self._links += up
        if up:
            # What is retained may be heard before the link is said to be up.
            return []
        self.leader = Leader.UNKNOWN
        return [Note(f"{task_id}: the claim is void, the link dropped", "⚠") for task_id in self.commons.void()]

    def settled(self, now: float) -> list[Action]:
        """All that is retained has been heard on this connection."""
        if self.leader is not Leader.UNKNOWN or not self.linked:
            return []
        self.leader = Leader.NONE
        self._tell_at = now + TELL_AFTER
        return [Listen(), *self._claims(now)]

    def tick(self, now: float) -> list[Action]:
        """Time has passed: repeat what is owed, drop old claims, claim what has become ready."""
        actions: list[Action] = []
        if self._may_send():
            for entry in self._owed.values():
                if entry.next_at <= now:
                    actions.append(_again(entry, now))
        self.commons.void(now)
        return actions + self._tell(now) + self._claims(now)

    def _tell(self, now: float) -> list[Action]:
        """Say who gives the tasks out, once it has settled."""
        if self._tell_at is None or now < self._tell_at:
            return []
        self._tell_at = None
        if self.leader is self._told or self.leader is Leader.UNKNOWN:
            return []
        self._told = self.leader
        return [Note(_TELL[self.leader])]

    def wake(self, now: float) -> float | None:
        """When `tick` is next worth a call; None when only an event can change something."""
        times = [entry.next_at for entry in self._owed.values()] if self._may_send() else []
        if self.leader is Leader.NONE and (wake := self.commons.wake(now)) is not None:
            times.append(wake)
        if self._tell_at is not None:
            times.append(self._tell_at)
        return min(times, default=None)

    # -- what is heard

    def on_event(self, event: Event, now: float) -> list[Action]:
        """A message of the swarm."""
        body = event.body
        if isinstance(body, Inbox):
            return self._on_inbox(event, body, now)
        if event.kind is Kind.DISPATCHER:
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
                self.commons.settle(task_id)
                return self._claims(now)
            if event.kind is Kind.TASK_CANCEL:
                return self._on_cancel(task_id)
        return []

    def _on_dispatcher(self, body: Dispatcher | None, now: float) -> list[Action]:
        before, self.leader = self.leader, _leader(body)
        if self.leader is not before:
            self._tell_at = now + TELL_AFTER
        if body is not None and self.leader is Leader.ONLINE:
            self.commons.clear()
            if before is Leader.ONLINE and body.epoch == self.epoch:
                return []
            self.epoch = max(self.epoch, body.epoch)
            return [Ignore(), *(_again(entry, now) for entry in self._owed.values())]
        if self.leader is Leader.NONE and before is not Leader.NONE:
            return [Listen(), *self._claims(now)]
        return []

    def _on_halt(self, body: object, now: float) -> list[Action]:
        self.halted = body.reason or "halted" if isinstance(body, Halt) else None
        if self.halted is None:
            return self._claims(now)
        return [Stop(task_id) for task_id, lease in self.running.items() if lease.epoch is None]

    def _on_task(self, task: Task, wall: float, now: float) -> list[Action]:
        if self.leader is Leader.ONLINE or not self._ever_mine(task):
            return []
        if not self.commons.hear(task, now, wall) and self.leader is Leader.NONE:
            return [Note(f"{task.task_id}: heard before, left alone")]
        return self._claims(now)

    def _on_claim(self, body: Assigned, now: float) -> list[Action]:
        mine = body.agent_id == self.me.agent_id and body.claim == self.claim
        task = self.commons.echo(body.task_id, mine)
        if task is None:
            return self._claims(now)
        return self._begin(Lease(task=task)) + self._claims(now)

    def _on_status(self, agent_id: str, body: object, now: float) -> list[Action]:
        if agent_id == self.me.agent_id:
            return []
        if isinstance(body, Status) and body.status in ("online", "busy"):
            self._abilities[agent_id] = frozenset(body.capabilities)
            return []
        self._abilities.pop(agent_id, None)
        return self._claims(now)

    def _on_cancel(self, task_id: str) -> list[Action]:
        self.commons.settle(task_id)
        lease = self.running.get(task_id)
        return [Stop(task_id)] if lease is not None and lease.epoch is None else []

    # -- the inbox

    def _on_inbox(self, event: Event, body: Inbox, now: float) -> list[Action]:
        if body.command is None:
            return self._on_offer(body, now)
        if event.id in self._seen or (event.expires_at is not None and event.expires_at < event.received):
            return []
        if body.incarnation not in (None, self.me.incarnation):
            return []
        _remember(self._seen, event.id)
        match body.command:
            case "drain" | "undrain":
                return self.drain(body.command == "drain", now, body.reason or f"asked by {event.sender}")
            case "ping" | "inventory":
                return [Beat()]
            case "cancel" if body.task_id in self.running:
                lease = self.running[body.task_id]
                return [Stop(body.task_id)] if body.attempt in (None, lease.attempt) else []
            case "ack" if body.task_id is not None:
                return self._on_ack(body.task_id, body.attempt)
            case "accept" if body.task_id in self.running:
                self._adopt(body)
        return []

    def _on_ack(self, task_id: str, attempt: int | None) -> list[Action]:
        keys = [key for key in self._owed if key[0] == task_id and attempt in (None, key[1])]
        for key in keys:
            del self._owed[key]
        return [Save(what="done", task_id=key[0], attempt=key[1]) for key in keys]

    def _adopt(self, body: Inbox) -> None:
        """A dispatcher that came takes over a task that was claimed without one."""
        lease = self.running[body.task_id or ""]
        if lease.epoch is None and body.epoch is not None:
            self.running[lease.task_id] = Lease(task=lease.task, attempt=body.attempt or 1, epoch=body.epoch)

    def drain(self, on: bool, now: float, reason: str = "") -> list[Action]:
        """Take no more tasks, or take them again."""
        if on == self.draining:
            return []
        self.draining = on
        word = "draining: it takes no more tasks" if on else "takes tasks again"
        return [Note(f"{word} ({reason})" if reason else word), Beat(), *self._claims(now)]

    def _on_offer(self, body: Inbox, now: float) -> list[Action]:
        task, attempt, epoch = body.task, body.attempt or 1, body.epoch or 0
        if task is None:
            return []
        held = self.running.get(task.task_id)
        if held is not None and (held.attempt, held.epoch) == (attempt, epoch):
            return [self._started(held)]
        if (owed := self._owed.get((task.task_id, attempt))) is not None:
            return [_again(owed, now)]
        if (task.task_id, attempt) in self._done and epoch <= self.epoch:
            return []
        earlier = [o for o in self._owed.values() if o.answer.body.task_id == task.task_id]
        why = self._refusal(body, task, held, earlier)
        if why is None:
            self.epoch = max(self.epoch, epoch)
            return self._begin(Lease(task=task, attempt=attempt, epoch=epoch))
        said: list[Action] = [_again(entry, now) for entry in earlier]
        declined = Declined(
            task_id=task.task_id, agent_id=self.me.agent_id, attempt=attempt, epoch=body.epoch, reason=why
        )
        return [*said, Say(Kind.TASK_DECLINED, declined), Note(f"declined {task.task_id}: {why}", "↩")]

    def _refusal(self, body: Inbox, task: Task, held: Lease | None, earlier: list[_Owed]) -> str | None:
        """Why the offer is not taken."""
        if body.incarnation not in (None, self.me.incarnation):
            return "offered to an earlier incarnation"
        if (body.epoch or 0) < self.epoch:
            return f"epoch {body.epoch} is over: {self.epoch} leads"
        if held is not None:
            return f"still runs attempt {held.attempt}"
        if any(isinstance(entry.answer.body, Complete) for entry in earlier):
            return "an earlier attempt ended well and waits for its ack"
        if self.draining:
            return "draining"
        if task.type not in self.me.types and task.type not in self.me.fallback:
            return f"cannot do {task.type}"
        if len(self.running) >= self.me.capacity:
            return f"busy: {len(self.running)} of {self.me.capacity}"
        return None

    # -- work

    def able(self, task: Task) -> bool:
        """Whether a task that is anybody's may be this worker's now."""
        if not self._ever_mine(task):
            return False
        if task.assigned_to is not None or task.type in self.me.types:
            return True
        return not any(task.type in types for types in self._abilities.values())

    def _ever_mine(self, task: Task) -> bool:
        if task.assigned_to not in (None, self.me.agent_id):
            return False
        return task.type in self.me.types or task.type in self.me.fallback

    def finished(self, task_id: str, answer: Complete | Failed, now: float) -> list[Action]:
        """The work of a task ended: save the answer, say it, and look for more."""
        lease = self.running.pop(task_id, None)
        if lease is None:
            return []
        kind = Kind.TASK_COMPLETE if isinstance(answer, Complete) else Kind.TASK_FAILED
        said = Answer(kind=kind, body=answer, message_id=self._new_id())
        _remember(self._done, (task_id, lease.attempt))
        if lease.epoch is None:
            saved = Save(what="done", task_id=task_id, attempt=lease.attempt)
            return [Say(kind, answer, said.message_id), saved, *self._claims(now)]
        self._owed[said.key] = _Owed(answer=said, next_at=now + RESEND_FIRST)
        saved = Save(what="answer", task_id=task_id, attempt=lease.attempt, epoch=lease.epoch, answer=said)
        return [saved, Say(kind, answer, said.message_id), *self._claims(now)]

    def _begin(self, lease: Lease) -> list[Action]:
        self.running[lease.task_id] = lease
        saved = Save(what="offer", task_id=lease.task_id, attempt=lease.attempt, epoch=lease.epoch)
        return [saved, self._started(lease), Run(lease)]

    def _started(self, lease: Lease) -> Say:
        body = Started(task_id=lease.task_id, agent_id=self.me.agent_id, attempt=lease.attempt, epoch=lease.epoch)
        return Say(Kind.TASK_STARTED, body)

    def _claims(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self._free():
            task = self.commons.choose(now, self.able)
            if task is None:
                break
            body = Assigned(task_id=task.task_id, agent_id=self.me.agent_id, role=self.me.role, claim=self.claim)
            actions.append(Say(Kind.TASK_ASSIGNED, body))
        return actions

    def _free(self) -> bool:
        if self.leader is not Leader.NONE or not self.linked or self.draining or self.halted is not None:
            return False
        return len(self.running) + len(self.commons.pending) < self.me.capacity

    def _may_send(self) -> bool:
        return self.linked and self.leader is Leader.ONLINE


def _leader(body: Dispatcher | None) -> Leader:
    if body is None:
        return Leader.NONE
    return Leader.ONLINE if body.online else Leader.AWAY


def _again(entry: _Owed, now: float) -> Say:
    entry.next_at = now + min(RESEND_MAX, RESEND_FIRST * 2 ** min(entry.sends, 8))
    entry.sends += 1
    return Say(entry.answer.kind, entry.answer.body, entry.answer.message_id)


def _remember(seen: "OrderedDict[_K, None]", key: _K) -> None:
    seen[key] = None
    while len(seen) > _SEEN:
        seen.popitem(last=False)
