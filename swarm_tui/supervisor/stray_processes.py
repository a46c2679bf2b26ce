"""Find processes that live on under an agent's id without its pane: ours are ended, others' are named."""

import signal
import time
from collections.abc import Sequence

from swarm_tui.config.paths import StateDir
from swarm_tui.processes.marks import end_marked
from swarm_tui.supervisor import locks, processes, state_file
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.unit import Phase, Unit


class StrayProcesses:
    """Keeps a unit from starting while another process lives under its id; `gone` is called when none does."""

    def __init__(self, services: Services, *, gone: Call) -> None:
        self._services, self._gone = services, gone

    def hold(self, unit: Unit) -> bool:
        """Return whether another process still lives under this id; one of ours is ended, then the start goes on."""
        saved = unit.saved
        lock = self._services.agent_panes.place.state.lock(unit.agent_id)
        found = [(pid, processes.start_time(pid)) for pid in locks.holders(lock)]
        if saved.pid and processes.is_alive(saved.pid, saved.start_time):
            found.append((saved.pid, saved.start_time))
        found = [(pid, began) for pid, began in dict.fromkeys(found) if began is not None]
        if not found:
            return False
        spec = str(self._services.agent_panes.place.state.spec(unit.agent_id))
        for pid, began in found:
            if (pid, began) == (saved.pid, saved.start_time) or runs_spec(pid, spec):
                self._services.say("orphan", unit.agent_id, f"process {pid} has no pane; it is ended")
                self._end_process(pid, began)
            else:
                unit.saved.reason = f"process {pid}, which is not ours, holds this id; end it first"
        unit.phase = Phase.BACKOFF
        unit.next_start = time.time() + 1.0
        pids = [(pid, began) for pid, began in found]
        unit.set_timer(self._services.loop.after(0.1, lambda: self._when_gone(unit, pids)))
        return True

    def _end_process(self, pid: int, began: float | None) -> None:
        processes.signal_group(pid, began, signal.SIGCONT)
        processes.signal_group(pid, began, signal.SIGTERM)

        def kill() -> None:
            processes.signal_group(pid, began, signal.SIGKILL)

        self._services.loop.after(self._services.figures.term_wait, kill)

    def _when_gone(self, unit: Unit, pids: list[tuple[int, float | None]]) -> None:
        if unit.phase is not Phase.BACKOFF:
            return
        if any(processes.is_alive(pid, began) for pid, began in pids):
            unit.set_timer(self._services.loop.after(0.1, lambda: self._when_gone(unit, pids)))
            return
        unit.saved.pid = None
        unit.phase = Phase.WAITING
        self._gone()


def runs_spec(pid: int, spec_path: str) -> bool:
    """Return whether the process was started by us with that spec."""
    return spec_path in processes.words(pid)


def find_orphans(plan: Plan, state: StateDir) -> list[tuple[int, float]]:
    """Return (pid, start time) of each live process of ours under an id of the plan."""
    saved = state_file.load(state)
    found: dict[int, float] = {}
    for spec in plan.specs(state):
        for pid in locks.holders(state.lock(spec.agent_id)):
            began = processes.start_time(pid)
            if began is not None and runs_spec(pid, str(state.spec(spec.agent_id))):
                found[pid] = began
        unit = saved.units.get(spec.agent_id) if saved is not None and saved.boot == state_file.boot_id() else None
        if unit is not None and unit.pid and unit.start_time and processes.is_alive(unit.pid, unit.start_time):
            found[unit.pid] = unit.start_time
    return list(found.items())


def end_left_behind(state: StateDir) -> int:
    """Kill what tasks and programs of ended agents left in sessions of their own; return how many there were.

    What a handler may keep stays, and so does what an agent that lives on works with.
    """
    root = str(state.root.absolute())
    return end_marked(root, lambda one: not one.keep and not locks.is_held(state.lock(one.agent_id)))


def end_orphans(plan: Plan, state: StateDir, *, limit: float | None = None, also: Sequence[int] = ()) -> int:
    """Send TERM, wait, send KILL; return how many there were.

    `limit`: seconds to wait, as the layout has it by default; `also`: further pids to end.
    """
    more = [(pid, began) for pid in also if (began := processes.start_time(pid)) is not None]
    left = found = list(dict.fromkeys([*find_orphans(plan, state), *more]))
    for pid, began in found:
        processes.signal_group(pid, began, signal.SIGCONT)
        processes.signal_group(pid, began, signal.SIGTERM)
    end = time.monotonic() + (plan.layout.supervisor.term_wait if limit is None else limit)
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left = [(pid, began) for pid, began in left if processes.is_alive(pid, began)]
    for pid, began in left:
        processes.signal_group(pid, began, signal.SIGKILL)
    return len(found)
