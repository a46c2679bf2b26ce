"""An agent's facts from three witnesses (process, pane, bus), and the state that follows from them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from swarm_tui.domain.liveness import BEAT, LOST_AFTER
from swarm_tui.domain.states import AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.domain.witness import ADVICE

SETTLE = 10.0
"""Seconds that two witnesses may disagree before it is said: one of them is often only slower."""
SPLIT_WITHIN = 2.5 * BEAT

#: The bus's word of an agent, by the status that it says.
BUS_WORDS: Mapping[str, AgentState] = {
    "online": AgentState.ONLINE,
    "alive": AgentState.ONLINE,
    "idle": AgentState.ONLINE,
    "busy": AgentState.BUSY,
    "draining": AgentState.DRAINING,
    "offline": AgentState.OFFLINE,
}
#: The supervisor's word of a pane that does not run, as the agent's state.
PANE_WORDS: Mapping[str, AgentState] = {
    "backoff": AgentState.BACKOFF,
    "crashloop": AgentState.CRASHLOOP,
    "stopped": AgentState.STOPPED,
    "exited": AgentState.STOPPED,
    "done": AgentState.STOPPED,
    "waiting": AgentState.STARTING,
    "starting": AgentState.STARTING,
}
_HUNG = ADVICE["hung"]
_LIVE = (AgentState.ONLINE, AgentState.BUSY, AgentState.DRAINING)


class PaneFacts(Struct, kw_only=True):
    """An agent's pane as its supervisor told of it last. `since`: it has had this pid and state from then on."""

    host: str
    state: str
    pid: int | None
    seen: float
    since: float
    reason: str = ""
    witness: str | None = None

    def runs(self) -> bool:
        """Return whether a process runs in it, as far as its supervisor says."""
        return self.pid is not None if self.state == "starting" else self.state not in PANE_WORDS


class AgentFacts(AgentView, kw_only=True):
    """An agent's view together with the facts it is derived from."""

    bus: AgentState | None = None
    """online, busy, draining or offline, as last said; None before it spoke."""
    bus_at: float = 0.0
    bus_why: str = ""
    pane: PaneFacts | None = None
    silence: AgentState | None = None
    """suspect or lost."""
    stranger: bool = False
    """A supervisor says that it speaks from its host and has no pane there."""
    ephemeral: bool = False
    cleared: bool = False
    """Nothing is retained of it any more: it goes when its pane does."""
    idle_at: float = 0.0
    """When it last said, by its own clock, that it works at nothing: what it said before of its task is over."""
    beats_of: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Incarnation to its first and last heartbeat, for the newest few."""

    @property
    def is_there(self) -> bool:
        """Tell whether it said that it is there, and was not silent since."""
        return self.bus in _LIVE and self.silence is None

    def is_steady(self) -> bool:
        """Tell whether time alone changes nothing of it, but for its silence: it speaks, and its pane agrees."""
        pane = self.pane
        return (
            pane is not None
            and self.silence is None
            and self.witness is None
            and self.bus in _LIVE
            and len(self.beats_of) < 2
            and pane.runs()
        )

    def heard(self) -> float:
        """Return when it last gave a sign of life, or when we first knew of it."""
        return max(self.last_seen or 0.0, self.bus_at, self.first_seen)


def derive(agent: AgentFacts, now: float, supervised: bool) -> tuple[AgentState, str | None, str]:
    """Return the agent's state, how the witnesses disagree (None where they do not), and a reason for people.

    `supervised`: a supervisor is online, so an agent without pane is foreign.
    """
    pane, bus = agent.pane, agent.bus
    if bus in _LIVE and agent.silence is not AgentState.LOST:
        return _speaking(agent, now, supervised)
    if agent.stranger and bus is None:
        # It retains nothing: its host's supervisor heard it before we listened.
        return AgentState.ONLINE, "foreign", ADVICE["foreign"]
    if pane is None:
        if bus in _LIVE:
            return AgentState.LOST, None, f"silent for {now - agent.heard():.0f} s, and no will came"
        return AgentState.OFFLINE, None, agent.bus_why
    if not pane.runs():
        return PANE_WORDS[pane.state], pane.witness, pane.reason or agent.bus_why
    if pane.state == "hung":
        return AgentState.HUNG, "hung", pane.reason or _HUNG
    if bus is None:
        # A program that never spoke need not speak: whether it should is known to its supervisor alone.
        return BUS_WORDS.get(pane.state, AgentState.STARTING), pane.witness, pane.reason
    if now - max(pane.since, agent.heard()) > LOST_AFTER:
        return AgentState.HUNG, "hung", _HUNG
    if pane.state == "starting" or pane.since >= agent.bus_at:
        return AgentState.STARTING, pane.witness, pane.reason
    return AgentState.OFFLINE, pane.witness, agent.bus_why


def _speaking(agent: AgentFacts, now: float, supervised: bool) -> tuple[AgentState, str | None, str]:
    pane, state = agent.pane, agent.bus or AgentState.ONLINE
    if pane is not None and pane.state == "hung":
        return AgentState.HUNG, "hung", pane.reason or _HUNG
    if pane is not None and not pane.runs() and pane.seen > (agent.last_seen or 0.0):
        return PANE_WORDS[pane.state], pane.witness, pane.reason
    reason = ""
    if agent.silence is AgentState.SUSPECT:
        state, reason = AgentState.SUSPECT, f"silent for {now - agent.heard():.0f} s"
    witness = _disagreement(agent, now, supervised)
    return state, witness, reason or ADVICE.get(witness or "", "")


def _disagreement(agent: AgentFacts, now: float, supervised: bool) -> str | None:
    """Name where bus and panes disagree about an agent that speaks: the supervisor's word first, then ours."""
    pane = agent.pane
    if is_split(agent, now):
        return "split"
    if agent.stranger or (pane is not None and pane.witness is not None):
        return "foreign" if agent.stranger else pane.witness if pane else None
    settled = now - max(agent.first_seen, pane.since if pane else 0.0) > SETTLE
    return "foreign" if supervised and settled and (pane is None or not pane.runs()) else None


def is_split(agent: AgentFacts, now: float) -> bool:
    """Return whether an older incarnation has gone on beating after a newer one began."""
    if len(agent.beats_of) < 2:
        return False
    *older, (began, _) = sorted(span for span in agent.beats_of.values() if now - span[1] < SPLIT_WITHIN) or [
        (0.0, 0.0)
    ]
    return any(last > began for _, last in older)


def number(value: Any) -> float | None:
    """Return `value` as a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e18 else None
