"""The work in a worker's hands: tasks that run, offers it takes or declines. Pure; `now` is monotonic seconds."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.domain.worker.actions import Action, Answer, HeldLease, Note, Run, Save, Say, SayStarted
from swarm_tui.domain.worker.unacked import Unacked
from swarm_tui.protocol.bodies import Complete, Declined, Failed, Inbox, Started, Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.protocol.writer import COMMAND_LIFE

_SEEN = 1_000
#: Seconds for which an offer is one, by the times of a dispatcher's offers, which never go back in one epoch:
#: an older one is of somebody who had heard it. What was done is remembered longer, so that none is done twice.
OFFER_LIFE = COMMAND_LIFE
_K = TypeVar("_K", bound=Hashable)


class WorkerIdentity(Struct, frozen=True, kw_only=True):
    """A worker's name and abilities. `fallback`: types it does while nobody live has them as its own."""

    agent_id: str
    role: str
    incarnation: str
    types: frozenset[str] = frozenset()
    fallback: frozenset[str] = frozenset()
    capacity: int = 1
    leaderless: bool = True
    """It may claim tasks by itself where nobody leads: its swarm has no dispatcher."""


class WorkerState:
    """The leases of one worker, from an offer or a won claim to the acknowledged answer."""

    def __init__(self, me: WorkerIdentity, new_id: Callable[[], str]) -> None:
        self.me = me
        self.epoch = 0
        self.draining = False
        self.occupied = ""
        """Why it takes no task now, besides those that it has."""
        self.running: dict[str, HeldLease] = {}
        self.unacked = Unacked()
        self._new_id = new_id
        self._done = Recent[tuple[str, int]]()
        self._declined = Recent[tuple[str, int, int]]()
        self._newest = (0, 0.0)
        """Epoch and time of the newest offer that was proved."""

    def offered(self, body: Inbox, now: float, at: float = 0.0) -> list[Action]:
        """Hear an offer: begin it, decline it, or say again what became of it.

        `at` is when it was said, where it is proved, seconds since 1970 by the dispatcher's clock; else 0.
        """
        task, attempt, epoch = body.task, body.attempt or 1, body.epoch or 0
        if at:
            self._newest = max(self._newest, (epoch, at))
        if task is None:
            return []
        held = self.running.get(task.task_id)
        if held is not None and (held.attempt, held.epoch) == (attempt, epoch):
            return [Say(Kind.TASK_STARTED, self._started(held))]
        earlier = self.unacked.of(task.task_id)
        if self.unacked.holds(task.task_id, attempt):
            return [*self.unacked.again([each for each in earlier if each.key[1] == attempt], now)]
        if (task.task_id, attempt) in self._done and epoch <= self.epoch:
            return []
        again = (task.task_id, attempt, epoch) in self._declined
        why = "it was declined before" if again else self._refusal(body, task, held, earlier)
        why = why or (self._too_old(epoch, at) if at else None)
        if why is None:
            self.epoch = max(self.epoch, epoch)
            lease = HeldLease(
                task=task,
                attempt=attempt,
                epoch=epoch,
                resume=body.resume,
                budget=body.budget,
                granted=body.granted,
            )
            return self.begin(lease)
        # Said twice, it would be taken the second time, and by then it may be another's.
        self._declined.add((task.task_id, attempt, epoch), now)
        declined = Declined(
            task_id=task.task_id,
            agent_id=self.me.agent_id,
            attempt=attempt,
            epoch=body.epoch,
            incarnation=self.me.incarnation,
            reason=why,
        )
        said = self.unacked.again(earlier, now)
        return [*said, Say(Kind.TASK_DECLINED, declined), Note(f"declined {task.task_id}: {why}", "↩")]

    def _too_old(self, epoch: int, at: float) -> str | None:
        """Tell why an offer of that time is none any more; None when it is one."""
        newest, latest = self._newest
        if epoch < newest:
            return f"epoch {epoch} is over: {newest} has offered"
        return f"offered {latest - at:.0f} s ago" if at < latest - OFFER_LIFE else None

    def _refusal(self, body: Inbox, task: Task, held: HeldLease | None, earlier: list[Answer]) -> str | None:
        """Tell why the offer is not taken; None when it is."""
        if body.incarnation not in (None, self.me.incarnation):
            return "offered to an earlier incarnation"
        if (body.epoch or 0) < self.epoch:
            return f"epoch {body.epoch} is over: {self.epoch} leads"
        if held is not None:
            return f"still runs attempt {held.attempt}"
        if any(isinstance(answer.body, Complete) for answer in earlier):
            return "an earlier attempt ended well and waits for its ack"
        if self.draining:
            return "draining"
        if self.occupied:
            return f"busy: {self.occupied}"
        if task.type not in self.me.types and task.type not in self.me.fallback:
            return f"cannot do {task.type}"
        if len(self.running) >= self.me.capacity:
            return f"busy: {len(self.running)} of {self.me.capacity}"
        return None

    def begin(self, lease: HeldLease) -> list[Action]:
        """Make the task this worker's: save that, say it, run it."""
        self.running[lease.task_id] = lease
        saved = Save(what="offer", task_id=lease.task_id, attempt=lease.attempt, epoch=lease.epoch)
        if lease.epoch is None:
            # Where nobody leads, others watch who does what.
            return [saved, Say(Kind.TASK_STARTED, self._started(lease)), Run(lease)]
        return [saved, SayStarted(lease.task_id), Run(lease)]

    def started(self, task_id: str) -> Started | None:
        """Return the word that the task's work has begun; None once it is over."""
        lease = self.running.get(task_id)
        return None if lease is None else self._started(lease)

    def _started(self, lease: HeldLease) -> Started:
        return Started(task_id=lease.task_id, agent_id=self.me.agent_id, attempt=lease.attempt, epoch=lease.epoch)

    def finish(self, task_id: str, answer: Complete | Failed, now: float) -> list[Action]:
        """End the work of a task: save the answer and say it. Empty for a task that is not in hand."""
        lease = self.running.pop(task_id, None)
        if lease is None:
            return []
        kind = Kind.TASK_COMPLETE if isinstance(answer, Complete) else Kind.TASK_FAILED
        said = Answer(kind=kind, body=answer, message_id=self._new_id())
        self._done.add((task_id, lease.attempt), now)
        if lease.epoch is None:
            saved = Save(what="done", task_id=task_id, attempt=lease.attempt)
            return [Say(kind, answer, said.message_id), saved]
        self.unacked.add(said, now)
        saved = Save(what="answer", task_id=task_id, attempt=lease.attempt, epoch=lease.epoch, answer=said)
        return [saved, Say(kind, answer, said.message_id)]

    def acknowledged(self, task_id: str, attempt: int | None) -> list[Action]:
        """Take in that the dispatcher has the answer: it is owed no more."""
        keys = self.unacked.acknowledged(task_id, attempt)
        return [Save(what="done", task_id=task, attempt=of) for task, of in keys]

    def adopted(self, body: Inbox) -> list[Action]:
        """Let a dispatcher that came take over a task that was claimed without one, under another fence."""
        lease = self.running[body.task_id or ""]
        if lease.epoch is not None or body.epoch is None:
            return []
        taken = replace(lease, attempt=body.attempt or 1, epoch=body.epoch)
        self.running[lease.task_id] = taken
        kept = Save(what="offer", task_id=taken.task_id, attempt=taken.attempt, epoch=taken.epoch)
        if taken.attempt == lease.attempt:
            return [kept]
        return [kept, Save(what="done", task_id=lease.task_id, attempt=lease.attempt)]


class Recent(Generic[_K]):
    """Keys of the last two lives of a command, and at least the last thousand. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._since: OrderedDict[_K, float] = OrderedDict()

    def __contains__(self, key: _K) -> bool:
        return key in self._since

    def add(self, key: _K, now: float) -> None:
        """Keep the key from now on."""
        self._since[key] = now
        self._since.move_to_end(key)
        while len(self._since) > _SEEN and next(iter(self._since.values())) < now - 2 * COMMAND_LIFE:
            self._since.popitem(last=False)
