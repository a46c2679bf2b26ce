"""Learn from the kernel and tmux how agents' processes ended, and do what the policy says follows."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import structs

from swarm_tui.domain import restart
from swarm_tui.domain.restart import Exit
from swarm_tui.processes.marks import MarkedProcess, end_marked, may_end
from swarm_tui.protocol.text import clean
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.unit import BusPresence, Phase, Unit, wall
from swarm_tui.tmux.errors import TmuxError, TmuxTimeoutError

TAIL_LINES = 12
#: How often tmux is asked for the status of a process that the kernel says has ended, and the first pause between, in
#: seconds, each twice as long as the one before: it mostly knows a moment later, and a restart waits for it.
ASKS, ASK_AGAIN = 8, 0.002
#: And how far apart while it answers nothing at all, seconds.
ASK_LATER = 0.5
#: Seconds by which a process must be older than its agent's end to be of it, and not of the next one.
YOUNGER = 0.02


class Exits:
    """Decides what comes after an end; `begin(unit)` lets a unit wait for its start, `advance` starts what waits."""

    def __init__(self, services: Services, *, begin: Callable[[Unit], None], advance: Call) -> None:
        self._services, self._begin, self._advance = services, begin, advance
        self._ended_at: dict[str, float] = {}
        self._hold_until = 0.0

    def ended(self, unit: Unit, pid: int) -> None:
        if unit.saved.pid == pid and unit.has_process:
            unit.end_watch()
            self._learn(unit, pid, ASKS)

    def _learn(self, unit: Unit, pid: int, asks: int) -> None:
        """Find out how it ended: the kernel says that it did, tmux may need to be told to look."""
        if unit.saved.pid != pid:
            return
        try:
            panes = self._services.agent_panes.tmux.panes()
        except TmuxTimeoutError:
            # A tmux that stands still tells it when it goes on; nothing could be started before anyway.
            self._services.loop.after(ASK_LATER, lambda: self._learn(unit, pid, asks))
            return
        except TmuxError as error:
            if asks:
                self._services.loop.after(0.1, lambda: self._learn(unit, pid, asks - 1))
            else:
                self._services.say("tmux", unit.agent_id, str(error))
                self._finish(unit, Exit())
            return
        if not panes:
            self._services.lost()
            if not self._services.closing:
                return
        pane = next((pane for pane in panes if pane.pane_id == unit.pane_id and pane.pid == pid), None)
        if pane is None:
            unit.pane_id = None
            self._finish(unit, Exit(pane_lost=True))
        elif pane.dead and (pane.status is not None or pane.signal is not None):
            self._finish(unit, Exit(status=pane.status, signal=pane.signal))
        elif asks:
            # The terminal can be closed before tmux has the status, and tmux can miss that there is one.
            self._services.agent_panes.reap(pane.server_pid)
            self._services.loop.after(ASK_AGAIN * 2 ** (ASKS - asks), lambda: self._learn(unit, pid, asks - 1))
        else:
            self._finish(unit, Exit())

    def _finish(self, unit: Unit, end: Exit) -> None:
        saved, pid = unit.saved, unit.saved.pid
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self._end_left_behind(unit)
        saved.exit_status, saved.exit_signal = end.status, end.signal
        saved.pid = saved.start_time = None
        unit.presence = BusPresence()
        unit.set_timer(None)
        if end.cause != "done" and unit.pane_id is not None:
            saved.tail = [
                clean(line, 200) for line in self._services.agent_panes.tmux.capture(unit.pane_id, TAIL_LINES)
            ]
        if unit.phase is Phase.STOPPING or not saved.wanted:
            self.stopped(unit, restart.sentence(end))
        else:
            self._after_end(unit, end)
        self._services.changed()

    def _end_left_behind(self, unit: Unit) -> None:
        """End what it left running in sessions and groups of its own; aside, because to look can take long."""
        root, agent_id = unit.spec.state_dir, unit.agent_id
        latest = processes.now() - YOUNGER

        def is_left(one: MarkedProcess) -> bool:
            began = processes.start_time(one.info.pid)
            return one.agent_id == agent_id and may_end(one) and began is not None and began <= latest

        def end() -> None:
            if number := end_marked(root, is_left):
                text = f"it left {number} process{'' if number == 1 else 'es'} behind: ended"
                self._services.loop.post(lambda: self._services.say("orphan", agent_id, text))

        threading.Thread(target=end, name="left-behind", daemon=True).start()

    def stopped(self, unit: Unit, reason: str) -> None:
        unit.phase = Phase.STOPPED
        unit.saved.reason = reason
        self._services.say("stop", unit.agent_id, reason)
        then, unit.then = unit.then, []
        for call in then:
            call()

    def _after_end(self, unit: Unit, end: Exit) -> None:
        now = time.monotonic()
        if unit.spec.command is None and end.status == 0:
            # Our runtime never ends by itself: somebody else sent it a signal.
            end = structs.replace(end, told=True)
        if restart.may_be_mass(unit.spec.restart, end) and self._is_mass(unit, now):
            history = unit.saved.history
            unit.saved.history = structs.replace(history, restarts=history.restarts + 1)
            self._wait(unit, max(0.0, self._hold_until - now), restart.sentence(end))
            return
        decision, unit.saved.history = restart.decide(
            self._services.figures, unit.spec.restart, unit.saved.history, end, now, random.random()
        )
        unit.saved.reason = decision.reason
        if decision.act == "restart":
            self._wait(unit, decision.delay, decision.reason)
        elif decision.act == "crashloop":
            unit.phase, unit.saved.crashloop = Phase.CRASHLOOP, True
            self._services.say(
                "crashloop", unit.agent_id, f"{decision.reason}; `swarm-tui start {unit.agent_id}` tries again"
            )
        else:
            self.stopped(unit, decision.reason)

    def _is_mass(self, unit: Unit, now: float) -> bool:
        """Return whether this end is one of so many that it is the machine; said once."""
        if now < self._hold_until:
            return True
        self._ended_at = {
            name: at for name, at in self._ended_at.items() if now - at <= self._services.figures.mass_within
        } | {unit.agent_id: now}
        fleet = sum(1 for unit in self._services.units.values() if unit.saved.wanted)
        if not restart.is_mass_death(self._services.figures, tuple(self._ended_at.values()), fleet, now):
            return False
        self._hold_until = now + self._services.figures.backoff_first
        within = f"{self._services.figures.mass_within:g} s"
        self._services.say(
            "machine",
            "",
            f"{len(self._ended_at)} of {fleet} agents ended within {within}: the machine or tmux, not they",
        )
        self._ended_at = {}
        return True

    def _wait(self, unit: Unit, delay: float, reason: str) -> None:
        self._services.say(
            "exit", unit.agent_id, reason + (f"; again in {delay:.1f} s" if delay else "; again at once")
        )
        if delay <= 0:
            unit.phase = Phase.WAITING
            self._advance()
            return
        unit.phase = Phase.BACKOFF
        unit.next_start = wall(time.monotonic() + delay)
        unit.set_timer(self._services.loop.after(delay, lambda: self._begin(unit)))
