"""A swarm on paper: messages as real writers make them, read as the real reader reads them."""

import itertools

from swarm_tui.domain.fleet import Changes, Fleet
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind as K

SWARM = "s"


class Paper:
    """Writes and reads messages on a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.fleet = Fleet(SWARM)
        self.fleet.link(True, "", self.now)
        self._ids = itertools.count()
        self._seconds = 0

    def writer(self, sender: str, role: str = "testing") -> Writer:
        return Writer(SWARM, sender, role, new_id=lambda: f"m{next(self._ids)}", clock=lambda: self.now)

    def read(self, message: Outgoing, *, retained: bool = False) -> Event:
        event = decode(SWARM, message.topic, message.payload, retained, self.now)
        assert isinstance(event, Event), event
        return event

    def event(self, sender: str, kind: K, body: b.Body, key: str = "", *, retained: bool = False) -> Event:
        """One message; the clock goes on by 10 ms, so that times order what was said."""
        self.now += 0.01
        return self.read(self.writer(sender).message(kind, body, key), retained=retained)

    def say(self, sender: str, kind: K, body: b.Body, key: str = "", *, retained: bool = False) -> Changes:
        return self.fleet.apply(self.event(sender, kind, body, key, retained=retained), self.now)

    def clear(self, kind: K, key: str = "") -> Changes:
        return self.fleet.apply(self.read(self.writer("x").clear(kind, key)), self.now)

    def raw(self, topic: str, payload: bytes) -> Changes:
        event = decode(SWARM, f"{SWARM}/{topic}", payload, False, self.now)
        assert isinstance(event, (Event, Rejected))
        return self.fleet.apply(event, self.now)

    def birth(self, agent: str, incarnation: str = "i1", status: str = "online", **more: object) -> None:
        self.say(agent, K.STATUS, b.Status(status=status, role="testing", incarnation=incarnation, **more), agent)  # type: ignore[arg-type]

    def beat(self, agent: str, incarnation: str | None = "i1") -> None:
        body = b.Heartbeat(agent_id=agent, uptime=5, memory={"rss": 1 << 20}, cpu=2.0, incarnation=incarnation)
        self.say(agent, K.HEARTBEAT, body)

    def pass_time(self, seconds: float, beating: tuple[str, ...] = ()) -> Changes:
        """Let whole seconds go by, a tick each; `beating` agents say their heartbeat every ten."""
        changes = Changes()
        for _ in range(int(seconds)):
            self.now += 1.0
            self._seconds += 1
            if self._seconds % 10 == 0:
                for agent in beating:
                    self.beat(agent)
            changes.add(self.fleet.tick(self.now))
        return changes


def story(paper: Paper, task: str, *, agent: str = "a1") -> list[Event]:
    """A task that fails retryably, is lost once, and succeeds at the third attempt, its first answer coming late."""
    d, w = "tm", agent
    return [
        paper.event("operator:me@h", K.TASK_NEW, b.Task(task_id=task, type="noop", priority="high")),
        paper.event(d, K.TASK_QUEUED, b.Queued(task_id=task, position=1)),
        paper.event(d, K.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id=w, attempt=1, epoch=1, lease=30)),
        paper.event(w, K.TASK_STARTED, b.Started(task_id=task, agent_id=w, attempt=1, epoch=1)),
        paper.event(w, K.TASK_FAILED, b.Failed(task_id=task, agent_id=w, attempt=1, epoch=1, retryable=True)),
        paper.event(d, K.TASK_RETRYING, b.TaskVerdict(task_id=task, attempt=1, delay=2.0, reason="it failed")),
        paper.event(d, K.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id="slow", attempt=2, epoch=1, lease=30)),
        paper.event("slow", K.TASK_PROGRESS, b.Progress(task_id=task, agent_id="slow", attempt=2, progress=30)),
        paper.event(d, K.TASK_RETRYING, b.TaskVerdict(task_id=task, attempt=2, delay=0.0, state="queued")),
        paper.event(d, K.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id=w, attempt=3, epoch=1, lease=30)),
        paper.event(w, K.TASK_STARTED, b.Started(task_id=task, agent_id=w, attempt=3, epoch=1)),
        paper.event("slow", K.TASK_COMPLETE, b.Complete(task_id=task, agent_id="slow", attempt=2, result="late")),
        paper.event(w, K.TASK_PROGRESS, b.Progress(task_id=task, agent_id=w, attempt=3, progress=70)),
        paper.event(w, K.TASK_COMPLETE, b.Complete(task_id=task, agent_id=w, attempt=3, result={"n": 3}, duration=9)),
    ]
