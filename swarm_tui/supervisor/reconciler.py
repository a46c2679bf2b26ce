"""Keep a host's agents as plan and scaling have them: start who joins, retire who leaves, restart who changed."""

from collections.abc import Callable
from contextlib import suppress

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import keep_spec, read_spec
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.broker_rules import let_go
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.plan import Plan, differs
from swarm_tui.supervisor.scaler import Scaler
from swarm_tui.supervisor.state_file import SavedUnit
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.tmux.errors import TmuxError


class Reconciler:
    """Keeps the units as the plan has them; `restart(unit)` stops one and starts it again."""

    def __init__(
        self,
        plan: Plan,
        state: StateDir,
        lifecycle: Lifecycle,
        scaler: Scaler,
        link: HostLink,
        presences: Presences,
        *,
        restart: Callable[[Unit], None],
    ) -> None:
        self.plan, self.state = plan, state
        self._services, self._lifecycle, self._scaler = lifecycle.services, lifecycle, scaler
        self._link, self._presences, self._restart = link, presences, restart
        self.former: set[str] = set()
        """Agents of a version without keys: whoever brought the swarm up has each restarted as soon as it is idle."""

    def fit_members(self, former: dict[str, list[str]]) -> None:
        """Choose the agents of each scaled role: those that it had, within the plan's limits."""
        scaler, specs = self._scaler, self.plan.specs(self.state)
        scaler.limits = self.plan.scaled()
        scaler.always, spare = self.plan.scaled_agents()
        for role, (low, high) in scaler.limits.items():
            named = scaler.candidates[role] = [
                spec.agent_id for spec in specs if spec.role == role and spec.agent_id in scaler.always | spare
            ]
            members = [name for name in named if name in scaler.always]
            members += [name for name in former.get(role, []) if name in named and name not in members]
            members = members[: max(high, 0)]
            scaler.members[role] = (
                members + [name for name in named if name not in members][: max(0, low - len(members))]
            )

    def wanted(self) -> dict[str, RunSpec]:
        """Return the specs of the agents that the host is to have now."""
        scaler = self._scaler
        scaled = {name for role in scaler.limits for name in scaler.candidates[role]}
        members = {name for role in scaler.limits for name in scaler.members[role]}
        specs = self.plan.specs(self.state)
        return {spec.agent_id: spec for spec in specs if spec.agent_id not in scaled or spec.agent_id in members}

    def begin_all(self) -> None:
        """Start what waits; what was adopted with an older spec is restarted."""
        for unit in self._services.units.values():
            if unit.phase is Phase.WAITING:
                self._write_spec(unit)
            elif unit.agent_id in self.former:
                continue
            elif unit.phase is Phase.RUNNING and unit.in_layout and self._runs_old_spec(unit):
                self._services.say("change", unit.agent_id, "the layout changed while nobody watched: it is restarted")
                self._restart_changed(unit)
        self._lifecycle.advance()

    def start(self, agent_id: str) -> None:
        """An agent joins: of a scaled role, or of a layout that changed."""
        unit = self._services.units.get(agent_id)
        if unit is None:
            spec = next((spec for spec in self.plan.specs(self.state) if spec.agent_id == agent_id), None)
            if spec is None:
                return
            unit = self._services.units[agent_id] = Unit(spec)
        self._write_spec(unit)
        self._lifecycle.begin(unit, anew=True)

    def retire(self, unit: Unit, then: Call) -> None:
        """An agent leaves for good: drained, ended, its pane closed, its retained status cleared."""
        unit.saved.wanted = False

        def gone() -> None:
            self._remove(unit)
            then()

        self._lifecycle.stop(unit, drain=True, then=gone)

    def forget(self, agent_id: str) -> None:
        """Nothing of an ended agent's past counts or is shown any more."""
        unit = self._services.units.get(agent_id)
        if unit is not None and unit.has_process:
            self._services.say("forget", agent_id, "it still runs: stop it first")
            return
        if unit is not None and not unit.in_layout:
            self._remove(unit)
        elif unit is not None:
            unit.saved = SavedUnit(wanted=unit.saved.wanted)
        self._presences.foreign_agents.pop(agent_id, None)
        self._link.publish(self._link.writer.clear(Kind.STATUS, agent_id))
        self._services.changed()

    def apply(self, plan: Plan) -> None:
        """Another plan: do the difference and nothing else."""
        self.plan = plan
        self.fit_members(self._scaler.members)
        wanted = self.wanted()
        for unit in [unit for unit in self._services.units.values() if unit.agent_id not in wanted]:
            self._services.say("change", unit.agent_id, "the layout no longer names it")
            self.retire(unit, lambda: None)
        for name, spec in wanted.items():
            self._apply(name, spec)
        self._revive()
        self._services.changed()

    def _apply(self, name: str, spec: RunSpec) -> None:
        unit = self._services.units.get(name)
        if unit is None:
            self._services.say("change", name, "the layout names it now")
            self.start(name)
            return
        old, unit.spec = unit.spec, spec
        if not unit.in_layout:
            unit.in_layout = True
            self._lifecycle.begin(unit, anew=True)
        if differs(old, spec) and unit.saved.wanted:
            self._services.say("change", name, "the layout changed what it is told: it is restarted")
            self._restart_changed(unit)
        else:
            self._write_spec(unit)

    def _revive(self) -> None:
        """`up` was called: what gave up or exited in order is tried again; what a person stopped stays stopped."""
        for unit in self._services.units.values():
            ended = unit.phase is Phase.STOPPED and unit.saved.wanted
            if unit.in_layout and (ended or unit.phase is Phase.CRASHLOOP):
                self._lifecycle.begin(unit, anew=True)

    def _remove(self, unit: Unit) -> None:
        if unit.pane_id is not None:
            self._services.agent_panes.close([unit.pane_id])
        self._services.units.pop(unit.agent_id, None)
        self._link.publish(self._link.writer.clear(Kind.STATUS, unit.agent_id))
        let_go(self.plan, self.state, unit.agent_id)
        with suppress(TmuxError):
            self._services.agent_panes.arrange(self._services.agent_panes.tmux.panes())
        self._services.changed()

    def _restart_changed(self, unit: Unit) -> None:
        self._write_spec(unit)
        self._restart(unit)

    def _runs_old_spec(self, unit: Unit) -> bool:
        try:
            return differs(read_spec(self.state.spec(unit.agent_id)), unit.spec)
        except ConfigError:
            return False

    def _write_spec(self, unit: Unit) -> None:
        keep_spec(self.state.spec(unit.agent_id), unit.spec)
