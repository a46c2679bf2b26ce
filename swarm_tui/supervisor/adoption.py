"""Begin a supervisor's work: make the units of the plan, adopt the panes that a former supervisor left."""

import time

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import RunSpec
from swarm_tui.config.spec import read_spec
from swarm_tui.protocol.names import is_agent_id
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.host_access import beat
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.reconciler import Reconciler
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane

#: How long after a failure tmux is asked again, seconds.
ASK_AGAIN = 0.5


class Adoption:
    """Takes over what runs."""

    def __init__(self, reconciler: Reconciler, lifecycle: Lifecycle) -> None:
        self._reconciler, self._lifecycle, self._services = reconciler, lifecycle, lifecycle.services

    def take_over(self, saved: Saved) -> None:
        """Make the units, and adopt the panes that are there."""
        units = self._services.units
        self._reconciler.fit_members(saved.members)
        for name, spec in self._reconciler.wanted().items():
            units[name] = Unit(spec, saved.units.get(name))
        for unit in units.values():
            if not unit.saved.wanted:
                unit.phase = Phase.STOPPED
            elif unit.saved.crashloop:
                unit.phase = Phase.CRASHLOOP
        adopted = sum(self._adopt(pane, saved) for pane in self._own_panes())
        if adopted:
            self._services.say("adopt", "", f"{adopted} agents go on as they were")
        self._services.loop.post(self._finish)

    def _finish(self) -> None:
        """End what a former supervisor was about to end when it died."""
        named = {spec.agent_id for spec in self._reconciler.plan.specs(self._reconciler.state)}
        for unit in [unit for unit in self._services.units.values() if not unit.saved.wanted]:
            if unit.in_layout and unit.phase is Phase.RUNNING:
                self._services.say("stop", unit.agent_id, "asked before; it goes on")
                self._lifecycle.stop(unit, drain=True)
            elif not unit.in_layout and unit.agent_id in named:
                # The layout names it, its role's members do not: it was let go.
                self._reconciler.retire(unit, lambda: None)

    def notice(self, panes: list[Pane]) -> None:
        """Look for panes tagged as ours that we did not make: of no agent of the plan, or a second one of an agent."""
        for pane in [pane for pane in self._services.agent_panes.mine(panes) if pane.agent and not pane.dead]:
            unit = self._services.units.get(pane.agent)
            if unit is None and self._adopt(pane, Saved()):
                self._services.say("stray", pane.agent, f"pane {pane.pane_id} is here, and the layout does not name it")
            elif unit is not None and unit.has_process and unit.pane_id not in (None, pane.pane_id):
                self._adopt(pane, Saved())

    def _own_panes(self) -> list[Pane]:
        """Return our panes, those that live first: a second pane of an agent is closed."""
        return sorted(self._services.agent_panes.mine(self._panes_surely()), key=lambda pane: pane.dead)

    def _adopt(self, pane: Pane, saved: Saved) -> bool:
        if not is_agent_id(pane.agent):
            return False
        unit = self._services.units.get(pane.agent)
        if unit is None:
            unit = self._services.units[pane.agent] = self._stray(pane, saved)
        if unit.unwatch is not None:
            self._services.say("double", pane.agent, f"pane {pane.pane_id} is a second one; it is closed")
            self._services.agent_panes.close([pane.pane_id])
        elif pane.dead or not processes.is_alive(pane.pid):
            unit.pane_id = pane.pane_id
        else:
            self._lifecycle.adopt(unit, pane)
            return True
        return False

    def _stray(self, pane: Pane, saved: Saved) -> Unit:
        """Return a unit for a pane of ours whose agent the plan does not name."""
        plan, state = self._reconciler.plan, self._reconciler.state
        try:
            spec = read_spec(state.spec(pane.agent))
        except ConfigError:
            spec = RunSpec(
                agent_id=pane.agent,
                role=pane.role or "general",
                swarm=plan.swarm,
                broker=plan.layout.broker,
                workdir=plan.workdir,
                state_dir=str(state.root),
            )
        unit = Unit(spec, saved.units.get(pane.agent))
        unit.in_layout = False
        unit.saved.wanted = False
        unit.phase = Phase.STOPPED
        return unit

    def _panes_surely(self) -> list[Pane]:
        """Return the panes; ask again while tmux does not answer, because to guess would be to start all twice."""
        trouble = ""
        while True:
            try:
                return self._services.agent_panes.tmux.panes()
            except TmuxError as error:
                beat(self._reconciler.state)
                if not trouble:
                    trouble = str(error)
                    self._services.say("tmux", "", f"{trouble}; nobody is adopted or started before it answers")
                time.sleep(ASK_AGAIN)
