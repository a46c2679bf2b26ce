"""Describe one agent as its supervisor sees it: what it is to be, what its process is, what the bus says."""

import time
from enum import StrEnum

from msgspec import Struct

from swarm_tui.config.model import RunSpec
from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import PaneStatus
from swarm_tui.supervisor.loop import Call, Timer
from swarm_tui.supervisor.state_file import SavedUnit


class Phase(StrEnum):
    """Phases of an agent's process."""

    WAITING = "waiting"
    """For what it depends on, or for its pane."""
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CRASHLOOP = "crashloop"


class BusPresence(Struct, kw_only=True):
    """Holds what the bus says of an agent; `heard` is in seconds of the monotonic clock."""

    heard: float | None = None
    registered: bool = False
    status: str = ""
    active: int = 0
    incarnation: str | None = None
    trouble: str = ""
    """Why it cannot do its role's part, as it says itself."""
    pids: dict[int, float] = {}
    """Processes of this host that spoke for it, with the time of each."""


class Unit:
    """Holds one agent of this host."""

    def __init__(self, spec: RunSpec, saved: SavedUnit | None = None) -> None:
        self.spec = spec
        self.saved = saved or SavedUnit()
        self.phase = Phase.WAITING
        self.presence = BusPresence()
        self.pane_id: str | None = None
        self.hung = False
        self.restarting = False
        self.when_idle = False
        self.waits_for_host = False
        self.in_layout = True
        self.next_start: float | None = None
        self.witness: str | None = None
        self.timer: Timer | None = None
        self.unwatch: Call | None = None
        self.then: list[Call] = []

    @property
    def agent_id(self) -> str:
        return self.spec.agent_id

    @property
    def is_own(self) -> bool:
        """Return whether its process is our runtime, which answers SIGUSR1 with what its threads do."""
        return self.spec.command is None or self.spec.wrap

    @property
    def has_process(self) -> bool:
        return self.phase in (Phase.RUNNING, Phase.STOPPING) and self.saved.pid is not None

    def set_timer(self, timer: Timer | None) -> None:
        """Keep one timer at a time."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def end_watch(self) -> None:
        if self.unwatch is not None:
            self.unwatch()
            self.unwatch = None

    def state(self) -> str:
        """Return its state in one word, as people read it."""
        if self.phase is Phase.RUNNING:
            return self._running_state()
        if self.phase is Phase.STOPPING:
            return AgentState.STARTING if self.restarting else AgentState.DRAINING
        if self.phase is Phase.WAITING:
            return AgentState.STARTING
        return {
            Phase.BACKOFF: AgentState.BACKOFF,
            Phase.STOPPED: AgentState.STOPPED,
            Phase.CRASHLOOP: AgentState.CRASHLOOP,
        }[self.phase]

    def _running_state(self) -> str:
        if self.hung:
            return AgentState.HUNG
        if not self.presence.registered:
            return AgentState.STARTING
        if self.presence.status in (AgentState.BUSY, AgentState.DRAINING):
            return self.presence.status
        return AgentState.BUSY if self.presence.active else AgentState.ONLINE

    def row(self) -> PaneStatus:
        """Return what host status, `up` and `status` show of it."""
        saved = self.saved
        ended = not self.has_process
        return PaneStatus(
            agent_id=self.agent_id,
            role=self.spec.role,
            pid=None if ended else saved.pid,
            pane_id=self.pane_id,
            state=str(self.state()),
            restarts=saved.history.restarts,
            next_start=self.next_start if self.phase is Phase.BACKOFF else None,
            exit_status=saved.exit_status,
            exit_signal=saved.exit_signal,
            incarnation=str(saved.incarnation),
            reason=saved.reason,
            tail=saved.tail if self.phase in (Phase.BACKOFF, Phase.CRASHLOOP, Phase.STOPPED) else [],
            witness=self.witness,
        )


def wall(monotonic: float) -> float:
    """Return a monotonic time as seconds since the epoch."""
    return time.time() + (monotonic - time.monotonic())
