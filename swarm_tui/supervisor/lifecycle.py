"""Start agents' processes in order, watch them, restart them by the policy, end them step by step."""

import signal
from collections.abc import Iterable
from functools import partial

from swarm_tui.supervisor import processes
from swarm_tui.supervisor.exits import Exits
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.starting import Starting
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.tmux.panes import Pane

#: How long a hung agent of ours has to write what its threads do, seconds.
DUMP_WAIT = 0.5


class Lifecycle:
    """Starts and ends the units' processes."""

    def __init__(self, services: Services) -> None:
        self.services = self._services = services
        self._starting = Starting(services, ended=lambda unit, pid: self._exits.ended(unit, pid))
        self._exits = Exits(services, begin=self.begin, advance=self.advance)

    def begin(self, unit: Unit, *, anew: bool = False) -> None:
        """Let it run. `anew`: a person asked, so what it did before no longer counts."""
        self._starting.begin(unit, anew=anew)

    def advance(self) -> None:
        """Start all that wait and may start."""
        self._starting.advance()

    def adopt(self, unit: Unit, pane: Pane) -> None:
        """Take over a pane that a former supervisor made."""
        self._starting.adopt(unit, pane)

    def hung(self, unit: Unit) -> None:
        """It lives and says nothing: let it dump its threads, then TERM, KILL; the end starts it again."""
        if unit.phase is not Phase.RUNNING or unit.hung:
            return
        unit.hung = True
        unit.saved.reason = f"silent for {self._services.figures.silent_after:g} s while its process lives"
        self._services.say("hung", unit.agent_id, unit.saved.reason)
        self._services.changed()
        if unit.is_own:
            processes.signal_one(unit.saved.pid, unit.saved.start_time, signal.SIGUSR1)
        unit.set_timer(self._services.loop.after(DUMP_WAIT, lambda: self._term(unit)))

    def stop(self, unit: Unit, *, drain: bool, then: Call | None = None) -> None:
        """End it: drained over the bus first where that is wished and can be, then TERM, then KILL."""
        if then is not None:
            unit.then.append(then)
        if unit.phase is Phase.STOPPING:
            if not drain:
                self._term(unit)
            return
        if unit.phase is not Phase.RUNNING:
            unit.set_timer(None)
            self._exits.stopped(unit, unit.saved.reason or "stopped")
            self._services.changed()
            return
        busy = unit.presence.registered and unit.presence.active > 0
        unit.phase = Phase.STOPPING
        self._services.changed()
        if drain and busy and self._services.drain(unit):
            self._services.say(
                "drain", unit.agent_id, f"up to {self._services.figures.drain_wait:g} s to finish its work"
            )
            unit.set_timer(self._services.loop.after(self._services.figures.drain_wait, lambda: self._term(unit)))
        else:
            self._term(unit)

    def drained(self, unit: Unit) -> None:
        """The bus says that a unit which is being stopped has nothing left to do."""
        if unit.phase is Phase.STOPPING and unit.timer is not None and unit.presence.active == 0:
            self._term(unit)

    def _term(self, unit: Unit) -> None:
        pid, began = unit.saved.pid, unit.saved.start_time
        if not unit.has_process:
            return
        processes.signal_group(pid, began, signal.SIGTERM)
        if unit.phase is Phase.STOPPING:
            processes.signal_group(pid, began, signal.SIGCONT)
        unit.set_timer(self._services.loop.after(self._services.figures.term_wait, lambda: self.kill(unit)))

    def kill(self, unit: Unit) -> None:
        """End it now."""
        pid, began = unit.saved.pid, unit.saved.start_time
        if not unit.has_process or processes.signal_group(pid, began, signal.SIGKILL):
            return
        if processes.is_alive(pid, began):
            unit.saved.reason = f"process {pid} cannot be ended from here: it runs as another user"
            self._services.say("stop", unit.agent_id, unit.saved.reason)
            self._services.changed()

    def end_process(self, unit: Unit) -> None:
        """End it step by step; what comes after is for the policy to say."""
        self._term(unit)

    def stop_all(self, units: Iterable[Unit], *, drain: bool, then: Call) -> None:
        """Stop several at once; `then` when the last has ended."""
        left = {unit.agent_id for unit in units}
        if not left:
            then()
            return

        def one_less(agent_id: str) -> None:
            left.discard(agent_id)
            if not left:
                then()

        for agent_id in sorted(left):
            self.stop(self._services.units[agent_id], drain=drain, then=partial(one_less, agent_id))
