"""Agents that outlived their tmux server: found by pid and start time and by their id's lock, and ended."""

import signal
import time

from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor import locks, processes, state_file
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.stray_processes import runs_spec


def find_orphans(plan: Plan, state: StateDir) -> list[tuple[int, float]]:
    """(pid, start time) of each live process of ours under an id of the plan."""
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


def end_orphans(plan: Plan, state: StateDir) -> int:
    """TERM, wait, KILL; how many there were."""
    left = found = find_orphans(plan, state)
    for pid, began in found:
        processes.signal_group(pid, began, signal.SIGCONT)
        processes.signal_group(pid, began, signal.SIGTERM)
    end = time.monotonic() + plan.layout.supervisor.term_wait
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left = [(pid, began) for pid, began in left if processes.is_alive(pid, began)]
    for pid, began in left:
        processes.signal_group(pid, began, signal.SIGKILL)
    return len(found)
