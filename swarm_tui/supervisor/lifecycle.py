"""Agents' processes: started in order, watched, restarted by the policy, ended step by step."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import structs

from swarm_tui.config.model import RestartPolicy
from swarm_tui.domain import restart
from swarm_tui.domain.restart import Exit
from swarm_tui.protocol.text import clean
from swarm_tui.supervisor import locks, processes
from swarm_tui.supervisor.crew import Crew, Made
from swarm_tui.supervisor.loop import Call, Loop
from swarm_tui.supervisor.unit import Phase, Presence, Unit, wall
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane

TAIL_LINES = 12
#: How often, and how far apart, tmux is asked for the status of a process that the kernel says has ended.
ASKS, ASK_AGAIN = 8, 0.02
DUMP_WAIT = 0.5

Say = Callable[[str, str, str], None]


class Lifecycle:
    """Starts and ends the units' processes.

    `say(what, agent_id, reason)` records an event, `changed` tells that rows differ, `drain(unit)` asks an agent over
    the bus to finish and says whether it was asked, `lost` hears that the tmux server is gone.
    """

    def __init__(
        self,
        loop: Loop,
        crew: Crew,
        figures: RestartPolicy,
        units: dict[str, Unit],
        *,
        say: Say,
        changed: Call,
        drain: Callable[[Unit], bool],
        lost: Call,
    ) -> None:
        self.loop, self.crew, self.figures, self.units = loop, crew, figures, units
        self._say, self._changed, self._drain, self._lost = say, changed, drain, lost
        self._deaths: dict[str, float] = {}
        self._hold_until = 0.0
        self._retry = 0.0
        self.closing = False

    # Starting.

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
        self.loop.post(self.advance)

    def advance(self) -> None:
        """Start all that wait and may start."""
        if self.closing:
            return
        due = [unit for unit in self.units.values() if unit.phase is Phase.WAITING and self._may_start(unit)]
        if not due:
            return
        try:
            panes = self.crew.tmux.panes()
            if not panes:
                self._lost()
                return
            for unit in due:
                self._find_pane(unit, panes)
            for unit in [unit for unit in due if unit.pane_id is not None]:
                unit.saved.incarnation += 1
                assert unit.pane_id is not None
                self._started(unit, self.crew.respawn(unit.pane_id, unit.spec, unit.saved.incarnation))
            new = [unit for unit in due if unit.pane_id is None]
            for unit in new:
                unit.saved.incarnation += 1
            if new:
                made = self.crew.create([(unit.spec, unit.saved.incarnation) for unit in new], panes)
                for unit, pane in zip(new, made, strict=True):
                    self._started(unit, pane)
            self._retry = 0.0
        except TmuxError as error:
            self._retry = min(5.0, self._retry * 2 or 0.25)
            self._say("tmux", "", f"{error}; again in {self._retry:g} s")
            self.loop.after(self._retry, self._look_and_advance)
        self._changed()
        self.loop.post(self.advance)

    def _look_and_advance(self) -> None:
        """After a failure some panes may be there all the same: take those over before making more."""
        with suppress(TmuxError):
            for pane in self.crew.mine(self.crew.tmux.panes()):
                unit = self.units.get(pane.agent)
                if unit is not None and unit.phase is Phase.WAITING and not pane.dead:
                    self.adopt(unit, pane)
        self.advance()

    def _find_pane(self, unit: Unit, panes: list[Pane]) -> None:
        own = [pane for pane in self.crew.mine(panes) if pane.agent == unit.agent_id]
        unit.pane_id = next((pane.pane_id for pane in own if pane.pane_id == unit.pane_id), None)
        if unit.pane_id is None and own:
            unit.pane_id = own[0].pane_id
        self.crew.close([pane.pane_id for pane in own if pane.pane_id != unit.pane_id])

    def _may_start(self, unit: Unit) -> bool:
        for other_id, condition in unit.spec.depends_on.items():
            other = self.units.get(other_id)
            if other is None:
                continue
            if not other.has_process or (condition == "registered" and not other.presence.registered):
                return False
        return not self._ends_orphans(unit)

    def _ends_orphans(self, unit: Unit) -> bool:
        """Whether another process still lives under this id; one of ours is ended, then the start goes on."""
        saved = unit.saved
        lock = self.crew.place.state.lock(unit.agent_id)
        found = [(pid, processes.start_time(pid)) for pid in locks.holders(lock)]
        if saved.pid and processes.is_alive(saved.pid, saved.start_time):
            found.append((saved.pid, saved.start_time))
        found = [(pid, began) for pid, began in found if began is not None]
        if not found:
            return False
        spec = str(self.crew.place.state.spec(unit.agent_id))
        for pid, began in found:
            if (pid, began) == (saved.pid, saved.start_time) or runs_spec(pid, spec):
                self._say("orphan", unit.agent_id, f"process {pid} has no pane; it is ended")
                self._end_process(pid, began)
            else:
                unit.saved.reason = f"process {pid}, which is not ours, holds this id; end it first"
        unit.phase = Phase.BACKOFF
        unit.next_start = time.time() + 1.0
        pids = [(pid, began) for pid, began in found]
        unit.set_timer(self.loop.after(0.1, lambda: self._when_gone(unit, pids)))
        return True

    def _end_process(self, pid: int, began: float | None) -> None:
        processes.signal_group(pid, began, signal.SIGCONT)
        processes.signal_group(pid, began, signal.SIGTERM)

        def kill() -> None:
            processes.signal_group(pid, began, signal.SIGKILL)

        self.loop.after(self.figures.term_wait, kill)

    def _when_gone(self, unit: Unit, pids: list[tuple[int, float | None]]) -> None:
        if unit.phase is not Phase.BACKOFF:
            return
        if any(processes.is_alive(pid, began) for pid, began in pids):
            unit.set_timer(self.loop.after(0.1, lambda: self._when_gone(unit, pids)))
            return
        unit.saved.pid = None
        unit.phase = Phase.WAITING
        self.advance()

    def _started(self, unit: Unit, made: Made) -> None:
        now = time.monotonic()
        unit.saved.history = restart.started(unit.saved.history, now)
        unit.presence = Presence()
        self._watch(unit, made)
        unit.next_start = None
        self._say("start", unit.agent_id, f"pid {made.pid}, incarnation {unit.saved.incarnation}")

    def _watch(self, unit: Unit, made: Made) -> None:
        unit.pane_id = made.pane_id
        unit.saved.pid = made.pid
        unit.saved.start_time = processes.start_time(made.pid)
        unit.phase = Phase.RUNNING
        unit.hung = False
        unit.end_watch()
        unit.unwatch = self.loop.watch(made.pid, lambda: self._ended(unit, made.pid))

    def adopt(self, unit: Unit, pane: Pane) -> None:
        """Take over a pane that a former supervisor made; its process may have ended meanwhile."""
        known = processes.start_time(pane.pid)
        if unit.saved.pid != pane.pid or known is None or known != unit.saved.start_time:
            began = known and time.monotonic() - max(0.0, _uptime() - known)
            unit.saved.history = restart.started(unit.saved.history, began or time.monotonic())
            if pane.incarnation.isdigit():
                unit.saved.incarnation = max(unit.saved.incarnation, int(pane.incarnation))
        self._watch(unit, Made(pane.pane_id, pane.pid))

    # Ending.

    def _ended(self, unit: Unit, pid: int) -> None:
        if unit.saved.pid == pid and unit.has_process:
            unit.end_watch()
            self._learn(unit, pid, ASKS)

    def _learn(self, unit: Unit, pid: int, asks: int) -> None:
        """Find out how it ended: the kernel says that it did, tmux may need to be told to look."""
        if unit.saved.pid != pid:
            return
        try:
            panes = self.crew.tmux.panes()
        except TmuxError as error:
            if asks:
                self.loop.after(0.1, lambda: self._learn(unit, pid, asks - 1))
            else:
                self._say("tmux", unit.agent_id, str(error))
                self._finish(unit, Exit())
            return
        if not panes:
            self._lost()
            if not self.closing:
                return
        pane = next((pane for pane in panes if pane.pane_id == unit.pane_id and pane.pid == pid), None)
        if pane is None:
            unit.pane_id = None
            self._finish(unit, Exit(pane_lost=True))
        elif pane.dead and (pane.status is not None or pane.signal is not None):
            self._finish(unit, Exit(status=pane.status, signal=pane.signal))
        elif asks:
            # The terminal can be closed before tmux has the status, and tmux can miss that there is one.
            self.crew.reap(pane.server_pid)
            self.loop.after(ASK_AGAIN, lambda: self._learn(unit, pid, asks - 1))
        else:
            self._finish(unit, Exit())

    def _finish(self, unit: Unit, end: Exit) -> None:
        saved, pid = unit.saved, unit.saved.pid
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        saved.exit_status, saved.exit_signal = end.status, end.signal
        saved.pid = saved.start_time = None
        unit.presence = Presence()
        unit.set_timer(None)
        if end.cause != "done" and unit.pane_id is not None:
            saved.tail = [clean(line, 200) for line in self.crew.tmux.capture(unit.pane_id, TAIL_LINES)]
        if unit.phase is Phase.STOPPING or not saved.wanted:
            self._stopped(unit, restart.sentence(end))
        else:
            self._after_end(unit, end)
        self._changed()

    def _stopped(self, unit: Unit, reason: str) -> None:
        unit.phase = Phase.STOPPED
        unit.saved.reason = reason
        self._say("stop", unit.agent_id, reason)
        then, unit.then = unit.then, []
        for call in then:
            call()

    def _after_end(self, unit: Unit, end: Exit) -> None:
        now = time.monotonic()
        if unit.spec.command is None and end.status == 0:
            # Our runtime never ends by itself: somebody else sent it a signal.
            end = structs.replace(end, told=True)
        if self._is_mass(unit, now):
            history = unit.saved.history
            unit.saved.history = structs.replace(history, restarts=history.restarts + 1)
            self._wait(unit, max(0.0, self._hold_until - now), restart.sentence(end))
            return
        decision, unit.saved.history = restart.decide(
            self.figures, unit.spec.restart, unit.saved.history, end, now, random.random()
        )
        unit.saved.reason = decision.reason
        if decision.act == "restart":
            self._wait(unit, decision.delay, decision.reason)
        elif decision.act == "crashloop":
            unit.phase, unit.saved.crashloop = Phase.CRASHLOOP, True
            self._say("crashloop", unit.agent_id, f"{decision.reason}; `swarm-tui start {unit.agent_id}` tries again")
        else:
            self._stopped(unit, decision.reason)

    def _is_mass(self, unit: Unit, now: float) -> bool:
        """Whether this end is one of so many that it is the machine; said once."""
        if now < self._hold_until:
            return True
        self._deaths = {name: at for name, at in self._deaths.items() if now - at <= 2.0} | {unit.agent_id: now}
        fleet = sum(1 for unit in self.units.values() if unit.saved.wanted)
        if not restart.is_mass_death(tuple(self._deaths.values()), fleet, now):
            return False
        self._hold_until = now + self.figures.backoff_first
        self._say(
            "machine", "", f"{len(self._deaths)} of {fleet} agents ended within 2 s: the machine or tmux, not they"
        )
        self._deaths = {}
        return True

    def _wait(self, unit: Unit, delay: float, reason: str) -> None:
        self._say("exit", unit.agent_id, reason + (f"; again in {delay:.1f} s" if delay else "; again at once"))
        if delay <= 0:
            unit.phase = Phase.WAITING
            self.advance()
            return
        unit.phase = Phase.BACKOFF
        unit.next_start = wall(time.monotonic() + delay)
        unit.set_timer(self.loop.after(delay, lambda: self.begin(unit)))

    def hung(self, unit: Unit) -> None:
        """It lives and says nothing: let it dump its threads, then TERM, KILL; the end starts it again."""
        if unit.phase is not Phase.RUNNING or unit.hung:
            return
        unit.hung = True
        unit.saved.reason = f"silent for {self.figures.silent_after:g} s while its process lives"
        self._say("hung", unit.agent_id, unit.saved.reason)
        self._changed()
        if unit.is_own and unit.spec.command is None:
            processes.signal_one(unit.saved.pid, unit.saved.start_time, signal.SIGUSR1)
        unit.set_timer(self.loop.after(DUMP_WAIT, lambda: self._term(unit)))

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
            self._stopped(unit, unit.saved.reason or "stopped")
            self._changed()
            return
        busy = unit.presence.registered and unit.presence.active > 0
        unit.phase = Phase.STOPPING
        self._changed()
        if drain and busy and self._drain(unit):
            self._say("drain", unit.agent_id, f"up to {self.figures.drain_wait:g} s to finish its work")
            unit.set_timer(self.loop.after(self.figures.drain_wait, lambda: self._term(unit)))
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
        unit.set_timer(self.loop.after(self.figures.term_wait, lambda: self.kill(unit)))

    def kill(self, unit: Unit) -> None:
        """End it now."""
        if unit.has_process:
            processes.signal_group(unit.saved.pid, unit.saved.start_time, signal.SIGKILL)

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
            self.stop(self.units[agent_id], drain=drain, then=partial(one_less, agent_id))


def runs_spec(pid: int, spec_path: str) -> bool:
    """Whether the process was started by us with that spec."""
    try:
        return spec_path in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return False


def _uptime() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
