"""A dispatcher's core with a journal made of bytes, a clock in hand, and everything it said kept."""

import itertools
from typing import Any

import msgspec

from swarm_tui.domain.dispatch import (
    DispatchSettings,
    Job,
    Moment,
    Save,
    SaveMail,
    SaveRun,
    SaveSchedule,
    Say,
    State,
    Tick,
    TypePolicy,
    lead,
    restore,
    step,
)
from swarm_tui.domain.dispatch.model import Action, LinkDown, LinkUp, SaveMerges
from swarm_tui.domain.mail.model import Mail
from swarm_tui.domain.workflows.model import RunPlan, RunRecord
from swarm_tui.domain.workflows.run import Run
from swarm_tui.domain.workflows.schedule import ScheduleRecord
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.run_bodies import RunAct, new_run
from swarm_tui.protocol.topics import Kind, topic

SWARM = "s"
ME = "task-manager-01"
OPERATOR = "operator:ann@box"
RULES = {
    "noop": TypePolicy(roles=("general",)),
    "database.migrate": TypePolicy(roles=("database", "general"), idempotent=False),
    "deployment.deploy": TypePolicy(roles=("general",), idempotent=False, approve=True),
    "security.scan": TypePolicy(roles=("security",)),
    "code.review": TypePolicy(roles=("code-review",)),
}
_ids = itertools.count()


