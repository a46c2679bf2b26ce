"""Agents that know only another dialect: the dispatcher's offers in their words, and their words in ours."""

from collections import Counter
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from swarm_tui.config.model import RunSpec
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Job, State
from swarm_tui.protocol.bodies import Assigned, Complete, Failed, Inbox, Progress, Started
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.dialects import ForeignWriter, decode_foreign, foreign_agent
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.protocol.writer import Prove

#: What is said again in the swarm itself, so that whoever watches it sees these agents too.
_SEEN = frozenset({Kind.REGISTER, Kind.HEARTBEAT, Kind.SHUTDOWN})
#: Kinds of refusals remembered, and how many of one are told again.
MAX_REFUSED = 1000


class _Envelope(msgspec.Struct):
    payload: Inbox


_offer = msgspec.json.Decoder(_Envelope).decode


class DialectBridge:
    """The foreign agents of one swarm. Used by the dispatcher's thread, but for `hears`."""

    def __init__(
        self, spec: RunSpec, *, new_id: Callable[[], str], clock: Callable[[], float], prove: Prove | None = None
    ) -> None:
        self._spec = spec
        self._speak: dict[str, ForeignWriter] = {}
        self._voices: dict[str, Writer] = {}
        self._inboxes: dict[str, str] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        for agent_id, dialect in spec.foreign.items():
            if dialect == "swarm":
                continue
            self._speak[agent_id] = ForeignWriter(
                spec.swarm, agent_id, dialect, sender=spec.agent_id, new_id=new_id, clock=clock
            )
            self._voices[agent_id] = Writer(
                spec.swarm, agent_id, self._role(agent_id), new_id=new_id, clock=clock, prove=prove
            )
            self._inboxes[topic(spec.swarm, Kind.INBOX, agent_id)] = agent_id

    def _role(self, agent_id: str) -> str:
        return self._spec.foreign_roles.get(agent_id, "general")

    def record(self, state: State, now: float) -> None:
        """Give each its seat; it is offered nothing until it is heard. `now` is monotonic."""
        for agent_id, writer in self._speak.items():
            state.agents[agent_id] = AgentRecord(
                agent_id=agent_id,
                role=self._role(agent_id),
                known_since=now,
                foreign=True,
                # The seed's agents say that they take a task; one that was busy says nothing and never does it.
                claims=writer.dialect == "seed",
            )

    def hears(self, full: str) -> bool:
        """Return whether the topic is one of theirs."""
        return bool(self._speak) and foreign_agent(self._spec.swarm, full) in self._speak

    def decode(self, full: str, raw: bytes, retained: bool, received: float) -> Event | Rejected | None:
        """Return what one of them said in our dialect: a claim of theirs is the start of an offered task."""
        heard = decode_foreign(self._spec.swarm, full, raw, retained, received)
        if isinstance(heard, Event) and isinstance(heard.body, Assigned):
            started = Started(task_id=heard.body.task_id, agent_id=heard.body.agent_id)
            return replace(heard, kind=Kind.TASK_STARTED, body=started)
        return heard

    def refused(self, said: Rejected) -> str | None:
        """Count it. Returns a line for the log when it is the first of its topic and reason, or one of very many."""
        if len(self._refused) >= MAX_REFUSED:
            self._refused.clear()
        self._refused[said.topic, said.reason] += 1
        times = self._refused[said.topic, said.reason]
        if times != 1 and times % MAX_REFUSED:
            return None
        return f"refused {times} on {said.topic}: {said.reason}: {said.first}"

    def outgoing(self, message: Outgoing) -> Outgoing | None:
        """Return the message as its reader understands it; None for an order that these agents do not know."""
        agent_id = self._inboxes.get(message.topic)
        if agent_id is None:
            return message
        offer = _offer(message.payload).payload
        if offer.command is not None or offer.task is None:
            return None
        return self._speak[agent_id].task(offer.task, offer.attempt or 1)

    def mirror(self, event: Event, state: State) -> Outgoing | None:
        """Return what the swarm is to hear of it; None for what it does not need, or hears already."""
        record = state.agents.get(event.sender)
        if record is None or not record.foreign:
            return None
        if event.kind in _SEEN and record.incarnation is None:
            return self._voices[event.sender].message(event.kind, event.body)
        if isinstance(event.body, Started | Progress | Complete | Failed):
            job = state.jobs.get(event.body.task_id)
            return self._answer(event, job) if job is not None else None
        return None

    def _answer(self, event: Event, job: Job) -> Outgoing | None:
        for attempt in reversed(job.attempts):
            if attempt.agent_id == event.sender:
                fenced = msgspec.structs.replace(event.body, attempt=attempt.number, epoch=attempt.epoch)
                return self._voices[event.sender].message(event.kind, fenced, message_id=event.id)
        return None
