"""Start agents' processes in the order of what they depend on, each in a pane, never a second one of an id."""

import time
from collections.abc import Callable
from contextlib import suppress

from swarm_tui.config.spec import keep_spec
from swarm_tui.domain import restart
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.agent_panes import NewPane
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.stray_processes import StrayProcesses
from swarm_tui.supervisor.unit import BusPresence, Phase, Unit
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane


class Starting:
    """Starts the units that wait; `ended(unit, pid)` is called when the kernel says that a process has ended."""

    def __init__(self, services: Services, *, ended: Callable[[Unit, int], None]) -> None:
        self._services, self._ended = services, ended
        self._strays = StrayProcesses(services, gone=self.advance)
        self._retry = 0.0
        self._pausing = False
        """tmux failed a moment ago, and is left alone for another."""

    def begin(self, unit: Unit, *, anew: bool = False) -> None:
        """Let it run. `anew`: a person asked, so what it did before no longer counts."""
        if anew:
            unit.saved.history = restart.cleared(unit.saved.history)
            unit.saved.crashloop = False
            unit.saved.reason = ""
        unit.saved.wanted = True
        if unit.phase in (Phase.RUNNING, Phase.STOPPING):
            return
        unit.set_timer(None)
        unit.phase = Phase.WAITING
        self._services.loop.post(self.advance)

    def advance(self) -> None:
        """Start all that wait and may start."""
        if self._services.closing or self._pausing:
            return
        due = [unit for unit in self._services.units.values() if unit.phase is Phase.WAITING and self._may_start(unit)]
        if not due:
            return
        # Made first it is up first, wherever the layout names it.
        due.sort(key=lambda unit: unit.spec.role != "task-manager")
        try:
            if not self._start(due):
                return
        except (TmuxError, OSError) as error:
            self._retry = min(5.0, self._retry * 2 or 0.25)
            self._services.say("tmux", "", f"{error}; again in {self._retry:g} s")
            self._pausing = True
            self._services.loop.after(self._retry, self._look_and_advance)
            return
        self._retry = 0.0
        self._services.changed()
        self._services.loop.post(self.advance)

    def _start(self, due: list[Unit]) -> bool:
        """Start them, each in its pane or a new one; False when the tmux server is gone. Raises TmuxError, OSError."""
        panes = self._services.agent_panes.tmux.panes()
        if not panes:
            self._services.lost()
            return False
        for unit in due:
            # A periodic check can be here before whoever writes them at the beginning, and a file can be damaged.
            keep_spec(self._services.agent_panes.place.state.spec(unit.agent_id), unit.spec)
            self._find_pane(unit, panes)
        for unit in due:
            if unit.pane_id is not None:
                unit.saved.incarnation += 1
                self._started(unit, self._services.agent_panes.respawn(unit.pane_id, unit.spec, unit.saved.incarnation))
        new = [unit for unit in due if unit.pane_id is None]
        for unit in new:
            unit.saved.incarnation += 1
        if new:
            made = self._services.agent_panes.create([(unit.spec, unit.saved.incarnation) for unit in new], panes)
            for unit, pane in zip(new, made, strict=True):
                self._started(unit, pane)
        return True

    def _look_and_advance(self) -> None:
        """After a failure some panes may be there all the same: take those over before making more."""
        self._pausing = False
        with suppress(TmuxError):
            for pane in self._services.agent_panes.mine(self._services.agent_panes.tmux.panes()):
                unit = self._services.units.get(pane.agent)
                if unit is not None and unit.phase is Phase.WAITING and not pane.dead:
                    self.adopt(unit, pane)
        self.advance()

    def _find_pane(self, unit: Unit, panes: list[Pane]) -> None:
        own = [pane for pane in self._services.agent_panes.mine(panes) if pane.agent == unit.agent_id]
        unit.pane_id = next((pane.pane_id for pane in own if pane.pane_id == unit.pane_id), None)
        if unit.pane_id is None and own:
            unit.pane_id = own[0].pane_id
        self._services.agent_panes.close([pane.pane_id for pane in own if pane.pane_id != unit.pane_id])

    def _may_start(self, unit: Unit) -> bool:
        for other_id, condition in unit.spec.depends_on.items():
            other = self._services.units.get(other_id)
            if other is None:
                continue
            if not other.has_process or (condition == "registered" and not other.presence.registered):
                return False
        return not (self._lives_elsewhere(unit) or self._strays.hold(unit))

    def _lives_elsewhere(self, unit: Unit) -> bool:
        """Return whether another host runs an agent of this id: this one then waits for its end."""
        host = self._services.elsewhere(unit.agent_id)
        if host is None:
            if unit.waits_for_host:
                unit.waits_for_host, unit.saved.reason = False, ""
            return False
        unit.waits_for_host = True
        reason = f"it runs on the host {host}: stop it there, or name it in one layout only"
        if unit.saved.reason != reason:
            # Also when a person has begun it anew since.
            unit.saved.reason = reason
            self._services.say("elsewhere", unit.agent_id, reason)
        return True

    def _started(self, unit: Unit, made: NewPane) -> None:
        now = time.monotonic()
        unit.saved.history = restart.started(unit.saved.history, now)
        unit.presence = BusPresence()
        self._watch(unit, made)
        unit.next_start = None
        self._services.say("start", unit.agent_id, f"pid {made.pid}, incarnation {unit.saved.incarnation}")

    def _watch(self, unit: Unit, made: NewPane) -> None:
        unit.pane_id = made.pane_id
        unit.saved.pid = made.pid
        unit.saved.start_time = processes.start_time(made.pid)
        unit.phase = Phase.RUNNING
        unit.hung = False
        unit.end_watch()
        unit.unwatch = self._services.loop.watch(made.pid, lambda: self._ended(unit, made.pid))

    def adopt(self, unit: Unit, pane: Pane) -> None:
        """Take over a pane that a former supervisor made; its process may have ended meanwhile."""
        known = processes.start_time(pane.pid)
        if unit.saved.pid != pane.pid or known is None or known != unit.saved.start_time:
            began = known and time.monotonic() - max(0.0, _uptime() - known)
            unit.saved.history = restart.started(unit.saved.history, began or time.monotonic())
            if pane.incarnation.isdigit():
                unit.saved.incarnation = max(unit.saved.incarnation, int(pane.incarnation))
        self._watch(unit, NewPane(pane.pane_id, pane.pid))


def _uptime() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