class World:
    """`hear` feeds one message to the core; `said` and `saves` hold what it said and wrote, `journal` the last rows."""

    def __init__(self, settings: DispatchSettings | None = None, *, leading: bool = True) -> None:
        self.settings = settings or DispatchSettings(rules=RULES)
        self.now, self.wall, self.chance = 1000.0, 1_700_000_000.0, 0.5
        self.journal: dict[str, bytes] = {}
        self.run_rows: dict[str, tuple[bytes, bytes]] = {}
        """Run id to plan and record."""
        self.schedule_rows: dict[str, bytes] = {}
        self.mail_rows: dict[str, bytes] = {}
        self.merges: list[str] = []
        self.said: list[Say] = []
        self.heard: list[Event] = []
        """Where words are proved: all that was."""
        self.saves: list[Save] = []
        self.history: dict[str, list[str]] = {}
        self.state = State(settings=self.settings, me=ME)
        if leading:
            self.lead()

    def moment(self) -> Moment:
        return Moment(self.now, self.wall, lambda: self.chance)

    def _carry_out(self, actions: list[Action]) -> list[Say]:
        says = [action for action in actions if isinstance(action, Say)]
        for action in actions:
            if isinstance(action, Save):
                self.saves.append(action)
                job = self.state.jobs[action.task_id]
                self.journal[action.task_id] = msgspec.msgpack.encode(job)
            elif isinstance(action, SaveRun):
                run = self.state.runs[action.run_id]
                self.run_rows[action.run_id] = (
                    msgspec.msgpack.encode(run.plan),
                    msgspec.msgpack.encode(run.record),
                )
            elif isinstance(action, SaveMail):
                self.mail_rows[action.message_id] = msgspec.msgpack.encode(self.state.post.mails[action.message_id])
            elif isinstance(action, SaveMerges):
                self.merges = list(self.state.merges)
            elif isinstance(action, SaveSchedule):
                self.schedule_rows[action.name] = msgspec.json.encode(self.state.schedules[action.name])
        self.said.extend(says)
        return says

    def lead(self, epoch: int | None = None) -> list[Say]:
        return self._carry_out(lead(self.state, epoch or self.state.epoch + 1, self.moment()))

    def hear(self, kind: Kind, body: b.Body | None, *, key: str = "", sender: str = "x", **envelope: Any) -> list[Say]:
        """One message as it would come over the wire, through the codec."""
        retained = envelope.pop("retained", False)
        writer = Writer(SWARM, sender, envelope.pop("role", "general"), new_id=self._id, clock=lambda: self.wall)
        if body is None:
            raw, full = b"", topic(SWARM, kind, key)
        else:
            message = writer.message(kind, body, key, message_id=envelope.pop("message_id", None))
            raw, full = message.payload, message.topic
        event = decode(SWARM, full, raw, retained, self.wall)
        assert isinstance(event, Event), event
        if self.settings.proved:
            event = msgspec.structs.replace(event, proved_by=self._issuer(sender))
            self.heard.append(event)
        return self._carry_out(step(self.state, event, self.moment()))

    def hear_again(self, event: Event) -> list[Say]:
        """Whoever had heard a word says it again, byte for byte."""
        again = msgspec.structs.replace(event, received=self.wall)
        return self._carry_out(step(self.state, again, self.moment()))

    @staticmethod
    def _issuer(sender: str) -> str:
        if sender.startswith("operator:"):
            return sender
        return {"publisher": "operator:publisher@box", "sup": "host:box"}.get(sender, f"agent:{sender}@box")

    @staticmethod
    def _id() -> str:
        return f"id-{next(_ids)}"

    def tick(self, seconds: float = 0.0) -> list[Say]:
        """Let time pass a second at a time, as the shell does."""
        says: list[Say] = []
        left = seconds
        while True:
            jump = min(1.0, left)
            self.now += jump
            self.wall += jump
            left -= jump
            says += self._carry_out(step(self.state, Tick(), self.moment()))
            if left <= 0:
                return says

    def link(self, up: bool) -> list[Say]:
        return self._carry_out(step(self.state, LinkUp() if up else LinkDown(), self.moment()))

    def crash(self) -> list[Say]:
        """The dispatcher dies and another begins from the journal."""
        epoch, acts, last = self.state.epoch, self.state.acts, self.state.last_retained
        self.state = State(settings=self.settings, me=ME, acts=dict(acts), last_retained=dict(last))
        jobs = [msgspec.msgpack.decode(raw, type=Job) for raw in self.journal.values()]
        runs = [
            Run(msgspec.msgpack.decode(plan, type=RunPlan), msgspec.msgpack.decode(record, type=RunRecord))
            for plan, record in self.run_rows.values()
        ]
        for name, raw in self.schedule_rows.items():
            self.state.schedules[name] = msgspec.json.decode(raw, type=ScheduleRecord)
        for raw in self.mail_rows.values():
            self.state.post.remember(msgspec.msgpack.decode(raw, type=Mail), self.now)
        self.state.merges = list(self.merges)
        restore(self.state, sorted(jobs, key=lambda job: job.seq), self.moment(), runs)
        return self.lead(epoch + 1)

    # What the parties say.

    def agent(
        self,
        agent_id: str,
        *,
        role: str = "general",
        incarnation: str = "i1",
        capacity: int = 1,
        types: list[str] | None = None,
        status: b.PresenceStatus = "online",
    ) -> list[Say]:
        pid = int("".join(c for c in incarnation if c.isdigit()) or 0) + 1
        body = b.Status(
            status=status, role=role, incarnation=incarnation, capacity=capacity, pid=pid, capabilities=types or []
        )
        return self.hear(Kind.STATUS, body, key=agent_id, sender=agent_id, role=role)

    def submit(self, task_id: str, task_type: str = "noop", **more: Any) -> list[Say]:
        return self.hear(Kind.TASK_NEW, b.Task(task_id=task_id, type=task_type, **more), sender="publisher")

    def run(self, run_id: str, steps: dict[str, Any], given: dict[str, Any] | None = None, **more: Any) -> list[Say]:
        workflow = {"workflow": "w", "steps": steps, **more}
        return self.hear(Kind.RUN_NEW, new_run(run_id, workflow, given or {}), sender="publisher")

    def act_on_run(self, kind: Kind, run_id: str, step: str | None = None) -> list[Say]:
        return self.hear(kind, RunAct(run_id=run_id, step=step), sender=OPERATOR)

    def act(self, kind: Kind, task_id: str, **more: Any) -> list[Say]:
        return self.hear(kind, b.TaskAct(task_id=task_id, **more), sender=OPERATOR)

    def start(self, offer: Say) -> list[Say]:
        o = _offer(offer)
        body = b.Started(task_id=o.task_id or "", agent_id=offer.key, attempt=o.attempt, epoch=o.epoch)
        return self.hear(Kind.TASK_STARTED, body, sender=offer.key)

    def complete(self, offer: Say, result: Any = None) -> list[Say]:
        o = _offer(offer)
        body = b.Complete(
            task_id=o.task_id or "", agent_id=offer.key, attempt=o.attempt, epoch=o.epoch, result=result, duration=5.0
        )
        return self.hear(Kind.TASK_COMPLETE, body, sender=offer.key)

    def fail(
        self,
        offer: Say,
        *,
        retryable: bool = True,
        message: str = "boom",
        cause: str | None = None,
        result: Any = None,
        code: str | None = None,
        retry_at: float | None = None,
    ) -> list[Say]:
        o = _offer(offer)
        body = b.Failed(
            task_id=o.task_id or "",
            agent_id=offer.key,
            attempt=o.attempt,
            epoch=o.epoch,
            error=b.ErrorInfo(message=message, code=code, retryable=retryable, retry_at=retry_at),
            retryable=retryable,
            cause=cause,
            result=result,
        )
        return self.hear(Kind.TASK_FAILED, body, sender=offer.key)

    def beat(self, agent_id: str, *offers: Say, incarnation: str = "i1", finished: tuple[Say, ...] = ()) -> list[Say]:
        body = b.Heartbeat(
            agent_id=agent_id,
            incarnation=incarnation,
            tasks=[_lease(offer) for offer in offers],
            finished=[_lease(offer) for offer in finished],
        )
        return self.hear(Kind.HEARTBEAT, body, sender=agent_id)

    def job(self, task_id: str) -> Job:
        return self.state.jobs[task_id]


def offers(says: list[Say]) -> list[Say]:
    """The offers among what was said."""
    return [s for s in says if s.kind is Kind.INBOX and isinstance(s.body, b.Inbox) and s.body.command is None]


def orders(says: list[Say], command: str) -> list[Say]:
    return [s for s in says if s.kind is Kind.INBOX and isinstance(s.body, b.Inbox) and s.body.command == command]


def of(says: list[Say], kind: Kind) -> list[Any]:
    """The bodies of that kind among what was said."""
    return [s.body for s in says if s.kind is kind]


def _offer(say: Say) -> b.Inbox:
    assert isinstance(say.body, b.Inbox)
    return say.body


def _lease(say: Say) -> dict[str, Any]:
    o = _offer(say)
    return {"task_id": o.task_id, "attempt": o.attempt, "epoch": o.epoch}
