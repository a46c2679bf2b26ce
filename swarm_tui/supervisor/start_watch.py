"""Watch a start: who has registered, who has not, and why it cannot go on, as soon as that is known."""

import time
from contextlib import suppress

from msgspec import Struct

from swarm_tui.config.paths import StateDir
from swarm_tui.protocol.bodies import PaneStatus
from swarm_tui.protocol.text import clean
from swarm_tui.supervisor import state_file
from swarm_tui.supervisor.broker_pane import SUPERVISOR
from swarm_tui.supervisor.host_access import supervisor_alive, supervisor_trouble
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.supervisor.supervisor_pane import ENDED
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import DEFAULT, Tmux

#: Seconds between two looks at panes and processes, which cost more than the state file.
LOOK_EVERY = 0.25
#: A supervisor that lost its pane makes another within so many seconds, or never.
MADE_AGAIN_WITHIN = 4.0
#: A supervisor that ended so often before it could work does so again.
SUPERVISOR_ENDS = 2
#: An agent that has ended so often at its start does so again.
AGENT_ENDS = 3


class Wait(Struct, kw_only=True):
    """Says how far a start is: who has registered, who has not, and who never will.

    `known`: the supervisor has said who there is. `led`: somebody dispatches, or nobody need. `cause` says why the
    start cannot go on, in a sentence; empty while it may.
    """

    ready: list[str] = []
    missing: list[PaneStatus] = []
    failed: list[PaneStatus] = []
    known: bool = False
    led: bool = False
    cause: str = ""

    @property
    def done(self) -> bool:
        """Return whether all that can be waited for has come."""
        return self.known and not self.missing and (self.led or bool(self.failed))


class StartWatch:
    """Looks at one start again and again; `adopted`: the swarm ran before `up` was called."""

    def __init__(self, plan: Plan, state: StateDir, tmux: Tmux, *, adopted: bool) -> None:
        self._plan, self._state, self._tmux = plan, state, tmux
        specs = plan.specs(state)
        self._named = {spec.agent_id: set(spec.depends_on) for spec in specs}
        self._dispatchers = {spec.agent_id for spec in specs if spec.role == "task-manager" and spec.command is None}
        self._adopted = adopted
        self._ended_before = self._ends(self._supervisor_pane()) if adopted else 0
        self._looked = 0.0
        self._cause = ""
        self._gone_since: float | None = None

    def look(self) -> Wait:
        """Return how far it is now."""
        saved = state_file.load(self._state)
        alive = saved is not None and supervisor_alive(saved) and saved.plan == self._plan.identity()
        found = self._progress(saved) if saved is not None and alive else Wait()
        # What a supervisor once wrote of a swarm that ran before says nothing of whether it still works.
        if not found.cause and (self._adopted or not found.done):
            found.cause = self._look_around(working=alive)
        return found

    def _progress(self, saved: Saved) -> Wait:
        found = Wait(known=bool(saved.rows) or not self._plan.layout.agents, cause=saved.cause)
        for row in saved.rows:
            if row.witness in ("foreign", "stray") or row.agent_id not in self._named:
                continue
            if row.state in ("online", "busy", "draining") and row.pid:
                found.ready.append(row.agent_id)
            elif row.state in ("crashloop", "stopped"):
                found.failed.append(row)
            else:
                found.missing.append(row)
        found.led = bool(saved.dispatcher) or not self._dispatchers.intersection(found.ready)
        if not found.cause and found.missing:
            found.cause = self._no_hope(saved, found)
        return found

    def _no_hope(self, saved: Saved, found: Wait) -> str:
        """Return why none of the missing will come by itself; empty while one may."""
        lost = {row.agent_id for row in found.failed}
        if not found.ready:
            units = saved.units
            ends = {
                row.agent_id: units[row.agent_id].history.failures for row in found.missing if row.agent_id in units
            }
            lost |= {agent_id for agent_id, number in ends.items() if number >= AGENT_ENDS}
        more = True
        while more:
            waiting = {name for name, needs in self._named.items() if needs & lost} - lost - set(found.ready)
            lost |= waiting
            more = bool(waiting)
        if any(row.agent_id not in lost for row in found.missing):
            return ""
        return "no agent stays up" if not found.ready else "what they depend on does not stay up"

    # What its supervisor cannot say.

    def _look_around(self, *, working: bool) -> str:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return self._cause
        self._looked = now
        self._cause = supervisor_trouble(self._state) or ("" if working else self._pane_trouble(now))
        return self._cause

    def _pane_trouble(self, now: float) -> str:
        """Return why no supervisor works: its pane is gone for good, or shows how each one ended."""
        try:
            pane = self._supervisor_pane()
        except TmuxError as error:
            return str(error)
        if pane is None:
            self._gone_since = self._gone_since or now
            return self._gone() if now - self._gone_since > MADE_AGAIN_WITHIN else ""
        self._gone_since = None
        if self._ends(pane) - self._ended_before < SUPERVISOR_ENDS:
            return ""
        said = [line for line in self._tmux.capture(pane.pane_id, 40) if not line.startswith(ENDED)]
        return f"the supervisor does not stay up: {clean(' / '.join(line.strip() for line in said[-3:]), 400)}"

    def _gone(self) -> str:
        gone = f"the tmux session {self._plan.session} is gone: something ends it as soon as it is made"
        if self._plan.socket != DEFAULT:
            return gone
        return f"{gone}; look for hooks and options in your tmux.conf, or leave out `tmux.socket: default`"

    def _supervisor_pane(self) -> Pane | None:
        panes = self._tmux.panes()
        return next((p for p in panes if p.swarm == self._plan.swarm and p.role == SUPERVISOR and not p.dead), None)

    def _ends(self, pane: Pane | None) -> int:
        """Return how many ends of supervisors the pane shows."""
        shown: list[str] = []
        with suppress(TmuxError):
            shown = self._tmux.capture(pane.pane_id, 60) if pane is not None else []
        return sum(line.startswith(ENDED) for line in shown)
