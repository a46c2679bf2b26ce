"""Two hundred agents of ours on this machine, forks of one warm process, beside as many bare paho processes.

`up`, `status`, a restart after a kill and by command, `down`; what they hold in memory, against agents of their own
process. Run it with `python -m tests.bench.bench_many [AGENTS]`.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import psutil

from tests.bench.bars import bar
from tests.bench.bench_agent import memory
from tests.bench.bench_supervisor import bare, private_folder, restart
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervised_swarm import Swarm, own

MANY, FEW, RESTARTS = 200, 9, 3


def timed(swarm: Swarm, *argv: str) -> tuple[float, str]:
    """Seconds that a command took, and what it said; it must not fail."""
    began = time.monotonic()
    done = swarm.run(*argv, limit=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began, done.stdout


def held(swarm: Swarm) -> float:
    """MiB that all agents hold, what they share counted once: their panes' processes, and what these lead."""
    warm = [c for c in psutil.Process(swarm.supervisor()).children() if "swarm_tui.agent.warm_process" in c.cmdline()]
    forks = [child for one in warm for child in one.children()]
    pids = {pane.pid for pane in swarm.panes().values()} | {process.pid for process in [*warm, *forks]}
    return sum(memory(pid)[1] for pid in pids) / 1024


def measure(folder: Path, number: int, *, warm: bool) -> dict[str, float]:
    """Seconds of each command, MiB held, and seconds in which as many bare processes have registered."""
    broker = RealBroker(pick_port(), folder / f"broker-{number}-{warm}").start()
    agents = [own("task-manager-01", "task-manager"), *(own(f"agent-{n:03d}") for n in range(number - 1))]
    swarm = Swarm(folder, broker.port, agents, policy={"max_agents": number}, supervisor={"warm": warm})
    try:
        up, _ = timed(swarm, "up", str(swarm.path), "--detach", "--wait", "150")
        status, said = timed(swarm, "status", swarm.name, "--json")
        states = [agent["state"] for agent in json.loads(said)["agents"]]
        assert states == ["online"] * number, states
        mib = held(swarm)
        kills = [restart(swarm, "agent-005") for _ in range(RESTARTS)]
        command, _ = timed(swarm, "restart", "--swarm", swarm.name, "agent-003")
        down, _ = timed(swarm, "down", swarm.name)
        assert swarm.processes() == []
        beside = bare(broker.port, number)
    finally:
        swarm.close()
        broker.stop()
    return {
        "up_s": up,
        "bare_s": beside,
        "status_s": status,
        "registered_s": statistics.median(back for _, back in kills),
        "restart_command_s": command,
        "down_s": down,
        "mib": mib,
    }


def main() -> int:
    """Measure in folders of its own, print the bars."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with private_folder() as folder:
        few, cold = measure(folder, FEW, warm=True), measure(folder, FEW, warm=False)
        many = measure(folder, number, warm=True)
    print(f"{'':<20}{FEW:>10}{f'{FEW} cold':>10}{number:>10}")
    for name in few:
        print(f"{name:<20}{few[name]:10.2f}{cold[name]:10.2f}{many[name]:10.2f}")
    met = bar(f"up of {number} agents, against as many bare paho", many["up_s"] / many["bare_s"], 1.3)
    met &= bar("memory of nine, against nine without a warm process", few["mib"] / cold["mib"], 0.75)
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
