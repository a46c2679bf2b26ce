"""The agents of a swarm: what the bus says of each, and what follows with time."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from swarm_tui.domain import liveness
from swarm_tui.domain.fleet.agent_facts import BUS_WORDS, AgentFacts, derive, number
from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.protocol import bodies
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role, is_agent_id
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

MAX_AGENTS = 20_000
MAX_INCARNATIONS = 4
BEATS_KEPT = 32
#: Seconds by which a heartbeat may be older than the word that its task is over; beyond them a clock was set.
_OVERTAKEN = 60.0
_WILL = "its connection ended without a farewell (will)"
_SPEAKS = frozenset({AgentState.ONLINE, AgentState.BUSY, AgentState.DRAINING})


class Agents:
    """The agents that are known, bounded."""

    def __init__(self) -> None:
        self.all: dict[str, AgentFacts] = {}
        self.held: dict[str, set[str]] = {}
        """Agent id to the tasks it holds; each view shares its set."""
        self.common_silence: str | None = None
        """A sentence, while all agents are silent together."""
        self.latest = 0.0
        """The latest moment that we were told of."""
        self.supervised = False
        """A supervisor is online, so that an agent without a pane is nobody's here."""
        self._steps: dict[Kind, Callable[[Event, Any, float], str | None]] = {
            Kind.REGISTER: self._register,
            Kind.HEARTBEAT: self._heartbeat,
            Kind.SHUTDOWN: self._shutdown,
            Kind.STATUS: self._status,
        }

    def apply(self, event: Event, now: float) -> set[str]:
        """Take one message. Returns the ids of the agents it touched."""
        self.latest = max(self.latest, now)
        step = self._steps.get(event.kind)
        if step is None:
            if event.kind is Kind.OTHER and event.key.startswith("_a/"):
                return self._foreign(event, now)
            return self._sign_of_life(event, now)
        agent_id = step(event, event.body, now)
        return set() if agent_id is None else {agent_id}

    def _sign_of_life(self, event: Event, now: float) -> set[str]:
        agent = self.all.get(event.sender)
        if agent is None or event.retained:
            return set()
        agent.last_seen = max(agent.last_seen or 0.0, event.received)
        if agent.silence is None:
            return set()
        agent.silence = None
        self.settle(agent, now)
        return {agent.agent_id}

    def _register(self, event: Event, body: bodies.Register, now: float) -> str | None:
        agent = self.get(body.agent_id, now)
        if agent is None:
            return None
        self.describe(agent, body.role or event.role, body.capabilities)
        agent.bus, agent.bus_at, agent.bus_why = agent.bus if agent.bus in _SPEAKS else AgentState.ONLINE, now, ""
        return self._alive(agent, event, now)

    def _heartbeat(self, event: Event, body: bodies.Heartbeat, now: float) -> str | None:
        known = self.all.get(body.agent_id)
        if event.received < max(self.latest - liveness.LOST_AFTER, (known.last_heartbeat or 0.0) if known else 0.0):
            return None if known is None else self._past_beat(known, event.received)
        agent = self.get(body.agent_id, now)
        if agent is None:
            return None
        at = event.received
        if body.incarnation is not None:
            self._beat_of(agent, clean(body.incarnation, 64), at)
        if 0.0 < agent.idle_at - event.at < _OVERTAKEN:
            body = msgspec.structs.replace(body, state=None, task_id=None, active=None)
        word = BUS_WORDS.get(body.state or "", AgentState.ONLINE)
        if word is not AgentState.OFFLINE and (agent.bus in _SPEAKS or self._is_back(agent, body, at)):
            agent.bus = word if body.state else agent.bus if agent.bus in _SPEAKS else word
        agent.last_heartbeat = at
        agent.beats.append(at)
        self._measure(agent, body, at)
        self.describe(agent, event.role, None)
        return self._alive(agent, event, now)

    def _past_beat(self, agent: AgentFacts, at: float) -> str:
        """A heartbeat out of the record: it fills the strip, and says nothing of now."""
        if at not in agent.beats:
            agent.beats = deque(sorted([*agent.beats, at])[-BEATS_KEPT:], maxlen=BEATS_KEPT)
            agent.last_heartbeat = agent.beats[-1]
        return agent.agent_id

    def _is_back(self, agent: AgentFacts, body: bodies.Heartbeat, at: float) -> bool:
        """A heartbeat that was on its way when the will was said brings nobody back."""
        same = body.incarnation is not None and body.incarnation == agent.incarnation
        return agent.bus is None or not same or at - agent.bus_at > 2.0

    def _beat_of(self, agent: AgentFacts, incarnation: str, at: float) -> None:
        first, _ = agent.beats_of.get(incarnation, (at, at))
        agent.beats_of[incarnation] = (first, at)
        if len(agent.beats_of) > MAX_INCARNATIONS:
            del agent.beats_of[min(agent.beats_of, key=lambda key: agent.beats_of[key][1])]
        if agent.incarnation is None:
            agent.incarnation = incarnation

    def _measure(self, agent: AgentFacts, body: bodies.Heartbeat, at: float) -> None:
        if (cpu := number(body.cpu)) is not None:
            agent.cpu = cpu
            agent.cpu_trail.append(cpu)
        if (rss := number(body.memory.get("rss"))) is not None and rss >= 0:
            agent.memory_rss = int(rss)
            agent.memory_trail.append(rss)
        if (uptime := number(body.uptime)) is not None and uptime >= 0:
            started = at - uptime
            if agent.started_at is None or abs(started - agent.started_at) > 2.0:
                agent.started_at = started
        if body.capacity is not None:
            agent.capacity = body.capacity
        agent.active = body.active if body.active is not None else len(agent.tasks)
        agent.task_id = body.task_id or next(iter(agent.tasks), None)

    def _shutdown(self, event: Event, body: bodies.Shutdown, now: float) -> str | None:
        agent = self.get(body.agent_id, now)
        if agent is None:
            return None
        self._gone(agent, f"left: {clean(body.reason, 200)}", now)
        return self.settle(agent, now)

    def _status(self, event: Event, body: Any, now: float) -> str | None:
        if isinstance(body, bodies.Cleared):
            agent = self.all.get(event.key)
            if agent is None:
                return None
            agent.cleared = agent.bus not in _SPEAKS or agent.ephemeral
            if agent.pane is None and agent.cleared:
                self.forget(event.key)
            return event.key
        agent = self.get(body.agent_id, now)
        if agent is None:
            return None
        word = BUS_WORDS.get(body.status.lower(), AgentState.ONLINE)
        incarnation = None if body.incarnation is None else clean(body.incarnation, 64)
        if word is AgentState.OFFLINE:
            return self._death(agent, incarnation, event, now)
        self.describe(agent, body.role or event.role, body.capabilities)
        self._birth(agent, body, incarnation)
        if body.active == 0:
            agent.idle_at, agent.task_id = event.at, next(iter(agent.tasks), None)
        agent.bus, agent.bus_at, agent.bus_why = word, now, ""
        return self.settle(agent, now) if event.retained else self._alive(agent, event, now)

    def _birth(self, agent: AgentFacts, body: bodies.Status, incarnation: str | None) -> None:
        if incarnation != agent.incarnation and agent.incarnation is not None and agent.bus in _SPEAKS:
            agent.ends.append(f"{agent.incarnation}: followed by {incarnation or 'another'}")
        agent.incarnation = incarnation or agent.incarnation
        agent.host = agent.host if body.host is None else clean(body.host, 128)
        agent.pid = body.pid if body.pid is not None else agent.pid
        agent.version = agent.version if body.version is None else clean(body.version, 64)
        agent.started_at = body.started_at if body.started_at is not None else agent.started_at
        agent.capacity = body.capacity if body.capacity is not None else agent.capacity
        agent.active = body.active if body.active is not None else agent.active
        agent.trouble = clean(body.trouble or "", 500)
        agent.ephemeral = body.ephemeral
        agent.cleared = False

    def _death(self, agent: AgentFacts, incarnation: str | None, event: Event, now: float) -> str:
        """A will or a farewell; one that an older incarnation left behind says nothing of the one that lives."""
        if agent.incarnation is not None and incarnation is not None and incarnation != agent.incarnation:
            if agent.bus in _SPEAKS:
                return agent.agent_id
            agent.incarnation = incarnation
        agent.incarnation = agent.incarnation or incarnation
        reason = event.payload.get("reason")
        unheard = "offline when we first heard of it" if event.retained else _WILL
        why = clean(reason, 200) if isinstance(reason, str) else unheard
        if agent.bus is not AgentState.OFFLINE:
            agent.vanished = agent.bus in _SPEAKS and not isinstance(reason, str)
            self._gone(agent, why, now)
        self.describe(agent, getattr(event.body, "role", None) or event.role, None)
        return self.settle(agent, now)

    def _gone(self, agent: AgentFacts, why: str, now: float) -> None:
        if agent.bus is not AgentState.OFFLINE:
            agent.ends.append(f"{agent.incarnation or 'an incarnation'}: {why}")
        agent.bus, agent.bus_at, agent.bus_why = AgentState.OFFLINE, now, why
        agent.silence = None

    def describe(self, agent: AgentFacts, role: str | None, capabilities: list[str] | None) -> None:
        """Note what it is, where that was said."""
        if role and role not in (agent.role, "operator"):
            agent.role = canonical_role(clean(role, 64))
        if capabilities:
            agent.capabilities = [clean(item, 128) for item in capabilities[:64]]

    def _alive(self, agent: AgentFacts, event: Event, now: float) -> str:
        agent.last_seen = max(agent.last_seen or 0.0, event.received)
        agent.silence = None
        agent.vanished = agent.vanished and agent.bus is AgentState.OFFLINE
        return self.settle(agent, now)

    def _foreign(self, event: Event, now: float) -> set[str]:
        """Take what an agent of another dialect says in a swarm of its own, `_a/<id>/…`: that too proves life."""
        _, agent_id, topic = [*event.key.split("/", 2), "", ""][:3]
        if not is_agent_id(agent_id) or not topic.startswith("agents/") or event.retained:
            return set()
        agent = self.get(agent_id, now)
        if agent is None:
            return set()
        said = event.payload
        status = said.get("status")
        if topic == "agents/shutdown" or (isinstance(status, str) and status.lower() == "offline"):
            self._gone(agent, "left", now)
            return {self.settle(agent, now)}
        if agent.bus not in _SPEAKS:
            agent.bus, agent.bus_at, agent.bus_why = AgentState.ONLINE, now, ""
        if topic == "agents/heartbeat":
            agent.last_heartbeat = event.received
            agent.beats.append(event.received)
            memory = said.get("memory")
            beat = bodies.Heartbeat(
                uptime=number(said.get("uptime")),
                cpu=number(said.get("cpu")),
                memory=memory if isinstance(memory, dict) else {"rss": memory},
            )
            self._measure(agent, beat, event.received)
        return {self._alive(agent, event, now)}

    def tick(self, now: float, since: float, listening: bool) -> set[str]:
        """Let time pass: silences, witnesses, and who is gone for good. `since`: from when on we could hear."""
        self.latest = max(self.latest, now)
        touched = self._silences(now, since) if listening else set()
        for agent in list(self.all.values()):
            if agent.is_steady():
                continue
            before = (agent.state, agent.witness)
            if agent.state not in LIVE or agent.pane is not None or self.supervised:
                self.settle(agent, now)
                if (agent.state, agent.witness) != before:
                    touched.add(agent.agent_id)
            if agent.state is AgentState.OFFLINE and agent.pane is None and now - agent.heard() > liveness.OFFLINE_KEPT:
                self.forget(agent.agent_id)
                touched.add(agent.agent_id)
        return touched

    def _silences(self, now: float, since: float) -> set[str]:
        if now - since <= liveness.SUSPECT_AFTER or not self._someone_silent(now - liveness.SUSPECT_AFTER):
            self.common_silence = None
            return set()
        live = [agent for agent in self.all.values() if agent.bus in _SPEAKS and agent.silence is not AgentState.LOST]
        silence = liveness.judge([(agent.agent_id, agent.heard()) for agent in live], now, since)
        self.common_silence = silence.common
        touched = set()
        for state, ids in ((AgentState.SUSPECT, silence.suspect), (AgentState.LOST, silence.lost)):
            for agent_id in ids:
                agent = self.all[agent_id]
                if agent.silence is not state:
                    agent.silence = state
                    if state is AgentState.LOST:
                        who, gap = agent.incarnation or "an incarnation", now - agent.heard()
                        agent.ends.append(f"{who}: lost after {gap:.0f} s of silence")
                    self.settle(agent, now)
                    touched.add(agent_id)
        return touched

    def _someone_silent(self, heard_by: float) -> bool:
        """Tell whether some agent that should speak was last heard of before then, and is not called lost."""
        for agent in self.all.values():
            # Most were heard of lately, whatever else is known of them.
            quiet = (agent.last_seen or 0.0) < heard_by and agent.bus in _SPEAKS and agent.heard() < heard_by
            if quiet and agent.silence is not AgentState.LOST:
                return True
        return False

    def forget(self, agent_id: str) -> None:
        """Drop one agent."""
        self.all.pop(agent_id, None)

    def get(self, agent_id: str, now: float) -> AgentFacts | None:
        """Return the agent, made when it is new; None when there is no room for one more."""
        agent = self.all.get(agent_id)
        if agent is None:
            if len(self.all) >= MAX_AGENTS and not self._make_room():
                return None
            held = self.held.setdefault(agent_id, set())
            agent = self.all[agent_id] = AgentFacts(
                agent_id=agent_id, first_seen=now, tasks=held, tail=[], capabilities=[]
            )
        return agent

    def _make_room(self) -> bool:
        gone = [agent for agent in self.all.values() if agent.state in (AgentState.OFFLINE, AgentState.LOST)]
        if gone:
            self.forget(min(gone, key=AgentFacts.heard).agent_id)
        return bool(gone)

    def settle(self, agent: AgentFacts, now: float) -> str:
        """Bring the agent's state in line with its facts. Returns its id."""
        agent.state, agent.witness, agent.reason = derive(agent, now, self.supervised)
        return agent.agent_id
